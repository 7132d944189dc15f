"""Persistence: suspending tasks, and ending their waits."""

from __future__ import annotations

from contextlib import suppress

import pytest

from fairlead.ports.changes import Cancellation, Changes, Resumption
from fairlead.ports.errors import CorruptionError
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import OutputRequest, TaskRecord
from fairlead.ports.records import FlowRow, Lease, TaskKey, TaskPhase, TaskRow, WaitsFor
from fairlead.ports.statuses import StepStatus, TaskStatus
from tests.support.records import at, cancellation, load_request, new_tasks, run_id, step_cancellation, step_write
from tests.support.scenes import apply, claim_one, look_at_task, run_with_tasks
from tests.support.waits import ended_badly, ended_well, new_wait, queued_again, run_that_waits, suspension

RUN = run_id(1)
KEY = TaskKey(RUN, "pack", 1, 0)
BATCH, APPROVAL, NAP = (TaskKey(RUN, slug, 1, 0) for slug in ("batch", "approval", "nap"))


async def suspended(store: Persistence, flow: FlowRow) -> TaskKey:
    """A task that ran under token 1, and is to be checked at 60 s."""
    await run_with_tasks(store, flow)
    await claim_one(store, flow)
    await suspend(store)
    return KEY


async def suspend(store: Persistence, token: int = 1, checks: int = 0, state: bytes = b'{"job":1}') -> None:
    """The task of the first run is to be checked at 60 s, and gives up at 300 s."""
    waits = suspension(KEY, token, wake_at=at(60), give_up_at=at(300), checks=checks, state=state)
    await apply(store, RUN, Changes(suspensions=(waits,)))


async def resume(store: Persistence, *resumptions: Resumption) -> None:
    """End waits of the first run."""
    await apply(store, RUN, Changes(resumptions=resumptions))


async def record_of(store: Persistence, key: TaskKey) -> TaskRecord:
    """A task as a reader sees it."""
    return next(task for task in await store.read_tasks(key.run_id, step=key.step) if task.key == key)


async def state_of(store: Persistence, key: TaskKey) -> bytes | None:
    """What a task's check is given."""
    return (await store.read_payloads([], [], [key])).states.get(key)


async def test_a_suspended_task_holds_nothing(store: Persistence, flow: FlowRow) -> None:
    """It keeps its token, has no lease, begins to count attempts anew, and says what it waits for and until when."""
    key = await suspended(store, flow)

    assert await look_at_task(store, key) == TaskRow(
        key=key,
        flow_id=flow.flow_id,
        status=TaskStatus.SUSPENDED,
        token=1,
        settled_token=1,
        attempts=0,
        losses=0,
        phase=TaskPhase.CHECK,
        worker="worker-1",
        lease_until=None,
        priority=0,
        waits_for=WaitsFor.CHECK,
        wake_at=at(60),
        give_up_at=at(300),
        checks=0,
    )


async def test_a_reader_sees_what_a_task_waits_for(store: Persistence, flow: FlowRow) -> None:
    """Its record says so, and its state can be read."""
    key = await suspended(store, flow)
    record = await record_of(store, key)

    assert (record.status, record.phase, record.attempts, record.checks) == ("suspended", "check", 0, 0)
    assert (record.waits_for, record.wake_at, record.give_up_at) == (WaitsFor.CHECK, at(60), at(300))
    assert record.lease_until is None
    assert not record.has_output
    assert await state_of(store, key) == b'{"job":1}'


async def test_nobody_can_claim_or_keep_a_suspended_task(store: Persistence, flow: FlowRow) -> None:
    """It is in no queue and under no lease, and a late heartbeat learns that."""
    key = await suspended(store, flow)
    answer = await store.extend_leases([Lease(key, 1)], at(90))

    assert answer.lost == {Lease(key, 1)}
    assert await store.find_expired(at(10_000), flow_ids=[flow.flow_id], limit=10) == []
    assert await store.find_leased("worker-1") == []
    assert await store.find_unclaimed(at(10_000), flow_ids=[flow.flow_id], limit=10) == []
    with pytest.raises(ValueError, match="not enough values"):
        await claim_one(store, flow, now=at(10_000))


