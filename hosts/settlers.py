"""The settlers of one host, and which of them an outcome goes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..kernel.commands import Outcome
from ..ports.records import Lease
from .settling import Settler


class Settlers:
    """Shares outcomes among settlers: those of one run always go to the same one, so that no two lock it.

    While the store carries out one settler's batch, the host decides and runs what follows from another's. With one
    settler a busy host and its database take turns.

    Args:
        settlers: at least one.
    """

    def __init__(self, settlers: Sequence[Settler]) -> None:
        self.all = tuple(settlers)

    def add(self, outcome: Outcome, lease: Lease, *, keeps_slot: bool = False) -> None:
        """Settle an outcome with the next batch of its settler; as `Settler.add`."""
        settlers = self.all
        place = 0 if len(settlers) == 1 else int(outcome.key.run_id[-1], 16) % len(settlers)
        settlers[place].add(outcome, lease, keeps_slot=keeps_slot)

    def on_settled(self, call: Callable[[], None]) -> None:
        """Have `call` called after each batch."""
        for settler in self.all:
            settler.when_settled = call

    def close(self) -> None:
        """Let all of them end once everything is settled."""
        for settler in self.all:
            settler.close()

    @property
    def unsettled(self) -> int:
        """How many outcomes the store has not answered yet."""
        return sum(settler.unsettled for settler in self.all)

    @property
    def unsettled_apart(self) -> int:
        """How many of them belong to runs that are set apart."""
        return sum(settler.unsettled_apart for settler in self.all)
