"""What waits in the store, and since when; reads everything. Expects the store's mutex to be held."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...ports.health import Health, Overdue, WaitingWork
from ...ports.statuses import RunStatus, TaskStatus
from .store import Store

COMMANDS_MAX = 1_000_000
"""Scheduled commands that are looked at: all that a process can hold."""


def read_health(store: Store, now: datetime) -> Health:
    """What waits for hosts at `now`, whoever serves it."""
    runs = store.runs.values()
    live = [run.tasks[key] for run in runs for key in run.live]
    versions = {flow.flow_id: (flow.slug, flow.version) for flow in store.flows.values()}
    claimable = [("", run.row.flow_id, run.row.created_at) for run in runs if run.row.status is RunStatus.PENDING]
    ready = [
        (task.queue, task.flow_id, task.ready_at)
        for task in live
        if task.status is TaskStatus.QUEUED and task.ready_at <= now
    ]
    commands = store.scheduled.list("", "", COMMANDS_MAX)
    waiting: dict[tuple[str, str, str], list[datetime]] = {}
    for queue, flow_id, since in (*claimable, *ready):
        waiting.setdefault((*versions[flow_id], queue), []).append(since)
    return Health(
        waiting=[
            WaitingWork(queue=queue or None, flow=flow, version=version, count=len(times), since=min(times))
            for (flow, version, queue), times in sorted(waiting.items())
        ],
        leases=_overdue(task.lease_until for task in live if _due(task.lease_until, now)),
        waits=_overdue(task.wake_at for task in live if _due(task.wake_at, now)),
        deadlines=_overdue(run.row.deadline_at for run in runs if _due(run.row.deadline_at, now)),
        events=_overdue(batch.at for run in runs for batch in run.events.values() if not batch.published),
        commands=_overdue(kept.scheduled.due_at for kept in commands if _due(kept.scheduled.due_at, now)),
        held=sum(kept.scheduled.due_at is None and kept.scheduled.problem is not None for kept in commands),
    )


def _due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _overdue(times: Iterable[datetime | None]) -> Overdue:
    found = [at for at in times if at is not None]
    return Overdue(len(found), min(found, default=None))
