"""A clock that moves only when it is told to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from .waking import Waiter

START = datetime(2026, 1, 1, tzinfo=UTC)
"""Where a manual clock starts if nothing else is said."""


class ManualClock:
    """`Clock` for tests. Sleepers of any event loop or thread wake in the order in which their time comes.

    Args:
        start: the first `now()`; aware.
    """

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"a clock needs an aware time, not {start!r}")
        self._start = start.astimezone(UTC)
        self._elapsed = timedelta(0)
        self._lock = threading.Lock()
        self._sleepers: list[tuple[float, int, Waiter]] = []
        self._numbers = count()

    @property
    def uncertainty_s(self) -> float:
        """0: this clock is its own reference."""
        return 0.0

    @property
    def sleeping(self) -> int:
        """How many sleepers wait: lets a test know that somebody has gone to sleep."""
        return len(self._sleepers)

    @property
    def next_wake_s(self) -> float | None:
        """In how many seconds of this clock the first sleeper wakes; None where nobody sleeps."""
        with self._lock:
            return self._sleepers[0][0] - self.monotonic() if self._sleepers else None

    def now(self) -> datetime:
        """The time that the clock shows."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._elapsed.total_seconds()

    async def sleep(self, duration_s: float) -> None:
        """Return when the clock has been moved `duration_s` seconds on; at once where that is not positive."""
        if duration_s <= 0:
            return
        with self._lock:
            waiter = Waiter()
            sleeper = (self.monotonic() + duration_s, next(self._numbers), waiter)
            heappush(self._sleepers, sleeper)
        try:
            await waiter.wait()
        finally:
            with self._lock:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)
                    self._sleepers.sort()

    async def synchronise(self) -> None:
        """Nothing to compare with."""

    def advance(self, by: timedelta | float) -> None:
        """Move on by a duration, or a number of seconds, and wake those whose time has come, in order.

        Raises:
            ValueError: `by` is negative.
        """
        duration = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if duration < timedelta(0):
            raise ValueError(f"a clock never steps backwards, so not by {duration}")
        with self._lock:
            self._elapsed += duration
            while self._sleepers and self._sleepers[0][0] <= self.monotonic():
                heappop(self._sleepers)[2].wake()
