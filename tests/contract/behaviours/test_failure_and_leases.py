"""Acceptance behaviours 43-47, 51-53 and the outbox: failure, retry, leases and their loss."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, RunDidNotComplete, RunStatus
from fairlead.kernel.commands import Capacity, SettleTasks, Verdict
from fairlead.ports import Ports
from fairlead.ports.records import Lease, LoadRequest
from tests.support.hands import LEASE, Hands


def single(*, max_attempts: int = 3, base_delay: float = 1) -> Flow[Any]:
    """One step."""
    flow = Flow("single", version=1, jitter=0, max_attempts=max_attempts, base_delay=base_delay)

    @flow.step
    def work() -> object:
        return None

    return flow


async def started(world: Ports, flow: Flow[Any], input: object = None, **named: Any) -> tuple[Hands, Any]:
    """A claimed run and the hands that work on it."""
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, input)
    hands = Hands(kernel, **named)
    await hands.claim_runs()
    return hands, run


async def test_three_attempts_with_their_delays(world: Ports, clock: ManualClock) -> None:
    """Behaviours 43 and 44: base_delay before the second, twice that before the third, then the run fails."""
    hands, run = await started(world, single(max_attempts=3, base_delay=10))
    attempts: list[int] = []
    for delay in (10, 20, None):
        task = await hands.claim_task()
        attempts.append(task.attempt)
        await hands.fail(task, f"attempt {task.attempt}")
        if delay is not None:
            clock.advance(delay - 0.001)
            assert await hands.claim_tasks() == []
            clock.advance(0.001)

    assert attempts == [1, 2, 3]
    assert await run.status() is RunStatus.FAILED
    assert await hands.claim_tasks() == []


async def test_a_steps_own_setting_wins_over_its_flows(world: Ports) -> None:
    """Behaviour 43: in the retry as well as in the taking back of a lost lease."""
    flow = Flow("own", version=1, max_attempts=5, base_delay=0)

    @flow.step(max_attempts=1)
    def work() -> None: ...

    hands, run = await started(world, flow)

    await hands.fail(await hands.claim_task())

    assert await run.status() is RunStatus.FAILED


async def test_retry_after_and_giving_up(world: Ports, clock: ManualClock) -> None:
    """Behaviour 45: a delay asked for by the handler is kept; what cannot be retried is not."""
    hands, run = await started(world, single(max_attempts=5))
    await hands.fail(await hands.claim_task(), retry_after=timedelta(seconds=90))
    clock.advance(89.9)
    assert await hands.claim_tasks() == []
    clock.advance(0.1)

    await hands.fail(await hands.claim_task(), retryable=False)

    assert await run.status() is RunStatus.FAILED


@pytest.mark.fault(68)
async def test_what_a_failed_run_leaves_behind(world: Ports) -> None:
    """Behaviour 46: the error on task, step, run and event; everything else cancelled; each attempt kept."""
    flow = Flow("parallel", version=1, base_delay=0, max_attempts=2)

    @flow.step
    def bad() -> None: ...

    @flow.step
    def running() -> None: ...

    @flow.step
    def queued() -> None: ...

    @flow.step
    def later(bad: None) -> None: ...

    hands, run = await started(world, flow)
    tasks = {task.key.step: task for task in await hands.claim_tasks()}
    await hands.release(tasks["queued"])
    await hands.fail(tasks["bad"], "first")
    (again,) = [task for task in await hands.claim_tasks() if task.key.step == "bad"]
    await hands.fail(again, "second")

    details = await run.details()
    steps = {step.slug: step for step in details.steps}
    after = {task.key.step: task for task in details.tasks}
    assert {slug: step.status for slug, step in steps.items()} == {
        "bad": "failed",
        "running": "cancelled",
        "queued": "cancelled",
        "later": "cancelled",
    }
    assert {slug: task.status for slug, task in after.items()} == {
        "bad": "failed",
        "running": "cancelled",
        "queued": "cancelled",
    }
    (failed,) = [event for event in details.events if event.type == "step.failed"]
    (ended,) = [event for event in details.events if event.type == "run.failed"]
    errors = [after["bad"].error, steps["bad"].error, details.run.error]
    errors += [json.dumps(json.loads(event.data)["error"]).encode() for event in (failed, ended)]
    for error in errors:
        assert error is not None
        assert json.loads(error)["message"] == "second"
    assert [json.loads(attempt.error or b"")["message"] for attempt in details.attempts] == ["first", "second"]
    with pytest.raises(RunDidNotComplete, match=r"failed.*second"):
        await run.result()


@pytest.mark.fault(68)
async def test_the_late_result_of_a_cancelled_sibling_is_stale(world: Ports) -> None:
    """Behaviour 46, P3: the run ended; what its other tasks bring changes nothing."""
    flow = Flow("parallel", version=1, max_attempts=1)

    @flow.map(over="input")
    def each(item: object) -> object:
        return item

    hands, run = await started(world, flow, [1, 2])
    first, second = await hands.claim_tasks()
    await hands.fail(first)

    verdict = await hands.complete(second, 1)

    assert verdict is Verdict.STALE
    assert await run.status() is RunStatus.FAILED


async def test_a_waiting_retry_does_not_fail_the_run(world: Ports, clock: ManualClock) -> None:
    """Behaviour 47: whatever its siblings do."""
    flow = Flow("parallel", version=1, base_delay=60, jitter=0)

    @flow.step
    def shaky() -> int:
        return 1

    @flow.step
    def steady() -> int:
        return 2

    hands, run = await started(world, flow)
    tasks = {task.key.step: task for task in await hands.claim_tasks()}
    await hands.fail(tasks["shaky"])
    await hands.complete(tasks["steady"], 2)
    assert await run.status() is RunStatus.RUNNING
    clock.advance(60)

    await hands.complete(await hands.claim_task(), 1)

    assert await run.result() == {"shaky": 1, "steady": 2}


async def test_a_lease_is_kept_by_heartbeats(world: Ports, clock: ManualClock) -> None:
    """Behaviour 51: ten times the lease with heartbeats, and nobody else gets the task."""
    hands, _ = await started(world, single())
    other = Hands(hands.kernel, "other")
    task = await hands.claim_task()

    for _ in range(30):
        clock.advance(LEASE / 3)
        answer = await hands.heartbeat(task)
        assert answer.extended == {Lease(task.key, task.token)}
        assert await other.reap() == 0
        assert await other.claim_tasks() == []

    assert await hands.complete(task, 1) is Verdict.SETTLED


@pytest.mark.fault(43)
async def test_a_lease_is_not_taken_back_within_the_clocks_skew(world: Ports, clock: ManualClock) -> None:
    """SEMANTICS §9: the reaper adds five seconds."""
    hands, _ = await started(world, single())
    await hands.claim_task()

    clock.advance(LEASE + timedelta(seconds=4.9))
    early = await hands.reap()
    clock.advance(0.2)

    assert (early, await hands.reap()) == (0, 1)


@pytest.mark.fault(3, 4, 42)
async def test_a_lost_lease_gives_the_task_to_another_host(world: Ports, clock: ManualClock) -> None:
    """Behaviour 52: attempt + 1; the first host's heartbeat, completion and failure are stale."""
    zombie, run = await started(world, single(max_attempts=3))
    host = Hands(zombie.kernel, "host")
    lost = await zombie.claim_task()
    clock.advance(LEASE + timedelta(seconds=6))
    assert await host.reap() == 1
    found = await host.claim_task()

    heartbeat = await zombie.heartbeat(lost)
    completion = await zombie.complete(lost, "zombie")
    failure = await zombie.fail(lost)

    assert (found.attempt, found.token, found.losses) == (2, 2, 1)
    assert heartbeat.lost == {Lease(lost.key, lost.token)}
    assert (completion, failure) == (Verdict.STALE, Verdict.STALE)
    assert await host.complete(found, "host") is Verdict.SETTLED
    assert await run.result() == {"work": "host"}


