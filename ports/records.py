"""The records that pass through the Persistence port while the kernel works.

Two groups: what a transaction loads (`RunRow`, `StepRow`, `TaskRow`, `PendingRun`), and what a host is given to
execute (`ClaimedTask`). What a transaction writes is in `changes`; records that only readers see are in `reading`.
Every payload (input, output, error, facts, events) is the kernel's canonical JSON as bytes and opaque to adapters:
they store it byte for byte and never look inside. Every time is an aware `datetime` in UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from .record import Record
from .statuses import RunStatus, StepStatus, TaskStatus


class TaskKey(NamedTuple):
    """Names one task: an element (by index; 0 for a plain step) of a step in a generation of a run.

    The key is derived, never drawn: a repeated decision names the same task again. Keys sort in the order in which
    several tasks are locked.
    """

    run_id: str
    step: str
    generation: int
    element: int

    def __str__(self) -> str:
        """The task's id as text: stable across attempts, unique for ever."""
        return f"{self.run_id}/{self.step}/{self.generation}/{self.element}"


class TaskPhase(enum.StrEnum):
    """Which of a step's functions a task runs next."""

    RUN = "run"
    CHECK = "check"


class WaitsFor(enum.StrEnum):
    """What a suspended task waits for: exactly one thing."""

    CHECK = "check"
    """The time of its next check, or that of giving up."""
    SIGNAL = "signal"
    """A signal named like its step, or the end of the time for it, if that has one."""
    TIME = "time"
    """A time."""


class ClaimedTask(Record, frozen=True, kw_only=True):
    """A task leased to one host: everything the host needs to name it, none of its payload."""

    key: TaskKey
    flow_id: int
    token: int
    """The fence. It increases with each claim, and every write-back carries it."""
    attempt: int
    """1 for the first try; counted when the task was claimed."""
    losses: int
    """How many leases on this task have been lost so far."""
    phase: TaskPhase = TaskPhase.RUN
    lease_until: datetime
    priority: int
    """Its run's: nothing with a higher one waits in a queue from which it was claimed in order."""


class Lease(NamedTuple):
    """A claim as its host remembers it."""

    key: TaskKey
    token: int


class LeaseAnswer(Record, frozen=True):
    """What a heartbeat learnt. A lease in none of these sets could not be looked at and is unknown, not lost."""

    extended: frozenset[Lease]
    lost: frozenset[Lease]
    cancelled: frozenset[Lease] = frozenset()
    """The task was cancelled under this token: nobody runs it any more."""


class RunRow(Record, frozen=True, kw_only=True):
    """A locked run, without its payloads."""

    id: str
    flow_id: int
    flow: str
    status: RunStatus
    generation: int
    priority: int
    next_sequence: int
    """The sequence number that the run's next event gets; the first event has 1."""
    remaining_steps: int
    facts: bytes | None
    """The facts of the run's input."""
    signals: int = 0
    """How many signals are kept for steps of the run that do not wait yet."""
    deadline_at: datetime | None = None
    """When the run fails unless it has ended; None where it has as long as it needs, or has ended."""


class StepRow(Record, frozen=True, kw_only=True):
    """A step of a locked run, in its highest generation."""

    run_id: str
    slug: str
    generation: int
    status: StepStatus
    remaining_dependencies: int
    elements: int | None
    """How many tasks the step has in all: 1 for a plain step, an array's length for a map, None before it is known."""
    remaining_tasks: int | None
    """`elements` less `gaps`, `kept` and the tasks that are terminal; None before the step is ready."""
    failed_tasks: int
    cursor: int
    """How many of its tasks have rows. Rows are made in order of index: without gaps it is the next one's."""
    facts: bytes | None
    """The facts of the step's output."""
    gaps: int = 0
    """For a map over a map: how many elements never get a task, since the task there that should give them failed."""
    retry_of: int | None = None
    """For a map that is retried: the generation since which what it has completed counts, in all generations up to this
    one. None where it counts in this one alone."""
    kept: int = 0
    """How many elements it had completed before this generation; they get no task in it."""


class TaskRow(Record, frozen=True, kw_only=True):
    """A task of a locked run."""

    key: TaskKey
    flow_id: int
    status: TaskStatus
    token: int
    settled_token: int
    """The token under which the task's latest outcome was recorded; 0 where none was. Lease loss records none."""
    attempts: int
    losses: int
    phase: TaskPhase
    worker: str | None
    lease_until: datetime | None
    priority: int
    waits_for: WaitsFor | None = None
    """Set exactly while it is suspended."""
    wake_at: datetime | None = None
    """When its wait is looked at: the next check, the end of the time, or the last moment for a signal. None where it
    waits for a signal without end, or does not wait."""
    give_up_at: datetime | None = None
    """When a task that is checked fails unless it is ready; set by its first suspension, and kept."""
    checks: int = 0
    """How often it has been suspended again by a check."""


