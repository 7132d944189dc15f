"""What happened in one seed, in order: for its reader, and as a hash that tells two courses apart."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from attrs import frozen

ENTRIES_MAX = 20_000
"""Entries that are kept: the last ones. All of them go into the hash."""


@frozen
class Entry:
    """One thing that happened."""

    at_s: float
    """Virtual seconds since the beginning."""
    who: str
    what: str
    minor: bool = False
    """Whether it only fills the time between what a reader looks for: a call of a port that failed."""

    def __str__(self) -> str:
        return f"{self.at_s:12.3f} s  {self.who:<10}  {self.what}"


class Timeline:
    """All that happens in one world.

    Args:
        time: the world's virtual seconds.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self.entries: list[Entry] = []
        self.time = time
        self.is_closed = False
        """Whether nothing counts any more."""
        self._hash = blake2b(digest_size=8)

    def note(self, who: str, what: str, *, minor: bool = False) -> None:
        """Something happened that a reader wants to know, or finds in between."""
        if self.is_closed:
            return
        entry = Entry(self.time(), who, what, minor)
        self.trace(f"{who} {what}")
        self.entries.append(entry)
        if len(self.entries) > ENTRIES_MAX:
            del self.entries[: ENTRIES_MAX // 10]

    def trace(self, what: str) -> None:
        """Something happened that only tells one course from another."""
        if not self.is_closed:
            self._hash.update(f"{self.time():.6f} {what}\n".encode())

    def close(self) -> None:
        """Nothing counts any more."""
        self.is_closed = True

    @property
    def digest(self) -> str:
        """What stands for the whole course: equal for equal seeds, in every process."""
        return self._hash.hexdigest()
