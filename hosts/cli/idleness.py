"""Noticing that nothing happens in a run, and finding out why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...kernel import Ports, RunStatus, StepStatus, TaskStatus
from ...ports.reading import RunRecord, StepRecord, TaskRecord, WorkInHand
from .output import shown_seconds
from .wait_words import wait_words

IDLE_AFTER_S = 10.0
"""After so long without any change it is worth asking whether anybody works on the run."""

ASK_EVERY_S = 5.0
"""The pause between two such questions, each of which reads the tasks of the steps that are running."""


class Idleness:
    """Looks at one run again and again."""

    def __init__(self, ports: Ports) -> None:
        self._persistence = ports.persistence
        self._clock = ports.clock
        self._state: object = None
        self._since_s = 0.0
        self._asked_s = 0.0
        self._reason: str | None = None

    async def reason(self, run: RunRecord, steps: Sequence[StepRecord]) -> str | None:
        """Why nothing happens; None while something does, or somebody works on the run."""
        now_s = self._clock.monotonic()
        state = (run.status, run.next_sequence, [(step.slug, step.status, step.remaining_tasks) for step in steps])
        if state != self._state:
            self._state, self._since_s, self._reason = state, now_s, None
        elif now_s - self._since_s >= IDLE_AFTER_S and now_s - self._asked_s >= ASK_EVERY_S:
            self._asked_s = now_s
            waited = shown_seconds(round(now_s - self._since_s))
            self._reason = await self._ask(run, steps, waited)
        return self._reason

    async def _ask(self, run: RunRecord, steps: Sequence[StepRecord], waited: str) -> str | None:
        now = self._clock.now()
        work = await self._persistence.read_work_in_hand(now)
        if run.status is RunStatus.PENDING:
            return unclaimed_reason(run, work, waited)
        live = [step.slug for step in steps if step.status in (StepStatus.RUNNING, StepStatus.SUSPENDED)]
        read = [await self._persistence.read_tasks(run.id, step=slug) for slug in live]
        return idle_reason(run, [task for tasks in read for task in tasks], work, now, waited)


def unclaimed_reason(run: RunRecord, work: Sequence[WorkInHand], waited: str) -> str:
    """Why no worker has claimed a run.

    Args:
        run: it is pending.
        work: what workers are busy with.
        waited: for how long nothing has happened.
    """
    if any(_is_of_flow(each, run) for each in work):
        return "workers are busy with other runs in front of it"
    return f"no worker has claimed it for {waited}; is one running that has {_flow_of(run)}?"


def idle_reason(
    run: RunRecord, tasks: Sequence[TaskRecord], work: Sequence[WorkInHand], now: datetime, waited: str
) -> str | None:
    """Why no task of a run makes progress; None where a worker is busy with one.

    Args:
        run: it is running.
        tasks: of the steps that are running or suspended.
        work: what workers are busy with.
        now: by the clock that leases go by.
        waited: for how long nothing has happened.
    """
    held = [task for task in tasks if task.status is TaskStatus.RUNNING]
    if any(task.lease_until is not None and task.lease_until > now for task in held):
        return None
    queued = [task for task in tasks if task.status is TaskStatus.QUEUED]
    ready = [task for task in queued if task.ready_at <= now]
    if ready:
        return _untaken_reason(run, ready, work, waited)
    if held:
        return f"worker {held[0].worker} has gone silent; what it had in its hands waits for another worker"
    if queued:
        first = min(task.ready_at for task in queued)
        return f"the next attempt is due in {shown_seconds((first - now).total_seconds())}"
    waits = [task for task in tasks if task.waits_for is not None]
    if waits:
        others = len(waits) - 1
        return wait_words(waits[0]) + ("" if not others else f"; {others:,} more wait{'s' if others == 1 else ''}")
    return None


def _untaken_reason(run: RunRecord, ready: Sequence[TaskRecord], work: Sequence[WorkInHand], waited: str) -> str:
    """Why nobody takes tasks that could begin: those of queues that nobody serves are told first."""
    served = {each.queue for each in work if _is_of_flow(each, run)}
    unserved = [task for task in ready if task.queue not in served]
    told = _waiting(unserved or ready)
    if not unserved:
        return f"{told}; workers are busy with other runs in front of {'it' if len(ready) == 1 else 'them'}"
    if {task.queue for task in unserved} <= {each.queue for each in work}:
        return f"{told}, whose workers are busy with other flows; is one running that has {_flow_of(run)}?"
    return f"{told}, and no worker has taken any for {waited}; is one running that serves it?"


def _waiting(tasks: Sequence[TaskRecord]) -> str:
    queues = ", ".join(repr(queue) for queue in sorted({task.queue for task in tasks}))
    return f"{len(tasks):,} task{' waits' if len(tasks) == 1 else 's wait'} in queue {queues}"


def _is_of_flow(work: WorkInHand, run: RunRecord) -> bool:
    return (work.flow, work.version) == (run.flow, run.version)


def _flow_of(run: RunRecord) -> str:
    return f"flow {run.flow!r} in version {run.version}"
