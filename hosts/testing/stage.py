"""The thread in which a test's world lives, and the real time that a call of it may take.

An event loop may be running in the test's own thread already, as in async tests, so the world has a thread of its own
in every case; and who waits for it can stop waiting, whatever hangs there. The thread goes on with work only while a
test waits for it, so a test and its handlers never run at a time.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from .errors import Blocking, FlowTestInUse, FlowTestOver, RealTimeLimit
from .standing import Standing, standings

__tracebackhide__ = True

T = TypeVar("T")

GRACE_S = 0.5
"""How much later than the world itself the one who waits for it gives up: the world knows better what goes on."""

LOOK_S = 1.0
"""How often who waits looks, in real seconds, whether a handler has not moved since the last time."""

DEBUGGERS = ("pdb", "bdb", "pydevd", "_pydevd_bundle.pydevd")
"""Modules whose code runs while somebody debugs, who may take all the time in the world."""


class _Work(Generic[T]):
    """Something to do on the stage."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.context = contextvars.copy_context()
        self.over = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def carry_out(self) -> None:
        try:
            self.result = self.context.run(self.call)
        except BaseException as error:
            self.error = error
        self.over.set()


class Stage:
    """One thread that does what it is told, while the one who tells it waits.

    Args:
        limit_s: how long one call may take, in real seconds.
        beside: how the names of threads begin that work for it; None for those that begin as its own.
    """

    def __init__(self, limit_s: float, *, beside: str | None = None) -> None:
        self.limit_s = limit_s
        self.lost = False
        """Whether the thread hangs: nothing can be done on it any more."""
        self.when_back: Callable[[], object] = lambda: None
        """Called on the thread when it is lost and comes back after all, before it ends."""
        self._began_s = 0.0
        self._busy = threading.Lock()
        self._work: queue.SimpleQueue[_Work[object] | None] = queue.SimpleQueue()
        self.name = f"flow-test-{id(self):x}"
        """How the names of all its threads begin."""
        self._names = (self.name,) if beside is None else (self.name, beside)
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    @property
    def late(self) -> bool:
        """Whether the call under way has taken too long; the time of a debugger does not count."""
        return time.monotonic() - self._began_s > self.limit_s and not self._debugged()

    def perform(self, call: Callable[[], T]) -> T:
        """Let the thread make a call, and wait for it.

        Raises:
            FlowTestInUse: another call is under way.
            FlowTestOver: an earlier call hangs.
            RealTimeLimit: it takes too long; the thread is lost then.
        """
        if self.lost:
            raise FlowTestOver("a call before this one hangs, and its world with it")
        if not self._busy.acquire(blocking=False):
            raise FlowTestInUse
        self._began_s = time.monotonic()
        work = _Work(call)
        self._work.put(cast("_Work[object]", work))
        blocking: list[Standing] = []
        try:
            self._wait(work, blocking)
        except BaseException:  # whoever waited was interrupted, if it is not the limit
            self.lost = True
            self._work.put(None)
            raise
        finally:
            self._busy.release()
        for each in blocking:
            warnings.warn(
                f"{each}: it takes seconds of real time, and virtual time stands still meanwhile. Sleep with `await "
                "asyncio.sleep(…)`, and stub what waits for the world outside, or give it a resource that does not",
                Blocking,
                stacklevel=4,
            )
        if work.error is not None:
            raise work.error
        return cast("T", work.result)

    def _wait(self, work: _Work[T], blocking: list[Standing]) -> None:
        """Wait until something is done, and add which handlers do not move meanwhile."""
        before: list[Standing] = []
        while not work.over.wait(min(LOOK_S, self.limit_s + GRACE_S)):
            if self._debugged():
                self._began_s = time.monotonic()
            elif time.monotonic() - self._began_s > self.limit_s + GRACE_S:
                raise RealTimeLimit(limit_s=self.limit_s, where=tuple(self.where()))
            now = [each for each in standings(self._names) if each.attempt is not None]
            blocking += [each for each in now if each in before and each not in blocking]
            before = now

    def close(self) -> None:
        """End the thread."""
        if not self.lost:
            self._work.put(None)
            self._thread.join()

    def where(self) -> list[str]:
        """Where the handlers are that run in its threads; with none, where the threads are."""
        found = list(standings(self._names))
        return [str(each) for each in found if each.attempt is not None] or [str(each) for each in found]

    def _debugged(self) -> bool:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        stacks = (frames.get(thread.ident or 0) for thread in threading.enumerate())
        modules = (each.f_globals.get("__name__") for frame in stacks for each, _ in traceback.walk_stack(frame))
        return any(module in DEBUGGERS for module in modules)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work.carry_out()
            del work
        if self.lost:
            self._began_s = time.monotonic()
            _Work(self.when_back).carry_out()
