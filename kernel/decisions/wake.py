"""Waking: what becomes of suspended tasks whose time has come.

A task that waits to be checked is queued for its check, or gives up. A sleep is over. A signal that did not come in
time fails its step, or skips it, as it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ...ports.records import Lease, Snapshot, TaskRow, WaitsFor
from ...ports.statuses import TaskStatus
from ..commands import Verdict
from ..plan import Plan
from .handover import HandOver
from .progress import RunProgress
from .settled import Settled, fail_run, progress_of, steps_by_run
from .state import NotLoaded, loaded_steps
from .waits import no_signal, not_ready


def wake_tasks(
    found: Sequence[TaskRow],
    snapshot: Snapshot,
    plans: Mapping[int, Plan],
    *,
    now: datetime,
    hand_over: HandOver,
) -> Settled:
    """Decide what becomes of suspended tasks whose `wake_at` has come, as they stand under lock.

    A task that a signal, a cancel or somebody else who looked was quicker with is left alone. The verdicts name the
    tasks whose waits are over. A run whose rules raise fails alone, as `internal_error`.
    """
    settled = Settled()
    steps = steps_by_run(snapshot)
    by_run: dict[str, list[TaskRow]] = {}
    for each in found:
        task = snapshot.tasks.get(each.key)
        if task is not None and each.key.run_id in snapshot.runs and _is_due(task, now):
            by_run.setdefault(each.key.run_id, []).append(task)
    for run_id, tasks in by_run.items():
        row = snapshot.runs[run_id]
        try:
            progress = progress_of(row, plans, loaded_steps(steps.get(run_id, {})), snapshot, now, hand_over)
            woken = [task for task in sorted(tasks, key=_may_end_the_run) if _wake(progress, task)]
            if woken:
                progress.write(settled.changes)
            settled.verdicts.update((Lease(task.key, task.token), Verdict.SETTLED) for task in woken)
        except NotLoaded as lack:
            settled.ask(run_id, lack)
        except Exception as error:  # recovers 78: the rules raise over the end of a wait
            leases = [Lease(task.key, task.token) for task in tasks]
            fail_run(progress_of(row, plans, {}, snapshot, now, hand_over), leases, error, settled)
    return settled


def _is_due(task: TaskRow, now: datetime) -> bool:
    return task.status is TaskStatus.SUSPENDED and task.wake_at is not None and task.wake_at <= now


def _wake(progress: RunProgress, task: TaskRow) -> bool:
    """End one wait; answers whether it still counted."""
    if not progress.is_live(task.key.step):  # recovers 62: a wait is over whose step has ended
        return False
    if task.waits_for is WaitsFor.TIME:
        progress.time_reached(task)
    elif task.waits_for is WaitsFor.SIGNAL:
        progress.timed_out(task, no_signal(task))
    elif (give_up_at := _given_up_at(task)) is not None:
        progress.timed_out(task, not_ready(task, give_up_at))
    else:
        progress.check_due(task)
    return True


def _given_up_at(task: TaskRow) -> datetime | None:
    """When a task gave up; None where a check was due before, and comes late: what it finds counts all the same."""
    return task.give_up_at if task.give_up_at is not None and task.give_up_at == task.wake_at else None


def _may_end_the_run(task: TaskRow) -> bool:
    """What is over well comes before what fails, and may end the run."""
    return task.waits_for is WaitsFor.SIGNAL or _given_up_at(task) is not None
