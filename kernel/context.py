"""What a handler may know of the attempt it runs in."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field
from attrs.setters import NO_OP, frozen

from ..ports.statuses import StepStatus
from .errors import StatusUnknown


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
    _statuses: Mapping[str, StepStatus] = field(
        factory=dict[str, StepStatus], alias="statuses", on_setattr=NO_OP, repr=False
    )
    _lease_lost: bool = field(default=False, init=False, on_setattr=NO_OP)
    _cancelled: bool = field(default=False, init=False, on_setattr=NO_OP)

    def status(self, step: str) -> StepStatus:
        """How a step that this one depends on ended, which tells a skipped one from one whose output is None.

        Args:
            step: the slug of a step whose output the handler takes, in whole or in part, or without which it would
                not run: one that it requires, or that a pattern of its `when` names.

        Returns:
            `completed` or `skipped`.

        Raises:
            StatusUnknown: the handler is told nothing of that step; the message says of which it is.
        """
        try:
            return self._statuses[step]
        except KeyError:
            raise StatusUnknown(step=step, known=tuple(self._statuses)) from None

    @property
    def lease_lost(self) -> bool:
        """Whether another host may run this task by now, so that whatever this attempt returns is discarded."""
        return self._lease_lost

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or the step given up because of another of its tasks.

        Known from the host's next heartbeat on. Whatever this attempt returns is discarded, and none follows it.
        """
        return self._cancelled

    def learn(self, statuses: Mapping[str, StepStatus]) -> None:
        """Say how dependencies ended; for the executing host alone, before the handler is called."""
        self._statuses = statuses

    def tell(self, *, lease_lost: bool = False, cancelled: bool = False) -> None:
        """Raise flags; for the executing host alone. A raised flag is never lowered.

        Args:
            lease_lost: the lease on this task is gone.
            cancelled: the task was cancelled.
        """
        self._lease_lost = self._lease_lost or lease_lost
        self._cancelled = self._cancelled or cancelled
