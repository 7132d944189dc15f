"""Cancelling: ending a run, whatever it is at, because somebody asked for it."""

from __future__ import annotations

from datetime import datetime

from ...ports.records import Cancellation, Changes, EventBatch, RunRow, RunUpdate
from ...ports.statuses import TERMINAL_RUN
from ..events import RunCancelled, encode_events
from ..transitions import RunTrigger, run_after


def cancel_run(run: RunRow, reason: str | None, *, now: datetime, published: bool) -> Changes:
    """Decide what a cancel does to a run: it ends, with everything that is live in it; nothing where it has ended.

    Neither the flow's plan nor the rows of steps and tasks are needed: whatever is live is cancelled.

    Args:
        run: as locked.
        reason: why, in the words of whoever asked.
        now: the time of the transaction.
        published: whether events are born published.
    """
    if run.status in TERMINAL_RUN:
        return Changes()
    update = RunUpdate(
        id=run.id,
        status=run_after(run.status, RunTrigger.CANCEL),
        next_sequence=run.next_sequence + 1,
        remaining_steps=run.remaining_steps,
        ended_at=now,
        reason=reason,
    )
    event = EventBatch(
        run_id=run.id,
        flow=run.flow,
        generation=run.generation,
        first_sequence=run.next_sequence,
        count=1,
        at=now,
        events=encode_events([RunCancelled(reason=reason)]),
        published=published,
    )
    children = Cancellation(run_id=run.id, at=now, reason="run_cancelled")
    return Changes(runs=(update,), cancellations=(children,), events=(event,))