class SignalRow(Record, frozen=True, kw_only=True):
    """A signal that was sent to a step of a run and accepted. It is consumed once, or kept until its step waits."""

    run_id: str
    step: str
    key: str
    """What makes a repetition recognisable: unique for the step of that run."""
    request_digest: str
    """SHA-256 (hex) over the canonical payload, with which a repeated key is compared."""
    sent_at: datetime
    consumed_at: datetime | None
    payload: bytes
    """Canonical JSON that fits the step's type, or a reference to it."""
    facts: bytes | None


class Snapshot(Record, frozen=True):
    """What a settling transaction saw after its locks: only runs that it holds, their steps and their tasks."""

    runs: Mapping[str, RunRow]
    steps: Mapping[tuple[str, str], StepRow]
    """By (run id, slug)."""
    tasks: Mapping[TaskKey, TaskRow]
    leased: Sequence[TaskRow] = ()
    """The running tasks of these runs that are leased to `LoadRequest.leased_to`."""
    elements: Mapping[ElementRequest, Sequence[int]] = {}
    """Answers of `Transaction.load_elements`."""
    signals: Mapping[str, Sequence[SignalRow]] = {}
    """By run id, for runs that were asked about: answers of `Transaction.load_signals`."""


class PendingRun(Record, frozen=True, kw_only=True):
    """A pending run, locked for its claim, with the payloads its first tasks will ask for."""

    id: str
    flow_id: int
    flow: str
    generation: int
    priority: int
    next_sequence: int
    facts: bytes | None
    input: bytes
    config: bytes | None
    signals: int = 0
    """As in `RunRow`."""


class RunClaim(Record, frozen=True, kw_only=True):
    """Which pending runs a host can take."""

    flow_ids: tuple[int, ...]
    limit: int
    only: tuple[str, ...] | None = None
    """These runs and no others, as named by a transport's messages."""


class TaskClaim(Record, frozen=True, kw_only=True):
    """Which queued tasks a host can take, and the lease it takes on them."""

    flow_ids: tuple[int, ...]
    queue: str
    limit: int
    lost_limit: int
    """How many of `limit` may be tasks with losses; 0 while the host already holds one."""
    worker: str
    now: datetime
    lease_until: datetime
    only: tuple[TaskKey, ...] | None = None
    """These tasks and no others, as named by a transport's messages."""


class LoadRequest(Record, frozen=True, kw_only=True):
    """What a settling transaction locks and reads."""

    runs: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    """(run id, slug) pairs; each is answered in its highest generation."""
    tasks: tuple[TaskKey, ...]
    wait: bool = False
    """Wait for a run that another transaction holds, or leave it out."""
    patience_s: float | None = None
    """How long it waits; as long as the adapter's lock timeout where None."""
    lock_tasks: bool = False
    """Lock the tasks too, leaving out those that are locked already: for lease loss, which a heartbeat may race."""
    leased_to: str | None = None
    """Also answer which running tasks of these runs this worker holds: after an unknown commit."""


class ElementRequest(Record, frozen=True, kw_only=True):
    """Asks for which elements a map makes its next tasks, where it leaves some out: those that the map below it has
    not made, since their tasks failed there, and those that it has completed in an earlier generation."""

    run_id: str
    step: str
    generation: int
    retry_of: int | None = None
    """As in the step's row: what it has completed from there on is left out."""
    elements: int
    """How many elements the step has in all."""
    source: str | None = None
    """The map whose outputs are the elements; None where every one of them is there."""
    source_generation: int = 0
    source_retry_of: int | None = None
    limit: int


class NewFlow(Record, frozen=True, kw_only=True):
    """The shape of a flow's version, as code declares it."""

    slug: str
    version: str
    fingerprint: str
    shape: bytes
    registered_at: datetime


class FlowRow(Record, frozen=True, kw_only=True):
    """A registered shape. `flow_id` stands for exactly one (slug, version, fingerprint)."""

    flow_id: int
    slug: str
    version: str
    fingerprint: str
    shape: bytes


class StartedRun(Record, frozen=True, kw_only=True):
    """The answer to one inserted run: itself, or the run that holds its key."""

    id: str
    created: bool
    request_digest: str
    """That of the run that exists now; another one than the request's is a conflict."""
