"""When a kernel compares its clock with the one it follows, which costs round trips."""

from __future__ import annotations

import math

from fairlead.adapters.memory import ManualClock
from fairlead.kernel.timekeeping import MEASURE_PAUSE_S, UNCERTAINTY_MAX_S, Timekeeper


class Clock(ManualClock):
    """A clock that is as uncertain as a test says, and becomes as good as that says."""

    def __init__(self, *, before_s: float, after_s: float = 0.0) -> None:
        super().__init__()
        self.uncertain_s = before_s
        self.after_s = after_s
        self.measured = 0

    @property
    def uncertainty_s(self) -> float:
        """As set."""
        return self.uncertain_s

    async def synchronise(self) -> None:
        """Become better, and count it."""
        self.measured += 1
        self.uncertain_s = self.after_s


async def test_a_clock_that_was_never_measured_is() -> None:
    """Once; afterwards it is good enough for as long as it says so."""
    clock, timekeeper = Clock(before_s=math.inf), Timekeeper()
    for _ in range(3):
        await timekeeper.keep(clock)

    assert clock.measured == 1


async def test_a_clock_is_measured_again_when_it_may_have_drifted() -> None:
    """By its own account, and not before."""
    clock, timekeeper = Clock(before_s=UNCERTAINTY_MAX_S), Timekeeper()
    await timekeeper.keep(clock)
    assert clock.measured == 0

    clock.uncertain_s = 1.1 * UNCERTAINTY_MAX_S
    await timekeeper.keep(clock)

    assert clock.measured == 1


async def test_a_clock_that_becomes_no_better_is_left_alone_for_a_while() -> None:
    """Over a slow network each measurement is slow, too, and a command would not be."""
    clock, timekeeper = Clock(before_s=math.inf, after_s=2 * UNCERTAINTY_MAX_S), Timekeeper()
    for _ in range(3):
        await timekeeper.keep(clock)
    assert clock.measured == 1

    clock.advance(MEASURE_PAUSE_S)
    await timekeeper.keep(clock)

    assert clock.measured == 2
