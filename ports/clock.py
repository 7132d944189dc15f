"""Clock: the kernel's only idea of time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time that hosts agree on, and monotonic time inside one process."""

    def now(self) -> datetime:
        """The wall time, aware, in UTC. Never steps backwards within one process."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment of this process; for durations and timeouts."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds of this clock's time."""
        ...

    async def synchronise(self) -> None:
        """Compare with the reference this clock follows, if any. Hosts call it at their start and in maintenance."""
        ...

    @property
    def uncertainty_s(self) -> float:
        """By how many seconds `now()` may be off the reference; 0 where the clock is its own reference."""
        ...
