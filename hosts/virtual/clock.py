"""The `Clock` port in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall time at which virtual time begins."""


class LoopClock:
    """`Clock` of what runs on a `VirtualLoop`; outside of it, it shows the time at which that loop was left.

    Args:
        loop: whose time it shows.
        start: the wall time at the loop's beginning; aware.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, start: datetime = START) -> None:
        self._loop = loop
        self._start = start
        self.offset = timedelta(0)
        """By how much the wall time is wrong."""

    @property
    def uncertainty_s(self) -> float:
        """0: nobody knows of the offset."""
        return 0.0

    def now(self) -> datetime:
        """The wall time."""
        return self._start + timedelta(seconds=self._loop.time()) + self.offset

    def monotonic(self) -> float:
        """Seconds since the loop was made."""
        return self._loop.time()

    async def sleep(self, duration_s: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(duration_s)

    async def synchronise(self) -> None:
        """Nothing to compare with."""
