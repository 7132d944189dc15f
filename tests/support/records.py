"""Factories for the records of the ports: a test names the fields it is about, the rest is plain.

Nothing here is random and nothing asks a clock: run ids count up, and time is `at(seconds)` after one fixed moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from fairlead.ports.changes import (
    Cancellation,
    EventBatch,
    NewAttempt,
    NewRun,
    NewTasks,
    Rerun,
    RunUpdate,
    StepWrite,
    TaskUpdate,
)
from fairlead.ports.records import (
    ClaimedTask,
    ElementRequest,
    FlowRow,
    Lease,
    LoadRequest,
    NewFlow,
    RunClaim,
    TaskClaim,
    TaskKey,
    TaskRow,
)
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
"""The moment at which every test begins."""

LEASE_S = 30.0


def at(seconds: float) -> datetime:
    """The moment `seconds` after the beginning of the test."""
    return START + timedelta(seconds=seconds)


def run_id(number: int) -> str:
    """The id of run `number`: a UUID in canonical text, increasing with the number."""
    return f"00000000-0000-7000-8000-{number:012x}"


def new_flow(
    slug: str = "orders", version: str = "1", fingerprint: str = "shape-1", *, shape: bytes = b'{"steps":[]}'
) -> NewFlow:
    """A flow's shape to register."""
    return NewFlow(slug=slug, version=version, fingerprint=fingerprint, shape=shape, registered_at=START)


def events(
    run: str,
    first: int = 1,
    told: Sequence[str | tuple[str, Mapping[str, object]]] = ("run.created",),
    *,
    flow: str = "orders",
    generation: int = 1,
    happened_at: datetime = START,
) -> EventBatch:
    """Consecutive events of a run, each a type or a type with fields, from sequence number `first`."""
    objects = [{"type": event} if isinstance(event, str) else {"type": event[0], **event[1]} for event in told]
    return EventBatch(
        run_id=run,
        flow=flow,
        generation=generation,
        first_sequence=first,
        count=len(objects),
        at=happened_at,
        events=json.dumps(objects, separators=(",", ":")).encode(),
    )


def new_run(
    flow: FlowRow,
    number: int = 1,
    *,
    key: str | None = None,
    digest: str = "digest",
    priority: int = 0,
    input: bytes = b'{"order":1}',
    config: bytes | None = None,
    facts: bytes | None = None,
    created_at: datetime = START,
    annotations: bytes | None = None,
) -> NewRun:
    """Run `number` of `flow`, to be inserted."""
    identity = run_id(number)
    return NewRun(
        id=identity,
        flow_id=flow.flow_id,
        flow=flow.slug,
        version=flow.version,
        fingerprint=flow.fingerprint,
        key=key,
        request_digest=digest,
        priority=priority,
        input=input,
        config=config,
        facts=facts,
        created_at=created_at,
        event=events(identity, flow=flow.slug, happened_at=created_at),
        annotations=annotations,
    )


def run_claim(*flows: FlowRow, limit: int = 100, only: Sequence[str] | None = None) -> RunClaim:
    """A claim on pending runs of these flows."""
    return RunClaim(
        flow_ids=tuple(flow.flow_id for flow in flows), limit=limit, only=None if only is None else tuple(only)
    )


def task_claim(
    *flows: FlowRow,
    limit: int = 100,
    queue: str = "default",
    lost_limit: int = 100,
    worker: str = "worker-1",
    now: datetime = START,
    lease_s: float = LEASE_S,
    only: Sequence[TaskKey] | None = None,
) -> TaskClaim:
    """A claim on queued tasks of these flows."""
    return TaskClaim(
        flow_ids=tuple(flow.flow_id for flow in flows),
        queue=queue,
        limit=limit,
        lost_limit=lost_limit,
        worker=worker,
        now=now,
        lease_until=now + timedelta(seconds=lease_s),
        only=None if only is None else tuple(only),
    )


def load_request(
    *runs: str,
    steps: Sequence[tuple[str, str]] = (),
    tasks: Sequence[TaskKey] = (),
    wait: bool = False,
    lock_tasks: bool = False,
    leased_to: str | None = None,
) -> LoadRequest:
    """What a transaction locks and reads."""
    return LoadRequest(
        runs=runs, steps=tuple(steps), tasks=tuple(tasks), wait=wait, lock_tasks=lock_tasks, leased_to=leased_to
    )


def step_write(
    run: str,
    slug: str = "pack",
    *,
    generation: int = 1,
    status: StepStatus = StepStatus.RUNNING,
    dependencies: int = 0,
    elements: int | None = 1,
    remaining: int | None = 1,
    failed: int = 0,
    cursor: int | None = None,
    gaps: int = 0,
    retry_of: int | None = None,
    kept: int = 0,
    facts: bytes | None = None,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    reason: str | None = None,
    error: bytes | None = None,
) -> StepWrite:
    """A step, new or changed; its cursor is at its end unless said otherwise."""
    return StepWrite(
        run_id=run,
        slug=slug,
        generation=generation,
        status=status,
        remaining_dependencies=dependencies,
        elements=elements,
        remaining_tasks=remaining,
        failed_tasks=failed,
        cursor=(elements or 0) - gaps - kept if cursor is None else cursor,
        gaps=gaps,
        retry_of=retry_of,
        kept=kept,
        facts=facts,
        started_at=started_at,
        ended_at=ended_at,
        reason=reason,
        error=error,
    )


