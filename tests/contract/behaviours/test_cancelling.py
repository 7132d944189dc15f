"""Acceptance behaviours 58 and 59: a cancel ends a run, whatever it is at, and nothing of it is recorded later."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import Flow, InvalidArgument, Kernel, RunDidNotComplete, RunHandle, RunNotFound, RunStatus
from fairlead.kernel.commands import (
    REASON_LENGTH_MAX,
    CancelledRun,
    FlushOutbox,
    ReapTasks,
    SweepJobs,
    Verdict,
)
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Contention, Unavailable
from fairlead.ports.records import ClaimedTask, Lease
from tests.support.hands import LEASE, Hands
from tests.support.troubled import PatientClock, Troubled, kernel_over

UNKNOWN = "0197f000-0000-7000-8000-000000000001"


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


def wide() -> Flow[Any]:
    """A map whose window is smaller than its array, a step beside it and one behind both."""
    flow = Flow("wide", version=1, base_delay=60, jitter=0)

    @flow.map(over="input", max_concurrency=4)
    def each(item: object) -> object:
        return item

    @flow.step
    def beside() -> object:
        return None

    @flow.step
    def after(each: list[object], beside: object) -> object:
        return each

    return flow


async def at_work(world: Ports) -> tuple[Hands, RunHandle, ClaimedTask]:
    """A run whose map of ten has a completed task, one that waits for its retry, two that are queued, and the rest.

    Element 3 is running, and answered; the step beside the map is running, too.
    """
    kernel = Kernel(flows=[wide()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("wide", list(range(10)))
    await hands.claim_runs()
    tasks = {task.key.element: task for task in await hands.claim_tasks() if task.key.step == "each"}
    await hands.complete(tasks[0])
    await hands.fail(tasks[1])
    await hands.release(tasks[2])
    return hands, run, tasks[3]


async def told(run: RunHandle) -> list[str]:
    """The types of its events."""
    return [event.type for event in (await run.details()).events]


async def test_a_pending_run_is_cancelled(world: Ports) -> None:
    """Behaviours 58 and 59: it never starts, and its one event says why it ended."""
    kernel = Kernel(flows=[wide()], ports=world)
    run = await kernel.start("wide", [1])

    answer = await kernel.cancel(run.id, reason="the customer withdrew")

    details = await run.details()
    assert answer == CancelledRun(run_id=run.id, found=RunStatus.PENDING, took_effect=True)
    assert (details.run.status, details.run.reason) == (RunStatus.CANCELLED, "the customer withdrew")
    assert details.run.started_at is None
    assert (details.run.ended_at, details.run.error) == (world.clock.now(), None)
    assert (list(details.steps), list(details.tasks)) == ([], [])
    assert [event.type for event in details.events] == ["run.created", "run.cancelled"]
    assert json.loads(details.events[-1].data) == {"type": "run.cancelled", "reason": "the customer withdrew"}
    assert await Hands(kernel).claimed_run_ids() == []


async def test_everything_live_in_a_run_is_cancelled(world: Ports) -> None:
    """Behaviour 58: steps and tasks whatever they are at; what has ended stays as it is, what has no row gets none."""
    _, run, _ = await at_work(world)

    answer = await run.cancel(reason="enough")

    details = await run.details()
    assert (answer.found, answer.took_effect) == (RunStatus.RUNNING, True)
    assert (details.run.status, details.run.reason) == (RunStatus.CANCELLED, "enough")
    assert {step.slug: (step.status, step.reason) for step in details.steps} == dict.fromkeys(
        ("each", "beside", "after"), ("cancelled", "run_cancelled")
    )
    each = {task.key.element: (task.status, task.reason) for task in details.tasks if task.key.step == "each"}
    assert each.pop(0) == ("completed", None)
    assert each == dict.fromkeys(range(1, 5), ("cancelled", "run_cancelled"))
    assert {task.lease_until for task in details.tasks} == {None}
    types = [event.type for event in details.events]
    assert (types[-1], types.count("run.cancelled")) == ("run.cancelled", 1)


@pytest.mark.fault(62)
async def test_nothing_of_a_cancelled_run_is_claimed(world: Ports, clock: ManualClock) -> None:
    """Behaviour 59: not now, not when a retry's time has come, nor by reaper and sweep when leases have run out."""
    hands, run, _ = await at_work(world)
    kernel = hands.kernel
    await run.cancel()
    before = (await run.details()).tasks
    clock.advance(LEASE + timedelta(hours=1))

    assert await hands.claim_runs() == []
    assert await hands.claim_tasks() == []
    assert await kernel.dispatch(ReapTasks()) == 0
    assert await kernel.dispatch(SweepJobs(older_than=timedelta(0))) == 0
    assert (await run.details()).tasks == before


