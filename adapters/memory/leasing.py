"""Leases in memory: taking them, keeping them, and what waits for one. Every function expects the mutex to be held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import merge
from itertools import islice

from ...ports.reading import Due
from ...ports.records import ClaimedTask, Lease, LeaseAnswer, TaskClaim, TaskKey
from ...ports.statuses import TaskStatus
from ...ports.transport import Job
from .rows import Task
from .store import Store


def claim_tasks(store: Store, claim: TaskClaim) -> list[ClaimedTask]:
    """Lease queued tasks."""
    if claim.only is None:
        tasks = store.queued.take(
            claim.queue,
            claim.flow_ids,
            limit=claim.limit,
            lost_limit=claim.lost_limit,
            until=claim.now,
            is_locked=store.locks.is_locked,
        )
    else:
        tasks = _claimable(store, claim.only, claim)
    return [_lease(store, task, claim) for task in tasks]


def extend_leases(store: Store, leases: Sequence[Lease], until: datetime) -> LeaseAnswer:
    """Set the leases of running tasks to `until` where their token is still the same."""
    extended: list[Lease] = []
    lost: list[Lease] = []
    cancelled: list[Lease] = []
    for lease in leases:
        if store.locks.is_locked(lease.key):  # recovers 24: a transaction holds a task whose lease is extended
            continue
        task = find_task(store, lease.key)
        if task is None or task.token != lease.token:  # recovers 20: a heartbeat comes after another claim
            lost.append(lease)
        elif task.status is TaskStatus.CANCELLED:  # recovers 62: a heartbeat comes after a cancel
            cancelled.append(lease)
        elif task.status is not TaskStatus.RUNNING:  # recovers 20, 39: a heartbeat comes after the task ran
            lost.append(lease)
        else:
            task.lease_until = until
            store.leased.put(task)
            extended.append(lease)
    return LeaseAnswer(frozenset(extended), frozenset(lost), frozenset(cancelled))


def find_task(store: Store, key: TaskKey) -> Task | None:
    """The task of that key, or None."""
    run = store.runs.get(key.run_id)
    return None if run is None else run.tasks.get(key)


def find_unclaimed(store: Store, before: datetime, flow_ids: Sequence[int], limit: int) -> list[Job]:
    """Jobs for pending runs created, and for queued tasks ready, before `before`; oldest first."""
    of_runs = [
        (created_at, run_id, Job(run_id=run_id, queue="", flow_id=store.runs[run_id].row.flow_id))
        for created_at, run_id in store.pending.oldest(before, flow_ids, limit)
    ]
    of_tasks = [
        (
            task.ready_at,
            task.key.run_id,
            Job(run_id=task.key.run_id, queue=task.queue, task=task.key, flow_id=task.flow_id),
        )
        for task in store.queued.oldest(before, flow_ids, limit)
    ]
    oldest = merge(of_runs, of_tasks, key=lambda found: found[:2])
    return [job for _, _, job in islice(oldest, limit)]


def find_due(
    store: Store,
    *,
    flow_ids: Sequence[int],
    queues: Sequence[str],
    sinks: Sequence[str],
    now: datetime,
    expired_before: datetime,
) -> Due:
    """Whether any of a host's ticks would find something."""
    ready_at = store.queued.first_ready_at(queues, flow_ids)
    wake_at = store.waiting.first(flow_ids)
    deadline_at = store.deadlines.first()
    scheduled_at = store.scheduled.first_ready_at(store.slugs_of(flow_ids))
    owed, owed_at = store.outbox.due(sinks, now)
    times = [at for at in (ready_at, wake_at, deadline_at, scheduled_at, owed_at) if at is not None]
    return Due(
        runs=store.pending.any(flow_ids),
        tasks=ready_at is not None and ready_at <= now,
        expired=bool(store.leased.expired(expired_before, flow_ids, 1)),
        outbox=frozenset(owed),
        waits=wake_at is not None and wake_at <= now,
        overdue=deadline_at is not None and deadline_at <= now,
        scheduled=scheduled_at is not None and scheduled_at <= now,
        next_at=min((at for at in times if at > now), default=None),
    )


def _claimable(store: Store, names: Sequence[TaskKey], claim: TaskClaim) -> list[Task]:
    """Those of the named tasks that can be claimed, in order."""
    found = [task for name in dict.fromkeys(names) if (task := find_task(store, name)) is not None]
    found.sort(key=lambda task: (-task.priority, task.ready_at, task.key))
    taken: list[Task] = []
    lost_limit = claim.lost_limit
    for task in found:
        lost = task.losses > 0
        if (
            len(taken) < claim.limit
            and task.status is TaskStatus.QUEUED
            and task.queue == claim.queue
            and task.flow_id in claim.flow_ids
            and task.ready_at <= claim.now
            and (not lost or lost_limit > 0)
            and not store.locks.is_locked(task.key)
        ):
            taken.append(task)
            lost_limit -= lost
    return taken


def _lease(store: Store, task: Task, claim: TaskClaim) -> ClaimedTask:
    task.status = TaskStatus.RUNNING
    task.entry = None
    task.token += 1
    task.attempts += 1
    task.worker = claim.worker
    task.lease_until = claim.lease_until
    task.started_at = claim.now
    store.leased.put(task)
    return ClaimedTask(
        key=task.key,
        flow_id=task.flow_id,
        token=task.token,
        attempt=task.attempts,
        losses=task.losses,
        phase=task.phase,
        lease_until=claim.lease_until,
        priority=task.priority,
    )
