"""Keeping the leases of held tasks alive, and noticing when they are gone or their tasks cancelled.

A lease lasts `lease_duration` from its claim or its last heartbeat. Heartbeats go out every `interval_s`, a third of
that by default, for everything that is held, in batches. What the store reports lost or cancelled is stopped. Where the
store cannot be reached heartbeats go on trying; an attempt whose lease has run out for certain, with no heartbeat
getting through, is stopped too, since another host may have begun it.

They run in a thread of their own, with an event loop and a store connection of its own, so that a handler that blocks
the host's loop, or a pool without a free connection, does not cost any lease. In environments that forbid threads,
and in simulations, the same coroutine runs in the host's loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Literal, TypeAlias

from ..kernel import Kernel
from ..kernel.commands import HeartbeatTasks
from ..kernel.dispatch.advancing import CLOCK_SKEW_MAX
from ..ports.records import Lease
from .backoff import Backoff
from .cancelling import ends_task
from .execution import Stop
from .worker import Worker

logger = logging.getLogger(__name__)

HEARTBEAT_BATCH_MAX = 1_000
"""Leases extended in one statement."""

RETRY_LONGEST_S = 2.0
"""The longest pause after a heartbeat that failed: several tries must fit into what is left of a lease."""

STOP_S = 5.0
"""How long the end of heartbeats may take before it is forced."""

HeartbeatsIn: TypeAlias = Literal["thread", "loop"]
"""Where heartbeats run: in a thread of their own, or in the host's event loop."""


class Heartbeats:
    """The heartbeats of one worker. `run` may run in another thread than the worker.

    Args:
        worker: whose leases are kept.
        interval_s: between two heartbeats.
        own_handle: whether they use a handle on the store of their own, as another thread must.
    """

    def __init__(self, worker: Worker, *, interval_s: float, own_handle: bool = True) -> None:
        self._own_handle = own_handle
        self._worker = worker
        self._interval_s = interval_s
        self._lease_duration = worker.options.lease_duration
        self._backoff = Backoff(Random(f"{worker.options.worker} heartbeats"), longest_s=RETRY_LONGEST_S)
        self._clock = worker.kernel.ports.clock

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until told to stop; on a new handle after each failure."""
        kernel = self._worker.kernel
        while not stop.is_set():
            try:
                if not self._own_handle:
                    await self._beat_on(kernel, stop)
                    return
                async with kernel.ports.persistence.dedicated() as persistence:
                    await self._beat_on(kernel.on(persistence), stop)
            except BaseException as error:  # whatever it is, the next heartbeat must go out
                if ends_task(error):
                    raise
                self._give_up_what_ran_out()
                await _wait(stop, min(self._failed(error), self._interval_s))

    async def _beat_on(self, kernel: Kernel, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with asyncio.timeout(self._interval_s):
                await self.beat(kernel)
            if self._backoff.failures:
                logger.info("heartbeats work again after %d failures", self._backoff.failures)
                self._backoff.reset()
            await _wait(stop, self._interval_s)

    async def beat(self, kernel: Kernel) -> None:
        """One heartbeat for everything that is held."""
        leases = self._worker.leases()
        for start in range(0, len(leases), HEARTBEAT_BATCH_MAX):
            batch = leases[start : start + HEARTBEAT_BATCH_MAX]
            ends_s = self._clock.monotonic() + self._lease_duration.total_seconds()
            answer = await kernel.dispatch(HeartbeatTasks(leases=batch, lease_duration=self._lease_duration))
            for lease in answer.extended:
                execution = self._worker.held.get(lease)
                if execution is not None:
                    execution.lease_ends_s = ends_s
            self._stop(tuple(answer.lost), Stop.LEASE_LOST)
            self._stop(tuple(answer.cancelled), Stop.CANCELLED)

    def _stop(self, leases: Sequence[Lease], why: Stop) -> None:
        """Raise the handlers' flags at once, and have the host's loop stop them as soon as it can."""
        if not leases:
            return
        for lease in leases:
            execution = self._worker.held.get(lease)
            if execution is not None and not execution.ended:
                execution.tell(why)
        with suppress(RuntimeError):  # the host's loop is closed
            self._worker.loop.call_soon_threadsafe(self._worker.stop, leases, why)

    def _give_up_what_ran_out(self) -> None:
        """Stop what others may have begun by now: its lease ended, and they allowed for the skew of clocks."""
        ended_before_s = self._clock.monotonic() - CLOCK_SKEW_MAX.total_seconds()
        over: list[Lease] = []
        for lease in self._worker.leases():
            execution = self._worker.held.get(lease)
            if execution is not None and execution.lease_ends_s < ended_before_s and not execution.ended:
                over.append(lease)
        if over:
            logger.error("%d leases ran out while the store could not be reached", len(over))
            self._stop(over, Stop.LEASE_LOST)

    def _failed(self, error: BaseException) -> float:
        """Note a failure; answers how long to wait before the next try, in seconds."""
        pause_s = self._backoff.pause_s()
        if self._backoff.failures == 1:
            logger.warning("a heartbeat failed, trying on: %s: %s", type(error).__name__, error)
        return pause_s


async def _wait(stop: asyncio.Event, duration_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            await stop.wait()


class HeartbeatLoop:
    """Heartbeats as a task of the host's own loop."""

    def __init__(self, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._heartbeats.run(self._stop))

    async def stop(self) -> None:
        """End, and close what was opened."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task])


class HeartbeatThread:
    """Heartbeats in a thread with an event loop of its own."""

    def __init__(self, heartbeats: Heartbeats, *, name: str, stop_s: float = STOP_S) -> None:
        self._heartbeats = heartbeats
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
        except TimeoutError:
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
                asyncio.run(self._run())
            except asyncio.CancelledError:
                logger.warning("the last heartbeat was cut off")
            except BaseException:  # such as no file descriptor left for an event loop
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
        await self._heartbeats.run(self._stop)

    def _note_end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
