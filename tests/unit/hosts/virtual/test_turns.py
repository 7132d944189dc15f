"""Plain handlers in virtual time: one at a time, in the same order, waiting for the loop where they must."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

from fairlead.adapters.calling import PatientCaller
from fairlead.adapters.memory import MemoryBlobs, MemoryPersistence, MemoryScheduler, MemoryWakeups, SequentialIds
from fairlead.adapters.system import new_secret
from fairlead.hosts.node import NodeHost
from fairlead.hosts.virtual import LoopClock, Process, TurnThreads, run_virtually
from fairlead.kernel import Context, Flow, Kernel
from fairlead.ports import Ports


def _flow(seen: list[str]) -> Flow[int]:
    flow = Flow("turns", version=1, input=int)

    @flow.step
    def numbers(input: int) -> list[int]:
        return list(range(input))

    @flow.map(over=numbers)
    def each(item: int, ctx: Context) -> int:
        seen.append(f"{item} begins")
        assert threading.current_thread() is not threading.main_thread()
        ctx.wait_for(asyncio.sleep(10 - item))
        seen.append(f"{item} ends")
        return item

    @flow.step
    def total(each: Iterable[int]) -> int:
        return sum(each)

    return flow


def _course() -> tuple[list[str], object, float]:
    seen: list[str] = []

    async def main() -> tuple[object, float]:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop)
        store = MemoryPersistence()
        ids = SequentialIds()
        ports = Ports(
            persistence=store,
            transport=MemoryWakeups(clock),
            blobs=MemoryBlobs(clock),
            scheduler=MemoryScheduler(),
            clock=clock,
            new_id=ids,
            new_secret=new_secret,
            new_caller=PatientCaller,
        )
        flow = _flow(seen)
        async with (
            Kernel(flows=[flow], ports=ports) as kernel,
            NodeHost(kernel, worker="w", heartbeats="loop", new_threads=TurnThreads),
        ):
            run = await kernel.start(flow, 3)
            await run.wait(timeout=60)
            return await run.result(), loop.time()

    result, time_s = run_virtually(main())
    return seen, result, time_s


def test_threads_take_turns_with_the_loop() -> None:
    """Handlers that wait for the loop overlap in virtual time, in one order, and streams reach plain handlers."""
    seen, result, time_s = _course()

    assert seen == ["0 begins", "1 begins", "2 begins", "2 ends", "1 ends", "0 ends"]
    assert result == {"total": 3}
    assert 10 <= time_s < 12
    assert _course() == (seen, result, time_s)


def test_a_host_that_ends_frees_the_threads_that_wait() -> None:
    """Closing ends a handler that waits for the loop; no thread is left."""
    before = threading.active_count()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        threads = TurnThreads("test")

        def work() -> None:
            never = asyncio.run_coroutine_threadsafe(asyncio.sleep(1e6), loop)
            threads.wait_for(never)

        threads.submit(work)
        await asyncio.sleep(1)
        threads.close()

    run_virtually(main())

    assert threading.active_count() == before


def test_the_killed_begin_no_thread() -> None:
    """Where one handler's end kills the process, the next ones of the same callback are not called."""
    called: list[str] = []

    async def main() -> None:
        process = Process("doomed")
        threads = TurnThreads("handlers")

        def first() -> None:
            called.append("first")
            process.kill()

        async def work() -> None:
            threads.submit(first)
            threads.submit(lambda: called.append("second"))

        process.start(work())
        await asyncio.sleep(1)
        threads.close()

    run_virtually(main())

    assert called == ["first"]
