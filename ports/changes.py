"""What one transaction writes: `Changes` and its parts.

Plain data that decisions make and adapters carry out, all of it or nothing: rows to insert, updates guarded by status
and token, and the events that tell of them. Payloads and times are as in `records`.
"""

from __future__ import annotations

from datetime import datetime

from .record import Record
from .records import TaskKey, WaitsFor
from .statuses import RunStatus, StepStatus, TaskStatus


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
