"""What a machine takes for the time: its own clock, until it has asked the store, then what it counts from there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from ...adapters.following import FollowingClock
from ..virtual import VirtualLoop


class MachineClock(FollowingClock):
    """`Clock` of one process, disciplined to the store's as that of a host on PostgreSQL is.

    Args:
        loop: whose virtual seconds it counts.
        ask: asks the store what time it is.
        start: what its machine takes for the time when it begins.
    """

    def __init__(self, loop: VirtualLoop, ask: Callable[[], Awaitable[datetime]], *, start: datetime) -> None:
        self._loop = loop
        self._miscounted_s = 0.0
        super().__init__(ask, counter=self._count, start=start)

    def monotonic(self) -> float:
        """Seconds since the loop was made."""
        return self._loop.time()

    def miscount(self, seconds: float) -> None:
        """Count seconds that did not pass; or, below 0, leave out as many to come, in which nobody may ask."""
        self._miscounted_s += seconds

    def _count(self) -> float:
        return self._loop.time() + self._miscounted_s
