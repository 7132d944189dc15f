"""Cancelling: ending a run, whatever it is at, because somebody asked for it."""

from __future__ import annotations

from datetime import datetime

from ...ports.changes import Changes
from ...ports.records import RunRow
from ...ports.statuses import TERMINAL_RUN
from ..events import RunCancelled
from ..transitions import RunTrigger
from .ending import end_run
from .state import ChangeSet


def cancel_run(run: RunRow, reason: str | None, *, now: datetime) -> Changes:
    """Decide what a cancel does to a run: it ends, with everything that is live in it; nothing where it has ended.

    Neither the flow's plan nor the rows of steps and tasks are needed: whatever is live is cancelled.

    Args:
        run: as locked.
        reason: why, in the words of whoever asked.
        now: the time of the transaction.
    """
    changes = ChangeSet()
    if run.status not in TERMINAL_RUN:
        end_run(
            changes,
            run,
            RunTrigger.CANCEL,
            RunCancelled(reason=reason),
            reason=reason,
            children_reason="run_cancelled",
            now=now,
        )
    return changes.frozen()
