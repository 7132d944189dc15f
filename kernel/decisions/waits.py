"""What one run waits for: tasks that are born suspended, waits that are over, and the signals that end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ...ports.changes import ConsumedSignal, NewTasks, Resumption
from ...ports.records import SignalRow, TaskKey, TaskRow, WaitsFor
from ...ports.statuses import StepStatus, TaskStatus
from ..amounts import moment
from ..facts import time_in
from ..failures import encode_failure
from ..plan import INPUT, StepKind, StepPlan
from ..times import NotTime
from ..transitions import TaskTrigger, task_after
from .retrying import later
from .state import ChangeSet, NotLoaded, RunState, StepState

TIMED_OUT = "timed_out"
"""Why a wait failed, or its step was skipped: what it waited for was not there in time."""

BORN = 0
"""The token of a task that was born suspended: nobody ever claims it."""


class SignalsNotLoaded(NotLoaded):
    """A decision needs to know which signals are kept for a run."""


class Waits:
    """The waits of one run that begin and end in one transaction."""

    def __init__(self, run: RunState, *, now: datetime, signals: Sequence[SignalRow] | None) -> None:
        self._run = run
        self._now = now
        self._signals = signals
        self._born: list[NewTasks] = []
        self._resumptions: list[Resumption] = []
        self._consumed: list[ConsumedSignal] = []

    def kept_signal(self, slug: str) -> SignalRow | None:
        """The signal that was sent to a step before it waited.

        Raises:
            SignalsNotLoaded: there are kept signals, and they are not known.
        """
        if not self._run.signals:
            return None
        if self._signals is None:
            raise SignalsNotLoaded(self._run.id)
        return next((signal for signal in self._signals if signal.step == slug and signal.consumed_at is None), None)

    def consume(self, signal: SignalRow) -> None:
        """A kept signal has reached its step."""
        self._run.signals -= 1
        self._consumed.append(
            ConsumedSignal(run_id=signal.run_id, step=signal.step, key=signal.key, at=self._now),
        )

    def begin(self, plan: StepPlan, state: StepState, wake_at: datetime | None) -> TaskKey:
        """The one task of a signal or a sleep is born suspended; answers its key."""
        self._born.append(
            NewTasks(
                run_id=self._run.id,
                step=state.slug,
                generation=state.generation,
                first=0,
                count=1,
                flow_id=self._run.flow_id,
                queue=plan.queue,
                priority=self._run.priority,
                created_at=self._now,
                ready_at=self._now,
                waits_for=waited_for(plan),
                wake_at=wake_at,
            )
        )
        return self.task_of(state)

    def task_of(self, state: StepState) -> TaskKey:
        """The one task of a signal or a sleep."""
        return TaskKey(self._run.id, state.slug, state.generation, 0)

    def check(self, task: TaskRow) -> None:
        """The time of a check has come: its task is queued for it."""
        status = task_after(task.status, TaskTrigger.WAKE)
        self._resumptions.append(Resumption(key=task.key, token=task.token, status=status, ready_at=self._now))

    def complete(self, key: TaskKey, token: int, output: bytes) -> None:
        """What a task waited for is there, and is its output."""
        status = task_after(TaskStatus.SUSPENDED, TaskTrigger.COMPLETE)
        self._resumptions.append(Resumption(key=key, token=token, status=status, ended_at=self._now, output=output))

    def fail(self, key: TaskKey, token: int, reason: str, error: bytes) -> None:
        """What a task waited for did not come."""
        status = task_after(TaskStatus.SUSPENDED, TaskTrigger.FAIL)
        self._resumptions.append(
            Resumption(key=key, token=token, status=status, ended_at=self._now, error=error, reason=reason)
        )

    def write(self, changes: ChangeSet) -> None:
        """Add these rows to a transaction's changes."""
        changes.new_tasks.extend(self._born)
        changes.resumptions.extend(self._resumptions)
        changes.consumed_signals.extend(self._consumed)


def waited_for(plan: StepPlan) -> WaitsFor:
    """What a step waits for, by its kind."""
    if plan.kind is StepKind.SIGNAL:
        return WaitsFor.SIGNAL
    return WaitsFor.TIME if plan.kind is StepKind.SLEEP else WaitsFor.CHECK


def end_of_sleep(
    plan: StepPlan, run: RunState, steps: Mapping[str, StepState], now: datetime
) -> datetime | NotTime | None:
    """When a sleep that begins now is over, or what stands where that time should be; None for at once."""
    if plan.wait_s is not None:
        return later(now, timedelta(seconds=plan.wait_s))
    assert plan.until is not None, "a sleep has a duration or an end"
    if plan.until.name == INPUT:
        return time_in(run.facts, plan.until)
    source = steps[plan.until.name]
    return time_in(source.facts, plan.until) if source.status is StepStatus.COMPLETED else None


def not_ready(task: TaskRow, give_up_at: datetime, *, attempt: int | None = None) -> bytes:
    """The error of a task that was not ready in time.

    Args:
        task: as loaded; where it was just checked once more, that check is not counted in it yet.
        give_up_at: when its time was over.
        attempt: of the check that found so; None where none did.
    """
    checks = task.checks + (attempt is not None)
    times = "never checked" if not checks else f"checked {checks} time{'s' * (checks > 1)}"
    message = f"step {task.key.step!r} was {times} and not ready by {moment(give_up_at)}, when it gave up"
    return encode_failure(type="WaitTimedOut", message=message, attempt=attempt)


def no_signal(task: TaskRow) -> bytes:
    """The error of a signal step whose signal did not come in time."""
    assert task.wake_at is not None, "a wait without end does not time out"
    message = f"no signal for step {task.key.step!r} came by {moment(task.wake_at)}"
    return encode_failure(type="WaitTimedOut", message=message)
