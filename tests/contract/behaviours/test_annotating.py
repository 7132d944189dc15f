"""Acceptance behaviour 71, annotations: an event tells of each change, and runs are found by them."""

from __future__ import annotations

import asyncio
import enum
import json
from typing import Any

import pytest

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import (
    AnnotationValue,
    Flow,
    InvalidAnnotations,
    InvalidArgument,
    InvalidInput,
    Kernel,
    LimitExceeded,
    RunEnded,
    RunFilter,
    RunHandle,
    RunNotFound,
    Start,
)
from fairlead.kernel.annotations import ANNOTATION_KEY_LENGTH_MAX, ANNOTATION_LENGTH_MAX, ANNOTATIONS_MAX
from fairlead.kernel.commands import (
    ANNOTATE_BATCH_MAX,
    AnnotateRuns,
    Annotation,
    AnnotationVerdict,
    FlushOutbox,
    Verdict,
)
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown
from fairlead.ports.records import ClaimedTask, Lease
from tests.support.hands import LEASE, Hands
from tests.support.records import load_request
from tests.support.troubled import PatientClock, Troubled, kernel_over

UNKNOWN = "0197f000-0000-7000-8000-000000000001"


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


def orders() -> Flow[Any]:
    """A step after another."""
    flow = Flow("orders", version=1, base_delay=0)

    @flow.step
    def pack(input: object) -> object:
        return input

    @flow.step
    def ship(pack: object) -> object:
        return pack

    return flow


def annotation(task: ClaimedTask, **values: AnnotationValue | None) -> Annotation:
    """What an attempt asks for."""
    data = json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
    return Annotation(run_id=task.key.run_id, values=data, lease=Lease(task.key, task.token))


async def ask(kernel: Kernel, *annotations: Annotation, wait: bool = False) -> list[AnnotationVerdict]:
    """What becomes of annotations."""
    return list(await kernel.dispatch(AnnotateRuns(annotations=annotations, wait=wait)))


async def told(run: RunHandle) -> list[tuple[int, str, Any]]:
    """Sequence, type and annotations of a run's events."""
    events = (await run.details()).events
    return [(event.sequence, event.type, json.loads(event.data).get("annotations")) for event in events]


async def ids(kernel: Kernel, **wanted: AnnotationValue) -> list[str]:
    """The runs that are found."""
    page = await kernel.runs(RunFilter(annotations=wanted))
    return [run.id for run in page.runs]


async def test_a_run_is_started_with_annotations(world: Ports, sink: CollectingSink) -> None:
    """They are there from its first moment, and told right after its creation."""
    kernel = Kernel(flows=[orders()], ports=world)
    run = await kernel.start("orders", 1, annotations={"customer": "acme", "tier": 3, "vip": True})
    many = await kernel.start_many("orders", [Start(input=1), Start(input=2, annotations={"customer": "other"})])
    await kernel.dispatch(FlushOutbox(worker="w", lease_duration=LEASE))
    published = [event.type for event in sink.events if event.run_id == run.id]

    assert await run.annotations() == {"customer": "acme", "tier": 3, "vip": True}
    assert await ids(kernel, customer="acme", vip=True) == [run.id]
    assert await ids(kernel, customer="other") == [many[1].id]
    assert await many[0].annotations() == {}
    assert await told(run) == [
        (1, "run.created", None),
        (2, "run.annotated", {"customer": "acme", "tier": 3, "vip": True}),
    ]
    assert published == ["run.created", "run.annotated"]


async def test_a_repeated_start_leaves_annotations_as_they_are(world: Ports) -> None:
    """They are no part of what a key stands for."""
    kernel = Kernel(flows=[orders()], ports=world)
    run = await kernel.start("orders", 1, key="k", annotations={"customer": "acme"})
    again = await kernel.start("orders", 1, key="k", annotations={"customer": "other"})

    assert again.id == run.id
    assert await run.annotations() == {"customer": "acme"}
    assert len(await told(run)) == 2