@pytest.mark.fault(20, 42)
async def test_a_zombie_is_stale_before_anybody_claims_its_task_again(world: Ports, clock: ManualClock) -> None:
    """P2: the lease was taken back, the task is queued; its old holder's result does not count."""
    zombie, run = await started(world, single())
    lost = await zombie.claim_task()
    clock.advance(LEASE + timedelta(seconds=6))
    await zombie.reap()

    verdict = await zombie.complete(lost, "zombie")

    assert verdict is Verdict.STALE
    assert await run.status() is RunStatus.RUNNING


@pytest.mark.fault(19, 49)
async def test_a_task_that_kills_its_hosts_ends_as_worker_lost(world: Ports, clock: ManualClock) -> None:
    """Behaviour 53: attempts are counted at claim."""
    hands, run = await started(world, single(max_attempts=3))
    for _ in range(3):
        await hands.claim_task()
        clock.advance(LEASE + timedelta(seconds=6))
        await hands.reap()

    record = await run.read()
    assert (record.status, record.reason) == (RunStatus.FAILED, "worker_lost")
    assert [attempt.reason for attempt in (await run.details()).attempts] == ["worker_lost"] * 3


@pytest.mark.fault(49)
async def test_tasks_that_lost_a_lease_are_claimed_one_at_a_time(world: Ports, clock: ManualClock) -> None:
    """Behaviour 53: suspects are kept apart, so that the one which kills takes no neighbour along again."""
    flow = Flow("many", version=1, max_attempts=5)

    @flow.map(over="input")
    def each(item: object) -> object:
        return item

    hands, _ = await started(world, flow, list(range(5)))
    assert len(await hands.claim_tasks()) == 5
    clock.advance(LEASE + timedelta(seconds=6))
    assert await hands.reap() == 5

    first = await hands.claim_tasks(lost_limit=1)
    while_holding_one = await hands.claim_tasks(lost_limit=0)

    assert len(first) == 1
    assert while_holding_one == []


