"""The records that readers see: runs, steps, tasks, attempts and events as they stand in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from .notes import AnnotationValue
from .record import Record
from .records import TaskKey, TaskPhase, WaitsFor
from .statuses import RunStatus, StepStatus, TaskStatus


class RunRecord(Record, frozen=True, kw_only=True):
    """One run. `error` is set for a failed one, `reason` for one that did not complete."""

    id: str
    flow: str
    version: str
    fingerprint: str
    key: str | None
    status: RunStatus
    generation: int
    priority: int
    remaining_steps: int
    next_sequence: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    deadline_at: datetime | None = None
    error: bytes | None
    """JSON, as the other records' errors are: `fairlead.kernel.decode_failure` makes a `Failure` of it."""


class StepRecord(Record, frozen=True, kw_only=True):
    """One step of a run in one generation."""

    run_id: str
    slug: str
    generation: int
    status: StepStatus
    remaining_dependencies: int
    elements: int | None
    remaining_tasks: int | None
    failed_tasks: int
    cursor: int
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    error: bytes | None
    gaps: int = 0
    """Elements that have no task, since the task of the map below that makes them has failed."""
    retry_of: int | None = None
    """For a map that was retried: the generation since which what it has completed counts. None for any other."""
    kept: int = 0
    """Elements that have no task in this generation, since they were completed in an earlier one."""


class TaskRecord(Record, frozen=True, kw_only=True):
    """One task, without its output."""

    key: TaskKey
    status: TaskStatus
    phase: TaskPhase
    queue: str
    priority: int
    token: int
    settled_token: int
    attempts: int
    losses: int
    worker: str | None
    lease_until: datetime | None
    ready_at: datetime
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    error: bytes | None
    has_output: bool
    waits_for: WaitsFor | None = None
    wake_at: datetime | None = None
    give_up_at: datetime | None = None
    checks: int = 0


class AttemptRecord(Record, frozen=True, kw_only=True):
    """An attempt that ended otherwise than completed."""

    key: TaskKey
    token: int
    attempt: int
    worker: str | None
    ended_at: datetime
    reason: str
    error: bytes | None


class GenerationRecord(Record, frozen=True, kw_only=True):
    """How a run ended in a generation that it has left since, by a rerun."""

    run_id: str
    generation: int
    status: RunStatus
    started_at: datetime | None
    ended_at: datetime
    reason: str | None
    error: bytes | None


class RunCursor(NamedTuple):
    """The last run of a page; the next page begins after it."""

    created_at: datetime
    id: str


class RunFilter(Record, frozen=True, kw_only=True):
    """Which runs to list; every field that is set must hold."""

    flow: str | None = None
    """The slug of their flow, in whatever version."""
    statuses: frozenset[RunStatus] | None = None
    """One of which they have."""
    key: str | None = None
    """The idempotency key that they were started with."""
    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""
    annotations: Mapping[str, AnnotationValue] | None = None
    """Values that a run must be annotated with, by key."""


class RunPage(Record, frozen=True):
    """Runs newest first, and where the next page begins (None at the end)."""

    runs: Sequence[RunRecord]
    next: RunCursor | None


class OutputRequest(NamedTuple):
    """Asks for the output of a step, or of one task of a map (`element`, its index)."""

    run_id: str
    step: str
    element: int | None = None


class OutputPage(Record, frozen=True, kw_only=True):
    """Asks for consecutive outputs of a step as it stands in its highest generation, as many as fit."""

    run_id: str
    step: str
    first: int
    """The index of the first one wanted."""
    limit: int
    """At most so many, at least 1."""
    size_bytes_max: int
    """At most so many bytes of them together, but always the first, however large it is."""


class RunPayload(Record, frozen=True, kw_only=True):
    """What a run was started with, as canonical JSON."""

    input: bytes
    config: bytes | None


class StepOutput(Record, frozen=True, kw_only=True):
    """The recorded output of a step in its highest generation, in order of index; None where an element has none.

    Of a map that was retried, what counts of earlier generations is in it (`StepRecord.retry_of`).
    """

    generation: int
    status: StepStatus
    elements: int | None
    outputs: Sequence[bytes | None]
    """All tasks' outputs, the one asked for by index, or those of a page. Empty unless the step is completed."""


class Payloads(Record, frozen=True, kw_only=True):
    """The answer to a batch of requests. What does not exist is absent."""

    runs: Mapping[str, RunPayload]
    outputs: Mapping[OutputRequest, StepOutput]
    states: Mapping[TaskKey, bytes] = {}
    """What suspended tasks wait to be checked with."""


class WorkInHand(Record, frozen=True, kw_only=True):
    """Tasks of one flow that workers are busy with, from one queue."""

    queue: str
    flow: str
    version: str
    tasks: int
    """At least 1."""


class Due(Record, frozen=True, kw_only=True):
    """What an idle host would find if it looked: one answer for all ticks."""

    runs: bool
    """A pending run that this host serves."""
    tasks: bool
    """A queued task that this host serves and that may be claimed now."""
    expired: bool
    """A lease that ran out."""
    outbox: frozenset[str]
    """The sinks of this host that have something to publish, and are not paused."""
    waits: bool = False
    """A suspended task of this host's flows whose wait is to be looked at."""
    overdue: bool = False
    """A run that has not ended by its deadline."""
    scheduled: bool = False
    """A scheduled command that this host can carry out."""
    next_at: datetime | None
    """When the next of these becomes due by itself: a queued task, a wait, a deadline, a scheduled command, a run that
    a sink is in trouble with; if later than now."""
