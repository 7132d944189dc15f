"""Reading runs, and commands that meet trouble: what users see, and what is left behind."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import (
    Flow,
    ForeignFlow,
    IdempotencyConflict,
    InvalidArgument,
    IsAMap,
    Kernel,
    LimitExceeded,
    NotAMap,
    OtherShape,
    RunStatus,
    Start,
    StepStatus,
    codec,
)
from fairlead.kernel import run_outputs as reading
from fairlead.kernel.commands import Verdict
from fairlead.kernel.decisions import handover
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Contention
from fairlead.ports.records import NewFlow
from tests.support.hands import LEASE, Hands
from tests.support.troubled import PatientClock, Troubled, kernel_over


def fan(slug: str = "fan", version: Any = 1) -> Flow[Any]:
    """A map over the input, and what follows it; not in the order of the alphabet."""
    flow = Flow(slug, version=version, base_delay=0)

    @flow.map(over="input")
    def many(item: object) -> object:
        return item

    @flow.step
    def after(many: list[object]) -> object:
        return many

    return flow


def break_rules(flow: Flow[Any]) -> None:
    """Make every decision on the map of a flow raise; what is loaded for it is known already."""
    assert flow.plan.neighbours
    object.__setattr__(flow.plan, "steps", {**flow.plan.steps, "many": None})
    object.__setattr__(flow.plan, "dependents", None)


@pytest.fixture
def clock() -> ManualClock:
    """Instead of the one that only tests move."""
    return PatientClock()


@pytest.fixture
def troubled(world: Ports) -> Troubled:
    """The adapter's store, with trouble to order."""
    return Troubled(world.persistence)


async def test_outputs_that_are_large_together_can_be_read(world: Ports) -> None:
    """The limit is on one payload; a map's outputs, and what follows from them, may be larger together."""
    flow = fan()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, [0] * 20)
    hands = Hands(kernel)
    await hands.claim_runs()
    for task in await hands.claim_tasks():
        await hands.complete(task, "x" * 1_000_000)

    outputs = await run.outputs("many")

    assert [len(output) for output in outputs] == [1_000_000] * 20


async def test_outputs_are_read_page_by_page(world: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the map and whatever its elements' outputs; elements that failed have none."""
    flow = Flow("long", version=1, input=list[int])

    @flow.map(over="input", tolerate_failures="all", max_attempts=1)
    async def many(item: int) -> int:
        return item

    monkeypatch.setattr(reading, "PAGE_OUTPUTS_MAX", 3)
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, list(range(8)))
    empty = await kernel.start(flow, [])
    hands = Hands(kernel)
    await hands.claim_runs()
    for task in await hands.claim_tasks():
        if task.key.element in (0, 4):
            await hands.fail(task)
        else:
            await hands.complete(task, task.key.element)

    assert await run.outputs(many) == [None, 1, 2, 3, None, 5, 6, 7]
    assert await empty.outputs(many) == []


async def test_steps_are_told_in_the_order_of_their_definition(world: Ports) -> None:
    """Whatever order the store has them in."""
    flow = fan()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, [])
    await Hands(kernel).claim_runs()

    assert [step.slug for step in (await run.details()).steps] == ["many", "after"]


async def test_wrong_readings_are_refused_in_their_words(world: Ports) -> None:
    """A step that is no map or is one, a page of nothing, and a flow object that is not the kernel's."""
    flow = fan()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, [])

    with pytest.raises(NotAMap, match=r"'after' is not a map"):
        await run.outputs("after")
    with pytest.raises(IsAMap, match=r"read them with run\.outputs\('many'\)"):
        await run.output("many")
    with pytest.raises(LimitExceeded, match=r"runs per page: 1 to 1000 at once, not 0$"):
        await kernel.runs(limit=0)
    with pytest.raises(ForeignFlow, match="loaded twice"):
        await kernel.start(fan(), [])
    with pytest.raises(InvalidArgument, match="timeout must be a finite number of seconds"):
        await run.wait(timeout=float("nan"))
    anything: Any = "x"
    with pytest.raises(InvalidArgument, match="starts must be"):
        await kernel.start_many(flow, [anything])
    with pytest.raises(InvalidArgument, match="run_id must be text"):
        kernel.run(cast(Any, 5))


