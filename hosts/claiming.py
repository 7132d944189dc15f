"""Sharing a host's free slots among the places where work may wait: pending runs, and each of its queues.

A place is *open* while something may wait in it: it was heard of, or the last claim there was filled to its limit.
Open places get equal shares of the free slots, round-robin, and what one leaves goes to the next. A claim that gets
less than it asked for closes its place, so that an idle host asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from .ticks import Ticks
from .worker import Worker

RUNS = ""
"""The place where pending runs wait; all others are queues, whose names are not empty."""

CLAIM_BATCH_MAX = 500
"""Runs or tasks in one claim: past this a statement gains nothing and holds its rows for longer."""


class Claiming:
    """Claims by free slots for one host."""

    def __init__(self, worker: Worker, ticks: Ticks) -> None:
        self._worker = worker
        self._slots = worker.slots
        self._ticks = ticks
        self._places = (RUNS, *worker.options.queues)
        self._open: set[str] = set()
        self._full: set[str] = set()
        """Open places whose last claim was filled to its limit."""
        self._turn = 0

    @property
    def possible(self) -> bool:
        """Whether a claim may find work and a slot for it."""
        return bool(self._open) and self._slots.free > 0 and not self._worker.congested

    def stir(self, *, runs: bool = False, queues: Iterable[str] = ()) -> None:
        """Something may wait: look there with the next claim.

        Args:
            runs: whether runs may.
            queues: in which of this host's tasks may.
        """
        if runs:
            self._open.add(RUNS)
        self._open.update(queues)

    async def claim(self) -> int:
        """Claim from every open place as the free slots allow; first of all take on what was claimed unknowingly.

        Returns:
            How many runs and tasks were claimed.

        Raises:
            AdapterError: the store could not be reached; places that were not asked stay open.
        """
        total = await self._ticks.recall()
        places = list(self._in_turn())
        for position, place in enumerate(places):
            share = -(-self._slots.free // (len(places) - position))
            taken = self._slots.take(min(share, CLAIM_BATCH_MAX))
            if not taken or self._worker.draining:
                self._slots.give(taken)
                break
            self._open.discard(place)
            claimed = 0
            try:
                claimed = await (self._ticks.claim(taken) if place == RUNS else self._ticks.dequeue(place, taken))
            except BaseException:  # recovers 21: a claim fails, and its place is asked again
                self._open.add(place)
                raise
            self._note(place, filled=claimed >= taken)
            total += claimed
        return total

    def _in_turn(self) -> Iterable[str]:
        """The open places: each first once while slots are scarce, else pending runs first, whose tasks come along."""
        if not self._slots.contended:
            return (place for place in self._places if place in self._open)
        self._turn = (self._turn + 1) % len(self._places)
        turned = (*self._places[self._turn :], *self._places[: self._turn])
        return (place for place in turned if place in self._open)

    def _note(self, place: str, *, filled: bool) -> None:
        if filled:
            self._open.add(place)
            self._full.add(place)
        else:
            self._full.discard(place)
        self._slots.contended = bool(self._full)