@pytest.mark.fault(28, 62)
@pytest.mark.parametrize("outcome", ["complete", "fail", "give up", "release"])
async def test_results_after_a_cancel_are_discarded(world: Ports, outcome: str) -> None:
    """Behaviour 59: whatever the handlers bring, by whatever way."""
    hands, run, task = await at_work(world)
    await run.cancel()
    before = await run.details()

    if outcome == "complete":
        verdict = await hands.complete(task, "too late")
    elif outcome == "release":
        verdict = await hands.release(task)
    else:
        verdict = await hands.fail(task, retryable=outcome == "fail")

    assert verdict is Verdict.STALE
    assert await run.details() == before


async def test_tasks_that_are_born_leased_are_cancelled(world: Ports) -> None:
    """Behaviours 58 and 59: handed over with a claim of runs or with the end of a task, they are known at once."""
    kernel = Kernel(flows=[wide()], ports=world)
    hands = Hands(kernel, slots=10)
    run = await kernel.start("wide", [1, 2])
    claimed = await hands.claim_runs()
    settlement = await hands.settle([hands.completed(task, None) for task in claimed])
    (born,) = settlement.continuations

    assert (await run.cancel()).took_effect

    assert born.key.step == "after"
    assert (await hands.heartbeat(born)).cancelled == {Lease(born.key, born.token)}
    assert await hands.complete(born) is Verdict.STALE


async def test_a_heartbeat_tells_of_the_cancel(world: Ports) -> None:
    """Behaviour 58: the leases are cancelled, not lost; those of other runs are extended."""
    hands, run, task = await at_work(world)
    other = await hands.kernel.start("wide", [1])
    await hands.claim_runs()
    alive = [task for task in await hands.claim_tasks() if task.key.run_id == other.id]
    await run.cancel()

    answer = await hands.heartbeat(task, *alive)

    assert answer.cancelled == {Lease(task.key, task.token)}
    assert answer.extended == {Lease(task.key, task.token) for task in alive}
    assert answer.lost == set()


@pytest.mark.fault(68)
async def test_a_heartbeat_tells_of_a_failed_sibling(world: Ports) -> None:
    """Behaviour 58: a run that fails cancels what runs beside the failure, and its hosts learn it the same way."""
    hands, run, task = await at_work(world)
    (beside,) = [row for row in (await run.details()).tasks if row.key.step == "beside"]
    lease = Lease(beside.key, beside.token)
    await hands.fail(task, retryable=False)

    answer = await hands.kernel.ports.persistence.extend_leases([lease], world.clock.now() + LEASE)

    assert answer.cancelled == {lease}


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_a_run_that_has_ended_is_left_alone(world: Ports, clock: ManualClock, status: RunStatus) -> None:
    """Behaviour 58: told so, no event, and the first reason stays."""
    kernel = Kernel(flows=[wide()], ports=world)
    hands = Hands(kernel)
    run = await kernel.start("wide", [1])
    if status is RunStatus.COMPLETED:
        await hands.drain()
    elif status is RunStatus.FAILED:
        await hands.claim_runs()
        await hands.fail((await hands.claim_tasks())[0], retryable=False)
    else:
        await run.cancel(reason="the first")
    before = await run.details()
    clock.advance(1)

    answer = await run.cancel(reason="the second")

    assert (answer.found, answer.took_effect) == (status, False)
    assert await run.details() == before


@pytest.mark.parametrize("run_id", [UNKNOWN, "order-7", ""])
async def test_an_unknown_run_is_told_so(world: Ports, run_id: str) -> None:
    """Behaviour 58: by the kernel as by a handle."""
    kernel = Kernel(flows=[], ports=world)

    for cancel in (kernel.cancel(run_id), kernel.run(run_id).cancel()):
        with pytest.raises(RunNotFound, match="there is no run"):
            await cancel


async def test_a_run_is_cancelled_without_its_code(world: Ports) -> None:
    """By a kernel that has no flow, and by one whose flow has another shape and could not even be registered."""
    kernel = Kernel(flows=[wide()], ports=world)
    first, second = [await kernel.start("wide", [1]) for _ in range(2)]
    await Hands(kernel).claim_runs(1)
    changed = Flow("wide", version=1)

    @changed.step
    def other() -> None: ...

    answers = [
        await Kernel(flows=[], ports=world).cancel(first.id),
        await Kernel(flows=[changed], ports=world).cancel(second.id),
    ]

    assert [answer.found for answer in answers] == [RunStatus.RUNNING, RunStatus.PENDING]
    assert [await run.status() for run in (first, second)] == [RunStatus.CANCELLED] * 2


