"""What a handler may know of the attempt it runs in."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field, frozen

from ..ports.statuses import StepStatus
from .errors import StatusUnknown


@define(kw_only=True)
class Signs:
    """What becomes known of an attempt while its handler runs. The executing host raises them, and lowers none."""

    lease_lost: bool = False
    cancelled: bool = False


@frozen(kw_only=True, eq=False)
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
    _statuses: Mapping[str, StepStatus] = field(factory=dict[str, StepStatus], alias="statuses", repr=False)
    _signs: Signs = field(factory=Signs, alias="signs", repr=False)

    def status(self, step: str) -> StepStatus:
        """How a step that this one depends on ended, which tells a skipped one from one whose output is None.

        Args:
            step: the slug of a step whose output the handler takes, or that has certainly run where this one does: one
                that it requires, that a condition names of which this is known, or that is never skipped at all.

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
        return self._signs.lease_lost

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or the step given up because of another of its tasks.

        Known from the host's next heartbeat on. Whatever this attempt returns is discarded, and none follows it.
        """
        return self._signs.cancelled
