"""Runs as the command line sees them at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from fairlead.hosts.cli.watching import Look
from fairlead.kernel.events import Event
from fairlead.ports.outbox import EventRecord
from fairlead.ports.reading import RunRecord, StepRecord, TaskRecord
from fairlead.ports.records import TaskKey, TaskPhase
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus

from .records import START, at, run_id


def run_record(status: RunStatus = RunStatus.RUNNING, *, number: int = 1, reason: str | None = None) -> RunRecord:
    """A run of flow `orders`."""
    return RunRecord(
        id=run_id(number),
        flow="orders",
        version="1",
        fingerprint="shape-1",
        key=None,
        status=status,
        generation=1,
        priority=0,
        remaining_steps=1,
        next_sequence=2,
        created_at=START,
        started_at=None,
        ended_at=at(60) if status in (RunStatus.COMPLETED, RunStatus.FAILED) else None,
        reason=reason,
        error=None,
    )


def step_record(
    slug: str,
    status: StepStatus = StepStatus.RUNNING,
    *,
    done: int = 0,
    total: int | None = 1,
    failed: int = 0,
    gaps: int = 0,
    reason: str | None = None,
) -> StepRecord:
    """A step of which some tasks have ended."""
    return StepRecord(
        run_id=run_id(1),
        slug=slug,
        generation=1,
        status=status,
        remaining_dependencies=0,
        elements=total,
        remaining_tasks=None if total is None else total - done,
        failed_tasks=failed,
        cursor=0,
        started_at=None if status is StepStatus.CREATED else at(1),
        ended_at=None if status in (StepStatus.CREATED, StepStatus.RUNNING) else at(3),
        reason=reason,
        error=None,
        gaps=gaps,
    )


def task_record(
    status: TaskStatus,
    *,
    queue: str = "default",
    ready_at: datetime = START,
    lease_until: datetime | None = None,
    worker: str | None = None,
) -> TaskRecord:
    """A task of step `pay`."""
    return TaskRecord(
        key=TaskKey(run_id(1), "pay", 1, 0),
        status=status,
        phase=TaskPhase.RUN,
        queue=queue,
        priority=0,
        token=1,
        settled_token=0,
        attempts=1,
        losses=0,
        worker=worker,
        lease_until=lease_until,
        ready_at=ready_at,
        created_at=START,
        started_at=None,
        ended_at=None,
        reason=None,
        error=None,
        has_output=False,
    )


def event_record(event: Event, sequence: int = 1, *, seconds: float = 0) -> EventRecord:
    """An event as a reader sees it."""
    return EventRecord(
        run_id=run_id(1),
        flow="orders",
        generation=1,
        sequence=sequence,
        type=event.type,
        step=getattr(event, "step", None),
        at=at(seconds),
        data=msgspec.json.encode(event),
    )


def look(
    *steps: StepRecord,
    run: RunRecord | None = None,
    events: Sequence[EventRecord] = (),
    idle: str | None = None,
    seconds: float = 0,
) -> Look:
    """A run at one moment."""
    return Look(run=run or run_record(), steps=steps, events=events, at=START + timedelta(seconds=seconds), idle=idle)
