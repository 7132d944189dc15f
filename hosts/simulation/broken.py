"""What ends a course: a promise does not hold."""

from __future__ import annotations

from collections.abc import Sequence


class Broken(AssertionError):
    """A promise does not hold."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems[:5]))


class NotOver(Broken):
    """Nothing fails any more, and what was begun does not end."""
