"""Ending a run from outside, whatever it is at: all that takes is its row."""

from __future__ import annotations

from datetime import datetime

from ...ports.records import Cancellation, EventBatch, RunRow, RunUpdate
from ..events import Event, encode_events
from ..transitions import RunTrigger, run_after
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
    changes.runs.append(
        RunUpdate(
            id=run.id,
            status=run_after(run.status, trigger),
            next_sequence=run.next_sequence + 1,
            remaining_steps=run.remaining_steps,
            signals=run.signals,
            ended_at=now,
            reason=reason,
            error=error,
        )
    )
    changes.events.append(
        EventBatch(
            run_id=run.id,
            flow=run.flow,
            generation=run.generation,
            first_sequence=run.next_sequence,
            count=1,
            at=now,
            events=encode_events([event]),
        )
    )
    changes.cancellations.append(Cancellation(run_id=run.id, at=now, reason=children_reason))
