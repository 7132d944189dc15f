"""A clock that follows the database server's, so that hosts with skewed clocks agree on leases."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from ...ports.clock import Clock
from ..following import FollowingClock
from .database import Database


def _counter() -> Callable[[], float]:
    """Seconds that nobody sets and that go on while the machine sleeps, where the system counts such."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot_time is None else lambda: time.clock_gettime(boot_time)


class PostgresClock(FollowingClock):
    """`Clock` disciplined to a server's. Before its first `synchronise()` it shows this machine's time.

    Args:
        database: whose clock it follows.
        counter: seconds since an arbitrary moment, for tests.
    """

    def __init__(self, database: Database, *, counter: Callable[[], float] | None = None) -> None:
        counter = _counter() if counter is None else counter
        super().__init__(partial(_server_time, database), counter=counter, start=datetime.now(UTC))

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment of this process."""
        return time.monotonic()

    def over(self, database: Database) -> Clock:
        """This clock, measured over other connections to the same server: those of another event loop."""
        return _ClockOver(self, database)


async def _server_time(database: Database) -> datetime:
    rows: Sequence[tuple[datetime]] = await database.read("server_time")
    return rows[0][0]


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
        await self._clock.measure(partial(_server_time, self._database))
