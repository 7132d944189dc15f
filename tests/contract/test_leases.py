"""Persistence: extending leases, and finding those that ran out."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import WorkInHand
from fairlead.ports.records import FlowRow, Lease, LeaseAnswer, TaskKey
from fairlead.ports.statuses import TaskStatus
from tests.support.records import at, cancellation, completed, keys, lease_of, load_request, retried, run_id, task_claim
from tests.support.scenes import apply, claim_all, claim_one, look_at_task, lose_lease, register, run_with_tasks
from tests.support.subjects import StoreSubject

NOTHING: frozenset[Lease] = frozenset()


async def test_a_live_lease_is_extended(store: Persistence, flow: FlowRow) -> None:
    """The lease ends later, and nothing else changes."""
    await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    before = await look_at_task(store, task.key)

    answer = await store.extend_leases([lease_of(task)], at(90))

    after = await look_at_task(store, task.key)
    assert answer == LeaseAnswer(extended=frozenset({lease_of(task)}), lost=NOTHING)
    assert after.lease_until == at(90)
    assert (after.status, after.token, after.attempts, after.worker) == (
        before.status,
        before.token,
        before.attempts,
        before.worker,
    )


async def test_a_lease_can_be_shortened(store: Persistence, flow: FlowRow) -> None:
    """Leases are set to the time given, also to an earlier one."""
    await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await store.extend_leases([lease_of(task)], at(1))

    assert (await look_at_task(store, task.key)).lease_until == at(1)


async def test_a_lease_that_ran_out_can_still_be_extended(store: Persistence, flow: FlowRow) -> None:
    """As long as nobody took the task back, its holder has it."""
    await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    answer = await store.extend_leases([lease_of(task)], at(10_000))

    assert answer.extended == {lease_of(task)}


async def test_a_worker_s_leases_are_found(store: Persistence, flow: FlowRow) -> None:
    """Its running tasks in all runs, by key, as they are now; none that another worker has, nor any that ended."""
    for number in (2, 1):
        await run_with_tasks(store, flow, number, steps={"pack": 3})
    mine = [await claim_one(store, flow) for _ in range(4)]
    (theirs,) = await store.claim_tasks(task_claim(flow, limit=1, worker="worker-2"))
    ended = mine.pop(0)
    await apply(store, ended.key.run_id, Changes(tasks=(completed(ended),)))
    await store.extend_leases([lease_of(mine[0])], at(90))

    found = await store.find_leased("worker-1")

    assert [row.key for row in found] == sorted(task.key for task in mine)
    assert list(found) == [await look_at_task(store, row.key) for row in found]
    assert [row.key for row in await store.find_leased("worker-2")] == [theirs.key]
    assert list(await store.find_leased("nobody")) == []


async def test_work_in_hand_is_counted_by_queue_and_flow(store: Persistence, flow: FlowRow) -> None:
    """Tasks whose lease lasts, of all runs and flows; not those that wait, have ended, or were left by their worker."""
    other = await register(store, "parades", "2")
    for number in (1, 2):
        await run_with_tasks(store, flow, number, steps={"pack": 3})
    await run_with_tasks(store, other, 3, steps={"march": 2})
    mine = [await claim_one(store, flow) for _ in range(4)]
    (theirs,) = await store.claim_tasks(task_claim(other, limit=1, worker="worker-2"))
    await apply(store, mine[0].key.run_id, Changes(tasks=(completed(mine[0]),)))
    await store.extend_leases([lease_of(task) for task in (*mine[1:3], theirs)], at(90))

    assert sorted(await store.read_work_in_hand(at(60)), key=lambda work: work.flow) == [
        WorkInHand(queue="default", flow="orders", version="1", tasks=2),
        WorkInHand(queue="default", flow="parades", version="2", tasks=1),
    ]
    assert list(await store.read_work_in_hand(at(90))) == []


async def test_no_leases_are_extended_by_an_empty_heartbeat(store: Persistence, flow: FlowRow) -> None:
    """An idle host's heartbeat is no error."""
    assert await store.extend_leases([], at(60)) == LeaseAnswer(extended=NOTHING, lost=NOTHING)


@pytest.mark.fault(20)
async def test_a_stale_token_changes_nothing(store: Persistence, flow: FlowRow) -> None:
    """A zombie's heartbeat does not extend the lease of the one who has the task now."""
    await run_with_tasks(store, flow)
    zombie = await claim_one(store, flow)
    await lose_lease(store, zombie.key)
    holder = await claim_one(store, flow, worker="worker-2", now=at(40))

    answer = await store.extend_leases([lease_of(zombie)], at(500))

    row = await look_at_task(store, zombie.key)
    assert answer == LeaseAnswer(extended=NOTHING, lost=frozenset({lease_of(zombie)}))
    assert (row.token, row.worker, row.lease_until) == (holder.token, "worker-2", holder.lease_until)


