"""What must hold once nothing strikes any more: leases are kept, work is taken on, and a quiet system is quiet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...ports.records import TaskKey
from .checks import Change
from .striking import DELAY_S_MAX

STRUCK_LEASES = 5
"""How many leases long a process that was struck before may still stand still, or hinder others by what it holds."""

SETTLING_S = 20.0
"""For how long all that has come due at once has consequences, after time has jumped: a sink's call ends in less."""

RELEASES_PER_MACHINE_MAX = 2
"""How often each machine may give a task back: as it is started anew when the faults are over, and as it stops."""


class Healing:
    """Looks at what becomes of tasks from the moment at which faults are over.

    Args:
        lease_s: how long leases last.
        machines: how many hosts there are.
    """

    def __init__(self, *, lease_s: float, machines: int) -> None:
        self._aftermath_s = STRUCK_LEASES * lease_s + 2 * DELAY_S_MAX
        self._releases_max = RELEASES_PER_MACHINE_MAX * machines
        self._well_from_s: float | None = None
        self._claimed_s: dict[TaskKey, float] = {}
        self._released: Counter[TaskKey] = Counter()

    def begin(self, now_s: float) -> None:
        """The faults are over, and no host stands still."""
        self._well_from_s = now_s + self._aftermath_s

    def jumped(self, now_s: float) -> None:
        """Time has jumped: whoever stood still or hung goes on now, and all at once."""
        if self._well_from_s is not None:
            self._well_from_s = max(self._well_from_s, now_s + SETTLING_S)

    def is_well(self, now_s: float) -> bool:
        """Whether what has struck before has no effect any more."""
        return self._well_from_s is not None and now_s > self._well_from_s

    def problems(self, changes: Sequence[Change], now_s: float) -> Iterator[str]:
        """I34: no lease that a host takes is lost, and none is given back but by hosts that end.

        Failures spend attempts, of which a task has so many (I8); so attempts are bounded.
        """
        if self._well_from_s is None:
            return
        for change in changes:
            key = change.now.key
            if change.is_loss and self.is_well(self._claimed_s.get(key, 0.0)):
                yield f"I34: {key} has lost its lease, and nothing had struck since it was taken"
            if change.is_release:
                self._released[key] += 1
                if self._released[key] > self._releases_max:
                    yield f"I34: {key} was given back {self._released[key]} times since the faults are over"
            if change.is_claim:
                self._claimed_s[key] = now_s
