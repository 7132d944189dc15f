"""What only this store's transactions do: own writes, refusals, broken connections, dropped coroutines."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from fairlead.adapters.memory import MemoryPersistence
from fairlead.adapters.memory.store import Store
from fairlead.ports.changes import Changes, RunUpdate
from fairlead.ports.errors import Contention, CorruptionError, Unavailable, UnstorableValue
from fairlead.ports.records import ClaimedTask, TaskKey
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    attempt,
    cancellation,
    completed,
    events,
    load_request,
    new_run,
    new_tasks,
    run_claim,
    run_id,
    run_update,
    step_write,
)
from tests.support.scenes import PATIENCE_S, apply, claim_one, look, register, run_with_tasks, soon, start


def start_of(run: str) -> RunUpdate:
    """The run becomes running."""
    return run_update(run, RunStatus.RUNNING, remaining_steps=1)


async def until_it_waits(tables: Store, begun: asyncio.Task[None]) -> None:
    """Let a task run until its transaction waits for a lock: one turn, since nothing else makes it wait."""
    await asyncio.sleep(0)

    assert tables.locks.waiting == 1
    assert not begun.done()


class Abandoned(Exception):
    """Ends a transaction's block."""


async def test_a_transaction_sees_its_own_writes_and_nobody_else_does() -> None:
    """Rows changed by `apply` are loaded back by the same transaction, and are committed rows after it."""
    store = MemoryPersistence()
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    task = await claim_one(store, flow)
    keys = [TaskKey(run, "pack", 1, element) for element in range(3)]
    request = load_request(run, steps=[(run, "pack"), (run, "ship")], tasks=keys)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(
            Changes(
                runs=(run_update(run, remaining_steps=7),),
                new_steps=(step_write(run, "ship", status=StepStatus.CREATED),),
                steps=(step_write(run, elements=3, remaining=2),),
                tasks=(completed(task),),
                new_tasks=(new_tasks(flow, run, first=2, worker="me"),),
            )
        )
        own = await transaction.load(request)
        leased = (await transaction.load(load_request(run, leased_to="me"))).leased
        outside = await store.read_tasks(run), await store.read_steps(run), await store.read_run(run)

    assert own.runs[run].remaining_steps == 7
    assert {slug: step.remaining_tasks for (_, slug), step in own.steps.items()} == {"pack": 2, "ship": 1}
    assert [own.tasks[key].status for key in keys] == ["completed", "queued", "running"]
    assert [row.key for row in leased] == [keys[2]]
    assert [row.status for row in outside[0]] == ["running", "queued"]
    assert [step.slug for step in outside[1]] == ["pack"]
    assert outside[2] is not None
    assert outside[2].remaining_steps == 1
    assert len(await store.read_tasks(run)) == 3


