"""Which jobs to announce after a commit, so that nobody has to wait for the next poll."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ...ports.changes import NewRun, NewTasks, Resumption, TaskUpdate
from ...ports.records import TaskKey
from ...ports.statuses import TaskStatus
from ...ports.transport import Job
from ..decisions.state import ChangeSet
from ..plan import Plan

ANY_QUEUE = ""
"""The queue of a job for a pending run: every host that serves its flow may claim it."""


def jobs_of_runs(runs: Sequence[NewRun], *, delivers: bool) -> list[Job]:
    """The jobs for runs that were put down: one each, or a single hint where the transport does not deliver."""
    told = runs if delivers else runs[:1]
    return [Job(run_id=run.id, queue=ANY_QUEUE, flow_id=run.flow_id) for run in told]


def jobs_of_changes(
    changes: ChangeSet, plans: Mapping[str, Plan], *, flow_ids: Mapping[str, int], now: datetime, delivers: bool
) -> list[Job]:
    """The jobs for tasks that were queued.

    Args:
        changes: as committed.
        plans: by run id, for every run whose task went back to its queue.
        flow_ids: likewise.
        now: the time of the decision.
        delivers: whether each task needs its message. Otherwise one hint for each queue with something to claim now
            is enough; what is due later is found by polling.
    """
    back: list[TaskUpdate | Resumption] = [*changes.tasks, *changes.resumptions]
    jobs = (*_new_jobs(changes.new_tasks, delivers), *_requeued_jobs(back, plans, flow_ids))
    if delivers:
        return list(jobs)
    hints = {job.queue: job for job in jobs if job.not_before is None or job.not_before <= now}
    return list(hints.values())


def _new_jobs(new_tasks: Sequence[NewTasks], delivers: bool) -> Iterator[Job]:
    for tasks in new_tasks:
        if tasks.worker is None and tasks.waits_for is None:
            for element in range(tasks.first, tasks.first + (tasks.count if delivers else 1)):
                key = TaskKey(tasks.run_id, tasks.step, tasks.generation, element)
                yield Job(
                    run_id=tasks.run_id,
                    queue=tasks.queue,
                    task=key,
                    not_before=tasks.ready_at,
                    flow_id=tasks.flow_id,
                )


def _requeued_jobs(
    updates: Sequence[TaskUpdate | Resumption], plans: Mapping[str, Plan], flow_ids: Mapping[str, int]
) -> Iterator[Job]:
    for update in updates:
        if update.status is TaskStatus.QUEUED:
            key = update.key
            run_id = key.run_id
            queue = plans[run_id].steps[key.step].queue
            yield Job(run_id=run_id, queue=queue, task=key, not_before=update.ready_at, flow_id=flow_ids[run_id])
