"""Persistence: atomicity, isolation, second handles, closing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.errors import Unavailable
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import RunFilter
from fairlead.ports.records import FlowRow, LeaseAnswer
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    at,
    completed,
    events,
    lease_of,
    load_request,
    new_run,
    new_tasks,
    run_claim,
    run_id,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import claim_one, look, look_at_task, register, run_with_tasks, soon, start
from tests.support.subjects import StoreSubject

Answer = TypeVar("Answer")


class Mishap(Exception):
    """Something that goes wrong inside a block."""


def first_steps(flow: FlowRow, run: str) -> Changes:
    """What claiming a run writes: every kind of row."""
    return Changes(
        runs=(run_update(run, next_sequence=4, remaining_steps=1, started_at=at(0)),),
        new_steps=(step_write(run),),
        new_tasks=(new_tasks(flow, run),),
        events=(events(run, 2, ["run.started", "step.started"]),),
    )


async def claim_and_fail(store: Persistence, flow: FlowRow, error: Exception) -> None:
    """Claim a pending run, write its first steps, and raise before the commit."""
    async with store.transaction() as transaction:
        (run,) = await transaction.claim_runs(run_claim(flow))
        await transaction.apply(first_steps(flow, run.id))
        raise error


async def nothing_happened(store: Persistence, run: str) -> bool:
    """Whether the run is as its start left it."""
    record = await store.read_run(run)
    assert record is not None
    rows = [*await store.read_steps(run), *await store.read_tasks(run), *(await store.read_events(run))[1:]]
    return record.status is RunStatus.PENDING and record.next_sequence == 2 and not rows


async def recovered(operation: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of an operation that is tried again where the store says that this may help."""
    for _ in range(9):
        try:
            return await operation()
        except Unavailable as error:
            if not error.retryable:
                raise
    return await operation()


async def test_nobody_sees_a_transaction_before_its_commit(store: Persistence, flow: FlowRow) -> None:
    """Readers, claims and loads elsewhere see the state before, until the block ends; then all of it."""
    (run,) = await start(store, flow)

    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow))
        await transaction.apply(first_steps(flow, run))
        assert await nothing_happened(store, run)
        assert list(await store.claim_tasks(task_claim(flow))) == []
        assert (await look(store, run, wait=False)).runs == {}

    record = await store.read_run(run)
    assert record is not None
    assert record.status is RunStatus.RUNNING
    assert [step.status for step in await store.read_steps(run)] == [StepStatus.RUNNING]
    assert [task.status for task in await store.read_tasks(run)] == [TaskStatus.QUEUED]
    assert [row.first_sequence for row in await store.read_events(run)] == [1, 2]


@pytest.mark.fault(1)
async def test_an_error_in_the_block_rolls_everything_back(store: Persistence, flow: FlowRow) -> None:
    """A block that raises after `apply` leaves no trace, and its error comes out unchanged."""
    (run,) = await start(store, flow)
    mishap = Mishap()

    with pytest.raises(Mishap) as caught:
        await claim_and_fail(store, flow, mishap)

    assert caught.value is mishap
    assert await nothing_happened(store, run)


async def test_what_was_rolled_back_can_be_done_again(store: Persistence, flow: FlowRow) -> None:
    """Locks and keys of a rolled-back transaction are free."""
    (run,) = await start(store, flow)
    with pytest.raises(Mishap):
        await claim_and_fail(store, flow, Mishap())

    async with store.transaction() as transaction:
        assert [found.id for found in await transaction.claim_runs(run_claim(flow))] == [run]
        await transaction.apply(first_steps(flow, run))

    assert len(await store.claim_tasks(task_claim(flow))) == 1


