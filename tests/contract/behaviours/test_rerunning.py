"""Acceptance behaviour 60, and FAULTS 65: a run that has ended begins anew, and nothing of before gets in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import (
    Flow,
    FlowDefinitionError,
    InvalidArgument,
    Kernel,
    NothingToRerun,
    OtherShape,
    RunHandle,
    RunNotEnded,
    RunNotFound,
    RunStatus,
    UnknownFlow,
)
from fairlead.kernel.commands import CancelledRun, FlushOutbox, Verdict
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Contention, Unavailable
from fairlead.ports.records import ClaimedTask
from tests.support.hands import LEASE, Hands
from tests.support.troubled import PatientClock, Troubled, kernel_over

UNKNOWN = "0197f000-0000-7000-8000-000000000001"


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


def chain() -> Flow[Any]:
    """Three steps in a row, and one beside them."""
    flow = Flow("chain", version=1, max_attempts=1)

    @flow.step
    def first() -> object:
        return None

    @flow.step
    def second(first: object) -> object:
        return first

    @flow.step
    def third(second: object) -> object:
        return second

    @flow.step
    def beside() -> object:
        return None

    return flow


async def begun(world: Ports, flow: Flow[Any], input: object = None) -> tuple[Hands, RunHandle]:
    """A run that a host has claimed."""
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    run = await kernel.start(flow.slug, input)
    await hands.claim_runs()
    return hands, run


async def completed(
    world: Ports, flow: Flow[Any], input: object = None, value: object = "old"
) -> tuple[Hands, RunHandle]:
    """A run all of whose tasks have returned `value`."""
    hands, run = await begun(world, flow, input)
    await hands.drain(value)

    assert await run.status() is RunStatus.COMPLETED
    return hands, run


def names(tasks: Sequence[ClaimedTask]) -> list[tuple[str, int, int]]:
    """Which tasks these are: step, generation and element."""
    return sorted((task.key.step, task.key.generation, task.key.element) for task in tasks)


async def statuses(run: RunHandle) -> dict[tuple[str, int], str]:
    """Every step of the run by slug and generation."""
    return {(step.slug, step.generation): str(step.status) for step in (await run.details()).steps}


async def told(run: RunHandle, generation: int) -> list[str]:
    """The events of one generation, with the steps they are of."""
    events = (await run.details()).events
    return [" ".join(filter(None, (each.type, each.step))) for each in events if each.generation == generation]


# From a step


async def test_a_step_and_what_depends_on_it_begin_anew(world: Ports, clock: ManualClock) -> None:
    """Behaviour 60: they are executed again, and the others are not; outputs are the new ones where there are any."""
    hands, run = await completed(world, chain())
    clock.advance(5)

    answer = await run.rerun("second")

    assert answer.took_effect
    assert (answer.found, answer.generation, answer.steps) == (RunStatus.COMPLETED, 2, ("second", "third"))
    record = await run.read()
    assert (record.status, record.generation, record.started_at) == (RunStatus.RUNNING, 2, world.clock.now())
    tasks = await hands.claim_tasks()
    assert names(tasks) == [("second", 2, 0)]
    await hands.complete_all(tasks, "new")
    await hands.drain("new")
    assert await run.result() == {"third": "new", "beside": "old"}
    assert [await run.output(slug) for slug in ("first", "second", "third")] == ["old", "new", "new"]


async def test_history_and_old_outputs_stay(world: Ports) -> None:
    """Behaviour 60: how the run ended before, its steps, its tasks and its events are there as they were."""
    hands, run = await completed(world, chain())
    before = await run.details()

    await run.rerun("second")
    await hands.drain("new")

    after = await run.details()
    (left,) = after.generations
    assert (left.generation, left.status) == (1, RunStatus.COMPLETED)
    assert (left.started_at, left.ended_at) == (before.run.started_at, before.run.ended_at)
    assert [step for step in after.steps if step.generation == 1] == list(before.steps)
    assert [task for task in after.tasks if task.key.generation == 1] == list(before.tasks)
    assert list(after.events[: len(before.events)]) == list(before.events)
    assert [event.sequence for event in after.events] == list(range(1, len(after.events) + 1))
    assert await told(run, 2) == [
        "run.started",
        "step.started second",
        "step.completed second",
        "step.started third",
        "step.completed third",
        "run.completed",
    ]


async def test_tasks_of_a_new_generation_have_ids_of_their_own(world: Ports) -> None:
    """What guards effects outside, the idempotency key of the task, is another one."""
    hands, run = await begun(world, chain())
    tasks = {task.key.step: task for task in await hands.claim_tasks()}
    await hands.complete_all(list(tasks.values()))
    await hands.drain()

    await run.rerun("first", "beside")

    again = {task.key.step: task for task in await hands.claim_tasks()}
    assert {slug: str(task.key) == str(tasks[slug].key) for slug, task in again.items()} == {
        "first": False,
        "beside": False,
    }
    assert {task.attempt for task in again.values()} == {1}


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
async def test_what_was_not_settled_begins_anew_too(world: Ports, ending: str) -> None:
    """Behaviour 60: of a failed or cancelled run, wherever it is rerun from."""
    hands, run = await begun(world, chain())
    tasks = {task.key.step: task for task in await hands.claim_tasks()}
    await hands.complete(tasks["beside"], "kept")
    if ending == "failed":
        await hands.fail(tasks["first"])
    else:
        await run.cancel()

    answer = await run.rerun("third")

    assert (answer.found, answer.steps) == (RunStatus(ending), ("first", "second", "third"))
    assert await hands.drain("new") == 3
    assert await run.result() == {"third": "new", "beside": "kept"}
    assert (await run.read()).error is None
    assert (await run.details()).generations[0].reason == {"failed": "handler_failed", "cancelled": None}[ending]


async def test_a_run_that_was_never_claimed_begins_from_its_beginning(world: Ports) -> None:
    """It was cancelled while it was pending: none of its steps has a row."""
    kernel = Kernel(flows=[chain()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("chain", None)
    await run.cancel()

    answer = await run.retry()

    assert answer.steps == ("first", "second", "third", "beside")
    await hands.drain(1)
    assert await run.result() == {"third": 1, "beside": 1}
    assert (await run.details()).generations[0].started_at is None


async def test_a_run_is_rerun_again_and_again(world: Ports) -> None:
    """Each time in the next generation; a step counts as it was done last."""
    hands, run = await completed(world, chain(), value=1)

    for generation, slug in enumerate(["third", "second", "beside", "third"], start=2):
        answer = await run.rerun(slug)
        assert answer.generation == generation
        await hands.drain(generation)

    assert await run.result() == {"third": 5, "beside": 4}
    assert [await run.output(slug) for slug in ("first", "second")] == [1, 3]
    assert [each.generation for each in (await run.details()).generations] == [1, 2, 3, 4]


async def test_the_handler_stands_for_its_step(world: Ports) -> None:
    """As everywhere; a step of no such name, and no step at all, are refused."""
    flow = Flow("named", version=1)

    @flow.step
    def only() -> int:
        return 1

    hands, run = await completed(world, flow)

    with pytest.raises(FlowDefinitionError, match="onyl"):
        await run.rerun("onyl")
    with pytest.raises(InvalidArgument, match="at least one step"):
        await run.rerun()
    assert (await run.rerun(only)).steps == ("only",)
    assert await hands.drain(2) == 1


# What is refused


async def test_a_live_run_is_not_rerun(world: Ports) -> None:
    """Pending or running: it says to wait or to cancel, and nothing changes."""
    kernel = Kernel(flows=[chain()], ports=world)
    run = await kernel.start("chain", None)
    for _ in range(2):
        before = await run.details()
        with pytest.raises(RunNotEnded, match="cancel it"):
            await run.rerun("first")
        with pytest.raises(RunNotEnded):
            await run.retry()
        assert await run.details() == before
        await Hands(kernel).claim_runs()


async def test_a_run_with_nothing_to_do_is_not_retried(world: Ports) -> None:
    """Everything is settled well: it says to name a step."""
    _, run = await completed(world, chain())

    with pytest.raises(NothingToRerun, match="name the step"):
        await run.retry()
    with pytest.raises(NothingToRerun, match="nothing of step 'second' has failed"):
        await run.retry("second")
    assert (await run.read()).generation == 1


async def test_the_code_of_the_flow_is_needed(world: Ports) -> None:
    """Unlike for a cancel: which steps there are and what they depend on is in the code."""
    _, run = await completed(world, chain())
    other = Flow("chain", version=1)

    @other.step
    def first() -> object:
        return None

    with pytest.raises(UnknownFlow):
        await Kernel(flows=[], ports=world).rerun(run.id, "first")
    with pytest.raises(OtherShape):
        await Kernel(flows=[other], ports=world).rerun(run.id, "first")
    with pytest.raises(RunNotFound):
        await Kernel(flows=[chain()], ports=world).retry(UNKNOWN)


async def test_a_dry_run_changes_nothing(world: Ports) -> None:
    """It tells what would be."""
    _, run = await completed(world, chain())
    before = await run.details()

    answer = await run.rerun("second", dry_run=True)

    assert not answer.took_effect
    assert (answer.generation, answer.steps) == (2, ("second", "third"))
    assert await run.details() == before


# Races


@pytest.mark.fault(65)
@pytest.mark.parametrize("outcome", ["complete", "fail", "release"])
async def test_late_results_of_the_old_generation_are_stale(world: Ports, outcome: str) -> None:
    """Behaviour 60, FAULTS 65: they are addressed to tasks that have ended."""
    hands, run = await begun(world, chain())
    late = next(task for task in await hands.claim_tasks() if task.key.step == "first")
    await run.cancel()
    await run.rerun("first")
    before = await run.details()

    verdict = await getattr(hands, outcome)(late)

    assert verdict is Verdict.STALE
    assert await run.details() == before
    answer = await hands.heartbeat(late)
    assert (answer.extended, len(answer.cancelled)) == (frozenset(), 1)
    await hands.drain("new")
    assert await run.output("first") == "new"


@pytest.mark.fault(65)
async def test_results_of_two_generations_in_one_batch(world: Ports) -> None:
    """FAULTS 65: the old one is stale, the new one is settled."""
    hands, run = await begun(world, chain())
    old = next(task for task in await hands.claim_tasks() if task.key.step == "first")
    await run.cancel()
    await run.rerun("first")
    new = next(task for task in await hands.claim_tasks() if task.key.step == "first")

    settlement = await hands.settle([hands.completed(old, "old"), hands.completed(new, "new")])

    assert {lease.key.generation: verdict for lease, verdict in settlement.verdicts.items()} == {
        1: Verdict.STALE,
        2: Verdict.SETTLED,
    }
    assert await run.output("first") == "new"


@pytest.mark.fault(65)
async def test_a_lease_of_the_old_generation_is_not_reaped(world: Ports, clock: ManualClock) -> None:
    """It ended with its run; only what is leased in the new one is taken back."""
    hands, run = await begun(world, chain())
    await hands.claim_tasks()
    await run.cancel()
    await run.rerun("first")
    clock.advance(2 * LEASE)

    assert await hands.reap() == 0
    await hands.drain("new")
    assert await run.status() is RunStatus.COMPLETED


@pytest.mark.fault(65)
async def test_a_rerun_while_results_come_in(world: Ports) -> None:
    """FAULTS 65, all at once: results of the old generation are stale in every order, and the new one has its own."""
    for _ in range(5):
        hands, run = await begun(world, chain())
        late = {task.key.step: task for task in await hands.claim_tasks()}
        await run.cancel()

        answer, *verdicts = await asyncio.gather(
            run.rerun("first"),
            hands.complete(late["first"], "old"),
            hands.fail(late["beside"]),
            hands.complete(late["first"], "old"),
        )

        assert answer.generation == 2
        assert verdicts == [Verdict.STALE] * 3
        await hands.drain("new")
        assert await run.result() == {"third": "new", "beside": "new"}


@pytest.mark.fault(69)
async def test_of_many_reruns_at_once_one_takes_effect(world: Ports) -> None:
    """The others find a run that is running."""
    hands, run = await completed(world, chain())

    answers = await asyncio.gather(*(run.rerun("second") for _ in range(10)), return_exceptions=True)

    refusals = [each for each in answers if isinstance(each, RunNotEnded)]
    assert len(refusals) == 9
    assert (await run.read()).generation == 2
    assert await hands.drain("new") == 2


@pytest.mark.fault(62, 65)
async def test_a_rerun_and_a_cancel_are_in_some_order(world: Ports) -> None:
    """FAULTS 62, 65: the run is cancelled in the generation that it is in then, or was over before."""
    for _ in range(5):
        hands, run = await begun(world, chain())
        await hands.fail(next(task for task in await hands.claim_tasks() if task.key.step == "first"))

        answer, cancelled = await asyncio.gather(run.rerun("first"), run.cancel())

        record = await run.read()
        assert answer.generation == record.generation == 2
        assert isinstance(cancelled, CancelledRun)
        expected = RunStatus.CANCELLED if cancelled.took_effect else RunStatus.RUNNING
        assert record.status is expected
        await run.cancel()


async def test_the_key_of_a_rerun_run_finds_it(world: Ports) -> None:
    """One run per key, in whatever generation: a repeated start neither makes one nor changes it."""
    kernel = Kernel(flows=[chain()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("chain", {"a": 1}, key="order-1")
    await hands.drain("old")

    rerun = asyncio.ensure_future(run.rerun("second"))
    repeated = await asyncio.gather(*(kernel.start("chain", {"a": 1}, key="order-1") for _ in range(5)))
    await rerun

    assert {each.id for each in repeated} == {run.id}
    assert not any(each.created for each in repeated)
    assert (await run.read()).generation == 2


async def test_events_of_a_rerun_reach_the_sink_in_order(world: Ports, sink: CollectingSink) -> None:
    """Sequence numbers go on where they were, and name the generation they are of."""
    hands, run = await completed(world, chain())
    flush = FlushOutbox(worker="flusher", lease_duration=LEASE)
    await hands.kernel.dispatch(flush)
    await run.rerun("third")
    await hands.drain("new")
    await hands.kernel.dispatch(flush)

    events = [event for event in sink.events if event.run_id == run.id]

    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.generation for event in events] == sorted(event.generation for event in events)
    assert {event.generation for event in events} == {1, 2}


# An unknown commit


@pytest.mark.fault(22)
async def test_a_rerun_whose_answer_was_lost_is_recognised(world: Ports) -> None:
    """Tried again it finds its own generation: the caller is told that it took effect, and there is no further one."""
    _, finished = await completed(world, chain())
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, chain())
    await kernel.register()
    troubled.commit_error = [CommitUnknown("lost")]

    answer = await kernel.rerun(finished.id, "second")

    assert (answer.generation, answer.steps, answer.took_effect) == (2, ("second", "third"), True)
    assert (await finished.read()).generation == 2
    assert (await told(finished, 2)).count("run.started") == 1


async def test_a_lost_rerun_is_recognised_after_further_generations(world: Ports, clock: ManualClock) -> None:
    """Its generation has ended and was left again before anybody looked."""
    hands, run = await completed(world, chain())
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, chain())
    await kernel.register()
    troubled.commit_error = [CommitUnknown("lost")]

    async def sleep(duration_s: float) -> None:
        clock.advance(duration_s)
        await hands.drain("mine")
        await run.rerun("third")

    object.__setattr__(clock, "sleep", sleep)
    answer = await kernel.rerun(run.id, "second")

    assert (answer.generation, answer.took_effect) == (2, True)
    assert (await run.read()).generation == 3


async def test_a_rerun_that_was_lost_before_another_one_is_not_taken_for_it(world: Ports, clock: ManualClock) -> None:
    """The first try was rolled back, though nobody knew; meanwhile somebody else has rerun the run."""
    _, run = await completed(world, chain())
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, chain())
    await kernel.register()

    async def sleep(duration_s: float) -> None:
        clock.advance(duration_s)
        await run.rerun("third")

    object.__setattr__(clock, "sleep", sleep)
    troubled.commit_error = [Contention("locked")]

    with pytest.raises(RunNotEnded):
        await kernel.rerun(run.id, "second")
    assert (await statuses(run))["third", 2] == "running"


async def test_a_rerun_of_which_nothing_is_known_says_so(world: Ports) -> None:
    """After a lost answer every further failure says that it may have happened."""
    _, run = await completed(world, chain())
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, chain())
    await kernel.register()
    troubled.commit_error = [CommitUnknown("lost")]
    troubled.load_error = [None, Unavailable("the server is down")]

    with pytest.raises(CommitUnknown, match="the server is down"):
        await kernel.rerun(run.id, "second")
    assert (await run.read()).generation == 2


def swept() -> Flow[Any]:
    """A step that is skipped with all that depends on it, directly or not."""
    flow = Flow("swept", version=1, input=dict[str, str], max_attempts=1)

    @flow.step(when={"input": {"mode": "never"}}, on_unmet="skip_cascade")
    def first() -> object:
        return None

    @flow.step
    def beside() -> object:
        return None

    @flow.step
    def second(first: object, beside: object) -> object:
        return first

    @flow.step
    def third(second: object) -> object:
        return second

    return flow


@pytest.mark.parametrize("step", ["second", "third", "beside"])
async def test_what_was_skipped_with_another_step_is_skipped_again(world: Ports, step: str) -> None:
    """It ends as it did, from wherever the run begins anew: what it depends on stays skipped, and says so."""
    hands, run = await completed(world, swept(), {"mode": "usual"})
    before = {each.slug: (each.status, each.reason) for each in (await run.details()).steps}

    await run.rerun(step)
    await hands.drain("new")

    assert await run.status() is RunStatus.COMPLETED
    after = {each.slug: (each.status, each.reason) for each in (await run.details()).steps}
    assert before == after
    assert after["third"] == ("skipped", "dependency_skipped")
