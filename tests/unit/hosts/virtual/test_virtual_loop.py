"""Virtual time: what waits for nobody takes no time, and what could never go on is said so."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest

from fairlead.hosts.virtual import Deadlock, Livelock, LoopClock, Process, VirtualLoop, place_of, run_virtually


def test_a_day_takes_no_real_time() -> None:
    """Sleeps, timeouts and timers go by the virtual clock."""

    async def day() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        timed_out = False
        try:
            async with asyncio.timeout(3600):
                await asyncio.sleep(7200)
        except TimeoutError:
            timed_out = True
        await asyncio.sleep(23 * 3600)
        return loop.time() - began_s, timed_out

    began_s = time.monotonic()
    passed_s, timed_out = run_virtually(day())

    assert (passed_s, timed_out) == (24 * 3600, True)
    assert time.monotonic() - began_s < 5


def test_who_waits_for_ever_is_named() -> None:
    """Where nothing is left to happen the loop says who waits, and where."""

    async def waits() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"Event\.wait|waits"):
        run_virtually(waits())


def test_who_goes_on_for_ever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that never waits for time would keep the world at one moment; it is ended, and its code named."""
    monkeypatch.setattr("fairlead.hosts.virtual.loop.LIVELOCK_CALLBACKS", 1_000)

    async def spins() -> None:
        while True:
            await _at_once()

    async def main() -> None:
        for _ in range(3_000):  # many callbacks are no harm where the time passes
            await asyncio.sleep(1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(10))
            tasks.create_task(spins())

    with pytest.raises(Livelock, match=r"1,000 callbacks .* Busy: .*_at_once") as raised:
        run_virtually(main())
    assert len(raised.value.busy) == 1


async def _at_once() -> None:
    await asyncio.sleep(0)


def _course(seed: int | None, *, processes: int = 4) -> list[str]:
    """Who came by in which order."""
    seen: list[str] = []

    async def passes(name: str) -> None:
        for number in range(5):
            seen.append(f"{name}{number}")
            await asyncio.sleep(0)

    async def main() -> None:
        tasks = [Process(name).start(passes(name)) for name in "abcdefgh"[:processes]]
        for task in tasks:
            await task

    run_virtually(main(), random=None if seed is None else Random(seed))
    return seen


def test_chance_decides_between_processes_and_never_within_one() -> None:
    """One seed has one course, other seeds have others, and each process keeps its own order in all of them."""
    courses = [_course(seed) for seed in range(5)]

    assert courses == [_course(seed) for seed in range(5)]
    assert len({tuple(course) for course in courses}) == 5
    for course in courses:
        assert [name for name in course if name[0] == "a"] == ["a0", "a1", "a2", "a3", "a4"]
    assert _course(None)[:4] == ["a0", "b0", "c0", "d0"]


def test_the_killed_run_nothing_more() -> None:
    """Not even `finally`, and nothing that they had begun; others go on."""
    seen: list[str] = []

    async def child() -> None:
        await asyncio.sleep(2)
        seen.append("child")

    async def work() -> None:
        begun = asyncio.create_task(child())
        try:
            await asyncio.sleep(5)
            await begun
        finally:
            seen.append("finally")

    async def main() -> None:
        process = Process("doomed")
        process.start(work())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(10)
        seen.append("main")

    run_virtually(main())

    assert seen == ["main"]


def test_the_paused_go_on_where_they_were() -> None:
    """Time passes for the others; timers that came meanwhile run when the process goes on."""
    seen: list[tuple[str, float]] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(("work", loop.time()))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        process = Process("paused")
        task = process.start(work())
        await asyncio.sleep(1.5)
        process.paused = True
        await asyncio.sleep(100)
        seen.append(("main", loop.time()))
        loop.resume(process)
        await task

    run_virtually(main())

    assert seen == [("work", 1.0), ("main", 101.5), ("work", 101.5), ("work", 102.5)]


def test_a_clock_shows_the_loops_time() -> None:
    """Wall time and monotonic time agree, but for the clock's own offset."""
    loop = VirtualLoop()
    clock = LoopClock(loop)
    before = clock.now()

    loop.run_until_complete(clock.sleep(90))
    loop.end()

    assert ((clock.now() - before).total_seconds(), clock.monotonic()) == (90, 90)


