"""How long to wait before trying again what the world refused."""

from __future__ import annotations

from random import Random

BACKOFF_FIRST_S = 0.05
"""The first pause: a restarted connection pool needs about that long."""

BACKOFF_LONGEST_S = 5.0
"""The longest pause: a host notices within this time that an outage is over."""


class Backoff:
    """Pauses that double from one failure to the next, each shortened by a random part of up to a half.

    The random part keeps hosts that failed together from coming back together.
    """

    def __init__(
        self, random: Random, *, first_s: float = BACKOFF_FIRST_S, longest_s: float = BACKOFF_LONGEST_S
    ) -> None:
        self.random = random
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self.failures = 0
        """How many failures there have been since the last success."""

    def pause_s(self) -> float:
        """The pause after one more failure, in seconds."""
        pause_s = self._next_s * (1 - self.random.random() / 2)
        self._next_s = min(self._next_s * 2, self._longest_s)
        self.failures += 1
        return pause_s

    def reset(self) -> None:
        """It worked: the next failure is a first one again."""
        self._next_s = self._first_s
        self.failures = 0
