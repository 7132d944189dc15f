"""How many handlers a host runs at a time, and who may have the next free place."""

from __future__ import annotations

from collections.abc import Callable

TURNS = 8
"""Of this many freed slots one goes to work that waits in the store, even where running flows could use them all."""


class Slots:
    """A host's slots. Belongs to one event loop.

    A slot is taken before a claim asks for work to fill it, and given back when the handler ends. The slot of a
    handler whose step has something after it is kept until the outcome is settled, so that what becomes ready can be
    handed over into it.

    Args:
        total: how many there are.
        attempts_max: how often one can be filled in all; None for ever.
    """

    def __init__(self, total: int, *, attempts_max: int | None = None) -> None:
        self.total = total if attempts_max is None else min(total, attempts_max)
        self.free = self.total
        """Slots that nobody has. Negative while an unknown commit made the host adopt more than it has room for."""
        self.contended = False
        """Whether work is known to wait in the store for a slot of this host."""
        self._waiting: dict[str, int] = {}
        self.when_free: Callable[[], None] = lambda: None
        """Called whenever a slot becomes free."""
        self._renewals = None if attempts_max is None else attempts_max - self.total
        self._turns = 0

    @property
    def minimum_priority(self) -> int | None:
        """The highest priority that may be waiting in the store; None where nothing is known to wait."""
        return max(self._waiting.values(), default=None)

    def note_waiting(self, place: str, priority: int | None) -> None:
        """Remember the highest priority that may be waiting in one place; None where nothing waits there."""
        if priority is None:
            self._waiting.pop(place, None)
        else:
            self._waiting[place] = priority

    def take(self, wanted: int) -> int:
        """Take up to `wanted` free slots; answers how many."""
        taken = max(0, min(wanted, self.free))
        self.free -= taken
        return taken

    def force(self, count: int) -> None:
        """Take slots, free or not, for tasks that the host has already."""
        self.free -= count

    def renew(self) -> bool:
        """Whether the slot of an attempt that has ended can be filled again."""
        if self._renewals is None:
            return True
        self._renewals -= 1
        return self._renewals >= 0

    def give(self, count: int) -> None:
        """Give slots back."""
        if count:
            self.free += count
            if self.free > 0:
                self.when_free()

    def offer(self, kept: int) -> int:
        """The slots into which a settle may hand tasks over.

        Args:
            kept: slots of the batch's own handlers that were kept for this.

        Returns:
            How many; they are taken. Where nothing waits in the store these are `kept` and all free ones. Otherwise
            every eighth of `kept` is given back, for the work that waits.
        """
        if not self.contended:
            return kept + self.take(self.total)
        self._turns += kept
        waiting, self._turns = divmod(self._turns, TURNS)
        self.give(waiting)
        return kept - waiting
