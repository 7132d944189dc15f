"""What strikes at which call of a port: chance says it, or a plan does.

The calls that may be struck are the *points* of a course. Where all chance comes from one seed, a course has the same
points each time, up to the first strike; so a plan names them by their numbers.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from random import Random
from typing import Protocol

from attrs import define, field

from .faults import Weather


class Strike(enum.StrEnum):
    """What may happen at a point."""

    REFUSED = "refused"
    """The operation does not happen, and its caller knows."""
    ANSWER_LOST = "answer lost"
    """The operation happens, and its caller gets an error instead of the answer."""
    KILLED_BEFORE = "killed before"
    """The process dies, and the operation does not happen."""
    KILLED_AFTER = "killed after"
    """The operation happens, and the process dies before it learns of that."""
    PAUSED = "paused"
    """The process stands still for longer than its leases; then the operation happens as if nothing was."""


ENDING = frozenset({Strike.KILLED_BEFORE, Strike.KILLED_AFTER, Strike.PAUSED})
"""What ends attempts, and so spends them."""


class Fate(Protocol):
    """Decides what happens at points."""

    def strike_at(self, point: str) -> Strike | None:
        """A point is passed.

        Args:
            point: port and method.

        Returns:
            What strikes there, if anything does.
        """
        ...


@define
class Chance:
    """`Fate` as the weather has it."""

    weather: Weather
    random: Random

    def strike_at(self, point: str) -> Strike | None:
        """Perhaps something."""
        weather = self.weather
        if self._happens(weather.refused):
            return Strike.REFUSED
        if self._happens(weather.killed):
            return self.random.choice((Strike.KILLED_BEFORE, Strike.KILLED_AFTER))
        if self._happens(weather.paused):
            return Strike.PAUSED
        return Strike.ANSWER_LOST if self._happens(weather.lost) else None

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability


@define
class Plan:
    """`Fate` that is known: what strikes at which point, by its number from 0 on."""

    strikes: Mapping[int, Strike] = field(factory=dict[int, Strike])
    points: list[str] = field(factory=list[str], init=False)
    """All that were passed."""
    struck: list[str] = field(factory=list[str], init=False)
    """Where something has struck, and what."""

    def strike_at(self, point: str) -> Strike | None:
        """What is planned."""
        number = len(self.points)
        self.points.append(point)
        strike = self.strikes.get(number)
        if strike is not None:
            self.struck.append(f"{strike} at {number}, {point}")
        return strike

    def __str__(self) -> str:
        return "; ".join(self.struck) or "nothing has struck"
