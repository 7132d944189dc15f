"""Commands about whole runs: starting and cancelling them."""

from __future__ import annotations

from typing import ClassVar

from ...ports.record import Record
from ...ports.statuses import RunStatus
from ..arguments import checked_run_id, checked_text
from .base import Command, at_most

START_BATCH_MAX = 10_000
"""Runs in one `StartRuns`: what one statement inserts within about a second."""

REASON_LENGTH_MAX = 500
"""Characters of the reason of a cancel: a few sentences."""


class RunRequest(Record, frozen=True, kw_only=True):
    """One run to start. `input` and `config` are canonical JSON that has been validated against the flow."""

    flow_id: int
    input: bytes
    """The payload, or a reference to it (`kernel.references`); then `run_id` and `digest` are set."""
    config: bytes | None = None
    facts: bytes | None = None
    """The facts of the input (`kernel.facts`)."""
    key: str | None = None
    priority: int = 0
    annotations: bytes | None = None
    """What the run is annotated with from the start: a canonical JSON object (`kernel.annotations`), not empty."""
    run_id: str | None = None
    """The run's id, drawn already since blobs are named after it; None where it is drawn when the run is put down."""
    digest: str | None = None
    """`decisions.start.request_digest` of the request with its payload; None where it has that."""


class RunStart(Record, frozen=True, kw_only=True):
    """What became of a requested run."""

    run_id: str
    created: bool
    """False where the key was known, with the same payload: the run is the one that was started then."""


class StartRuns(Command[tuple[RunStart, ...]], frozen=True):
    """Put runs down as pending. Repeatable where every request has a key."""

    requests: tuple[RunRequest, ...]
    patience_s: float | None = None
    """How long a lock of another transaction is waited for, and the command is tried again on account of one; None
    where whoever asks has time."""

    def __post_init__(self) -> None:
        require_startable(len(self.requests))


class CancelRun(Command["CancelledRun"], frozen=True):
    """End a run and everything that is live in it. Repeatable: a run that has ended is left as it is.

    It needs no code: any kernel over the same store cancels a run, whatever its flow.
    """

    needs_flows: ClassVar[bool] = False
    run_id: str
    reason: str | None = None
    """Why: printable text of 1 to `REASON_LENGTH_MAX` characters, kept with the run and told with its event."""
    patience_s: float | None = None
    """How long a lock of another transaction is waited for, and the command is tried again on account of one; None
    where whoever asks has time."""

    def __post_init__(self) -> None:
        checked_run_id(self.run_id)
        if self.reason is not None:
            checked_text("reason", self.reason, REASON_LENGTH_MAX)


class CancelledRun(Record, frozen=True, kw_only=True):
    """What became of a cancel."""

    run_id: str
    found: RunStatus
    """What the run was when the cancel came: `pending` or `running`, or, where it came too late, how it had ended."""
    took_effect: bool
    """Whether the run is cancelled by this very call. False where it had ended, also where somebody else had cancelled
    it before."""


def require_startable(runs: int) -> None:
    """Refuse to start more runs in one command than it takes.

    Raises:
        LimitExceeded: there are more than `START_BATCH_MAX`.
    """
    at_most("runs to start", runs, START_BATCH_MAX)