async def test_two_payloads_under_one_key_in_one_request(world: Ports) -> None:
    """Behaviour 10: the conflict names no run, since none was ever there."""
    flow = fan()
    kernel = Kernel(flows=[flow], ports=world)

    with pytest.raises(IdempotencyConflict, match="in one request") as raised:
        await kernel.start_many(flow, [Start(input=[1], key="k"), Start(input=[2], key="k")])

    assert raised.value.run_id is None
    assert (await kernel.runs()).runs == []


async def test_a_run_of_another_shape_is_not_read_as_if_it_were_this_one(world: Ports) -> None:
    """A finished `dev` run whose shape was replaced: a typed error, not a wrong value."""
    old = fan("work", "dev")
    first = Kernel(flows=[old], ports=world)
    run = await first.start(old, [])
    await Hands(first).drain(1)
    new = Flow("work", version="dev")

    @new.step
    def other() -> int:
        return 1

    second = Kernel(flows=[new], ports=world)
    await second.register()

    with pytest.raises(OtherShape, match="another shape"):
        await second.run(run.id).result()
    assert (await second.run(run.id).details()).run.status is RunStatus.COMPLETED


def beside(*slugs: str, version: Any) -> Flow[Any]:
    """Independent steps, written in this order."""
    flow = Flow("beside", version=version)
    for slug in slugs:

        @flow.step(slug=slug)
        def work() -> int:
            return 1

    return flow


async def shown_elsewhere(world: Ports, run_id: str) -> list[str]:
    """A run's steps as a kernel shows them that has no flows."""
    details = await Kernel(flows=[], ports=world).run(run_id).details()
    return [step.slug for step in details.steps]


async def test_a_dev_flow_whose_steps_were_reordered_is_shown_in_the_new_order(world: Ports) -> None:
    """The order is no part of the shape, so that a run in flight does not hold it up."""
    kernel = Kernel(flows=[beside("one", "two", version="dev")], ports=world)
    run = await kernel.start("beside", {})
    await Hands(kernel).drain(1)
    before = await shown_elsewhere(world, run.id)

    await Kernel(flows=[beside("two", "one", version="dev")], ports=world).register()

    assert before == ["one", "two"]
    assert await shown_elsewhere(world, run.id) == ["two", "one"]


async def test_a_version_keeps_the_order_it_has_and_gets_one_where_it_has_none(world: Ports) -> None:
    """A document without an order is from before it was kept; hosts with two orders of one version take no turns."""
    first = beside("two", "one", version=1)
    first.seal()
    document = msgspec.json.decode(first.shape.document)
    del document["order"]
    await world.persistence.register_flow(
        NewFlow(
            slug=first.slug,
            version=first.version,
            fingerprint=first.shape.fingerprint,
            shape=codec.encode(document),
            registered_at=world.clock.now(),
        ),
        replace=False,
    )

    kernel = Kernel(flows=[first], ports=world)
    run = await kernel.start(first, {})
    await Hands(kernel).drain(1)
    await Kernel(flows=[beside("one", "two", version=1)], ports=world).register()

    assert await shown_elsewhere(world, run.id) == ["two", "one"]


@pytest.mark.fault(2, 22)
async def test_a_start_whose_answer_was_lost_makes_one_run(world: Ports, troubled: Troubled) -> None:
    """P7, fault 22: also without a key, the same run is inserted again and found."""
    flow = fan()
    kernel = kernel_over(world, troubled, flow)
    await kernel.register()
    troubled.insert_error = [CommitUnknown("lost"), Contention("locked"), None]

    run = await kernel.start(flow, [])

    assert run.created
    assert [record.id for record in (await kernel.runs()).runs] == [run.id]


@pytest.mark.fault(53)
async def test_a_batch_is_halved_until_the_refused_value_is_alone(world: Ports, troubled: Troubled) -> None:
    """SEMANTICS §3: its task fails as `unstorable_output`; the others of the batch are recorded."""
    flow = fan()
    kernel = kernel_over(world, troubled, flow)
    runs = [await kernel.start(flow, [0]) for _ in range(5)]
    hands = Hands(kernel, slots=5)
    tasks = await hands.claim_runs()
    troubled.refused = b'"refused"'

    outcomes = [hands.completed(task, "refused" if n == 3 else "fine") for n, task in enumerate(tasks)]
    settlement = await hands.settle(outcomes)

    assert set(settlement.verdicts.values()) == {Verdict.SETTLED}
    records = {run.id: await run.read() for run in runs}
    assert [records[task.key.run_id].reason for task in tasks] == [None, None, None, "unstorable_output", None]
    assert len(settlement.continuations) == 4


