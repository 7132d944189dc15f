"""Ending a run from outside, whatever it is at: all that takes is its row."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ...ports.changes import Cancellation
from ...ports.records import RunRow
from ..events import Event
from ..transitions import RunTrigger, run_after
from .rows import event_batch, run_kept
from .state import ChangeSet


def end_run(
    changes: ChangeSet,
    run: RunRow,
    trigger: RunTrigger,
    event: Event,
    *,
    reason: str | None,
    error: bytes | None = None,
    children_reason: str,
    now: datetime,
) -> None:
    """Add to a transaction's changes that a run ends, with everything that is live in it.

    Args:
        changes: what is added to.
        run: as locked, not terminal.
        trigger: what ends it.
        event: tells so.
        reason: kept with the run.
        error: kept with the run.
        children_reason: kept with the steps and tasks that end with it.
        now: the time of the transaction.
    """
    status = run_after(run.status, trigger)
    changes.runs.append(replace(run_kept(run, events=1), status=status, ended_at=now, reason=reason, error=error))
    changes.events.append(event_batch(run, [event], first=run.next_sequence, now=now))
    changes.cancellations.append(Cancellation(run_id=run.id, at=now, reason=children_reason))
