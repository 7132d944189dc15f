"""All legal transitions of runs, steps and tasks, as one table each.

Rules:

- A status changes only as its table says; anything else raises `IllegalTransition` and changes nothing.
- Terminal statuses have no way out. An explicit rerun makes a new generation; it does not touch the old one.
- A terminal parent makes its children terminal in the same transaction.

Theory of operation. A run is put down `pending` and becomes `running` when a host claims it; then every step has a
row. A step is `created` until its last dependency is settled: completed or skipped. Then it becomes `running` and its
tasks are inserted, `queued` or already leased; unless its condition is unmet, which skips it or fails the run, or it
is a map over an empty array, which completes at once. A task is `running` while a host holds its lease. Its attempt
ends completed, failed for good, or with another try: `RETRY` after a failure, `RELEASE` when a host gives it back
unspent, `LOSE` when the lease ran out. An attempt that waits for slow work outside ends in `SUSPEND`, and so does its
step: the task is queued again for each check (`WAKE`), and the step is resumed when its wait is over. The one task of
a signal or a sleep is born suspended and ends without a host: completed by the signal or the time, failed by the end
of the time for it. The last task completes the step, the last step completes the run. Where more of a step's tasks
have failed than it tolerates, it fails, and with it the run, or it is skipped, as it says; whatever was live below is
cancelled. So it is where somebody cancels the run, which is possible until it has ended.

Only `RETRY`, `LOSE`, and changes of runs and steps cause events. The decisions (`kernel.decisions`) ask these
tables before they change a status; adapters guard every update with the status it starts from.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

from ..ports.errors import CorruptionError
from ..ports.statuses import RunStatus, StepStatus, TaskStatus


class IllegalTransition(CorruptionError):
    """A decision tried a change that its table does not have."""

    def __init__(self, what: str, status: str, trigger: str) -> None:
        self.what = what
        self.status = status
        self.trigger = trigger
        super().__init__(f"a {what} that is {status!r} cannot {trigger}; nothing was changed")


class RunTrigger(enum.StrEnum):
    """What changes a run's status."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


class StepTrigger(enum.StrEnum):
    """What changes a step's status."""

    START = "start"
    SUSPEND = "suspend"
    RESUME = "resume"
    COMPLETE = "complete"
    SKIP = "skip"
    FAIL = "fail"
    CANCEL = "cancel"


class TaskTrigger(enum.StrEnum):
    """What changes a task's status."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    RETRY = "retry"
    RELEASE = "release"
    LOSE = "lose"
    SUSPEND = "suspend"
    WAKE = "wake"
    CANCEL = "cancel"


RUN_TRANSITIONS: Mapping[tuple[RunStatus, RunTrigger], RunStatus] = {
    (RunStatus.PENDING, RunTrigger.CLAIM): RunStatus.RUNNING,
    (RunStatus.PENDING, RunTrigger.FAIL): RunStatus.FAILED,
    (RunStatus.PENDING, RunTrigger.CANCEL): RunStatus.CANCELLED,
    (RunStatus.RUNNING, RunTrigger.COMPLETE): RunStatus.COMPLETED,
    (RunStatus.RUNNING, RunTrigger.FAIL): RunStatus.FAILED,
    (RunStatus.RUNNING, RunTrigger.CANCEL): RunStatus.CANCELLED,
}

STEP_TRANSITIONS: Mapping[tuple[StepStatus, StepTrigger], StepStatus] = {
    (StepStatus.CREATED, StepTrigger.START): StepStatus.RUNNING,
    (StepStatus.CREATED, StepTrigger.COMPLETE): StepStatus.COMPLETED,
    (StepStatus.CREATED, StepTrigger.SKIP): StepStatus.SKIPPED,
    (StepStatus.CREATED, StepTrigger.FAIL): StepStatus.FAILED,
    (StepStatus.CREATED, StepTrigger.CANCEL): StepStatus.CANCELLED,
    (StepStatus.RUNNING, StepTrigger.SUSPEND): StepStatus.SUSPENDED,
    (StepStatus.SUSPENDED, StepTrigger.RESUME): StepStatus.RUNNING,
    (StepStatus.SUSPENDED, StepTrigger.SKIP): StepStatus.SKIPPED,
    (StepStatus.SUSPENDED, StepTrigger.FAIL): StepStatus.FAILED,
    (StepStatus.SUSPENDED, StepTrigger.CANCEL): StepStatus.CANCELLED,
    (StepStatus.RUNNING, StepTrigger.COMPLETE): StepStatus.COMPLETED,
    (StepStatus.RUNNING, StepTrigger.SKIP): StepStatus.SKIPPED,
    (StepStatus.RUNNING, StepTrigger.FAIL): StepStatus.FAILED,
    (StepStatus.RUNNING, StepTrigger.CANCEL): StepStatus.CANCELLED,
}

TASK_TRANSITIONS: Mapping[tuple[TaskStatus, TaskTrigger], TaskStatus] = {
    (TaskStatus.QUEUED, TaskTrigger.CLAIM): TaskStatus.RUNNING,
    (TaskStatus.QUEUED, TaskTrigger.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.RUNNING, TaskTrigger.COMPLETE): TaskStatus.COMPLETED,
    (TaskStatus.RUNNING, TaskTrigger.FAIL): TaskStatus.FAILED,
    (TaskStatus.RUNNING, TaskTrigger.RETRY): TaskStatus.QUEUED,
    (TaskStatus.RUNNING, TaskTrigger.RELEASE): TaskStatus.QUEUED,
    (TaskStatus.RUNNING, TaskTrigger.LOSE): TaskStatus.QUEUED,
    (TaskStatus.RUNNING, TaskTrigger.SUSPEND): TaskStatus.SUSPENDED,
    (TaskStatus.RUNNING, TaskTrigger.CANCEL): TaskStatus.CANCELLED,
    (TaskStatus.SUSPENDED, TaskTrigger.WAKE): TaskStatus.QUEUED,
    (TaskStatus.SUSPENDED, TaskTrigger.COMPLETE): TaskStatus.COMPLETED,
    (TaskStatus.SUSPENDED, TaskTrigger.FAIL): TaskStatus.FAILED,
    (TaskStatus.SUSPENDED, TaskTrigger.CANCEL): TaskStatus.CANCELLED,
}


def run_after(status: RunStatus, trigger: RunTrigger) -> RunStatus:
    """The status that a run has after `trigger`; raises `IllegalTransition` where the table has no such change."""
    return _after(RUN_TRANSITIONS, "run", status, trigger)


def step_after(status: StepStatus, trigger: StepTrigger) -> StepStatus:
    """The status that a step has after `trigger`; raises `IllegalTransition` where the table has no such change."""
    return _after(STEP_TRANSITIONS, "step", status, trigger)


def task_after(status: TaskStatus, trigger: TaskTrigger) -> TaskStatus:
    """The status that a task has after `trigger`; raises `IllegalTransition` where the table has no such change."""
    return _after(TASK_TRANSITIONS, "task", status, trigger)


Status = TypeVar("Status", bound=enum.StrEnum)
Trigger = TypeVar("Trigger", bound=enum.StrEnum)


def _after(table: Mapping[tuple[Status, Trigger], Status], what: str, status: Status, trigger: Trigger) -> Status:
    try:
        return table[status, trigger]
    except KeyError:
        raise IllegalTransition(what, status, trigger) from None
