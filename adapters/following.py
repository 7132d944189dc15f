"""A clock that follows somebody else's, so that hosts with skewed clocks agree on leases.

Between two measurements time passes by a counter of this machine that nobody sets. A measurement is a few round
trips; the shortest of them says most: the other clock was read somewhere inside it, so its middle is off by half of
it at most.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

SAMPLES = 5
"""Round trips per measurement: enough for one of them to be undisturbed."""

DRIFT = 1e-4
"""By which fraction of the time since its last measurement the clock may have drifted; crystals do far better."""

CATCHING_UP = 0.5
"""The speed at which time passes while the clock is ahead of the one that it follows."""


class FollowingClock:
    """`Clock` disciplined to another one. Before its first `synchronise()` it shows its start.

    Args:
        ask: asks what time it is there; raises `AdapterError` where that is not to be had.
        counter: seconds since an arbitrary moment, which nobody sets and which never go back.
        start: what this machine takes for the time; aware.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[datetime]], *, counter: Callable[[], float], start: datetime
    ) -> None:
        self._ask = ask
        self._counter = counter
        self._lock = threading.Lock()
        self._base = start
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
        """The time there as this clock knows it. Where it was ahead, it slows down instead of stepping back."""
        with self._lock:
            count = self._counter()
            estimate = self._estimate(count)
            if estimate < self._shown:  # recovers 43: the clock was ahead of the other one, and slows down
                estimate = self._shown + timedelta(seconds=CATCHING_UP * (count - self._shown_count))
            self._shown = estimate
            self._shown_count = count
            return estimate

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds."""
        await asyncio.sleep(duration_s)

    async def synchronise(self) -> None:
        """Measure the time there again.

        Raises:
            AdapterError: it is not to be had; the clock goes on by what it knows.
        """
        await self.measure(self._ask)

    async def measure(self, ask: Callable[[], Awaitable[datetime]]) -> None:
        """As `synchronise`, on another way to the same clock."""
        best_s, base, base_count = math.inf, self._base, self._base_count
        for _ in range(SAMPLES):
            before = self._counter()
            there = await ask()
            after = self._counter()
            if after - before < best_s:
                best_s, base, base_count = after - before, there, (before + after) / 2
        with self._lock:
            self._base, self._base_count, self._half_round_trip_s = base, base_count, best_s / 2

    def _estimate(self, count: float) -> datetime:
        return self._base + timedelta(seconds=count - self._base_count)