@pytest.mark.fault(23)
async def test_contention_in_one_half_keeps_what_the_other_handed_over(world: Ports, troubled: Troubled) -> None:
    """A deadlock after the first half is recorded: that half is not decided again, and its continuations arrive."""
    flow = fan()
    kernel = kernel_over(world, troubled, flow)
    for _ in range(2):
        await kernel.start(flow, [0])
    hands = Hands(kernel, slots=5)
    tasks = await hands.claim_runs()
    troubled.refused = b'"refused"'
    troubled.commit_error = [None, Contention("deadlock")]

    settlement = await hands.settle([hands.completed(tasks[0], "fine"), hands.completed(tasks[1], "refused")])

    assert [task.key.step for task in settlement.continuations] == ["after"]
    assert set(settlement.verdicts.values()) == {Verdict.SETTLED}


@pytest.mark.fault(22, 23)
async def test_a_half_that_failed_is_repeated_with_the_whole_batch(world: Ports, troubled: Troubled) -> None:
    """The host is told that part of it may exist, repeats, and adopts what the first half handed over."""
    flow = fan()
    kernel = kernel_over(world, troubled, flow)
    for _ in range(2):
        await kernel.start(flow, [0])
    hands = Hands(kernel, slots=5)
    tasks = await hands.claim_runs()
    outcomes = [hands.completed(tasks[0], "fine"), hands.completed(tasks[1], "refused")]
    troubled.refused = b'"refused"'
    troubled.commit_error = [None, CommitUnknown("lost")]

    with pytest.raises(CommitUnknown):
        await hands.settle(outcomes)
    settlement = await hands.settle(outcomes, repeated=True)

    assert [task.key.step for task in settlement.continuations] == ["after"]


@pytest.mark.fault(13, 41, 78)
async def test_the_reaper_is_not_stopped_by_one_broken_run(world: Ports, clock: ManualClock) -> None:
    """P4: a run whose rules raise fails alone; the lost tasks of the others are taken back."""
    good, bad = fan("good"), fan("bad")
    kernel = Kernel(flows=[good, bad], ports=world)
    runs = [await kernel.start(flow, [0]) for flow in (bad, good)]
    hands = Hands(kernel, slots=5)
    await hands.claim_runs()
    clock.advance(LEASE * 2)
    break_rules(bad)

    await hands.reap()

    assert [await run.status() for run in runs] == [RunStatus.FAILED, RunStatus.RUNNING]
    assert (await runs[0].read()).reason == "internal_error"
    assert [task.key.run_id for task in await hands.claim_tasks()] == [runs[1].id]


@pytest.mark.fault(78)
async def test_a_settle_is_not_stopped_by_one_broken_run(world: Ports) -> None:
    """SEMANTICS §3: that run's task fails with `internal_error`; the rest of the batch is recorded."""
    good, bad = fan("good"), fan("bad")
    kernel = Kernel(flows=[good, bad], ports=world)
    runs = [await kernel.start(flow, [0]) for flow in (bad, good)]
    hands = Hands(kernel, slots=5)
    tasks = await hands.claim_runs()
    outcomes = [hands.completed(task, 1) for task in tasks]
    break_rules(bad)

    settlement = await hands.settle(outcomes)

    assert set(settlement.verdicts.values()) == {Verdict.SETTLED}
    assert [await run.status() for run in runs] == [RunStatus.FAILED, RunStatus.RUNNING]
    assert (await runs[0].read()).reason == "internal_error"


@pytest.mark.fault(58)
async def test_one_transaction_inserts_a_bounded_number_of_tasks(world: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each map that becomes ready gets at least one task, and the rest as these are settled."""
    monkeypatch.setattr(handover, "NEW_TASKS_MAX", 15)
    flow = fan()
    kernel = Kernel(flows=[flow], ports=world)
    runs = [await kernel.start(flow, [0] * 10) for _ in range(4)]
    hands = Hands(kernel)

    await hands.claim_runs()

    counts = [len(await world.persistence.read_tasks(run.id)) for run in runs]
    assert sorted(counts) == [1, 1, 5, 10]
    await hands.drain("done")
    assert [await run.status() for run in runs] == [RunStatus.COMPLETED] * 4
    steps = {step.slug: step for step in (await runs[-1].details()).steps}
    assert (steps["many"].status, steps["many"].cursor) == (StepStatus.COMPLETED, 10)
