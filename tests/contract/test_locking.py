"""Persistence: locks of runs and tasks, one step at a time against another transaction."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.errors import Contention
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, Snapshot, TaskKey
from fairlead.ports.statuses import TaskStatus
from tests.support.records import (
    at,
    completed,
    keys,
    lease_of,
    load_request,
    new_tasks,
    run_update,
    step_write,
)
from tests.support.scenes import (
    PATIENCE_S,
    claim_all,
    claim_one,
    look,
    look_at_task,
    register,
    run_with_tasks,
    soon,
    start,
)
from tests.support.subjects import StoreSubject


async def test_a_run_that_another_holds_is_left_out(store: Persistence, flow: FlowRow) -> None:
    """Without `wait` a load answers at once with the runs it got, and only their rows."""
    held = await run_with_tasks(store, flow, 1)
    free = await run_with_tasks(store, flow, 2)

    async with store.transaction() as holder, store.transaction() as other:
        await holder.load(load_request(held))
        snapshot = await other.load(
            load_request(
                held,
                free,
                steps=[(held, "pack"), (free, "pack")],
                tasks=[*keys(held, "pack", [0]), *keys(free, "pack", [0])],
                leased_to="nobody",
            )
        )

    assert set(snapshot.runs) == {free}
    assert set(snapshot.steps) == {(free, "pack")}
    assert set(snapshot.tasks) == set(keys(free, "pack", [0]))


async def test_a_load_that_waits_gets_the_run_when_its_holder_ends(store_subject: StoreSubject) -> None:
    """With `wait` the load is not done while the run is held, and done once it is free."""
    store = store_subject.store
    run = await run_with_tasks(store, await register(store))
    async with store.transaction() as holder:
        await holder.load(load_request(run))
        waiting = asyncio.create_task(look(store, run))
        await store_subject.until_waiting()
        assert not waiting.done()

    snapshot = await asyncio.wait_for(waiting, PATIENCE_S)
    assert set(snapshot.runs) == {run}


async def test_what_was_committed_during_the_wait_is_seen(store_subject: StoreSubject) -> None:
    """Locking and reading are two statements: the waiter reads counters, statuses and rows as they are after it."""
    store = store_subject.store
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    first, second = keys(run, "pack", [0, 1])

    async with store.transaction() as holder:
        await holder.load(load_request(run))
        waiting = asyncio.create_task(
            look(store, run, steps=["pack", "ship"], tasks=[first, second, *keys(run, "ship", [0])])
        )
        await store_subject.until_waiting()
        await holder.apply(
            Changes(
                runs=(run_update(run, next_sequence=9, remaining_steps=2),),
                steps=(step_write(run, elements=2, remaining=1, facts=b'"new"'),),
                new_steps=(step_write(run, "ship"),),
                new_tasks=(new_tasks(flow, run, "ship"),),
                tasks=(completed(tasks[first]),),
            )
        )

    snapshot = await asyncio.wait_for(waiting, PATIENCE_S)
    assert snapshot.runs[run].next_sequence == 9
    assert snapshot.steps[run, "pack"].remaining_tasks == 1
    assert snapshot.steps[run, "pack"].facts == b'"new"'
    assert (run, "ship") in snapshot.steps
    assert snapshot.tasks[first].status is TaskStatus.COMPLETED
    assert snapshot.tasks[second].status is TaskStatus.RUNNING
    assert TaskKey(run, "ship", 1, 0) in snapshot.tasks


@pytest.mark.fault(67)
async def test_the_last_two_siblings_cannot_both_see_one_left(store_subject: StoreSubject) -> None:
    """Two settles of one step, interleaved: the second counts down what the first left."""
    store = store_subject.store
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = list((await claim_all(store, flow)).values())

    async def settle(number: int, held: asyncio.Event, proceed: asyncio.Event) -> int:
        async with store.transaction() as transaction:
            snapshot = await transaction.load(load_request(run, steps=[(run, "pack")], wait=True))
            held.set()
            await proceed.wait()
            left = (snapshot.steps[run, "pack"].remaining_tasks or 0) - 1
            await transaction.apply(
                Changes(tasks=(completed(tasks[number]),), steps=(step_write(run, elements=2, remaining=left),))
            )
        return left

    held, proceed = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(settle(0, held, proceed))
    await asyncio.wait_for(held.wait(), PATIENCE_S)
    second = asyncio.create_task(settle(1, asyncio.Event(), proceed))
    await store_subject.until_waiting()
    proceed.set()

    left = [await asyncio.wait_for(settling, PATIENCE_S) for settling in (first, second)]
    assert left == [1, 0]


async def test_waiting_for_several_runs_gets_all_of_them(store_subject: StoreSubject) -> None:
    """A load that waits for one run brings the others with it."""
    store = store_subject.store
    flow = await register(store)
    runs = await start(store, flow, 1, 2, 3)

    async def load_all() -> Snapshot:
        async with store.transaction() as transaction:
            return await transaction.load(load_request(*reversed(runs), wait=True))

    async with store.transaction() as holder:
        await holder.load(load_request(runs[1]))
        waiting = asyncio.create_task(load_all())
        await store_subject.until_waiting()

    assert set((await asyncio.wait_for(waiting, PATIENCE_S)).runs) == set(runs)


@pytest.mark.fault(23)
async def test_runs_are_locked_in_ascending_order(store_subject: StoreSubject) -> None:
    """While it waits for a later run, a load holds the earlier ones: the order of locks that prevents deadlocks."""
    store = store_subject.store
    runs = await start(store, await register(store), 1, 2, 3)

    async def load_all() -> None:
        async with store.transaction() as transaction:
            await transaction.load(load_request(runs[2], runs[0], runs[1], wait=True))

    async with store.transaction() as holder:
        await holder.load(load_request(runs[1]))
        waiting = asyncio.create_task(load_all())
        await store_subject.until_waiting()
        async with store.transaction() as other:
            free = await other.load(load_request(runs[0], runs[2]))

    await asyncio.wait_for(waiting, PATIENCE_S)
    assert set(free.runs) == {runs[2]}


async def test_loads_in_any_order_do_not_deadlock(store: Persistence, flow: FlowRow) -> None:
    """Many waiting loads of the same runs, named in different orders, all come to their end."""
    runs = await start(store, flow, 1, 2, 3, 4)

    async def load_all(order: list[str]) -> int:
        async with store.transaction() as transaction:
            return len((await transaction.load(load_request(*order, wait=True))).runs)

    orders = [runs[n % 4 :] + runs[: n % 4] for n in range(8)]
    counts = await asyncio.wait_for(asyncio.gather(*map(load_all, orders)), PATIENCE_S)

    assert counts == [4] * 8


@pytest.mark.fault(23)
async def test_one_of_two_that_wait_for_each_other_gets_contention(store_subject: StoreSubject) -> None:
    """A circle of waits ends: one transaction is refused and leaves no trace, the other goes on."""
    store = store_subject.store
    one, two = await start(store, await register(store), 1, 2)
    locked = {one: asyncio.Event(), two: asyncio.Event()}

    async def cross(mine: str, theirs: str) -> set[str]:
        async with store.transaction() as transaction:
            await transaction.load(load_request(mine, wait=True))
            locked[mine].set()
            await locked[theirs].wait()
            snapshot = await transaction.load(load_request(theirs, wait=True))
            await transaction.apply(Changes(runs=(run_update(mine, next_sequence=7),)))
            return set(snapshot.runs)

    results = await asyncio.wait_for(
        asyncio.gather(cross(one, two), cross(two, one), return_exceptions=True), PATIENCE_S
    )

    refused = [result for result in results if isinstance(result, BaseException)]
    assert [type(error) for error in refused] == [Contention]
    assert isinstance(refused[0], Contention)
    assert refused[0].retryable
    sequences = {(await look(store, run)).runs[run].next_sequence for run in (one, two)}
    assert sequences == {2, 7}


@pytest.mark.fault(24)
async def test_a_wait_ends_with_the_lock_timeout(impatient: StoreSubject) -> None:
    """A run that nobody gives up is not waited for without end."""
    store = impatient.store
    run = await run_with_tasks(store, await register(store))

    async with store.transaction() as holder:
        await holder.load(load_request(run))
        with pytest.raises(Contention) as caught:
            await asyncio.wait_for(look(store, run), PATIENCE_S)

    assert caught.value.retryable
    assert set((await look(store, run)).runs) == {run}


@pytest.mark.fault(27)
async def test_a_cancelled_wait_leaves_no_lock(store_subject: StoreSubject) -> None:
    """A coroutine that gives up while it waits holds nothing afterwards."""
    store = store_subject.store
    run = await run_with_tasks(store, await register(store))
    async with store.transaction() as holder:
        await holder.load(load_request(run))
        waiting = asyncio.create_task(look(store, run))
        await store_subject.until_waiting()
        waiting.cancel()
        await soon(waiting)
        assert waiting.cancelled()

    assert set((await look(store, run, wait=False)).runs) == {run}


async def test_a_statement_sees_what_was_committed_before_it(store: Persistence, flow: FlowRow) -> None:
    """READ COMMITTED: within one transaction a second load sees a claim that came between."""
    run = await run_with_tasks(store, flow)
    (key,) = keys(run, "pack", [0])

    async with store.transaction() as transaction:
        before = await transaction.load(load_request(run, tasks=[key]))
        await claim_one(store, flow)
        after = await transaction.load(load_request(run, tasks=[key]))

    assert before.tasks[key].status is TaskStatus.QUEUED
    assert (after.tasks[key].status, after.tasks[key].token) == (TaskStatus.RUNNING, 1)


async def test_a_load_leaves_tasks_unlocked_unless_asked(store: Persistence, flow: FlowRow) -> None:
    """Heartbeats go on while a settle holds the run."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run, tasks=[task.key]))
        answer = await store.extend_leases([lease_of(task)], at(60))

    assert answer.extended == {lease_of(task)}