async def test_a_task_is_born_waiting(store: Persistence, flow: FlowRow) -> None:
    """Nobody ever claims it: no token, no attempt, no worker, and it never started."""
    await run_that_waits(store, flow)
    approval, nap = await record_of(store, APPROVAL), await record_of(store, NAP)

    assert (approval.status, approval.waits_for, approval.wake_at) == ("suspended", WaitsFor.SIGNAL, None)
    assert (nap.status, nap.waits_for, nap.wake_at) == ("suspended", WaitsFor.TIME, at(90))
    assert (nap.phase, nap.token, nap.attempts, nap.worker, nap.started_at) == ("run", 0, 0, None, None)


async def test_a_check_goes_through_the_queue(store: Persistence, flow: FlowRow) -> None:
    """It is claimed as any task, from its time on, under the next token, and knows its phase; attempts are its own."""
    key = await suspended(store, flow)
    await resume(store, queued_again(key, 1, ready_at=at(60)))
    queued = await record_of(store, key)
    with pytest.raises(ValueError, match="not enough values"):
        await claim_one(store, flow, now=at(59))
    task = await claim_one(store, flow, now=at(60), worker="worker-2")

    assert (queued.status, queued.phase, queued.token, queued.attempts) == ("queued", "check", 1, 0)
    assert (queued.waits_for, queued.wake_at, queued.worker, queued.give_up_at) == (None, None, None, at(300))
    assert (task.key, task.phase, task.token, task.attempt) == (key, TaskPhase.CHECK, 2, 1)
    assert await state_of(store, key) == b'{"job":1}'


async def test_a_check_may_suspend_again(store: Persistence, flow: FlowRow) -> None:
    """With another state and one more check to its name; what it waited with before is gone."""
    key = await suspended(store, flow)
    await resume(store, queued_again(key, 1, ready_at=at(60)))
    await claim_one(store, flow, now=at(60))
    await suspend(store, token=2, checks=1, state=b'{"job":2}')
    row = await look_at_task(store, key)

    assert (row.status, row.token, row.settled_token, row.attempts, row.checks) == ("suspended", 2, 2, 0, 1)
    assert await state_of(store, key) == b'{"job":2}'


@pytest.mark.parametrize("token", [0, 1], ids=["born suspended", "suspended by its handler"])
async def test_a_wait_ends_well(store: Persistence, flow: FlowRow, token: int) -> None:
    """The task is completed without having run again, under a token that nobody was given."""
    await run_that_waits(store, flow)
    key = BATCH if token else NAP
    await resume(store, ended_well(key, token, ended_at=at(90), output=b'{"done":true}'))
    record = await record_of(store, key)

    assert (record.status, record.token, record.settled_token) == ("completed", token + 1, token + 1)
    assert (record.waits_for, record.wake_at, record.worker, record.ended_at) == (None, None, None, at(90))
    assert record.has_output


async def test_the_output_of_what_was_waited_for_is_read_like_any_other(store: Persistence, flow: FlowRow) -> None:
    """A step that a signal completed has the signal's payload as its output."""
    await run_that_waits(store, flow)
    asked = OutputRequest(RUN, "answer")

    assert (await store.read_payloads([], [asked])).outputs[asked].outputs == [b'{"approved":true}']


async def test_a_wait_ends_badly(store: Persistence, flow: FlowRow) -> None:
    """The task fails with a reason and an error, and no attempt is invented for it."""
    await run_that_waits(store, flow)
    await resume(store, ended_badly(BATCH, 1, ended_at=at(300), error=b'{"type":"WaitTimedOut"}'))
    record = await record_of(store, BATCH)

    assert (record.status, record.reason, record.error) == ("failed", "timed_out", b'{"type":"WaitTimedOut"}')
    assert (record.token, record.settled_token, record.worker, record.ended_at) == (2, 2, None, at(300))
    assert await store.read_attempts(RUN) == []


async def test_a_task_is_born_and_over_in_one_transaction(store: Persistence, flow: FlowRow) -> None:
    """As with a sleep until a time that is past."""
    await run_with_tasks(store, flow)
    key = TaskKey(RUN, "nap", 1, 0)
    await apply(
        store,
        RUN,
        Changes(
            new_steps=(step_write(RUN, "nap", status=StepStatus.COMPLETED, remaining=0, ended_at=at(1)),),
            new_tasks=(new_wait(flow, RUN, "nap", WaitsFor.TIME, wake_at=at(0)),),
            resumptions=(ended_well(key, ended_at=at(1)),),
        ),
    )
    row = await look_at_task(store, key)

    assert (row.status, row.token, row.settled_token, row.waits_for) == ("completed", 1, 1, None)
    assert await store.find_waits(at(10), flow_ids=[flow.flow_id], limit=10) == []


