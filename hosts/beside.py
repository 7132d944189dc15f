"""What a host does beside its handlers: duties that go on while a handler blocks the host's event loop.

They run in a thread with an event loop of its own. In environments that forbid threads, and in simulations, the same
coroutines run in the host's loop. Each duty is kept up by itself: one that fails is begun again, and stops no other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Literal, Protocol, TypeAlias

from .backoff import Backoff
from .cancelling import ends_task

logger = logging.getLogger(__name__)

RETRY_LONGEST_S = 2.0
"""The longest pause before a duty that failed is begun again."""

STOP_S = 5.0
"""How long the end of all duties may take before it is forced."""

HeartbeatsIn: TypeAlias = Literal["thread", "loop"]
"""Where a host's duties run, heartbeats before all: in a thread of their own, or in the host's event loop."""


class Duty(Protocol):
    """Something that a host does for as long as it runs."""

    async def run(self, stop: asyncio.Event) -> None:
        """Do it until told to stop. Called again where it raises."""
        ...


class LoopBeside:
    """Duties as tasks of the host's own loop."""

    def __init__(self, duties: Sequence[Duty], *, name: str) -> None:
        self._duties = duties
        self._name = name
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(_keep_up(duty, self._stop, self._name)) for duty in self._duties]

    async def stop(self) -> None:
        """End, and close what was opened."""
        self._stop.set()
        if self._tasks:
            await asyncio.wait(self._tasks)


class ThreadBeside:
    """Duties in a thread with an event loop of its own."""

    def __init__(self, duties: Sequence[Duty], *, name: str, stop_s: float = STOP_S) -> None:
        self._duties = duties
        self._stop_s = stop_s
        self._ended = asyncio.get_running_loop().create_future()
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._running: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._ready.wait()

    async def stop(self) -> None:
        """End, and close what was opened; what the store does not let go in time is dropped."""
        self._ending.set()
        if self._stop is not None:
            self._in_thread(self._stop.set)
        try:
            async with asyncio.timeout(self._stop_s):
                await asyncio.shield(self._ended)
        except TimeoutError:  # recovers 26: the store does not let go what a thread asked for
            if self._running is not None:
                self._in_thread(self._running.cancel)
            await self._ended
        self._thread.join()

    def _in_thread(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # its loop is closed
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)

    def _main(self) -> None:
        backoff = Backoff(Random(self._thread.name), longest_s=RETRY_LONGEST_S)
        while not self._ending.is_set():
            try:
                with asyncio.Runner() as runner:
                    runner.run(self._run())
            except asyncio.CancelledError:  # recovers 26: the last heartbeat is cut off
                logger.warning("the last heartbeat was cut off")
            except BaseException:  # recovers 76: such as no file descriptor left for an event loop
                logger.exception("heartbeats have ended although their host goes on, and are begun again")
            self._ready.set()
            self._ending.wait(0 if self._ending.is_set() else backoff.pause_s())
        with suppress(RuntimeError):  # the host's loop is closed
            self._ended.get_loop().call_soon_threadsafe(self._note_end)

    async def _run(self) -> None:
        self._loop, self._stop, self._running = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()
        if self._ending.is_set():
            self._stop.set()
        self._ready.set()
        await asyncio.gather(*(_keep_up(duty, self._stop, self._thread.name) for duty in self._duties))

    def _note_end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


Beside: TypeAlias = ThreadBeside | LoopBeside


async def _keep_up(duty: Duty, stop: asyncio.Event, name: str) -> None:
    """Carry out a duty until told to stop, again where it fails."""
    backoff = Backoff(Random(f"{name} {type(duty).__name__}"), longest_s=RETRY_LONGEST_S)
    while True:
        try:
            await duty.run(stop)
        except BaseException as error:  # whatever it is, the others must go on
            if ends_task(error):
                raise
            # recovers 76: a duty ends although its host goes on
            logger.exception("%s has ended although its host goes on, and is begun again", type(duty).__name__)
        if stop.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(backoff.pause_s()):
                await stop.wait()