async def test_annotations_are_added_replaced_and_taken_away(world: Ports) -> None:
    """Pending and running; what stays as it was is not told, and sequence numbers have no gap."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("orders", 1)
    await kernel.annotate(run.id, {"a": 1, "b": "x"})
    await hands.claim_runs()
    await run.annotate({"a": 1, "b": None, "c": 0.5})
    await run.annotate({"a": 1, "b": None})
    await run.annotate({})
    await hands.drain()

    assert await run.annotations() == {"a": 1, "c": 0.5}
    events = await told(run)
    assert [sequence for sequence, _, _ in events] == list(range(1, len(events) + 1))
    assert [said for _, kind, said in events if kind == "run.annotated"] == [
        {"a": 1, "b": "x"},
        {"b": None, "c": 0.5},
    ]


async def test_everything_may_be_taken_away(world: Ports) -> None:
    """A run without annotations is found by none."""
    kernel = Kernel(flows=[orders()], ports=world)
    run = await kernel.start("orders", 1, annotations={"a": 1})
    await run.annotate({"a": None})

    assert await run.annotations() == {}
    assert await ids(kernel, a=1) == []


async def test_attempts_annotate_their_run(world: Ports) -> None:
    """In one transaction for many; the event tells of the step."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    runs = [await kernel.start("orders", number) for number in range(3)]
    await hands.claim_runs()
    tasks = await hands.claim_tasks()
    verdicts = await ask(kernel, *(annotation(task, a=1) for task in tasks), annotation(tasks[0], b=2))

    assert verdicts == [AnnotationVerdict.WRITTEN] * 4
    assert [await run.annotations() for run in runs].count({"a": 1}) == 2
    first = kernel.run(tasks[0].key.run_id)
    assert await first.annotations() == {"a": 1, "b": 2}
    assert [said for _, kind, said in await told(first) if kind == "run.annotated"] == [{"a": 1}, {"b": 2}]
    assert [event.step for event in (await first.details()).events if event.type == "run.annotated"] == ["pack"] * 2


@pytest.mark.fault(20, 42)
async def test_a_zombie_annotates_nothing(world: Ports, clock: ManualClock) -> None:
    """Its lease was lost and its task is another's, queued, or settled: refused, while others of the batch are not."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("orders", 1)
    other = await kernel.start("orders", 2)
    await hands.claim_runs()
    tasks = {task.key.run_id: task for task in await hands.claim_tasks()}
    zombie, alive = tasks[run.id], tasks[other.id]
    clock.advance(20)
    await hands.heartbeat(alive)
    clock.advance(20)
    await hands.reap()
    queued = await ask(kernel, annotation(zombie, ghost=1), annotation(alive, a=1))
    replacement = await hands.claim_task()
    taken_over = await ask(kernel, annotation(zombie, ghost=1), annotation(replacement, a=2))
    await hands.complete(replacement)
    settled = await ask(kernel, annotation(replacement, ghost=1))

    assert queued == [AnnotationVerdict.STALE, AnnotationVerdict.WRITTEN]
    assert taken_over == [AnnotationVerdict.STALE, AnnotationVerdict.WRITTEN]
    assert settled == [AnnotationVerdict.STALE]
    assert await run.annotations() == {"a": 2}
    assert await ids(kernel, ghost=1) == []


@pytest.mark.fault(62)
async def test_after_a_cancel_nothing_is_annotated(world: Ports) -> None:
    """Neither by attempts nor by others: the run has ended."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("orders", 1, annotations={"a": 1})
    await hands.claim_runs()
    task = await hands.claim_task()
    await run.cancel()
    events = len(await told(run))

    assert await ask(kernel, annotation(task, a=2)) == [AnnotationVerdict.STALE]
    with pytest.raises(RunEnded, match=run.id):
        await run.annotate({"a": 3})
    assert await run.annotations() == {"a": 1}
    assert len(await told(run)) == events


async def test_a_run_that_somebody_holds_is_put_off(world: Ports) -> None:
    """Its annotations are for the next batch; those of others are written."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    held = await kernel.start("orders", 1)
    free = await kernel.start("orders", 2)
    await hands.claim_runs()
    tasks = {task.key.run_id: task for task in await hands.claim_tasks()}
    async with world.persistence.transaction() as transaction:
        await transaction.load(load_request(held.id))
        verdicts = await ask(kernel, annotation(tasks[held.id], a=1), annotation(tasks[free.id], a=1))
    afterwards = await ask(kernel, annotation(tasks[held.id], a=1))

    assert verdicts == [AnnotationVerdict.DEFERRED, AnnotationVerdict.WRITTEN]
    assert afterwards == [AnnotationVerdict.WRITTEN]


@pytest.mark.fault(22)
async def test_a_commit_whose_answer_was_lost_is_told_once(world: Ports) -> None:
    """The repetition finds everything as it should be."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, orders())
    run = await kernel.start("orders", 1)
    troubled.commit_error = [CommitUnknown("lost")]
    await run.annotate({"a": 1})

    assert await run.annotations() == {"a": 1}
    assert [kind for _, kind, _ in await told(run)] == ["run.created", "run.annotated"]


async def test_many_annotate_one_run_at_once(world: Ports) -> None:
    """None is lost, and each is told."""
    kernel = Kernel(flows=[orders()], ports=world)
    run = await kernel.start("orders", 1)
    await asyncio.gather(*(kernel.annotate(run.id, {f"k{number}": number}) for number in range(10)))

    assert await run.annotations() == {f"k{number}": number for number in range(10)}
    assert len(await told(run)) == 11