async def test_a_token_of_the_future_is_lost_too(store: Persistence, flow: FlowRow) -> None:
    """Only the very same token counts."""
    await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    future = Lease(task.key, task.token + 1)

    answer = await store.extend_leases([future], at(500))

    assert answer == LeaseAnswer(extended=NOTHING, lost=frozenset({future}))
    assert (await look_at_task(store, task.key)).lease_until == task.lease_until


async def test_leases_of_tasks_that_run_no_more_are_lost(store: Persistence, flow: FlowRow) -> None:
    """Completed, retried and taken back: the token may be the same, the lease is gone."""
    run = await run_with_tasks(store, flow, 1, steps={"pack": 3})
    tasks = await claim_all(store, flow)
    done, again, reaped = keys(run, "pack", [0, 1, 2])
    await apply(store, run, Changes(tasks=(completed(tasks[done]), retried(tasks[again], ready_at=at(5)))))
    await lose_lease(store, reaped)
    leases = [lease_of(task) for task in tasks.values()]

    answer = await store.extend_leases(leases, at(500))

    assert answer == LeaseAnswer(extended=NOTHING, lost=frozenset(leases))
    for key in tasks:
        assert (await look_at_task(store, key)).lease_until is None


async def test_leases_of_cancelled_tasks_are_cancelled(store: Persistence, flow: FlowRow) -> None:
    """Under the token that the task had then; whoever held an earlier one lost it before."""
    run = await run_with_tasks(store, flow, 1, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    mine, retaken = keys(run, "pack", [0, 1])
    await lose_lease(store, retaken)
    holder = await claim_one(store, flow, now=at(60), worker="worker-2")
    await apply(store, run, Changes(cancellations=(cancellation(run),)))

    answer = await store.extend_leases([lease_of(task) for task in (*tasks.values(), holder)], at(500))

    assert answer == LeaseAnswer(
        extended=NOTHING,
        lost=frozenset({lease_of(tasks[retaken])}),
        cancelled=frozenset({lease_of(tasks[mine]), lease_of(holder)}),
    )
    for key in tasks:
        assert (await look_at_task(store, key)).lease_until is None


async def test_leases_of_tasks_that_do_not_exist_are_lost(store: Persistence, flow: FlowRow) -> None:
    """A pruned run's host is told to stop."""
    missing = [Lease(TaskKey(run_id(99), "pack", 1, 0), 1)]

    assert await store.extend_leases(missing, at(60)) == LeaseAnswer(extended=NOTHING, lost=frozenset(missing))


async def test_one_heartbeat_tells_every_lease_apart(store: Persistence, flow: FlowRow) -> None:
    """Live, stale and missing leases in one batch."""
    run = await run_with_tasks(store, flow, steps={"pack": 3})
    tasks = await claim_all(store, flow)
    first, second, third = (lease_of(tasks[key]) for key in keys(run, "pack", [0, 1, 2]))
    stale = Lease(second.key, second.token + 5)
    missing = Lease(TaskKey(run, "pack", 1, 77), 1)

    answer = await store.extend_leases([third, missing, stale, first], at(60))

    assert answer == LeaseAnswer(extended=frozenset({first, third}), lost=frozenset({stale, missing}))
    assert (await look_at_task(store, second.key)).lease_until == tasks[second.key].lease_until


async def test_a_row_that_is_locked_is_neither_extended_nor_lost(store_subject: StoreSubject) -> None:
    """A heartbeat waits for nobody; what it could not look at is unknown."""
    if store_subject.hold_task is None:
        pytest.skip("nobody can hold a task's row in this store")
    store = store_subject.store
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    held, free = (lease_of(tasks[key]) for key in keys(run, "pack", [0, 1]))

    async with store_subject.hold_task(held.key):
        answer = await store.extend_leases([held, free], at(60))
        stale = await store.extend_leases([Lease(held.key, 99)], at(60))

    assert answer == LeaseAnswer(extended=frozenset({free}), lost=NOTHING)
    assert stale == LeaseAnswer(extended=NOTHING, lost=NOTHING)


async def test_an_outcome_that_is_not_committed_is_unknown_to_a_heartbeat(
    store_subject: StoreSubject, store: Persistence, flow: FlowRow
) -> None:
    """Between a settle's write and its commit, the lease is neither extended nor lost."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    answers: list[LeaseAnswer] = []

    async def beat() -> None:
        answers.append(await store.extend_leases([lease_of(task)], at(60)))

    async with store_subject.stopping(beat).transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(Changes(tasks=(completed(task),)))

    (during,) = answers
    after = await store.extend_leases([lease_of(task)], at(60))
    assert during == LeaseAnswer(extended=NOTHING, lost=NOTHING)
    assert after == LeaseAnswer(extended=NOTHING, lost=frozenset({lease_of(task)}))


async def test_a_heartbeat_between_load_and_apply_does_not_disturb_a_settle(store: Persistence, flow: FlowRow) -> None:
    """The guard is the token, which a heartbeat leaves alone."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run, tasks=[task.key]))
        await store.extend_leases([lease_of(task)], at(60))
        await transaction.apply(Changes(tasks=(completed(task),)))

    assert (await look_at_task(store, task.key)).status is TaskStatus.COMPLETED


@pytest.mark.fault(23)
async def test_concurrent_heartbeats_of_many_leases_all_succeed_in_the_end(store: Persistence, flow: FlowRow) -> None:
    """Hosts that extend overlapping sets in opposite orders never fail; a lease may be unknown, never lost."""
    await run_with_tasks(store, flow, steps={"pack": 40})
    leases = [lease_of(task) for task in (await claim_all(store, flow)).values()]

    answers = await asyncio.gather(
        *(store.extend_leases(leases[::-1] if n % 2 else leases, at(60 + n)) for n in range(6))
    )

    assert all(answer.lost == NOTHING for answer in answers)
    assert (await store.extend_leases(leases, at(99))).extended == frozenset(leases)


@pytest.mark.fault(41)
async def test_expired_leases_are_found_earliest_first(store: Persistence, flow: FlowRow) -> None:
    """Strictly before the moment given, in the order in which they ended, at most `limit`."""
    run = await run_with_tasks(store, flow, steps={"pack": 4})
    for element, lease_s in enumerate([30, 10, 20, 40]):
        await store.claim_tasks(task_claim(flow, lease_s=lease_s, only=keys(run, "pack", [element])))
    ids = [flow.flow_id]

    found = await store.find_expired(at(40), flow_ids=ids, limit=10)
    first = await store.find_expired(at(40), flow_ids=ids, limit=2)

    assert [(task.key.element, task.lease_until) for task in found] == [(1, at(10)), (2, at(20)), (0, at(30))]
    assert [task.key.element for task in first] == [1, 2]
    assert list(await store.find_expired(at(10), flow_ids=ids, limit=10)) == []
    assert list(await store.find_expired(at(40), flow_ids=ids, limit=10, leave_out=[run])) == []
    assert len(await store.find_expired(at(40), flow_ids=ids, limit=10, leave_out=[run_id(2), run_id(9)])) == 3
    assert found[0] == await look_at_task(store, found[0].key)


async def test_only_running_tasks_of_the_flows_named_expire(store: Persistence, flow: FlowRow) -> None:
    """Queued and settled tasks have no lease, and another flow's are another host's."""
    other = await register(store, slug="returns")
    run = await run_with_tasks(store, flow, 1, steps={"pack": 3})
    foreign = await run_with_tasks(store, other, 2)
    await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0])))
    (done,) = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [1])))
    await store.claim_tasks(task_claim(other))
    await apply(store, run, Changes(tasks=(completed(done),)))

    mine = await store.find_expired(at(999), flow_ids=[flow.flow_id], limit=10)
    both = await store.find_expired(at(999), flow_ids=[flow.flow_id, other.flow_id], limit=10)

    assert [task.key for task in mine] == keys(run, "pack", [0])
    assert {task.key for task in both} == {*keys(run, "pack", [0]), *keys(foreign, "pack", [0])}
    assert list(await store.find_expired(at(999), flow_ids=[], limit=10)) == []


