"""A clock that follows the database server's, so that hosts with skewed clocks agree on leases.

Between two measurements time passes by a counter of this machine that nobody sets. A measurement is a few round
trips; the shortest of them says most: the server read its clock somewhere inside it, so its middle is off by half of
it at most.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ...ports.clock import Clock
from .database import Database

SAMPLES = 5
"""Round trips per measurement: enough for one of them to be undisturbed."""

DRIFT = 1e-4
"""By which fraction of the time since its last measurement the clock may have drifted; crystals do far better."""

CATCHING_UP = 0.5
"""The speed at which time passes while the clock is ahead of the server's."""


def _counter() -> Callable[[], float]:
    """Seconds that nobody sets and that go on while the machine sleeps, where the system counts such."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot_time is None else lambda: time.clock_gettime(boot_time)


class PostgresClock:
    """`Clock` disciplined to a server's. Before its first `synchronise()` it shows this machine's time.

    Args:
        database: whose clock it follows.
        counter: seconds since an arbitrary moment, for tests.
    """

    def __init__(self, database: Database, *, counter: Callable[[], float] | None = None) -> None:
        self._database = database
        self._counter = _counter() if counter is None else counter
        self._lock = threading.Lock()
        self._base = datetime.now(UTC)
        """What the clock should show when the counter stands at `_base_count`."""
        self._base_count = self._counter()
        self._half_round_trip_s = math.inf
        self._shown = datetime.min.replace(tzinfo=UTC)
        """The latest time that anybody has seen; nobody has seen any yet."""
        self._shown_count = self._base_count

    @property
    def uncertainty_s(self) -> float:
        """Half the best round trip, what may have drifted since, and by how much the clock is still ahead."""
        with self._lock:
            count = self._counter()
            ahead_s = max(0.0, (self._shown - self._estimate(count)).total_seconds())
            return self._half_round_trip_s + DRIFT * (count - self._base_count) + ahead_s

    def now(self) -> datetime:
        """The server's time as this clock knows it. Where it was ahead, it slows down instead of stepping back."""
        with self._lock:
            count = self._counter()
            estimate = self._estimate(count)
            if estimate < self._shown:  # recovers 43: the clock was ahead of the server's, and slows down
                estimate = self._shown + timedelta(seconds=CATCHING_UP * (count - self._shown_count))
            self._shown = estimate
            self._shown_count = count
            return estimate

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment of this process."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds."""
        await asyncio.sleep(duration_s)

    def over(self, database: Database) -> Clock:
        """This clock, measured over other connections to the same server: those of another event loop."""
        return _ClockOver(self, database)

    async def synchronise(self) -> None:
        """Measure the server's time again.

        Raises:
            Unavailable: the server cannot be reached; the clock goes on by what it knows.
        """
        await self.measure(self._database)

    async def measure(self, database: Database) -> None:
        """As `synchronise`, over these connections."""
        best_s, base, base_count = math.inf, self._base, self._base_count
        for _ in range(SAMPLES):
            before = self._counter()
            ((server,),) = await database.read("server_time")
            after = self._counter()
            if after - before < best_s:
                best_s, base, base_count = after - before, server, (before + after) / 2
        with self._lock:
            self._base, self._base_count, self._half_round_trip_s = base, base_count, best_s / 2

    def _estimate(self, count: float) -> datetime:
        return self._base + timedelta(seconds=count - self._base_count)


class _ClockOver:
    """A handle on a clock, with connections of its own."""

    def __init__(self, clock: PostgresClock, database: Database) -> None:
        self._clock = clock
        self._database = database

    @property
    def uncertainty_s(self) -> float:
        """Of the clock."""
        return self._clock.uncertainty_s

    def now(self) -> datetime:
        """As the clock shows it."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Of the clock."""
        return self._clock.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds."""
        await self._clock.sleep(duration_s)

    async def synchronise(self) -> None:
        """Measure the server's time again, for the clock and all handles on it."""
        await self._clock.measure(self._database)