async def test_whoever_waits_for_a_cancelled_run_is_told_why(world: Ports) -> None:
    """It has no output and never will."""
    kernel = Kernel(flows=[wide()], ports=world)
    run = await kernel.start("wide", [1])
    await run.cancel(reason="the customer withdrew")

    with pytest.raises(RunDidNotComplete, match=r"is cancelled \(the customer withdrew\)"):
        await run.result(timeout=0)
    with pytest.raises(RunDidNotComplete):
        await run.output("after", timeout=0)


async def test_a_cancel_is_published_after_what_came_before_it(world: Ports, sink: CollectingSink) -> None:
    """In sequence, once, and nothing after it."""
    hands, run, _ = await at_work(world)
    await run.cancel(reason="enough")
    flush = FlushOutbox(worker="flusher", lease_duration=LEASE)
    await hands.kernel.dispatch(flush)
    await hands.kernel.dispatch(flush)

    assert [event.type for event in sink.events] == await told(run)
    assert [event.sequence for event in sink.events] == list(range(1, len(sink.events) + 1))
    assert json.loads(sink.events[-1].data)["reason"] == "enough"


@pytest.mark.parametrize("reason", [None, "x", "Zahlung zurückgezogen 🚫 \" \\ ' %s {}", "x" * REASON_LENGTH_MAX])
async def test_a_reason_is_kept_as_it_was_given(world: Ports, reason: str | None) -> None:
    """Any printable text, or none."""
    kernel = Kernel(flows=[wide()], ports=world)
    run = await kernel.start("wide", [1])

    await run.cancel(reason=reason)

    details = await run.details()
    assert details.run.reason == reason
    assert json.loads(details.events[-1].data).get("reason") == reason


@pytest.mark.parametrize("reason", ["", "two\nlines", "nul\0", "\ud800", "x" * (REASON_LENGTH_MAX + 1), 7, b"x", True])
async def test_a_reason_that_is_none_is_refused(world: Ports, reason: Any) -> None:
    """Before anything happens; the message says what is allowed."""
    kernel = Kernel(flows=[wide()], ports=world)
    run = await kernel.start("wide", [1])

    with pytest.raises(InvalidArgument, match="reason must be printable text of 1 to 500 characters"):
        await run.cancel(reason=reason)
    assert await run.status() is RunStatus.PENDING


@pytest.mark.fault(22)
async def test_a_cancel_whose_answer_was_lost_is_known_by_its_time(world: Ports) -> None:
    """Tried again it finds its own work: the caller is told that it took effect, and there is one event."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, wide())
    run = await kernel.start("wide", [1])
    await Hands(kernel).claim_runs()
    troubled.commit_error = [CommitUnknown("lost")]

    answer = await run.cancel(reason="enough")

    assert answer == CancelledRun(run_id=run.id, found=RunStatus.RUNNING, took_effect=True)
    assert (await told(run)).count("run.cancelled") == 1


@pytest.mark.fault(21, 22, 62)
async def test_a_cancel_that_was_lost_before_another_one_is_not_taken_for_it(world: Ports, clock: ManualClock) -> None:
    """The first try was rolled back, though nobody knew; meanwhile somebody else has cancelled the run."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, wide())
    run = await kernel.start("wide", [1])
    other = Kernel(flows=[], ports=world)

    async def sleep(duration_s: float) -> None:
        clock.advance(duration_s)
        await other.cancel(run.id, reason="theirs")

    object.__setattr__(clock, "sleep", sleep)
    troubled.commit_error = [Contention("locked")]

    answer = await run.cancel(reason="mine")

    assert answer == CancelledRun(run_id=run.id, found=RunStatus.CANCELLED, took_effect=False)
    assert (await run.read()).reason == "theirs"


@pytest.mark.fault(22)
async def test_a_cancel_of_which_nothing_is_known_may_be_repeated(world: Ports) -> None:
    """After a lost answer every further failure says that it may have happened; asked again, it has."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, wide())
    run = await kernel.start("wide", [1])
    troubled.commit_error = [CommitUnknown("lost")]
    troubled.load_error = [None, Unavailable("the server is down")]

    with pytest.raises(CommitUnknown, match="the server is down"):
        await run.cancel()
    answer = await run.cancel()

    assert (answer.found, answer.took_effect) == (RunStatus.CANCELLED, False)
    assert (await told(run)).count("run.cancelled") == 1
