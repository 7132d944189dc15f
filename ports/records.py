"""The records that pass through the Persistence port while the kernel works.

Three groups: what a transaction loads (`RunRow`, `StepRow`, `TaskRow`, `PendingRun`), what it writes (`Changes`
and its parts), and what a host is given to execute (`ClaimedTask`). Records that only readers see are in
`reading`. Every payload (input, output, error, facts, events) is the kernel's canonical JSON as bytes and opaque
to adapters: they store it byte for byte and never look inside. Every time is an aware `datetime` in UTC.
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
    """Wait for a run that another transaction holds (bounded by the adapter's lock timeout), or leave it out."""
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


class EventBatch(Record, frozen=True, kw_only=True):
    """Consecutive events of one run that were caused by one transaction: one outbox row."""

    run_id: str
    flow: str
    generation: int
    first_sequence: int
    count: int
    at: datetime
    events: bytes
    """A JSON array of `count` objects, each with at least `type`."""


class NewRun(Record, frozen=True, kw_only=True):
    """A run to insert as `pending`, together with its first event."""

    id: str
    flow_id: int
    flow: str
    version: str
    fingerprint: str
    key: str | None
    request_digest: str
    """SHA-256 (hex) over the canonical request; what a repeated key is compared with."""
    priority: int
    input: bytes
    config: bytes | None
    facts: bytes | None
    created_at: datetime
    event: EventBatch
    annotations: bytes | None = None
    """As in `AnnotationsWrite`; None for none."""


class RunUpdate(Record, frozen=True, kw_only=True):
    """The new state of a locked run.

    `started_at`, `ended_at`, `deadline_at`, `reason` and `error` are left alone where None; a run that ends has no
    deadline any more.
    """

    id: str
    status: RunStatus
    next_sequence: int
    remaining_steps: int
    signals: int = 0
    deadline_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    error: bytes | None = None


class Rerun(Record, frozen=True, kw_only=True):
    """A run that has ended begins anew, in the generation after the one that it ended in.

    How it ended is kept among its generations, and everything here takes its place: what is None is cleared. One that
    ends at once has no deadline. The guard is that the run is terminal in generation `generation - 1`.
    """

    id: str
    generation: int
    status: RunStatus
    next_sequence: int
    remaining_steps: int
    signals: int = 0
    deadline_at: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None
    """Set where the new generation ends as soon as it begins, since all that is left of it are empty maps, say."""
    reason: str | None = None
    error: bytes | None = None


class StepWrite(Record, frozen=True, kw_only=True):
    """A step to insert, or the new state of a loaded one.

    Times, `reason`, `facts` and `error` are left alone where None, `retry_of` and `kept` are set by the insert alone.
    """

    run_id: str
    slug: str
    generation: int
    status: StepStatus
    remaining_dependencies: int
    elements: int | None
    remaining_tasks: int | None
    failed_tasks: int
    cursor: int
    gaps: int = 0
    retry_of: int | None = None
    kept: int = 0
    facts: bytes | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    error: bytes | None = None


class NewTasks(Record, frozen=True, kw_only=True):
    """Tasks `first … first + count − 1` of one step, alike in everything but their index.

    They are born `queued`, or `running` and leased to `worker` (then token and attempts are 1), or `suspended` where
    they wait for something from the start.
    """

    run_id: str
    step: str
    generation: int
    first: int
    count: int
    flow_id: int
    queue: str
    priority: int
    created_at: datetime
    ready_at: datetime
    """The time before which the tasks may not be claimed, and their place in the queue."""
    worker: str | None = None
    lease_until: datetime | None = None
    waits_for: WaitsFor | None = None
    wake_at: datetime | None = None


class TaskUpdate(Record, frozen=True, kw_only=True):
    """The new state of one running task, guarded by its token.

    Where the row is no longer `running` under `token` the guard refuses, and since the token was checked under the
    run's lock that is corruption.
    """

    key: TaskKey
    token: int
    status: TaskStatus
    settled_token: int
    """`token`, or the value loaded where the outcome is not the lease holder's own (lease loss)."""
    attempts: int
    losses: int
    ready_at: datetime | None = None
    """For a task that goes back to `queued`."""
    ended_at: datetime | None = None
    output: bytes | None = None
    error: bytes | None = None
    reason: str | None = None


class Suspension(Record, frozen=True, kw_only=True):
    """A running task is suspended until it is checked: guarded by its token, as a `TaskUpdate` is.

    Its attempts begin anew, its phase is `check` from now on, and `settled_token` becomes `token`.
    """

    key: TaskKey
    token: int
    wake_at: datetime
    give_up_at: datetime | None
    checks: int
    state: bytes
    """What its check is given: canonical JSON."""


class Resumption(Record, frozen=True, kw_only=True):
    """The wait of a suspended task is over: guarded by its status and the token that was loaded.

    It becomes `queued` (for its check; token and attempts stay), or ends `completed` or `failed` without having run.
    One that ends does so under a token of its own: `token` and `settled_token` become `token + 1`. Applied after the
    other writes of its transaction, so a task may be born and resumed in one.
    """

    key: TaskKey
    token: int
    status: TaskStatus
    ready_at: datetime | None = None
    """For `queued`."""
    ended_at: datetime | None = None
    output: bytes | None = None
    error: bytes | None = None
    reason: str | None = None


class NewSignal(Record, frozen=True, kw_only=True):
    """A signal to put down, consumed at once or kept."""

    run_id: str
    step: str
    key: str
    request_digest: str
    sent_at: datetime
    payload: bytes
    facts: bytes | None
    consumed_at: datetime | None = None


class ConsumedSignal(Record, frozen=True, kw_only=True):
    """A kept signal is consumed by its step."""

    run_id: str
    step: str
    key: str
    at: datetime


class ResumeToken(Record, frozen=True, kw_only=True):
    """Stands for the right to answer one signal step of one run, once. The token itself is not stored."""

    digest: str
    """SHA-256 (hex) of the token."""
    run_id: str
    step: str
    created_at: datetime
    expires_at: datetime


class NewAttempt(Record, frozen=True, kw_only=True):
    """An attempt that ended otherwise than completed, kept as history."""

    key: TaskKey
    token: int
    attempt: int
    worker: str | None
    ended_at: datetime
    reason: str
    error: bytes | None


class Cancellation(Record, frozen=True, kw_only=True):
    """Everything live below a run or a step becomes `cancelled`, after all other changes of the transaction."""

    run_id: str
    at: datetime
    reason: str
    step: str | None = None
    """The slug of the step whose live tasks are meant; None where all live steps and tasks of the run are."""
    generation: int | None = None
    """Of that step."""


class AnnotationsWrite(Record, frozen=True, kw_only=True):
    """All annotations of a run from now on."""

    run_id: str
    annotations: bytes
    """A JSON object of texts, numbers and truth values. Unlike payloads it is searched: what is equal to what is said
    in `ports.notes`."""


class Changes(Record, frozen=True, kw_only=True):
    """Everything one transaction writes. Plain data: rows to insert, guarded updates, events."""

    runs: tuple[RunUpdate, ...] = ()
    reruns: tuple[Rerun, ...] = ()
    """Of other runs than `runs`."""
    new_steps: tuple[StepWrite, ...] = ()
    steps: tuple[StepWrite, ...] = ()
    new_tasks: tuple[NewTasks, ...] = ()
    tasks: tuple[TaskUpdate, ...] = ()
    attempts: tuple[NewAttempt, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    resumptions: tuple[Resumption, ...] = ()
    new_signals: tuple[NewSignal, ...] = ()
    consumed_signals: tuple[ConsumedSignal, ...] = ()
    annotations: tuple[AnnotationsWrite, ...] = ()
    cancellations: tuple[Cancellation, ...] = ()
    events: tuple[EventBatch, ...] = ()


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