def new_tasks(
    flow: FlowRow,
    run: str,
    step: str = "pack",
    *,
    first: int = 0,
    count: int = 1,
    generation: int = 1,
    queue: str = "default",
    priority: int = 0,
    created_at: datetime = START,
    ready_at: datetime = START,
    worker: str | None = None,
    lease_until: datetime | None = None,
) -> NewTasks:
    """A range of tasks of one step: queued, or leased to `worker`."""
    return NewTasks(
        run_id=run,
        step=step,
        generation=generation,
        first=first,
        count=count,
        flow_id=flow.flow_id,
        queue=queue,
        priority=priority,
        created_at=created_at,
        ready_at=ready_at,
        worker=worker,
        lease_until=lease_until,
    )


def run_update(
    run: str,
    status: RunStatus = RunStatus.RUNNING,
    *,
    next_sequence: int = 2,
    remaining_steps: int = 0,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    reason: str | None = None,
    error: bytes | None = None,
) -> RunUpdate:
    """The new state of a run."""
    return RunUpdate(
        id=run,
        status=status,
        next_sequence=next_sequence,
        remaining_steps=remaining_steps,
        started_at=started_at,
        ended_at=ended_at,
        reason=reason,
        error=error,
    )


def rerun(
    run: str,
    generation: int = 2,
    *,
    status: RunStatus = RunStatus.RUNNING,
    next_sequence: int,
    remaining_steps: int = 1,
    started_at: datetime = START,
    ended_at: datetime | None = None,
    reason: str | None = None,
    error: bytes | None = None,
) -> Rerun:
    """A run that begins anew."""
    return Rerun(
        id=run,
        generation=generation,
        status=status,
        next_sequence=next_sequence,
        remaining_steps=remaining_steps,
        started_at=started_at,
        ended_at=ended_at,
        reason=reason,
        error=error,
    )


def completed(task: ClaimedTask, *, output: bytes = b'"done"', ended_at: datetime = START) -> TaskUpdate:
    """The holder's own outcome: the task is done."""
    return TaskUpdate(
        key=task.key,
        token=task.token,
        status=TaskStatus.COMPLETED,
        settled_token=task.token,
        attempts=task.attempt,
        losses=task.losses,
        ended_at=ended_at,
        output=output,
    )


def failed(task: ClaimedTask, *, reason: str = "handler_error", error: bytes = b'{"type":"ValueError"}') -> TaskUpdate:
    """The holder's own outcome: the task failed for good."""
    return TaskUpdate(
        key=task.key,
        token=task.token,
        status=TaskStatus.FAILED,
        settled_token=task.token,
        attempts=task.attempt,
        losses=task.losses,
        ended_at=START,
        reason=reason,
        error=error,
    )


def retried(task: ClaimedTask, *, ready_at: datetime) -> TaskUpdate:
    """The holder's own outcome: the attempt failed, and the task may be claimed again at `ready_at`."""
    return TaskUpdate(
        key=task.key,
        token=task.token,
        status=TaskStatus.QUEUED,
        settled_token=task.token,
        attempts=task.attempt,
        losses=task.losses,
        ready_at=ready_at,
    )


def lost(task: TaskRow, *, ready_at: datetime) -> TaskUpdate:
    """The lease ran out: somebody else may claim the task at `ready_at`; no outcome is recorded."""
    return TaskUpdate(
        key=task.key,
        token=task.token,
        status=TaskStatus.QUEUED,
        settled_token=task.settled_token,
        attempts=task.attempts,
        losses=task.losses + 1,
        ready_at=ready_at,
    )


def attempt(
    task: ClaimedTask, *, reason: str = "handler_error", error: bytes | None = None, worker: str | None = "worker-1"
) -> NewAttempt:
    """The history of an attempt that did not complete."""
    return NewAttempt(
        key=task.key,
        token=task.token,
        attempt=task.attempt,
        worker=worker,
        ended_at=START,
        reason=reason,
        error=error,
    )


def cancellation(run: str, *, reason: str = "run_failed") -> Cancellation:
    """Everything that lives in a run is cancelled."""
    return Cancellation(run_id=run, at=at(9), reason=reason)


def step_cancellation(run: str, step: str, *, generation: int = 1, reason: str = "step_failed") -> Cancellation:
    """Every live task of a step is cancelled."""
    return Cancellation(run_id=run, at=at(9), reason=reason, step=step, generation=generation)


def elements_for(
    run: str,
    step: str,
    *,
    source: str | None = "pack",
    elements: int = 6,
    limit: int = 100,
    generation: int = 1,
    retry_of: int | None = None,
    source_generation: int = 1,
    source_retry_of: int | None = None,
) -> ElementRequest:
    """Which elements the next tasks of a map are for."""
    return ElementRequest(
        run_id=run,
        step=step,
        generation=generation,
        retry_of=retry_of,
        elements=elements,
        source=source,
        source_generation=source_generation,
        source_retry_of=source_retry_of,
        limit=limit,
    )


def lease_of(task: ClaimedTask) -> Lease:
    """The claim as its holder remembers it."""
    return Lease(task.key, task.token)


def keys(run: str, step: str, elements: Mapping[int, object] | Sequence[int], *, generation: int = 1) -> list[TaskKey]:
    """The keys of some elements of a step."""
    return [TaskKey(run, step, generation, element) for element in elements]
