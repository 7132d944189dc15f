"""One store, several event loops: one after the other, and at once in several threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from fairlead.adapters.memory import ManualClock, MemoryPersistence, MemoryTransport, MemoryWakeups
from fairlead.adapters.memory.store import Store
from fairlead.ports.changes import Changes
from fairlead.ports.records import Lease, TaskKey
from fairlead.ports.transport import Job, JobTransport
from tests.support.records import at, load_request, run_update, task_claim
from tests.support.scenes import register, run_with_tasks, start

PATIENCE_S = 20.0


def somebody_waits(tables: Store) -> bool:
    """Whether a transaction, of whichever thread, waits for a lock."""
    with tables.mutex:
        return tables.locks.waiting > 0


def test_a_store_outlives_its_event_loops() -> None:
    """Nothing of the first loop is needed by the second."""
    store = MemoryPersistence()

    async def begin() -> str:
        (run,) = await start(store, await register(store))
        return run

    async def go_on(run: str) -> list[str]:
        async with store.transaction() as transaction:
            return list((await transaction.load(load_request(run, wait=True))).runs)

    run = asyncio.run(begin())

    assert asyncio.run(go_on(run)) == [run]


def test_a_lock_is_handed_to_a_waiter_in_another_threads_loop() -> None:
    """The waiter wakes in its own loop and sees what the holder committed."""
    tables = Store()
    store = MemoryPersistence(tables)
    seen: list[int] = []

    async def wait_for(run: str) -> None:
        async with store.dedicated() as other, other.transaction() as transaction:
            snapshot = await transaction.load(load_request(run, wait=True))
            seen.append(snapshot.runs[run].remaining_steps)

    async def hold() -> None:
        (run,) = await start(store, await register(store))
        async with store.transaction() as transaction:
            await transaction.load(load_request(run))
            thread = threading.Thread(target=lambda: asyncio.run(wait_for(run)))
            thread.start()
            while not somebody_waits(tables):
                assert thread.is_alive()
            await transaction.apply(Changes(runs=(run_update(run, remaining_steps=5),)))
        await asyncio.get_running_loop().run_in_executor(None, thread.join, PATIENCE_S)

    asyncio.run(hold())

    assert seen == [5]


def test_a_heartbeat_works_while_the_main_loop_stands_still() -> None:
    """A handle in another thread extends leases although the first loop is blocked, in a transaction even."""
    store = MemoryPersistence()

    async def beat(lease: Lease) -> bool:
        async with store.dedicated() as handle:
            return lease in (await handle.extend_leases([lease], at(90))).extended

    async def block() -> bool:
        flow = await register(store)
        run = await run_with_tasks(store, flow, worker="me", lease_until=at(30))
        with ThreadPoolExecutor(1) as pool:
            async with store.transaction() as transaction:
                await transaction.load(load_request(run))
                return pool.submit(lambda: asyncio.run(beat(Lease(TaskKey(run, "pack", 1, 0), 1)))).result(PATIENCE_S)

    assert asyncio.run(block())


def test_threads_never_claim_one_task_twice() -> None:
    """Four loops claim from one store at once; each task has one owner and nothing is left."""
    store = MemoryPersistence()
    tasks = 2_000
    flow = asyncio.run(register(store))
    asyncio.run(run_with_tasks(store, flow, steps={"pack": tasks}))
    together = threading.Barrier(4)

    async def claim(worker: str) -> list[TaskKey]:
        mine: list[TaskKey] = []
        while claimed := await store.claim_tasks(task_claim(flow, limit=7, worker=worker)):
            mine.extend(task.key for task in claimed)
        return mine

    def work(number: int) -> list[TaskKey]:
        together.wait(PATIENCE_S)
        return asyncio.run(claim(f"worker-{number}"))

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(work, range(4)))

    claimed = [key for share in shares for key in share]
    assert len(claimed) == len(set(claimed)) == tasks


def _wakes_across_threads(transport: JobTransport) -> int:
    """Whether waiting in one thread ends by an `enqueue` in another; how much it got."""
    waiting = threading.Event()

    async def wait() -> int:
        asyncio.get_running_loop().call_soon(waiting.set)
        if transport.delivers:
            return len(await transport.dequeue(queues=["default"], limit=1, wait_s=3600))
        return len(await transport.listen(queues=["default"], wait_s=3600))

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(lambda: asyncio.run(wait()))
        assert waiting.wait(PATIENCE_S)
        asyncio.run(transport.enqueue([Job(run_id="run", queue="")]))
        return result.result(PATIENCE_S)


def test_hints_reach_other_threads() -> None:
    """A host in another thread wakes without its time being over."""
    assert _wakes_across_threads(MemoryWakeups(ManualClock())) == 1


def test_messages_reach_other_threads() -> None:
    """A message is delivered to a loop that was waiting in another thread."""
    assert _wakes_across_threads(MemoryTransport(ManualClock())) == 1


def test_a_clock_wakes_sleepers_of_other_threads() -> None:
    """Advancing from outside every loop ends the sleep of a loop in a thread."""
    clock = ManualClock()

    with ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(lambda: asyncio.run(clock.sleep(60)))
        while not clock.sleeping:
            assert not sleeping.done()
        clock.advance(60)
        sleeping.result(PATIENCE_S)

    assert clock.sleeping == 0