async def test_a_cancellation_reaches_rows_of_the_same_transaction() -> None:
    """Steps and tasks that the same changes insert are cancelled too."""
    store = MemoryPersistence()
    flow = await register(store)
    (run,) = await start(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(
            Changes(
                new_steps=(step_write(run),),
                new_tasks=(new_tasks(flow, run, worker="me"),),
                cancellations=(cancellation(run),),
            )
        )

    (task,) = await store.read_tasks(run)
    (step,) = await store.read_steps(run)
    assert (task.status, task.lease_until, step.status) == (TaskStatus.CANCELLED, None, StepStatus.CANCELLED)


@pytest.mark.fault(29)
async def test_a_swallowed_error_cannot_be_committed() -> None:
    """A block that catches the error of a statement and goes on gets it again at its end; nothing is written."""
    store = MemoryPersistence()
    flow = await register(store)
    (run,) = await start(store, flow)
    missing = Changes(runs=(start_of(run), start_of("no-such-run")))

    async def swallow() -> None:
        async with store.transaction() as transaction:
            with pytest.raises(CorruptionError):
                await transaction.apply(missing)
            with pytest.raises(CorruptionError):
                await transaction.load(load_request(run))

    with pytest.raises(CorruptionError, match="no-such-run"):
        await swallow()

    found = await store.read_run(run)
    assert found is not None
    assert found.status == RunStatus.PENDING


async def test_a_failed_statement_gives_up_its_locks_at_once() -> None:
    """As in a database, others do not wait until the block has ended."""
    store = MemoryPersistence()
    flow = await register(store)
    (run,) = await start(store, flow)

    async def fail_and_look() -> None:
        async with store.transaction() as transaction:
            await transaction.load(load_request(run))
            with pytest.raises(CorruptionError):
                await transaction.apply(Changes(runs=(start_of("no-such-run"),)))
            async with store.transaction() as other:
                found.update((await other.load(load_request(run))).runs)

    found: dict[str, object] = {}
    with pytest.raises(CorruptionError):
        await fail_and_look()

    assert list(found) == [run]


async def test_nothing_is_accepted_after_the_end() -> None:
    """A transaction that was kept beyond its block refuses to work."""
    store = MemoryPersistence()
    async with store.transaction() as transaction:
        pass

    with pytest.raises(RuntimeError, match="has ended"):
        await transaction.load(load_request())


async def test_changes_are_applied_once() -> None:
    """A second `apply` is a mistake of the caller and undoes the transaction."""
    store = MemoryPersistence()
    flow = await register(store)
    (run,) = await start(store, flow)

    async def apply_twice() -> None:
        async with store.transaction() as transaction:
            await transaction.apply(Changes(runs=(start_of(run),)))
            await transaction.apply(Changes())

    with pytest.raises(RuntimeError, match="at most once"):
        await apply_twice()

    found = await store.read_run(run)
    assert found is not None
    assert found.status == RunStatus.PENDING


async def test_two_inserts_of_one_key_meet_before_the_commit() -> None:
    """The second insert waits for the first transaction's end, and is refused if that one committed."""
    tables = Store()
    store = MemoryPersistence(tables)
    flow = await register(store)
    (run,) = await start(store, flow)
    step = Changes(new_steps=(step_write(run),))

    async def insert() -> None:
        async with store.transaction() as transaction:
            await transaction.apply(step)

    async with store.transaction() as first:
        await first.apply(step)
        second = asyncio.create_task(insert())
        await until_it_waits(tables, second)
    await soon(second)

    with pytest.raises(CorruptionError, match="exists already"):
        second.result()


async def test_the_second_insert_succeeds_where_the_first_rolled_back() -> None:
    """What never committed takes no key."""
    tables = Store()
    store = MemoryPersistence(tables)
    flow = await register(store)
    (run,) = await start(store, flow)
    changes = Changes(new_steps=(step_write(run),), new_tasks=(new_tasks(flow, run, count=3),))

    async def insert() -> None:
        async with store.transaction() as transaction:
            await transaction.apply(changes)

    async def give_up() -> None:
        async with store.transaction() as first:
            await first.apply(changes)
            waiting.append(asyncio.create_task(insert()))
            await until_it_waits(tables, waiting[0])
            raise Abandoned

    waiting: list[asyncio.Task[None]] = []
    with pytest.raises(Abandoned):
        await give_up()
    await soon(waiting[0])

    waiting[0].result()
    assert len(await store.read_tasks(run)) == 3


async def test_a_broken_connection_rolls_back_and_wakes_whoever_waited_on_it() -> None:
    """`disconnect` is the death of one process: its locks are free at once, its statements get `Unavailable`."""
    tables = Store()
    ours, theirs = MemoryPersistence(tables), MemoryPersistence(tables)
    flow = await register(ours)
    runs = await start(ours, flow, 1, 2)

    async def wait_for_first_run() -> None:
        async with theirs.transaction() as transaction:
            await transaction.claim_runs(run_claim(flow, only=[runs[1]]))
            await transaction.load(load_request(runs[0], wait=True))

    async with ours.transaction() as holder:
        await holder.load(load_request(runs[0]))
        waiting = asyncio.create_task(wait_for_first_run())
        await until_it_waits(tables, waiting)
        theirs.disconnect()
        await soon(waiting)
        free = await holder.load(load_request(runs[1]))

    with pytest.raises(Unavailable):
        waiting.result()
    assert runs[1] in free.runs
    async with theirs.transaction() as again:
        assert set((await again.load(load_request(*runs))).runs) == set(runs)


@pytest.mark.fault(21)
async def test_a_broken_connection_does_not_commit() -> None:
    """A block that ends normally after its connection broke raises, and its writes are gone."""
    store = MemoryPersistence()
    flow = await register(store)
    (run,) = await start(store, flow)

    async def lose_connection() -> None:
        async with store.transaction() as transaction:
            await transaction.apply(Changes(runs=(start_of(run),)))
            store.disconnect()

    with pytest.raises(Unavailable):
        await lose_connection()

    found = await store.read_run(run)
    assert found is not None
    assert found.status == RunStatus.PENDING


@pytest.mark.fault(27)
async def test_a_dropped_coroutine_leaves_no_lock() -> None:
    """A transaction whose coroutine is thrown away while suspended rolls back with it."""
    store = MemoryPersistence()
    flow = await register(store)
    (run,) = await start(store, flow)

    async def hold() -> None:
        async with store.transaction() as transaction:
            await transaction.load(load_request(run))
            await asyncio.get_running_loop().create_future()

    held = hold()
    held.send(None)
    del held
    gc.collect()

    async with store.transaction() as transaction:
        assert run in (await transaction.load(load_request(run))).runs


async def test_runs_of_a_claim_that_rolled_back_can_be_claimed_again() -> None:
    """In the same order as before."""
    store = MemoryPersistence()
    flow = await register(store)
    runs = await start(store, flow, 1, 2, 3)

    async def claim_and_give_up() -> None:
        async with store.transaction() as transaction:
            await transaction.claim_runs(run_claim(flow, limit=2))
            raise Abandoned

    with pytest.raises(Abandoned):
        await claim_and_give_up()

    async with store.transaction() as transaction:
        assert [run.id for run in await transaction.claim_runs(run_claim(flow))] == runs


async def test_a_lock_timeout_is_the_stores_own() -> None:
    """It is set per store and ends in `Contention`, after which the lock's owner is not disturbed."""
    tables = Store()
    store = MemoryPersistence(tables, lock_timeout_s=0.001)
    flow = await register(store)
    (run,) = await start(store, flow)

    async with store.transaction() as holder:
        await holder.load(load_request(run))
        with pytest.raises(Contention, match=r"waited 0\.001 s"):
            await look(store, run)
        await holder.apply(Changes(runs=(start_of(run),)))

    assert (tables.locks.waiting, tables.locks.held) == (0, 0)


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "é\0"])
async def test_a_key_that_is_no_text_for_a_database_is_refused(key: str) -> None:
    """NUL and lone surrogates; nothing of the batch is inserted."""
    store = MemoryPersistence()
    flow = await register(store)

    with pytest.raises(UnstorableValue, match="an idempotency key cannot be stored"):
        await store.insert_runs([new_run(flow, 1), new_run(flow, 2, key=key)])

    assert await store.read_run(run_id(1)) is None


