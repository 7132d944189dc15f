"""The rows as the store keeps them, and how they look to those who load them.

Rows are mutable and change only under the store's mutex. A row that an open transaction has changed is a copy of
its own until the commit puts it into the table, so nobody else ever sees it half-way.

Rows are msgspec structs that the garbage collector does not follow: none can be part of a cycle, and a collection
that walked over every finished run would cost more than all the rest of the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

import msgspec

from ...ports.changes import EventBatch, NewAttempt
from ...ports.notes import LogRecord, ProgressRecord
from ...ports.outbox import OutboxRow
from ...ports.reading import GenerationRecord, RunRecord, StepRecord, TaskRecord
from ...ports.records import Lease, PendingRun, RunRow, SignalRow, StepRow, TaskKey, TaskPhase, TaskRow, WaitsFor
from ...ports.statuses import RunStatus, StepStatus, TaskStatus
from .locks import SignalKey, StepKey

Entry: TypeAlias = tuple[datetime, TaskKey]
"""A queued task's place in its queue, or a suspended one's among those that are to be looked at."""


class Run(msgspec.Struct, gc=False, eq=False):
    """A row of `runs`."""

    id: str
    flow_id: int
    flow: str
    version: str
    fingerprint: str
    key: str | None
    request_digest: str
    status: RunStatus
    generation: int
    priority: int
    remaining_steps: int
    next_sequence: int
    input: bytes
    config: bytes | None
    facts: bytes | None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deadline_at: datetime | None = None
    reason: str | None = None
    error: bytes | None = None
    signals: int = 0

    def loaded(self) -> RunRow:
        """The run as a settling transaction sees it."""
        return RunRow(
            id=self.id,
            flow_id=self.flow_id,
            flow=self.flow,
            status=self.status,
            generation=self.generation,
            priority=self.priority,
            next_sequence=self.next_sequence,
            remaining_steps=self.remaining_steps,
            facts=self.facts,
            signals=self.signals,
            deadline_at=self.deadline_at,
        )

    def pending(self) -> PendingRun:
        """The run as its claim sees it."""
        return PendingRun(
            id=self.id,
            flow_id=self.flow_id,
            flow=self.flow,
            generation=self.generation,
            priority=self.priority,
            next_sequence=self.next_sequence,
            facts=self.facts,
            input=self.input,
            config=self.config,
            signals=self.signals,
        )

    def ending(self) -> GenerationRecord:
        """How the run ended, kept as it is rerun."""
        assert self.ended_at is not None, "only a run that has ended is rerun"
        return GenerationRecord(
            run_id=self.id,
            generation=self.generation,
            status=self.status,
            started_at=self.started_at,
            ended_at=self.ended_at,
            reason=self.reason,
            error=self.error,
        )

    def record(self) -> RunRecord:
        """The run as a reader sees it."""
        return RunRecord(
            id=self.id,
            flow=self.flow,
            version=self.version,
            fingerprint=self.fingerprint,
            key=self.key,
            status=self.status,
            generation=self.generation,
            priority=self.priority,
            remaining_steps=self.remaining_steps,
            next_sequence=self.next_sequence,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            reason=self.reason,
            deadline_at=self.deadline_at,
            error=self.error,
        )


class Step(msgspec.Struct, gc=False, eq=False):
    """A row of `steps`."""

    run_id: str
    slug: str
    generation: int
    status: StepStatus
    remaining_dependencies: int
    elements: int | None
    remaining_tasks: int | None
    failed_tasks: int
    cursor: int
    facts: bytes | None
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    error: bytes | None
    gaps: int
    retry_of: int | None
    kept: int

    @property
    def counted(self) -> range:
        """The generations whose completed tasks count, the highest first."""
        first = self.generation if self.retry_of is None else self.retry_of
        return range(self.generation, first - 1, -1)

    def loaded(self) -> StepRow:
        """The step as a settling transaction sees it."""
        return StepRow(
            run_id=self.run_id,
            slug=self.slug,
            generation=self.generation,
            status=self.status,
            remaining_dependencies=self.remaining_dependencies,
            elements=self.elements,
            remaining_tasks=self.remaining_tasks,
            failed_tasks=self.failed_tasks,
            cursor=self.cursor,
            facts=self.facts,
            gaps=self.gaps,
            retry_of=self.retry_of,
            kept=self.kept,
        )

    def record(self) -> StepRecord:
        """The step as a reader sees it."""
        return StepRecord(
            run_id=self.run_id,
            slug=self.slug,
            generation=self.generation,
            status=self.status,
            remaining_dependencies=self.remaining_dependencies,
            elements=self.elements,
            remaining_tasks=self.remaining_tasks,
            failed_tasks=self.failed_tasks,
            cursor=self.cursor,
            started_at=self.started_at,
            ended_at=self.ended_at,
            reason=self.reason,
            error=self.error,
            gaps=self.gaps,
            retry_of=self.retry_of,
            kept=self.kept,
        )


class Task(msgspec.Struct, gc=False, eq=False):
    """A row of `tasks`. `entry` is its place in the index of queued or of waiting tasks, None where it has none."""

    key: TaskKey
    flow_id: int
    queue: str
    priority: int
    status: TaskStatus
    phase: TaskPhase
    token: int
    settled_token: int
    attempts: int
    losses: int
    worker: str | None
    lease_until: datetime | None
    ready_at: datetime
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None = None
    output: bytes | None = None
    error: bytes | None = None
    reason: str | None = None
    waits_for: WaitsFor | None = None
    wake_at: datetime | None = None
    give_up_at: datetime | None = None
    checks: int = 0
    state: bytes | None = None
    entry: Entry | None = None

    def loaded(self) -> TaskRow:
        """The task as a settling transaction sees it."""
        return TaskRow(
            key=self.key,
            flow_id=self.flow_id,
            status=self.status,
            token=self.token,
            settled_token=self.settled_token,
            attempts=self.attempts,
            losses=self.losses,
            phase=self.phase,
            worker=self.worker,
            lease_until=self.lease_until,
            priority=self.priority,
            waits_for=self.waits_for,
            wake_at=self.wake_at,
            give_up_at=self.give_up_at,
            checks=self.checks,
        )

    def record(self) -> TaskRecord:
        """The task as a reader sees it."""
        return TaskRecord(
            key=self.key,
            status=self.status,
            phase=self.phase,
            queue=self.queue,
            priority=self.priority,
            token=self.token,
            settled_token=self.settled_token,
            attempts=self.attempts,
            losses=self.losses,
            worker=self.worker,
            lease_until=self.lease_until,
            ready_at=self.ready_at,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            reason=self.reason,
            error=self.error,
            has_output=self.output is not None,
            waits_for=self.waits_for,
            wake_at=self.wake_at,
            give_up_at=self.give_up_at,
            checks=self.checks,
        )


class Batch(msgspec.Struct, gc=False, eq=False):
    """A row of `outbox`."""

    run_id: str
    flow: str
    generation: int
    first_sequence: int
    count: int
    at: datetime
    events: bytes
    published: bool = False
    delivered: int = 0
    """The sinks that have it, one bit each."""
    held: int = 0
    """The sinks that it waits for with its run, one bit each."""

    def loaded(self, in_trouble: bool = False) -> OutboxRow:
        """The row as a flusher or a reader sees it."""
        return OutboxRow(
            run_id=self.run_id,
            flow=self.flow,
            generation=self.generation,
            first_sequence=self.first_sequence,
            count=self.count,
            at=self.at,
            events=self.events,
            in_trouble=in_trouble,
        )


def stored_batch(new: EventBatch) -> Batch:
    """The row that keeps these events."""
    return Batch(new.run_id, new.flow, new.generation, new.first_sequence, new.count, new.at, new.events)


def in_order_of_sending(signals: Iterable[SignalRow]) -> list[SignalRow]:
    """Signals as they are read: by time of sending, then step and key."""
    return sorted(signals, key=lambda signal: (signal.sent_at, signal.step, signal.key))


class StoredRun(msgspec.Struct, gc=False, eq=False):
    """A run with everything that belongs to it. Kept together, so that finished runs cost living ones nothing."""

    row: Run
    endings: dict[int, GenerationRecord] = {}
    """How the run ended in the generations that it has left."""
    steps: dict[StepKey, Step] = {}
    generations: dict[str, int] = {}
    """The highest generation of each slug."""
    tasks: dict[TaskKey, Task] = {}
    live: dict[TaskKey, None] = {}
    """The keys of tasks that are not terminal."""
    attempts: dict[Lease, NewAttempt] = {}
    events: dict[int, Batch] = {}
    """The run's outbox rows by first sequence."""
    signals: dict[SignalKey, SignalRow] = {}
    annotations: bytes | None = None
    logs: dict[tuple[TaskKey, int, int], LogRecord] = {}
    """By task, token and sequence, in order of number."""
    progress: dict[TaskKey, ProgressRecord] = {}

    def batches(self) -> list[Batch]:
        """The run's outbox rows in order."""
        return [self.events[sequence] for sequence in sorted(self.events)]


class Uncommitted:
    """What one transaction has written and nobody else sees: rows of its own that its commit puts into the tables."""

    __slots__ = ("annotations", "attempts", "endings", "events", "runs", "signals", "steps", "tasks")

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.endings: dict[str, GenerationRecord] = {}
        self.steps: dict[StepKey, Step] = {}
        self.tasks: dict[TaskKey, Task] = {}
        self.attempts: dict[Lease, NewAttempt] = {}
        self.events: dict[tuple[str, int], Batch] = {}
        """By run id and first sequence."""
        self.annotations: dict[str, bytes] = {}
        self.signals: dict[SignalKey, SignalRow] = {}
