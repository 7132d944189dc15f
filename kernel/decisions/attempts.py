"""The ends of attempts: each completes its task, fails it, suspends it, or gives it another try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.changes import NewAttempt, Suspension, TaskUpdate
from ...ports.records import Lease, Snapshot, TaskPhase, TaskRow
from ...ports.statuses import TaskStatus
from ..arrays import missing_arrays
from ..commands import Outcome, OutcomeKind, Verdict
from ..events import TaskRetrying, as_raw
from ..failures import encode_failure
from ..plan import StepPlan
from ..sleeps import missing_times
from ..transitions import TaskTrigger, task_after
from .progress import RunProgress
from .retrying import later, retry_delay
from .settled import Settled
from .waits import TIMED_OUT, not_ready


class Attempts:
    """How attempts at the tasks of one run ended, applied one by one to its progress."""

    def __init__(self, progress: RunProgress) -> None:
        self.progress = progress
        self.verdicts: dict[Lease, Verdict] = {}
        self.unrecorded: set[Lease] = set()
        self._tasks: list[TaskUpdate] = []
        self._attempts: list[NewAttempt] = []
        self._suspensions: list[Suspension] = []

    def settle(self, outcomes: Sequence[Outcome], snapshot: Snapshot) -> None:
        """Apply outcomes: what completed before what failed, since a failure may end the run."""
        for outcome in sorted(outcomes, key=_is_failure):
            lease = Lease(outcome.key, outcome.token)
            task = snapshot.tasks.get(outcome.key)
            if task is None:  # recovers 37: there is no such task
                self.verdicts[lease] = Verdict.STALE
            elif not counts(task, outcome):  # recovers 5, 39, 42: an outcome is not of the attempt that has the task
                self.verdicts[lease] = Verdict.SETTLED if has_counted(task, outcome) else Verdict.STALE
                if task.status is not TaskStatus.COMPLETED:
                    self.unrecorded.add(lease)
            elif not self.progress.is_live(task.key.step):  # recovers 68: a step has ended beside its task
                self.verdicts[lease] = Verdict.STALE
            elif lease not in self.verdicts:
                self.verdicts[lease] = Verdict.SETTLED
                self._apply(task, outcome)

    def write(self, settled: Settled) -> None:
        """Add the rows and verdicts of this run to the batch, or raise and add nothing."""
        if self._tasks or self._suspensions:
            self.progress.write(settled.changes)
            settled.changes.tasks.extend(self._tasks)
            settled.changes.suspensions.extend(self._suspensions)
            settled.changes.attempts.extend(self._attempts)
        settled.verdicts.update(self.verdicts)
        settled.unrecorded |= self.unrecorded

    def _apply(self, task: TaskRow, outcome: Outcome) -> None:
        if outcome.kind is OutcomeKind.COMPLETED:
            plan, slug, facts = self.progress.plan, task.key.step, outcome.facts
            if (array := next(missing_arrays(plan, slug, facts), None)) is not None:
                self._refuse(task, outcome, "not_an_array", "NotAnArray", str(array))
            elif (time := next(missing_times(plan, slug, facts), None)) is not None:
                self._refuse(task, outcome, "not_a_time", "NotATime", str(time))
            else:
                self._complete(task, outcome)
        elif outcome.kind is OutcomeKind.SUSPENDED:
            self._suspend(task, outcome)
        elif outcome.kind is OutcomeKind.RELEASED:  # recovers 17: a host gives its task back
            self._requeue(task, TaskTrigger.RELEASE, self.progress.now)
        elif outcome.retryable and may_be_tried_again(task, self._step(task)):
            # recovers 49: an attempt fails, and is not the last
            self._retry(task, outcome)
        else:
            self._fail(task, outcome.reason or "handler_failed", outcome.error)

    def _refuse(self, task: TaskRow, outcome: Outcome, reason: str, type: str, message: str) -> None:
        """The output is not what a later step needs: the task that made it fails."""
        self.unrecorded.add(Lease(outcome.key, outcome.token))
        self._fail(task, reason, encode_failure(type=type, message=message, attempt=task.attempts))

    def _suspend(self, task: TaskRow, outcome: Outcome) -> None:
        """Suspend a task until its next check; one that is checked, and not ready, when its time is over, fails."""
        assert outcome.state is not None, "what its check is given"
        assert outcome.check_after is not None, "when that is due"
        now, checked = self.progress.now, task.phase is TaskPhase.CHECK
        give_up_at = task.give_up_at
        if not checked and outcome.give_up_after is not None:
            give_up_at = later(now, outcome.give_up_after)
        if checked and give_up_at is not None and give_up_at <= now:
            self._give_up(task, give_up_at)
            return
        task_after(task.status, TaskTrigger.SUSPEND)
        check_at = later(now, outcome.check_after)
        wake_at = check_at if give_up_at is None else min(check_at, give_up_at)
        self._suspensions.append(
            Suspension(
                key=task.key,
                token=task.token,
                wake_at=wake_at,
                give_up_at=give_up_at,
                checks=task.checks + checked,
                state=outcome.state,
            )
        )
        self.progress.task_suspended(task.key, wake_at, give_up_at)

    def lose(self, task: TaskRow) -> None:
        """A lease ran out: the task runs again elsewhere, or fails where its attempts are used up."""
        self.verdicts[Lease(task.key, task.token)] = Verdict.SETTLED
        maximum = self._step(task).max_attempts
        message = f"{task.worker} lost its lease during attempt {task.attempts} of {maximum}"
        error = encode_failure(type="WorkerLost", message=message, attempt=task.attempts)
        if may_be_tried_again(task, self._step(task)):  # recovers 3, 4, 20: a lease ran out, and another attempt begins
            self._requeue(task, TaskTrigger.LOSE, self.progress.now)
            self._note_retry(task, "worker_lost", error, self.progress.now)
        else:
            # recovers 19: a task has used up its attempts by losing leases
            self._fail(task, "worker_lost", error, lost=True)

    def _step(self, task: TaskRow) -> StepPlan:
        return self.progress.plan.steps[task.key.step]

    def _complete(self, task: TaskRow, outcome: Outcome) -> None:
        self._tasks.append(
            TaskUpdate(
                key=task.key,
                token=task.token,
                status=task_after(task.status, TaskTrigger.COMPLETE),
                settled_token=task.token,
                attempts=task.attempts,
                losses=task.losses,
                ended_at=self.progress.now,
                output=outcome.output,
            )
        )
        self.progress.task_completed(task.key, outcome.facts)

    def _fail(self, task: TaskRow, reason: str, error: bytes | None, *, lost: bool = False) -> None:
        self._record_failure(task, reason, error, lost=lost)
        self.progress.task_failed(task.key, task.attempts, reason, error)

    def _give_up(self, task: TaskRow, give_up_at: datetime) -> None:
        error = not_ready(task, give_up_at, attempt=task.attempts)
        self._record_failure(task, TIMED_OUT, error)
        self.progress.gave_up(task, error)

    def _record_failure(self, task: TaskRow, reason: str, error: bytes | None, *, lost: bool = False) -> None:
        self._tasks.append(
            TaskUpdate(
                key=task.key,
                token=task.token,
                status=task_after(task.status, TaskTrigger.FAIL),
                settled_token=task.settled_token if lost else task.token,
                attempts=task.attempts,
                losses=task.losses + lost,
                ended_at=self.progress.now,
                error=error,
                reason=reason,
            )
        )
        self._keep_attempt(task, reason, error)

    def _retry(self, task: TaskRow, outcome: Outcome) -> None:
        delay = outcome.retry_after
        if delay is None:
            delay = retry_delay(self._step(task), task.attempts, task.key)
        ready_at = later(self.progress.now, delay)
        self._requeue(task, TaskTrigger.RETRY, ready_at)
        self._note_retry(task, outcome.reason or "handler_failed", outcome.error, ready_at)

    def _requeue(self, task: TaskRow, trigger: TaskTrigger, ready_at: datetime) -> None:
        """Back to the queue. A released task's attempt is not spent; a lost one was settled by nobody."""
        self._tasks.append(
            TaskUpdate(
                key=task.key,
                token=task.token,
                status=task_after(task.status, trigger),
                settled_token=task.settled_token if trigger is TaskTrigger.LOSE else task.token,
                attempts=task.attempts - (trigger is TaskTrigger.RELEASE),
                losses=task.losses + (trigger is TaskTrigger.LOSE),
                ready_at=ready_at,
            )
        )

    def _note_retry(self, task: TaskRow, reason: str, error: bytes | None, ready_at: datetime) -> None:
        self._keep_attempt(task, reason, error)
        self.progress.note(
            TaskRetrying(
                step=task.key.step,
                element=task.key.element,
                attempt=task.attempts,
                reason=reason,
                ready_at=ready_at,
                error=as_raw(error),
            )
        )

    def _keep_attempt(self, task: TaskRow, reason: str, error: bytes | None) -> None:
        self._attempts.append(
            NewAttempt(
                key=task.key,
                token=task.token,
                attempt=task.attempts,
                worker=task.worker,
                ended_at=self.progress.now,
                reason=reason,
                error=error,
            )
        )


def counts(task: TaskRow, outcome: Outcome) -> bool:
    """Whether an outcome is that of the attempt which has the task: it still runs, under the same token."""
    return task.status is TaskStatus.RUNNING and task.token == outcome.token


def has_counted(task: TaskRow, outcome: Outcome) -> bool:
    """Whether an earlier try of the same command has recorded the outcome of this attempt."""
    return task.settled_token == outcome.token


def may_be_tried_again(task: TaskRow, step: StepPlan) -> bool:
    """Whether a task has attempts left. They are counted at the claim, so that one which kills its host ends, too."""
    return task.attempts < step.max_attempts


def _is_failure(outcome: Outcome) -> bool:
    return outcome.kind is OutcomeKind.FAILED