@pytest.mark.fault(27)
async def test_a_cancelled_block_never_commits(store: Persistence, flow: FlowRow) -> None:
    """A coroutine that is cancelled after `apply` leaves no trace and no lock."""
    (run,) = await start(store, flow)
    applied = asyncio.Event()

    async def stuck() -> None:
        async with store.transaction() as transaction:
            await transaction.claim_runs(run_claim(flow))
            await transaction.apply(first_steps(flow, run))
            applied.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await asyncio.wait_for(applied.wait(), 20)
    task.cancel()
    await soon(task)

    assert task.cancelled()
    assert await nothing_happened(store, run)
    assert set((await look(store, run, wait=False)).runs) == {run}


@pytest.mark.fault(27)
async def test_a_transaction_that_is_cancelled_anywhere_is_whole_or_nothing(store: Persistence, flow: FlowRow) -> None:
    """Whichever statement the cancellation meets, the store afterwards is as before the transaction or as after it."""
    (run,) = await start(store, flow)

    async def whole() -> None:
        async with store.transaction() as transaction:
            await transaction.claim_runs(run_claim(flow))
            await transaction.apply(first_steps(flow, run))

    for turn in range(60):
        task = asyncio.create_task(whole())
        await asyncio.wait({task}, timeout=turn * 0.0002)
        task.cancel()
        await soon(task)
        if not task.cancelled() or not await nothing_happened(store, run):
            break

    async with store.transaction() as transaction:
        again = await transaction.claim_runs(run_claim(flow))
    happened = not await nothing_happened(store, run)
    found = (len(again), len(await store.read_tasks(run)), len(await store.read_events(run)))
    assert found == ((0, 1, 2) if happened else (1, 0, 1))


@pytest.mark.fault(21)
async def test_a_severed_transaction_leaves_no_trace(store_subject: StoreSubject) -> None:
    """A connection that breaks before the commit: a typed error that says to try again, and nothing was written."""
    sever = store_subject.sever
    if sever is None:
        pytest.skip("nothing of this store can be severed")
    store = store_subject.store
    flow = await register(store)
    (run,) = await start(store, flow)

    async def severed() -> None:
        async with store.transaction() as transaction:
            await transaction.claim_runs(run_claim(flow))
            await transaction.apply(first_steps(flow, run))
            await sever()

    with pytest.raises(Unavailable) as caught:
        await severed()

    assert caught.value.retryable
    assert await recovered(lambda: nothing_happened(store, run))
    assert set((await recovered(lambda: look(store, run, wait=False))).runs) == {run}


async def test_a_wait_that_is_severed_ends(store_subject: StoreSubject) -> None:
    """Who waits for a lock while the connection breaks is told, and does not wait on."""
    if store_subject.sever is None:
        pytest.skip("nothing of this store can be severed")
    store = store_subject.store
    (run,) = await start(store, await register(store))
    waiting: list[asyncio.Task[object]] = []
    async with store.dedicated() as second:
        with suppress(Unavailable):
            async with second.transaction() as holder:
                await holder.load(load_request(run))
                waiting.append(asyncio.create_task(look(store, run)))
                await store_subject.until_waiting()
                await store_subject.sever()
                await soon(waiting[0])

    assert isinstance(waiting[0].exception(), Unavailable)
    assert set((await recovered(lambda: look(store, run))).runs) == {run}


@pytest.mark.fault(21)
async def test_a_store_works_on_after_its_connections_broke(store_subject: StoreSubject) -> None:
    """A restart of the database costs a retry at most; what was committed is there."""
    if store_subject.sever is None:
        pytest.skip("nothing of this store can be severed")
    store = store_subject.store
    flow = await register(store)
    await asyncio.gather(*(start(store, flow, number) for number in range(1, 9)))

    await store_subject.sever()

    page = await recovered(lambda: store.list_runs(RunFilter(), limit=10, after=None))
    assert len(page.runs) == 8
    assert (await recovered(lambda: start(store, flow, 9))) == [run_id(9)]


async def test_a_transaction_without_changes_changes_nothing(store: Persistence, flow: FlowRow) -> None:
    """Loading is not writing."""
    (run,) = await start(store, flow)

    async with store.transaction():
        pass
    async with store.transaction() as transaction:
        await transaction.load(load_request(run))

    assert await nothing_happened(store, run)


