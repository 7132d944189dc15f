"""Expiring: failing runs that were not over by their deadline."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...ports.records import RunRow
from ...ports.statuses import RunStatus
from ..amounts import moment
from ..events import RunFailed, as_raw
from ..failures import encode_failure
from ..transitions import RunTrigger
from .ending import end_run
from .state import ChangeSet
from .waits import TIMED_OUT


def expire_runs(runs: Iterable[RunRow], *, now: datetime) -> ChangeSet:
    """Decide what becomes of runs that were found past their deadlines, as they stand under lock.

    A run that has ended meanwhile, or whose deadline is another by now, is left alone. Neither the flow's plan nor the
    rows of steps and tasks are needed: whatever is live is cancelled.
    """
    changes = ChangeSet()
    for run in runs:
        if run.status is RunStatus.RUNNING and run.deadline_at is not None and run.deadline_at <= now:
            message = f"the run was not over by {moment(run.deadline_at)}, when its run_timeout ended"
            error = encode_failure(type="RunTimedOut", message=message)
            end_run(
                changes,
                run,
                RunTrigger.FAIL,
                RunFailed(reason=TIMED_OUT, error=as_raw(error)),
                reason=TIMED_OUT,
                error=error,
                children_reason="run_failed",
                now=now,
            )
    return changes
