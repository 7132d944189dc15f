"""Keeping a kernel's clock good enough to decide by, in processes that host nothing as much as in hosts.

What is recorded with a wrong time is wrong for everybody: a task that a client's signal made ready is claimed by nobody
before the time that the client took it to be. A clock that has shown a time does not step back afterwards, so it is
measured before it is first looked at.
"""

from __future__ import annotations

import math
from typing import Final

from ..ports.clock import Clock

UNCERTAINTY_MAX_S: Final = 1.0
"""Seconds by which a clock may be wrong before it is measured again: little beside the skew that leases allow for."""

MEASURE_PAUSE_S: Final = 60.0
"""Seconds between two measurements of a clock that does not become any better, since the network is slow."""


class Timekeeper:
    """Measures one clock when that is needed."""

    def __init__(self) -> None:
        self._measured_s = -math.inf
        """When it was measured last, by its monotonic time."""

    async def keep(self, clock: Clock) -> None:
        """Compare the clock with the one it follows, unless it is good enough.

        Args:
            clock: the clock, or a handle on it.

        Raises:
            AdapterError: that one cannot be reached.
        """
        if clock.uncertainty_s <= UNCERTAINTY_MAX_S:
            return
        began_s = clock.monotonic()
        if began_s - self._measured_s < MEASURE_PAUSE_S:
            return
        await clock.synchronise()
        self._measured_s = began_s
