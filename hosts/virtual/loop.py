"""The event loop: ready lists of processes, a heap of timers, and a clock that jumps."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import logging
import sys
import threading
import warnings
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast
from weakref import WeakKeyDictionary

from .errors import Deadlock, Livelock
from .housekeeping import Housekeeping
from .places import place_of
from .process import Process, current_process

logger = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


CANCELLED_MAX = 100
"""Cancelled timers that are kept until their time comes, however few others there are."""


CLOSE_TRIES_MAX = 100
"""Nested `finally` blocks of one coroutine that may wait for something when they should end."""


LIVELOCK_CALLBACKS = 5_000_000
"""Callbacks that may run while no time passes: more than any work needs that comes to an end."""

LOOKED_AT = 100
"""Callbacks after which it is known who runs all the time."""


class _Buried(BaseException):
    """Ends what the killed have left. A `BaseException`, since nobody is to catch it and go on."""


class VirtualLoop(Housekeeping):
    """An event loop in virtual time.

    Args:
        random: decides which process goes on; None for the order in which they became ready.
    """

    def __init__(self, random: Random | None = None) -> None:
        super().__init__()
        self._random = random
        self._now_s = 0.0
        self._main = Process("main")
        """Of all that belongs to no other."""
        self._processes: dict[Process, None] = {}
        """All that ever began a task."""
        self._ready: list[Process] = []
        """Processes that can go on, each once."""
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Process]] = []
        self._cancelled = 0
        """About how many of them were cancelled."""
        self._numbers = itertools.count()
        self._outside: deque[tuple[asyncio.Handle, Process]] = deque()
        """What other threads have handed in."""
        self._stopping = False
        self._buried = False
        """Whether what is still begun comes to nothing, and nobody is told."""
        self._closed = False
        self._thread: int | None = None
        self._generators: WeakKeyDictionary[AsyncGenerator[Any, Any], Process] = WeakKeyDictionary()
        """Those that have begun, with whose they are."""

    # Time

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call after everything of the same process that is ready."""
        self._check_open()
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(handle, current_process(context) or self._main)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call after `delay` virtual seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call at a virtual time."""
        self._check_open()
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle, current_process(context) or self._main))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Forget cancelled timers before they outnumber the others: few of a host's timeouts ever come."""
        self._cancelled += 1
        if self._cancelled > CANCELLED_MAX and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call soon, from any thread."""
        self._check_open()
        handle = asyncio.Handle(callback, args, self, context)
        self._outside.append((handle, current_process(context) or self._main))
        return handle

    def resume(self, process: Process) -> None:
        """Let a process that stands still go on."""
        process.paused = False
        if process.alive and process.ready and process not in self._ready:
            self._ready.append(process)

    def _enqueue(self, handle: asyncio.Handle, process: Process) -> None:
        if self._buried:
            return
        if process.alive and not process.ready and not process.paused:
            self._ready.append(process)
        process.ready.append(handle)

    # Running

    def run_forever(self) -> None:
        """Run until stopped.

        Raises:
            Deadlock: nobody can ever go on.
            Livelock: somebody goes on for ever without any time passing.
        """
        with self._running():
            at_s, left = self._now_s, LIVELOCK_CALLBACKS
            while not self._stopping:
                self._run_next()
                if self._now_s != at_s:
                    at_s, left = self._now_s, LIVELOCK_CALLBACKS
                left -= 1
                if not left:
                    raise Livelock(LIVELOCK_CALLBACKS, self._busy())

    def run_ready(self, most: int) -> bool:
        """Run what can go on without any time passing.

        Args:
            most: how many callbacks at most, since code that never waits never ends.

        Returns:
            Whether nothing is left that could go on at this time.
        """
        with self._running():
            for _ in range(most):
                if not self._ready and not self._outside:
                    self._wake_due()
                    if not self._ready:
                        return True
                self._run_next()
        return False

    @contextmanager
    def _running(self) -> Generator[None]:
        """This thread runs the loop."""
        self._check_open()
        if self._thread is not None:
            raise RuntimeError("this event loop is already running")
        hooks = sys.get_asyncgen_hooks()
        self._thread = threading.get_ident()
        self._stopping = False
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=self._remember, finalizer=self._finalize)
        try:
            yield
        finally:
            self._thread = None
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until a future is done, and return its result.

        Raises:
            Deadlock: it never will be.
        """
        self._check_open()
        work = asyncio.ensure_future(cast("Awaitable[T]", future), loop=self)

        def stop(_: object) -> None:
            self.stop()

        work.add_done_callback(stop)
        try:
            self.run_forever()
        finally:
            work.remove_done_callback(stop)
        return work.result()

    def _run_next(self) -> None:
        """Run one callback, of some process; with none ready, let the time pass."""
        if self._outside:
            self._let_in()
        ready = self._ready
        if not ready:
            self._pass_time()
            return
        place = 0 if self._random is None or len(ready) == 1 else self._random.randrange(len(ready))
        process = ready[place]
        if process.paused or not process.alive:
            del ready[place]
            return
        handle = process.ready.popleft()
        if not process.ready:
            del ready[place]
        elif self._random is None:
            ready.append(ready.pop(0))
        if not handle.cancelled():
            handle._run()

    def _let_in(self) -> None:
        """Take over what threads have handed in."""
        while self._outside:
            self._enqueue(*self._outside.popleft())

    def _pass_time(self) -> None:
        """Jump to the next timer, and make ready what is due then."""
        next_s = self.next_timer_s
        if next_s is None:
            raise self.deadlock()
        self.jump(next_s)
        self._wake_due()

    @property
    def next_timer_s(self) -> float | None:
        """When the next timer is due, in seconds of this loop; None where there is none."""
        timers = self._timers
        while timers and (timers[0][2].cancelled() or not timers[0][3].alive):
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def waits_for_time(self, process: Process | None = None) -> bool:
        """Whether a process, or what belongs to none, has a timer."""
        process = process or self._main
        return any(owner is process and not handle.cancelled() for _, _, handle, owner in self._timers)

    def jump(self, to_s: float) -> None:
        """Let it be a later time at once. Timers of the time between run then, each late and once."""
        self._now_s = max(self._now_s, to_s)

    def deadlock(self) -> Deadlock:
        """What is raised where everybody waits and no timer will wake anyone."""
        return Deadlock([_described(task) for task in self.living_tasks()])

    def _busy(self) -> list[str]:
        """Who runs most of what runs now."""
        turns = Counter[asyncio.Task[Any]]()
        for _ in range(LOOKED_AT):
            turns.update(task for task in self.living_tasks() if getattr(task, "_fut_waiter", None) is None)
            self._run_next()
        return [_described(task) for task, _ in turns.most_common(3)]

    def _wake_due(self) -> None:
        """Make ready what is due by now."""
        timers = self._timers
        while timers and timers[0][0] <= self._now_s:
            _, _, handle, process = heapq.heappop(timers)
            if not handle.cancelled():
                self._enqueue(handle, process)

    def stop(self) -> None:
        """End `run_forever` after the callback that runs."""
        self._stopping = True

    def is_running(self) -> bool:
        """Whether it runs."""
        return self._thread is not None

    def is_closed(self) -> bool:
        """Whether it can never run again."""
        return self._closed

    def bury(self) -> None:
        """Take apart what the killed have left, before the interpreter does it somewhere else.

        A coroutine that is dropped unfinished is closed, which runs its `finally` blocks. Here that comes when nobody
        looks any more, and whatever it tries to begin comes to nothing. Each is ended as its own task, as it ran:
        a block that finds itself outside of all tasks cannot even begin what it is about to wait for.
        """
        self._buried = True
        asyncio._set_running_loop(self)
        hook, sys.unraisablehook = sys.unraisablehook, _ignore
        try:
            with warnings.catch_warnings(action="ignore"):
                for process in self._processes:
                    for task in process.tasks:
                        self._close(task)
                    process.tasks.clear()
                    process.ready.clear()
                self._outside.clear()
        finally:
            sys.unraisablehook = hook
            asyncio._set_running_loop(None)

    def _close(self, task: asyncio.Task[Any]) -> None:
        """End the coroutine of a task; it may wait in its `finally` blocks, and each of them is one more try.

        What is thrown reaches the innermost coroutine and goes out from there. `close` would end the outer ones around
        an inner one that still waits, and leave that to the interpreter.
        """
        coroutine: Any = task.get_coro()
        asyncio._enter_task(self, task)
        try:
            with suppress(BaseException):  # it ends however it ends
                for _ in range(CLOSE_TRIES_MAX):
                    coroutine.throw(_Buried)
                coroutine.close()
        finally:
            asyncio._leave_task(self, task)

    def living_tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, those of the killed apart, in order of their names."""
        dead = {task for process in self._processes if not process.alive for task in process.tasks}
        return sorted(asyncio.all_tasks(self) - dead, key=lambda task: task.get_name())

    def end(self) -> None:
        """Cancel whatever is alive, let it end, and close."""
        try:
            for task in self.living_tasks():
                task.cancel()
            with suppress(Deadlock):
                while living := self.living_tasks():
                    self.run_until_complete(asyncio.wait(living))
                self.run_until_complete(self.shutdown_asyncgens())
        finally:
            self.close()

    def close(self) -> None:
        """Never run again. What was not ended is dropped, and none of its code runs."""
        if self.is_running():
            raise RuntimeError("a running event loop cannot be closed")
        self._closed = True
        self._timers.clear()
        self._ready.clear()

    def _check_open(self) -> None:
        if self._closed and not self._buried:
            raise RuntimeError("Event loop is closed")

    # Tasks and futures

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        """A task of this loop, in the process of its context."""
        factory = self.get_task_factory()
        if factory is not None:
            task: asyncio.Task[Any] = factory(self, coro)
        else:
            task = asyncio.Task(coro, loop=self, name=name, context=context)
        if self._buried:
            coro.close()
        process = current_process(context) or self._main
        self._processes[process] = None
        process.remember(task)
        return task

    def _remember(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators[generator] = current_process() or self._main

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        """A generator was dropped unfinished: end it in the loop, as asyncio does."""
        self._generators.pop(generator, None)
        if not self._closed:
            self.call_soon_threadsafe(self.create_task, generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """End all async generators, those of the killed apart."""
        for generator in [each for each, process in self._generators.items() if process.alive]:
            with suppress(RuntimeError):
                await generator.aclose()


def _ignore(_: object) -> None:
    """Tell nobody."""


def _described(task: asyncio.Task[Any]) -> str:
    """A task, and where it waits."""
    place = place_of(task)
    return task.get_name() if place is None else f"{task.get_name()} in {place}"


def run_virtually(main: Coroutine[Any, Any, T], *, random: Random | None = None) -> T:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualLoop(random)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.end()
