"""Keeping the leases of held tasks alive, and noticing when they are gone or their tasks cancelled.

A lease lasts `lease_duration` from its claim or its last heartbeat. Heartbeats go out every `interval_s`, a third of
that by default, for everything that is held, in batches. What the store reports lost or cancelled is stopped. Where the
store cannot be reached heartbeats go on trying; an attempt whose lease has run out for certain, with no heartbeat
getting through, is stopped too, since another host may have begun it.

They are a duty beside the host's loop (`beside`), with a store connection of their own, so that a handler that blocks
that loop, or a pool without a free connection, does not cost any lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from ..kernel import Kernel
from ..kernel.commands import CLOCK_SKEW_MAX, HeartbeatTasks
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
                self._give_up_what_ran_out()  # recovers 24, 26: a heartbeat failed, and the next must go out
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
            # In the order in which they were taken, which is the same in every process: that of a set is not.
            self._stop([lease for lease in batch if lease in answer.lost], Stop.LEASE_LOST)
            self._stop([lease for lease in batch if lease in answer.cancelled], Stop.CANCELLED)

    def _stop(self, leases: Sequence[Lease], why: Stop) -> None:
        """Raise the handlers' flags at once, and have the host's loop stop them as soon as it can."""
        if not leases:
            return
        for lease in leases:  # recovers 42, 62: leases are lost, or their tasks cancelled
            execution = self._worker.held.get(lease)
            if execution is not None and not execution.ended:
                execution.tell(why)
        with suppress(RuntimeError):  # recovers 77: a heartbeat is answered after its host's loop is closed
            self._worker.loop.call_soon_threadsafe(self._worker.stop, leases, why)

    def _give_up_what_ran_out(self) -> None:
        """Stop what others may have begun by now: its lease ended, and they allowed for the skew of clocks."""
        ended_before_s = self._clock.monotonic() - CLOCK_SKEW_MAX.total_seconds()
        over: list[Lease] = []
        for lease in self._worker.leases():
            execution = self._worker.held.get(lease)
            if execution is not None and execution.lease_ends_s < ended_before_s and not execution.ended:
                over.append(lease)
        if over:  # recovers 20, 26: leases ran out while the store could not be reached
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