@pytest.mark.fault(17)
async def test_a_release_gives_the_attempt_back_but_not_the_token(world: Ports) -> None:
    """SEMANTICS §3: the task is claimed again with attempt 1 and token 2; the old token is settled."""
    hands, run = await started(world, single(max_attempts=1))
    task = await hands.claim_task()

    assert await hands.release(task) is Verdict.SETTLED
    assert await hands.release(task) is Verdict.SETTLED
    again = await hands.claim_task()

    assert (again.attempt, again.token, again.losses) == (1, 2, 0)
    assert await hands.complete(again, 1) is Verdict.SETTLED
    assert await hands.release(task) is Verdict.STALE
    assert await run.result() == {"work": 1}


@pytest.mark.fault(5, 22)
async def test_settling_twice_records_once(world: Ports) -> None:
    """SEMANTICS §3: after an unknown commit the same batch answers `settled` and gives the continuations again."""
    flow = Flow("two", version=1)

    @flow.step
    def first() -> int:
        return 1

    @flow.step
    def second(first: int) -> int:
        return first

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, None)
    hands = Hands(kernel, slots=1)
    (task,) = await hands.claim_runs()
    outcome = hands.completed(task, 1)

    once = await hands.settle([outcome])
    again = await hands.settle([outcome], repeated=True)

    assert list(again.verdicts.values()) == [Verdict.SETTLED]
    assert again.continuations == once.continuations
    assert [c.key.step for c in again.continuations] == ["second"]
    events = [event.type for event in (await run.details()).events]
    assert events.count("step.completed") == 1


@pytest.mark.fault(39)
async def test_an_outcome_twice_in_one_batch_counts_once(world: Ports) -> None:
    """P2: whatever the host sends."""
    hands, run = await started(world, single())
    task = await hands.claim_task()

    await hands.settle([hands.completed(task, 1), hands.completed(task, 2)])

    assert await run.result() == {"work": 1}
    assert [event.type for event in (await run.details()).events].count("run.completed") == 1


@pytest.mark.fault(23)
async def test_a_run_that_is_locked_defers_its_outcomes(world: Ports) -> None:
    """SEMANTICS §2: what cannot be locked goes into the next batch; the rest of the batch is settled."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    locked, free = await kernel.start(flow, None), await kernel.start(flow, None)
    hands = Hands(kernel, slots=2)
    tasks = {task.key.run_id: task for task in await hands.claim_runs()}
    outcomes = tuple(hands.completed(task, 1) for task in tasks.values())
    command = SettleTasks(outcomes=outcomes, capacity=hands.capacity())
    async with world.persistence.transaction() as other:
        await other.load(LoadRequest(runs=(locked.id,), steps=(), tasks=()))
        during = await kernel.dispatch(command)
    after = await kernel.dispatch(command)

    by_run = {lease.key.run_id: verdict for lease, verdict in during.verdicts.items()}
    assert by_run == {locked.id: Verdict.DEFERRED, free.id: Verdict.SETTLED}
    assert set(after.verdicts.values()) == {Verdict.SETTLED}
    assert await locked.status() is RunStatus.COMPLETED


async def test_hand_over_respects_slots_queues_and_priority(world: Ports) -> None:
    """SEMANTICS §3: only what the host serves, has slots for, and is as urgent as what waits, is born leased."""
    flow = Flow("fan", version=1)

    @flow.step
    def root() -> list[int]:
        return []

    @flow.map(over="root")
    def mine(item: int) -> int:
        return item

    @flow.map(over="root", queue="other")
    def theirs(item: int) -> int:
        return item

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, None, priority=3)
    hands = Hands(kernel, slots=2)
    (root_task,) = await hands.claim_runs()

    settlement = await hands.settle([hands.completed(root_task, [1, 2, 3])])

    assert [(c.key.step, c.key.element) for c in settlement.continuations] == [("mine", 0), ("mine", 1)]
    tasks = await world.persistence.read_tasks(run.id)
    assert sum(task.status == "queued" for task in tasks) == 4
    urgent = Capacity(
        worker="hands",
        flow_ids=kernel.flow_ids,
        queues=("default",),
        slots=5,
        lease_duration=LEASE,
        minimum_priority=4,
    )
    (third,) = await hands.claim_tasks(1)
    after = await kernel.dispatch(SettleTasks(outcomes=(hands.completed(third, 1),), capacity=urgent))
    assert after.continuations == ()
