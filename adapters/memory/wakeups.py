"""A transport that only hints: it tells whoever listens where something may wait."""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from itertools import chain

from ...ports.clock import Clock
from ...ports.transport import Delivery, Job
from .waking import Waiter


class MemoryRunWatch:
    """One who waits for the end of a run."""

    hears = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told = False
        self._waiter: Waiter | None = None

    async def wait(self, wait_s: float) -> None:
        """Return when the run's end was told since the last wait, or after `wait_s` seconds of the clock."""
        waiter = self._waiter = Waiter()  # before it is looked whether an end was told: that may come from any thread
        try:
            if not self._told:
                await waiter.wait_by(self._clock, wait_s)
        finally:
            self._waiter = None
        self._told = False

    def tell(self) -> None:
        """It may have ended."""
        self._told = True
        waiter = self._waiter
        if waiter is not None:
            waiter.wake()


class MemoryWakeups:
    """`JobTransport` for hosts of one process, in any number of event loops and threads.

    A hint that nobody waits for is kept until the next `listen` to its queue, so that work which was announced
    between a host's look and its wait is not overslept.

    Args:
        clock: measures how long a `listen` waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[Waiter, frozenset[str | None]] = {}
        """Who waits, and for which queues; None stands for pending runs, which everybody waits for."""
        self._heard: dict[Waiter, frozenset[str | None]] = {}
        """What those were woken for who have not gone on yet."""
        self._kept: set[str | None] = set()
        self._watches: dict[str, list[MemoryRunWatch]] = {}

    @property
    def delivers(self) -> bool:
        """False: `listen` tells where there may be jobs."""
        return False

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Wake everybody who waits for one of these jobs, also where it is not ready yet: its time may matter."""
        announced = {None if job.task is None else job.queue for job in jobs}
        with self._lock:
            heard: set[str | None] = set()
            for waiter, queues in tuple(self._waiting.items()):
                mine = queues & announced
                if mine:
                    del self._waiting[waiter]
                    if waiter.wake():
                        self._heard[waiter] = mine
                        heard |= mine
            self._kept |= announced - heard

    async def dequeue(self, *, queues: Sequence[str], limit: int, wait_s: float) -> Sequence[Delivery]:
        """Nothing: there are only hints."""
        return ()

    async def listen(self, *, queues: Sequence[str], wait_s: float) -> Collection[str | None]:
        """Wait until something is announced or `wait_s` seconds are over."""
        mine: frozenset[str | None] = frozenset((None, *queues))
        with self._lock:
            kept = self._kept & mine
            self._kept -= mine
            if kept or wait_s <= 0:
                return kept
            waiter = Waiter()
            self._waiting[waiter] = mine
        heard: frozenset[str | None] = frozenset()
        try:
            await waiter.wait_by(self._clock, wait_s)
        finally:
            with self._lock:
                self._waiting.pop(waiter, None)
                heard = self._heard.pop(waiter, heard)
        return heard

    async def complete(self, deliveries: Sequence[Delivery]) -> None:
        """Nothing is delivered, so there is nothing to acknowledge."""

    async def suspend(self, deliveries: Sequence[Delivery], *, delay_s: float) -> None:
        """Nothing is delivered, so there is nothing to put off."""

    async def fail(self, deliveries: Sequence[Delivery], *, reason: str) -> None:
        """Nothing is delivered, so there is nothing to put aside."""

    async def extend(self, deliveries: Sequence[Delivery], *, visibility_s: float) -> None:
        """Nothing is delivered, so there is nothing to keep."""

    async def tell_ended(self, run_ids: Sequence[str]) -> None:
        """Wake whoever watches one of these runs."""
        with self._lock:
            for run_id in run_ids:
                for watch in self._watches.get(run_id, ()):
                    watch.tell()

    @contextmanager
    def watch(self, run_id: str) -> Generator[MemoryRunWatch]:
        """Hear of the end of a run inside the block."""
        watch = MemoryRunWatch(self._clock)
        with self._lock:
            self._watches.setdefault(run_id, []).append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                here = self._watches[run_id]
                here.remove(watch)
                if not here:
                    del self._watches[run_id]

    async def aclose(self) -> None:
        """Wake everyone who waits."""
        with self._lock:
            for watch in chain.from_iterable(self._watches.values()):
                watch.tell()
            for waiter in self._waiting:
                waiter.wake()
            self._waiting.clear()