def test_there_is_no_network() -> None:
    """What reaches for the world is told what to do instead."""

    async def connects() -> None:
        with pytest.raises(RuntimeError, match="resource that the test controls"):
            await asyncio.open_connection("localhost", 1)
        with pytest.raises(RuntimeError, match="a process was to be started"):
            await asyncio.create_subprocess_exec("true")

    run_virtually(connects())


def test_what_asyncio_offers_works() -> None:
    """Task groups, queues, threads of the executor, dropped generators, errors."""
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(1)
            closed.append("numbers")

    async def main() -> int:
        queue: asyncio.Queue[int] = asyncio.Queue()

        async def put() -> None:
            async for number in numbers():
                if number == 3:
                    break
                await queue.put(await asyncio.to_thread(int.__mul__, number, 2))

        async with asyncio.TaskGroup() as group:
            group.create_task(put())
        await asyncio.sleep(2)
        with suppress(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return sum(queue.get_nowait() for _ in range(3))

    assert run_virtually(main()) == 6
    assert closed == ["numbers"]


def test_who_drives_the_loop_decides_when_time_passes() -> None:
    """What is ready runs at its time; a jump makes all that was due meanwhile due at once, each timer once."""
    loop = VirtualLoop()
    seen: list[tuple[str, float]] = []

    async def ticks(name: str, pause_s: float) -> None:
        while True:
            seen.append((name, loop.time()))
            await asyncio.sleep(pause_s)

    tasks = [loop.create_task(ticks("often", 1)), loop.create_task(ticks("seldom", 60))]

    assert loop.run_ready(100)
    assert (seen, loop.next_timer_s) == ([("often", 0.0), ("seldom", 0.0)], 1.0)
    loop.jump(3600)
    assert loop.run_ready(100)
    assert seen[2:] == [("often", 3600.0), ("seldom", 3600.0)]
    assert loop.waits_for_time()
    assert not loop.waits_for_time(Process("another"))
    for task in tasks:
        task.cancel()
    assert loop.run_ready(100)
    assert (loop.next_timer_s, loop.waits_for_time()) == (None, False)
    loop.end()


def test_what_never_waits_is_left_after_so_many_callbacks() -> None:
    """Code that always goes on does not keep who drives the loop from looking at the clock."""
    loop = VirtualLoop()
    turns: list[int] = []

    async def spins() -> None:
        while True:
            turns.append(len(turns))
            await asyncio.sleep(0)

    task = loop.create_task(spins())

    assert not loop.run_ready(1000)
    assert (len(turns), task.done()) == (1000, False)
    loop.end()


def test_a_task_tells_where_it_waits() -> None:
    """In the code of whoever wrote it, however deep below it asyncio waits."""

    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    loop = VirtualLoop()
    task, ours = loop.create_task(outer()), loop.create_task(asyncio.sleep(1))
    loop.run_ready(100)

    assert re.match(
        r".*inner, .*test_virtual_loop\.py, line \d+: await asyncio\.Event\(\)\.wait\(\)$", place_of(task) or ""
    )
    assert place_of(ours) is None
    loop.end()


@pytest.mark.filterwarnings("error")
def test_what_the_killed_left_is_taken_apart_without_a_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that wait, with a timeout, within others: all of them end, and nothing is left to the interpreter."""
    seen: list[str] = []
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    async def say_goodbye() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)

    async def inner() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            goodbye = say_goodbye()  # as an argument is: it is there before anybody waits for it
            async with asyncio.timeout(5):
                await goodbye

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        try:
            yield
        except BaseException as error:
            seen.append(f"inner {type(error).__name__}")
            kept.append(error)  # whose frames refer to it: a circle
            raise
        finally:
            await asyncio.sleep(1)

    async def outer() -> None:
        kept.clear()
        async with opened(), asyncio.TaskGroup() as tasks:
            tasks.create_task(inner())
            await inner()

    kept: list[BaseException] = []
    loop = VirtualLoop()
    process = Process("doomed")

    async def main() -> None:
        process.start(outer())
        await asyncio.sleep(1)
        process.kill()

    loop.run_until_complete(main())
    loop.end()
    assert seen == []
    loop.bury()
    kept.clear()
    gc.collect()

    assert len(seen) == 1
    assert told == []
