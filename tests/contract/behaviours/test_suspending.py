"""Acceptance behaviours 61 and 62: a step that waits for outside work is checked when it asked for it, by one host."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Literal

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, RunHandle, RunStatus, StepStatus, Suspend, decode_failure
from fairlead.kernel.commands import Verdict
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown
from fairlead.ports.reading import TaskRecord
from fairlead.ports.records import ClaimedTask, TaskPhase
from fairlead.ports.statuses import TaskStatus
from tests.support.courses import began, finish, statuses, told
from tests.support.hands import LEASE, Hands
from tests.support.troubled import PatientClock, Troubled, kernel_over

MINUTES_5 = timedelta(minutes=5)
HOURS_6 = timedelta(hours=6)


@pytest.fixture
def clock() -> ManualClock:
    """It passes by itself while a command pauses before it tries again."""
    return PatientClock()


def nightly(on_exhausted: Literal["fail", "skip"] = "fail") -> Flow[Any]:
    """A step that waits for a batch elsewhere, two attempts at it and at each check, and a step behind it."""
    flow = Flow("nightly", version=1, max_attempts=2, base_delay=60, jitter=0)

    @flow.step(on_exhausted=on_exhausted)
    def compute() -> str | Suspend[int]:
        return ""

    @flow.check(compute)
    def is_ready(state: int) -> str | Suspend[int]:
        return ""

    @flow.step
    def deliver(compute: str | None) -> None: ...

    return flow


async def suspended(
    world: Ports, *, give_up_after: timedelta | None = None, flow: Flow[Any] | None = None
) -> tuple[RunHandle, Hands]:
    """A run whose step has suspended for five minutes."""
    run, hands = await began(world, flow or nightly())
    verdict = await hands.suspend(
        await hands.claim_task(), {"job": 1}, check_after=MINUTES_5, give_up_after=give_up_after
    )

    assert verdict is Verdict.SETTLED
    return run, hands


async def due_check(hands: Hands, clock: ManualClock, after: timedelta = MINUTES_5) -> ClaimedTask:
    """The task of the check that is due after so long, claimed."""
    clock.advance(after)
    assert await hands.wake() == 1
    return await hands.claim_task()


async def task_of(run: RunHandle) -> TaskRecord:
    """The task of the step that waits."""
    return next(task for task in (await run.details()).tasks if task.key.step == "compute")


async def events_of(run: RunHandle) -> list[str]:
    """What was told of the step that waits."""
    return [event.type for event in (await run.details()).events if event.step == "compute"]


async def test_a_step_suspends(world: Ports, clock: ManualClock) -> None:
    """It holds no slot, lease or attempt, and what it keeps is stored; its dependents wait."""
    run, hands = await suspended(world, give_up_after=HOURS_6)

    task = await task_of(run)
    assert await statuses(run) == {"compute": "suspended", "deliver": "created"}
    assert (task.status, task.lease_until, task.attempts) == ("suspended", None, 0)
    assert (task.wake_at, task.give_up_at) == (clock.now() + MINUTES_5, clock.now() + HOURS_6)
    assert await events_of(run) == ["step.started", "step.suspended"]
    assert await hands.claim_tasks() == []
    payloads = await world.persistence.read_payloads((), (), (task.key,))
    assert payloads.states == {task.key: b'{"job":1}'}
    assert list((await run.details()).attempts) == []


async def test_a_check_comes_no_earlier_than_asked_for(world: Ports, clock: ManualClock) -> None:
    """Then it is claimed like any task, under a new token, as the first attempt at it."""
    run, hands = await suspended(world)
    clock.advance(MINUTES_5 - timedelta(microseconds=1))
    early = await hands.wake()
    clock.advance(timedelta(microseconds=1))

    woken = await hands.wake()
    check = await hands.claim_task()

    assert (early, woken) == (0, 1)
    assert (check.phase, check.token, check.attempt) == (TaskPhase.CHECK, 2, 1)
    assert (await statuses(run))["compute"] == StepStatus.SUSPENDED
    assert await hands.wake() == 0


async def test_a_check_that_is_ready_ends_the_wait(world: Ports, clock: ManualClock) -> None:
    """Its output is the step's, and its dependents get it."""
    run, hands = await suspended(world)

    await hands.complete(await due_check(hands, clock), "report")

    assert await run.output("compute") == "report"
    assert await events_of(run) == ["step.started", "step.suspended", "step.resumed", "step.completed"]
    assert await finish(hands, {}) == ["deliver"]
    assert await run.status() == RunStatus.COMPLETED