async def test_a_run_has_a_bounded_number_of_annotations(world: Ports) -> None:
    """What fits is written, and the rest is told; those that are there may always change."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("orders", 1, annotations={f"k{number}": 0 for number in range(ANNOTATIONS_MAX - 1)})
    await hands.claim_runs()
    task = await hands.claim_task()

    assert await ask(kernel, annotation(task, a=1, b=2, k0=5)) == [AnnotationVerdict.FULL]
    with pytest.raises(InvalidAnnotations, match="as many annotations as it may have"):
        await run.annotate({"c": 1})
    found = await run.annotations()
    assert (len(found), found["a"], found["k0"]) == (ANNOTATIONS_MAX, 1, 5)
    await run.annotate({"a": None})
    await run.annotate({"c": 1})
    assert (await run.annotations())["c"] == 1


@pytest.mark.parametrize(
    "values",
    [
        {"": 1},
        {"a" * (ANNOTATION_KEY_LENGTH_MAX + 1): 1},
        {"a\0": 1},
        {1: 1},
        {"a": [1]},
        {"a": {}},
        {"a": b"x"},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 10**19},
        {"a": "x" * (ANNOTATION_LENGTH_MAX + 1)},
        {"a": "x\0"},
        {"a": "\ud800"},
        {f"k{number}": 1 for number in range(ANNOTATIONS_MAX + 1)},
        [("a", 1)],
        "a",
    ],
)
async def test_what_is_no_annotation_is_refused(world: Ports, values: Any) -> None:
    """With its path, by every way in; nothing was changed and no run was made."""
    kernel = Kernel(flows=[orders()], ports=world)
    run = await kernel.start("orders", 1)
    with pytest.raises(InvalidAnnotations, match=r"\$"):
        await run.annotate(values)
    with pytest.raises(InvalidInput, match="annotations"):
        await kernel.start("orders", 1, annotations=values)
    with pytest.raises(InvalidAnnotations):
        await kernel.runs(RunFilter(annotations=values))

    assert await run.annotations() == {}
    assert len((await kernel.runs()).runs) == 1


async def test_none_is_for_taking_away_alone(world: Ports) -> None:
    """A run is neither started with it nor found by it."""
    kernel = Kernel(flows=[orders()], ports=world)
    nothing: Any = {"a": None}
    with pytest.raises(InvalidInput, match=r"annotations \$\.a"):
        await kernel.start("orders", 1, annotations=nothing)
    with pytest.raises(InvalidAnnotations, match=r"\$\.a"):
        await kernel.runs(RunFilter(annotations=nothing))


async def test_what_is_not_there_cannot_be_annotated(world: Ports) -> None:
    """An unknown run, no run id at all, more than a batch."""
    kernel = Kernel(flows=[orders()], ports=world)
    with pytest.raises(RunNotFound):
        await kernel.annotate(UNKNOWN, {"a": 1})
    with pytest.raises(RunNotFound):
        await kernel.annotate("nonsense", {"a": 1})
    wrong: Any = 7
    with pytest.raises(InvalidArgument, match="run_id"):
        await kernel.annotate(wrong, {"a": 1})
    with pytest.raises(LimitExceeded, match="annotations"):
        AnnotateRuns(annotations=(Annotation(run_id=UNKNOWN, values=b"{}"),) * (ANNOTATE_BATCH_MAX + 1))

    assert await kernel.run(UNKNOWN).annotations() == {}


async def test_any_kernel_annotates_any_run(world: Ports) -> None:
    """No code of its flow is needed."""
    run = await Kernel(flows=[orders()], ports=world).start("orders", 1)
    other = Kernel(flows=[], ports=world)
    await other.annotate(run.id, {"a": 1})

    assert await ids(other, a=1) == [run.id]


async def test_annotating_and_settling_share_a_sequence(world: Ports) -> None:
    """Between the events of steps, without a gap, until the end."""
    kernel = Kernel(flows=[orders()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("orders", 1)
    await hands.claim_runs()
    pack = await hands.claim_task()
    await ask(kernel, annotation(pack, stage="packing"))
    await hands.complete(pack)
    ship = await hands.claim_task()
    await ask(kernel, annotation(ship, stage="shipping"))

    assert await hands.complete(ship) is Verdict.SETTLED
    assert [kind for _, kind, _ in await told(run)] == [
        "run.created",
        "run.started",
        "step.started",
        "run.annotated",
        "step.completed",
        "step.started",
        "run.annotated",
        "step.completed",
        "run.completed",
    ]


class Colour(enum.StrEnum):
    """A kind of text."""

    RED = "red"


class Size(enum.IntEnum):
    """A kind of number."""

    SMALL = 1


@pytest.mark.parametrize("value", [Colour.RED, Size.SMALL], ids=repr)
async def test_values_of_subclasses_are_found_as_what_they_are(world: Ports, value: Any) -> None:
    """What is equal as JSON is equal, on every store."""
    flow = Flow("coloured", version=1)

    @flow.step
    def work() -> None: ...

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, None, annotations={"kind": value})

    found = await kernel.runs(RunFilter(annotations={"kind": value}))
    assert [each.id for each in found.runs] == [run.id]