async def test_transactions_of_different_runs_do_not_wait_for_each_other(store: Persistence, flow: FlowRow) -> None:
    """Two transactions, each step by turns, both commit."""
    one, two = await start(store, flow, 1, 2)

    async with store.transaction() as first, store.transaction() as second:
        await first.load(load_request(one, wait=True))
        await second.load(load_request(two, wait=True))
        await first.apply(first_steps(flow, one))
        await second.apply(first_steps(flow, two))

    for run in (one, two):
        record = await store.read_run(run)
        assert record is not None
        assert record.status is RunStatus.RUNNING


async def test_reads_go_on_while_a_run_is_locked(store: Persistence, flow: FlowRow) -> None:
    """Readers wait for nobody."""
    run = await run_with_tasks(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run, tasks=[], lock_tasks=True))
        assert await store.read_run(run) is not None
        assert len(await store.read_tasks(run)) == 1
        assert len(await store.read_steps(run)) == 1


async def test_starts_go_on_while_runs_are_locked(store: Persistence, flow: FlowRow) -> None:
    """Inserting a run waits for no settle."""
    run = await run_with_tasks(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        (started,) = await store.insert_runs([new_run(flow, 2, key="k")])

    assert started.created


@pytest.mark.fault(36)
async def test_a_dedicated_handle_is_a_handle_on_the_same_store(store: Persistence, flow: FlowRow) -> None:
    """What one handle commits the other reads, and locks of one hold for the other."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async with store.dedicated() as second:
        async with store.transaction() as transaction:
            await transaction.load(load_request(run, tasks=[task.key], lock_tasks=True))
            unknown = await second.extend_leases([lease_of(task)], at(60))
        extended = await second.extend_leases([lease_of(task)], at(60))
        assert await second.read_run(run) == await store.read_run(run)

    assert unknown == LeaseAnswer(frozenset(), frozenset())
    assert extended.extended == {lease_of(task)}
    assert (await look_at_task(store, task.key)).lease_until == at(60)


async def test_closing_a_dedicated_handle_leaves_the_store_open(store: Persistence, flow: FlowRow) -> None:
    """A heartbeat that ends takes nothing with it."""
    async with store.dedicated() as second:
        await register(second, slug="other")

    assert await start(store, flow, 1) == [run_id(1)]


@pytest.mark.fault(25, 71)
async def test_a_dedicated_handle_works_in_another_thread(store: Persistence, flow: FlowRow) -> None:
    """Heartbeats go on in a thread and an event loop of their own, while a transaction is open in the first."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async def beat() -> LeaseAnswer:
        async with store.dedicated() as second:
            return await second.extend_leases([lease_of(task)], at(77))

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        answer = await asyncio.to_thread(lambda: asyncio.run(beat()))
        await transaction.apply(Changes(tasks=(completed(task),)))

    assert answer.extended == {lease_of(task)}
    assert (await look_at_task(store, task.key)).status is TaskStatus.COMPLETED


async def test_a_closed_store_can_be_used_again(store: Persistence, flow: FlowRow) -> None:
    """Opening is implicit, closing twice harmless, and what was committed stays."""
    run = await run_with_tasks(store, flow)

    await store.aclose()
    await store.aclose()

    record = await store.read_run(run)
    assert record is not None
    assert record.status is RunStatus.RUNNING
    assert await claim_one(store, flow)
    await store.aclose()


@pytest.mark.fault(25)
async def test_many_transactions_at_once_all_come_to_their_end(store_subject: StoreSubject) -> None:
    """More transactions than any pool has connections: they take turns."""
    store = store_subject.store
    flow = await register(store)
    runs = await start(store, flow, *range(1, 61))

    async def claim(run: str) -> None:
        async with store.transaction() as transaction:
            await transaction.load(load_request(run, wait=True))
            await transaction.apply(first_steps(flow, run))

    await asyncio.wait_for(asyncio.gather(*map(claim, runs)), 30)

    assert len(await store.claim_tasks(task_claim(flow))) == 60
