"""Settling: recording how attempts ended, and advancing their runs in the same transaction.

Outcomes are checked against the task rows that were loaded under the run's lock. An outcome counts if its task is
still running under its token. A task that has left that state under the same token was settled by an earlier try of
the same command. Anything else is stale and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from ...ports.records import Lease, RunRow, Snapshot, StepRow, TaskRow
from ...ports.statuses import TaskStatus
from ..commands import Outcome, OutcomeKind, Verdict
from ..failures import failure_of
from ..plan import Plan
from .attempts import Attempts
from .handover import HandOver
from .settled import Settled, fail_run, progress_of, steps_by_run
from .state import NotLoaded, StepState, loaded_steps


def settle_tasks(
    outcomes: Sequence[Outcome],
    snapshot: Snapshot,
    plans: Mapping[int, Plan],
    *,
    now: datetime,
    hand_over: HandOver,
    absent: Verdict,
) -> Settled:
    """Decide what outcomes do to their runs.

    Args:
        outcomes: of any runs, each task at most once under one token.
        snapshot: the runs that could be locked, the tasks concerned, and their steps' neighbours (`Plan.neighbours`).
        plans: by flow id, for every run in `snapshot`.
        now: the time of the transaction.
        hand_over: the host's slots; taken from as tasks are born leased.
        absent: the verdict for outcomes whose run is not in `snapshot`.
    """
    settled = Settled()
    by_run: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_run.setdefault(outcome.key.run_id, []).append(outcome)
    loaded = steps_by_run(snapshot)
    for run_id, of_run in by_run.items():
        row = snapshot.runs.get(run_id)
        if row is None:  # recovers 24, 37: a run is locked by somebody else, or gone
            settled.verdicts.update((Lease(outcome.key, outcome.token), absent) for outcome in of_run)
            continue

        def make(row: RunRow = row, rows: Mapping[str, StepRow] = loaded.get(run_id, {})) -> Attempts:
            return _attempts_of(row, plans, loaded_steps(rows), snapshot, now, hand_over)

        _settle_run(make, of_run, snapshot, settled, hand_over)
    return settled


def reap_tasks(
    expired: Sequence[TaskRow],
    snapshot: Snapshot,
    plans: Mapping[int, Plan],
    *,
    now: datetime,
    before: datetime,
    hand_over: HandOver,
) -> Settled:
    """Decide what becomes of tasks whose lease ended before `before`, as they stand under lock.

    A task that a heartbeat, a settle or another reaper was quicker with is left alone. The verdicts name the tasks
    that were taken back. A run whose rules raise fails alone, as `internal_error`.
    """
    settled = Settled()
    loaded = steps_by_run(snapshot)
    by_run: dict[str, list[TaskRow]] = {}
    for found in expired:
        task = snapshot.tasks.get(found.key)
        if task is None or task.status is not TaskStatus.RUNNING or task.token != found.token:
            # recovers 64, 69: somebody was quicker
            continue
        if task.lease_until is not None and task.lease_until < before and found.key.run_id in snapshot.runs:
            by_run.setdefault(found.key.run_id, []).append(task)
    for run_id, tasks in by_run.items():
        row = snapshot.runs[run_id]
        steps = loaded_steps(loaded.get(run_id, {}))
        try:
            attempts = _attempts_of(row, plans, steps, snapshot, now, hand_over)
            for task in tasks:
                if attempts.progress.is_live(task.key.step):
                    attempts.lose(task)
            attempts.write(settled)
        except NotLoaded as lack:
            settled.ask(run_id, lack)
        except Exception as error:  # recovers 78: the rules raise over a lease that ran out
            leases = [Lease(task.key, task.token) for task in tasks]
            fail_run(progress_of(row, plans, {}, snapshot, now, hand_over), leases, error, settled)
    return settled


def _attempts_of(
    row: RunRow,
    plans: Mapping[int, Plan],
    steps: dict[str, StepState],
    snapshot: Snapshot,
    now: datetime,
    hand_over: HandOver,
) -> Attempts:
    return Attempts(progress_of(row, plans, steps, snapshot, now, hand_over))


def _settle_run(
    make: Callable[[], Attempts],
    outcomes: Sequence[Outcome],
    snapshot: Snapshot,
    settled: Settled,
    hand_over: HandOver,
) -> None:
    """Settle one run's outcomes; where the rules themselves raise, its tasks fail with `internal_error`, or the run."""
    slots = hand_over.remaining
    try:
        attempts = make()
        attempts.settle(outcomes, snapshot)
        attempts.write(settled)
    except NotLoaded as lack:
        hand_over.remaining = slots
        settled.ask(outcomes[0].key.run_id, lack)
    except Exception as error:  # recovers 78: the rules raise over an outcome
        hand_over.remaining = slots
        try:
            attempts = make()
            attempts.settle([_internal_error(outcome, error) for outcome in outcomes], snapshot)
            attempts.unrecorded.update(attempts.verdicts)
            attempts.write(settled)
        except Exception as second:  # recovers 78: the rules raise over its failure as well
            leases = [Lease(outcome.key, outcome.token) for outcome in outcomes]
            fail_run(make().progress, leases, second, settled)


def _internal_error(outcome: Outcome, error: Exception) -> Outcome:
    return Outcome(
        key=outcome.key,
        token=outcome.token,
        flow_id=outcome.flow_id,
        kind=OutcomeKind.FAILED,
        error=failure_of(error),
        reason="internal_error",
        retryable=False,
    )
