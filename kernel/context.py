"""What a handler may know of the attempt it runs in."""

from __future__ import annotations

from attrs import define, field
from attrs.setters import NO_OP, frozen


@define(kw_only=True, eq=False, on_setattr=frozen)
class Context:
    """Handed to parameters named `ctx`, and to all that are annotated `Context`. It does no I/O."""

    run_id: str
    flow: str
    """The flow's slug."""
    step: str
    """The step's slug."""
    index: int | None = None
    """The element's index in a map, None in a plain step."""
    attempt: int = 1
    """1 for the first try."""
    idempotency_key: str
    """The task's id as text: the same in every attempt, new after a rerun. Hand it to services that deduplicate."""
    _lease_lost: bool = field(default=False, init=False, on_setattr=NO_OP)

    @property
    def lease_lost(self) -> bool:
        """Whether another host may run this task by now, so that whatever this attempt returns is discarded."""
        return self._lease_lost

    def tell(self, *, lease_lost: bool = False) -> None:
        """Raise flags; for the executing host alone. A raised flag is never lowered.

        Args:
            lease_lost: the lease on this task is gone.
        """
        self._lease_lost = self._lease_lost or lease_lost