async def test_an_extended_lease_is_found_at_its_new_time(store: Persistence, flow: FlowRow) -> None:
    """A heartbeat saves a task from the reaper until the lease's new end."""
    await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    await store.extend_leases([lease_of(task)], at(100))

    assert list(await store.find_expired(at(100), flow_ids=[flow.flow_id], limit=10)) == []
    assert len(await store.find_expired(at(101), flow_ids=[flow.flow_id], limit=10)) == 1


async def test_a_lease_that_was_born_with_its_task_expires_too(store: Persistence, flow: FlowRow) -> None:
    """A handed-over task is leased like a claimed one."""
    run = await run_with_tasks(store, flow, worker="worker-1", lease_until=at(30))

    (found,) = await store.find_expired(at(31), flow_ids=[flow.flow_id], limit=10)

    assert (found.key, found.token, found.lease_until) == (TaskKey(run, "pack", 1, 0), 1, at(30))


async def test_finding_expired_leases_locks_nothing(store: Persistence, flow: FlowRow) -> None:
    """A reaper that looks while a run is settled neither waits nor disturbs."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run, tasks=[task.key], lock_tasks=True))
        found = await store.find_expired(at(999), flow_ids=[flow.flow_id], limit=10)

    assert [row.key for row in found] == [task.key]