async def test_a_check_that_is_not_ready_waits_again(world: Ports, clock: ManualClock) -> None:
    """With a new state if it likes; the step stays suspended and tells of it once."""
    run, hands = await suspended(world, give_up_after=HOURS_6)
    gives_up_at = clock.now() + HOURS_6

    for number in (2, 3, 4):
        check = await due_check(hands, clock)
        await hands.suspend(check, {"job": number}, check_after=MINUTES_5, give_up_after=timedelta(seconds=1))

    task = await task_of(run)
    payloads = await world.persistence.read_payloads((), (), (task.key,))
    assert (task.status, task.checks, task.attempts) == ("suspended", 3, 0)
    assert task.give_up_at == gives_up_at, "it counts from the first time"
    assert payloads.states == {task.key: b'{"job":4}'}
    assert await events_of(run) == ["step.started", "step.suspended"]


async def test_checks_go_on_for_as_long_as_it_takes(world: Ports, clock: ManualClock) -> None:
    """The attempts of a step do not limit how often it is checked."""
    run, hands = await suspended(world)

    for _ in range(20):
        await hands.suspend(await due_check(hands, clock), check_after=MINUTES_5)
    await hands.complete(await due_check(hands, clock), "report")

    assert await run.output("compute") == "report"
    assert (await task_of(run)).checks == 20


async def test_a_step_gives_up(world: Ports, clock: ManualClock) -> None:
    """At the time that it has said, counted from its first suspension; its run fails as timed out."""
    run, hands = await suspended(world, give_up_after=timedelta(minutes=7))
    await hands.suspend(await due_check(hands, clock), check_after=MINUTES_5)
    clock.advance(timedelta(minutes=2))

    woken = await hands.wake()

    details = await run.details()
    failure = decode_failure(details.run.error or b"")
    assert (woken, details.run.status, details.run.reason) == (1, "failed", "timed_out")
    assert await statuses(run) == {"compute": "failed", "deliver": "cancelled"}
    assert failure.message == (
        "step 'compute' was checked 1 time and not ready by 2026-01-01 00:07:00 UTC, when it gave up"
    )
    assert list(details.attempts) == [], "no attempt failed"
    assert await events_of(run) == ["step.started", "step.suspended", "step.failed", "run.failed"]


async def test_a_step_that_gives_up_may_be_skipped(world: Ports, clock: ManualClock) -> None:
    """As one whose attempts are used up; its reason says that its time was."""
    run, hands = await suspended(world, give_up_after=MINUTES_5, flow=nightly(on_exhausted="skip"))
    clock.advance(MINUTES_5)
    await hands.wake()

    step = next(step for step in (await run.details()).steps if step.slug == "compute")
    assert (step.status, step.reason) == (StepStatus.SKIPPED, "timed_out")
    assert await finish(hands, {}) == ["deliver"]


async def test_a_check_that_was_due_before_is_made_however_late(world: Ports, clock: ManualClock) -> None:
    """Hosts were away until the time was over: what the check finds counts."""
    run, hands = await suspended(world, give_up_after=timedelta(minutes=7))

    check = await due_check(hands, clock, HOURS_6)
    await hands.complete(check, "report")

    assert await run.output("compute") == "report"


async def test_a_check_that_finds_nothing_when_the_time_is_over_gives_up(world: Ports, clock: ManualClock) -> None:
    """At once, rather than waiting for a moment that is past."""
    run, hands = await suspended(world, give_up_after=timedelta(minutes=7))
    check = await due_check(hands, clock, HOURS_6)

    await hands.suspend(check, check_after=MINUTES_5)

    details = await run.details()
    assert (details.run.status, details.run.reason) == ("failed", "timed_out")
    assert [(attempt.reason, attempt.token) for attempt in details.attempts] == [("timed_out", 2)]
    assert b"checked 1 time and not ready" in (details.run.error or b"")