async def test_locked_tasks_are_unknown_to_a_heartbeat(store: Persistence, flow: FlowRow) -> None:
    """The reaper locks the tasks it takes back: a heartbeat that comes then learns nothing and changes nothing."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async with store.transaction() as transaction:
        snapshot = await transaction.load(load_request(run, tasks=[task.key], lock_tasks=True))
        answer = await store.extend_leases([lease_of(task)], at(60))

    assert set(snapshot.tasks) == {task.key}
    assert (answer.extended, answer.lost) == (frozenset(), frozenset())
    assert (await look_at_task(store, task.key)).lease_until == task.lease_until


async def test_locking_tasks_leaves_out_those_that_are_locked(store_subject: StoreSubject) -> None:
    """The reaper does not wait for a heartbeat in flight: that task is alive."""
    if store_subject.hold_task is None:
        pytest.skip("nobody can hold a task's row in this store")
    store = store_subject.store
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    await claim_all(store, flow)
    held, free = keys(run, "pack", [0, 1])

    async with store_subject.hold_task(held), store.transaction() as transaction:
        locking = await transaction.load(load_request(run, tasks=[held, free], lock_tasks=True, wait=True))
        reading = await transaction.load(load_request(run, tasks=[held, free]))

    assert set(locking.tasks) == {free}
    assert set(reading.tasks) == {held, free}
