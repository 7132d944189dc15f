"""Run ids that a test can foresee."""

from __future__ import annotations

from itertools import count


class SequentialIds:
    """A source of valid, increasing UUIDs: the same ones in every execution.

    Args:
        first: the number of the first id.
    """

    def __init__(self, first: int = 1) -> None:
        self._numbers = count(first)

    def __call__(self) -> str:
        """The next id."""
        return f"00000000-0000-7000-8000-{next(self._numbers):012x}"