async def test_a_check_that_raises_is_retried(world: Ports, clock: ManualClock) -> None:
    """With backoff, under the policy of its step; the attempts of the handler before it do not count."""
    run, hands = await began(world, nightly())
    await hands.fail(await hands.claim_task())
    clock.advance(60)
    await hands.suspend(await hands.claim_task(), check_after=MINUTES_5)
    check = await due_check(hands, clock)
    await hands.fail(check, "the batch service is down")

    early = await hands.claim_tasks()
    clock.advance(60)
    again = await hands.claim_task()
    await hands.complete(again, "report")

    assert early == []
    assert (again.phase, again.attempt, again.token) == (TaskPhase.CHECK, 2, 4)
    assert await run.output("compute") == "report"
    assert await events_of(run) == [
        "step.started",
        "task.retrying",
        "step.suspended",
        "task.retrying",
        "step.resumed",
        "step.completed",
    ]


async def test_a_check_that_raises_too_often_fails_its_step(world: Ports, clock: ManualClock) -> None:
    """After `max_attempts`; its error is that of the step and the run."""
    run, hands = await suspended(world)
    await hands.fail(await due_check(hands, clock), "down")
    clock.advance(60)

    await hands.fail(await hands.claim_task(), "still down")

    details = await run.details()
    assert (details.run.status, details.run.reason) == ("failed", "handler_failed")
    assert decode_failure(details.run.error or b"").message == "still down"
    assert [attempt.attempt for attempt in details.attempts] == [1, 2]


async def test_attempts_begin_anew_with_each_suspension(world: Ports, clock: ManualClock) -> None:
    """A check may fail once each time."""
    run, hands = await suspended(world)

    for _ in range(3):
        await hands.fail(await due_check(hands, clock), "down")
        clock.advance(60)
        again = await hands.claim_task()
        assert again.attempt == 2
        await hands.suspend(again, check_after=MINUTES_5)

    assert (await statuses(run))["compute"] == StepStatus.SUSPENDED
    assert len(await told(run, "task.retrying")) == 3


@pytest.mark.fault(3, 4)
async def test_a_check_whose_host_is_lost_is_made_again(world: Ports, clock: ManualClock) -> None:
    """As any attempt: the first host's late answer is stale."""
    run, hands = await suspended(world)
    lost = await due_check(hands, clock)
    clock.advance(LEASE + timedelta(seconds=10))
    await hands.reap()

    again = await hands.claim_task()
    late = await hands.suspend(lost, check_after=MINUTES_5)
    await hands.complete(again, "report")

    assert (again.phase, again.losses, late) == (TaskPhase.CHECK, 1, Verdict.STALE)
    assert await run.output("compute") == "report"


async def test_a_check_that_is_given_back_is_made_by_another_host(world: Ports, clock: ManualClock) -> None:
    """A shutdown: no attempt is spent, and it is still a check."""
    run, hands = await suspended(world)
    await hands.release(await due_check(hands, clock))

    again = await hands.claim_task()

    assert (again.phase, again.attempt) == (TaskPhase.CHECK, 1)
    assert (await statuses(run))["compute"] == StepStatus.SUSPENDED


@pytest.mark.fault(69)
async def test_two_hosts_never_check_one_step(world: Ports, clock: ManualClock) -> None:
    """Behaviour 62: however many look and claim at the same moment, one gets it."""
    _, hands = await suspended(world)
    hosts = [hands, *(Hands(Kernel(flows=[nightly()], ports=world), f"host-{number}") for number in range(4))]
    for host in hosts:
        await host.kernel.register()
    clock.advance(MINUTES_5)

    woken = await asyncio.gather(*(host.wake() for host in hosts))
    claimed = await asyncio.gather(*(host.claim_tasks() for host in hosts))
    later = [await host.wake() for host in hosts]

    assert (sum(woken), sum(later)) == (1, 0)
    assert sorted(len(tasks) for tasks in claimed) == [0, 0, 0, 0, 1]