REFUSED: list[tuple[Callable[[ClaimedTask], Changes], str]] = [
    (lambda task: Changes(events=(events(task.key.run_id, 2),)), "event 2 of run .* is written already"),
    (lambda task: Changes(events=(events(task.key.run_id, 9),) * 2), "event 9 of run .* is written already"),
    (lambda task: Changes(attempts=(attempt(task),) * 2), "token 1 of task .* is recorded already"),
    (lambda task: Changes(new_steps=(step_write("no-such-run"),)), "no-such-run does not exist"),
    (lambda task: Changes(tasks=(completed(replace(task, token=2)),)), "under token 2 and is running under token 1"),
]


@pytest.mark.parametrize(("change", "problem"), REFUSED, ids=[problem for _, problem in REFUSED])
async def test_what_cannot_be_written_says_why(change: Callable[[ClaimedTask], Changes], problem: str) -> None:
    """Each guard that refuses names the row, what was expected and what was found; nothing is written."""
    store = MemoryPersistence()
    flow = await register(store)
    await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    before = store.snapshot()

    with pytest.raises(CorruptionError, match=problem):
        await apply(store, task.key.run_id, change(task))

    assert store.snapshot() == before


async def test_locks_taken_in_any_order_never_get_stuck() -> None:
    """Twelve transactions lock three runs each, in an order of their own: all end, and nothing is left."""
    tables = Store()
    store = MemoryPersistence(tables)
    runs = await start(store, await register(store), *range(1, 9))
    orders = random.Random(7)
    refused = 0

    async def lock_all(names: list[str]) -> None:
        nonlocal refused
        while True:
            try:
                async with store.transaction() as transaction:
                    for name in names:
                        await transaction.load(load_request(name, wait=True))
                        await asyncio.sleep(0)
                return
            except Contention:
                refused += 1
                for _ in range(orders.randrange(20)):
                    await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(lock_all(orders.sample(runs, 3)))

    assert refused > 0
    assert (tables.locks.waiting, tables.locks.held) == (0, 0)