@pytest.mark.parametrize("scope", ["run", "step"])
async def test_a_cancelled_task_waits_for_nothing(store: Persistence, flow: FlowRow, scope: str) -> None:
    """Whether its run is cancelled or its step alone; nobody wakes it then."""
    await run_that_waits(store, flow)
    ends: list[Cancellation] = [cancellation(RUN)] if scope == "run" else [step_cancellation(RUN, "nap")]
    await apply(store, RUN, Changes(cancellations=tuple(ends)))
    row = await look_at_task(store, NAP)
    with pytest.raises(CorruptionError):
        await resume(store, ended_well(NAP))

    assert (row.status, row.waits_for, row.wake_at) == ("cancelled", None, None)
    assert NAP not in [task.key for task in await store.find_waits(at(100), flow_ids=[flow.flow_id], limit=10)]


REFUSED: dict[str, Changes] = {
    "waits that are over already": Changes(resumptions=(ended_well(TaskKey(RUN, "answer", 1, 0), 1),)),
    "waits under another token": Changes(resumptions=(queued_again(BATCH, 2, ready_at=at(60)),)),
    "waits of a task that runs": Changes(resumptions=(queued_again(TaskKey(RUN, "busy", 1, 0), 1, ready_at=at(60)),)),
    "waits of a task that is not there": Changes(resumptions=(ended_well(TaskKey(RUN, "nap", 1, 1)),)),
    "suspending a task that is suspended": Changes(suspensions=(suspension(BATCH, wake_at=at(60)),)),
    "suspending under a stale token": Changes(suspensions=(suspension(TaskKey(RUN, "busy", 1, 0), 0, wake_at=at(60)),)),
}


@pytest.mark.parametrize("bad", REFUSED.values(), ids=REFUSED.keys())
async def test_a_refused_guard_is_corruption(store: Persistence, flow: FlowRow, bad: Changes) -> None:
    """Nothing of the transaction remains, whether the error is let through or swallowed."""
    await run_that_waits(store, flow)
    await apply(
        store,
        RUN,
        Changes(
            new_steps=(step_write(RUN, "busy", started_at=at(0)),),
            new_tasks=(new_tasks(flow, RUN, "busy", worker="worker-1", lease_until=at(30)),),
        ),
    )
    before = await store.read_tasks(RUN)
    good = ended_well(NAP)
    both = Changes(suspensions=bad.suspensions, resumptions=(good, *bad.resumptions))
    with pytest.raises(CorruptionError):
        await apply(store, RUN, both)
    with pytest.raises(CorruptionError):
        await _swallow(store, both)

    assert await store.read_tasks(RUN) == before


async def test_a_wait_that_is_not_committed_is_not_over(store: Persistence, flow: FlowRow) -> None:
    """Others see it as it was, and after a rollback so it is."""
    await run_that_waits(store, flow)
    before = await record_of(store, NAP)

    async def roll_back() -> None:
        async with store.transaction() as transaction:
            await transaction.load(load_request(RUN))
            await transaction.apply(Changes(resumptions=(ended_well(NAP),)))
            assert await record_of(store, NAP) == before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await roll_back()

    assert await record_of(store, NAP) == before
    assert [task.key for task in await store.find_waits(at(90), flow_ids=[flow.flow_id], limit=10)] == [BATCH, NAP]


async def test_states_are_read_where_there_are_any(store: Persistence, flow: FlowRow) -> None:
    """Several at once, asked for twice or not; none for a task without one, for one that is not there, for no run."""
    await run_that_waits(store, flow)
    strange = TaskKey("no run", "batch", 1, 0)
    missing = TaskKey(run_id(7), "batch", 1, 0)
    payloads = await store.read_payloads([RUN], [], [NAP, BATCH, BATCH, strange, missing])

    assert payloads.states == {BATCH: b'{"job":1}'}
    assert set(payloads.runs) == {RUN}


async def _swallow(store: Persistence, bad: Changes) -> None:
    """Apply changes in a block that hides their error, and then ends well."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(RUN))
        with suppress(CorruptionError):
            await transaction.apply(bad)