async def test_a_suspension_is_recorded_once(world: Ports, clock: ManualClock) -> None:
    """P2: the same outcome again is settled, whatever has become of the task since; another host's is stale."""
    run, hands = await began(world, nightly())
    task = await hands.claim_task()
    await hands.suspend(task, check_after=MINUTES_5)

    again = await hands.suspend(task, {"job": 9}, check_after=HOURS_6)
    check = await due_check(hands, clock)
    later = await hands.suspend(task, {"job": 9}, check_after=HOURS_6)
    other = await hands.complete(task, "something else")

    assert (again, later, other) == (Verdict.SETTLED,) * 3
    assert (await task_of(run)).status == TaskStatus.RUNNING
    assert await hands.complete(check, "report") is Verdict.SETTLED
    assert await run.output("compute") == "report"


@pytest.mark.fault(15, 22)
async def test_a_suspension_whose_answer_was_lost(world: Ports, clock: ManualClock) -> None:
    """Fault 15: it is there with its time, in the row that it is about; nothing else would have to be registered."""
    troubled = Troubled(world.persistence)
    kernel = kernel_over(world, troubled, nightly())
    run, hands = await kernel.start("nightly", None), Hands(kernel)
    await hands.claim_runs()
    outcome = hands.suspended(await hands.claim_task(), 1, check_after=MINUTES_5)
    troubled.commit_error = [CommitUnknown("lost")]

    with pytest.raises(CommitUnknown):
        await hands.settle([outcome])
    other = Hands(Kernel(flows=[nightly()], ports=world), "another")
    await other.kernel.register()
    repeated = await hands.settle([outcome], repeated=True)
    await other.complete(await due_check(other, clock), "report")

    assert set(repeated.verdicts.values()) == {Verdict.SETTLED}
    assert await run.output("compute") == "report"


@pytest.mark.fault(62)
async def test_a_cancelled_step_is_not_checked(world: Ports, clock: ManualClock) -> None:
    """I24: neither by whoever looks, nor by a host that checks it at that moment."""
    first, hands = await suspended(world)
    second = await hands.kernel.start("nightly", None)
    await hands.claim_runs()
    await hands.suspend(await hands.claim_task(), check_after=timedelta(0))
    await hands.wake()
    check = await hands.claim_task()
    await first.cancel()
    await second.cancel()
    clock.advance(HOURS_6)

    assert await hands.wake() == 0
    assert await hands.complete(check, "late") is Verdict.STALE
    assert {await first.status(), await second.status()} == {RunStatus.CANCELLED}
    assert (await statuses(first))["compute"] == (await statuses(second))["compute"] == StepStatus.CANCELLED


async def test_a_task_of_a_failed_run_is_not_suspended(world: Ports) -> None:
    """It has been cancelled: what its handler returns is discarded."""
    flow = Flow("pair", version=1, max_attempts=1)

    @flow.step
    def compute() -> str | Suspend[int]:
        return ""

    @flow.check(compute)
    def is_ready(state: int) -> str | Suspend[int]:
        return ""

    @flow.step
    def beside() -> None: ...

    run, hands = await began(world, flow)
    tasks = {task.key.step: task for task in await hands.claim_tasks()}
    await hands.fail(tasks["beside"])

    assert await hands.suspend(tasks["compute"], check_after=MINUTES_5) is Verdict.STALE
    assert await run.status() == RunStatus.FAILED


async def test_suspended_and_failed_in_one_batch(world: Ports) -> None:
    """The run fails, and what was suspended in the same transaction ends with it."""
    flow = Flow("pair", version=1, max_attempts=1)

    @flow.step
    def compute() -> str | Suspend[int]:
        return ""

    @flow.check(compute)
    def is_ready(state: int) -> str | Suspend[int]:
        return ""

    @flow.step
    def beside() -> None: ...

    run, hands = await began(world, flow)
    tasks = {task.key.step: task for task in await hands.claim_tasks()}

    settlement = await hands.settle(
        [hands.failed(tasks["beside"]), hands.suspended(tasks["compute"], 1, check_after=MINUTES_5)]
    )

    assert set(settlement.verdicts.values()) == {Verdict.SETTLED}
    assert await run.status() == RunStatus.FAILED
    assert (await task_of(run)).status == TaskStatus.CANCELLED
