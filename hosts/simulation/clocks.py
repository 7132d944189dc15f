"""What a machine takes for the time: its own clock, until it has asked the store, then what it counts from there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from ...adapters.following import FollowingClock
from ..virtual import VirtualLoop
from .faults import Weather
from .striking import DELAY_S_MAX

MISCOUNTED_S = (2.0, 20.0, 200.0)
"""By how much machines are wrong about the time that has passed: within what leases allow for, and beyond them."""


def clock_error_s(weather: Weather) -> float:
    """By how much a process may be wrong about the time that it decides by."""
    if not weather.machine_clock_offset_s:
        return weather.clock_offset_s
    return 2 * DELAY_S_MAX + (0.0 if weather.clock_jump_every_s is None else max(MISCOUNTED_S))


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
