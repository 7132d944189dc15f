"""The commands that the kernel accepts: one class each, in the imperative.

A command says all that its decision needs; the time, fresh ids and the stored state are added by `Kernel.dispatch`.
Its type parameter is the type of its result. Whether a command may be repeated is said in its docstring.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Generic, TypeVar

from ..ports.record import Record
from ..ports.records import ClaimedTask, Lease, LeaseAnswer, PendingRun, TaskKey
from ..ports.statuses import RunStatus
from .errors import InvalidArgument, LimitExceeded

Result = TypeVar("Result", covariant=True)

START_BATCH_MAX = 10_000
"""Runs in one `StartRuns`: what one statement inserts within about a second."""

REASON_LENGTH_MAX = 500
"""Characters of the reason of a cancel: a few sentences."""

SETTLE_BATCH_MAX = 500
"""Outcomes in one `SettleTasks`: past this a batch gains nothing and holds its runs' locks for longer."""


class Command(Record, Generic[Result], frozen=True):
    """Something the kernel can be asked to do; its answer is a `Result`."""

    needs_flows: ClassVar[bool] = True
    """Whether the kernel's flows must be registered with the store first."""


class RunRequest(Record, frozen=True, kw_only=True):
    """One run to start. `input` and `config` are canonical JSON that has been validated against the flow."""

    flow_id: int
    input: bytes
    """The payload, or a reference to it (`kernel.references`); then `run_id` and `digest` are set."""
    config: bytes | None = None
    facts: bytes | None = None
    """The facts of the input (`kernel.facts`)."""
    key: str | None = None
    priority: int = 0
    run_id: str | None = None
    """The run's id, drawn already since blobs are named after it; None where it is drawn when the run is put down."""
    digest: str | None = None
    """`decisions.start.request_digest` of the request with its payload; None where it has that."""


class RunStart(Record, frozen=True, kw_only=True):
    """What became of a requested run."""

    run_id: str
    created: bool
    """False where the key was known, with the same payload: the run is the one that was started then."""


class StartRuns(Command[tuple[RunStart, ...]], frozen=True):
    """Put runs down as pending. Repeatable where every request has a key."""

    requests: tuple[RunRequest, ...]

    def __post_init__(self) -> None:
        require_startable(len(self.requests))


class CancelRun(Command["CancelledRun"], frozen=True):
    """End a run and everything that is live in it. Repeatable: a run that has ended is left as it is.

    It needs no code: any kernel over the same store cancels a run, whatever its flow.
    """

    needs_flows: ClassVar[bool] = False
    run_id: str
    reason: str | None = None
    """Why: printable text of 1 to `REASON_LENGTH_MAX` characters, kept with the run and told with its event."""

    def __post_init__(self) -> None:
        if not _is_text(self.run_id):
            raise InvalidArgument("run_id", "text", self.run_id)
        reason = self.reason
        if reason is not None and not (
            _is_text(reason) and 1 <= len(reason) <= REASON_LENGTH_MAX and reason.isprintable()
        ):
            raise InvalidArgument("reason", f"printable text of 1 to {REASON_LENGTH_MAX} characters", reason)


class CancelledRun(Record, frozen=True, kw_only=True):
    """What became of a cancel. True where it took effect."""

    run_id: str
    found: RunStatus
    """What the run was when the cancel came: `pending` or `running`, or, where it came too late, how it had ended."""
    took_effect: bool
    """Whether the run is cancelled by this very call. False where it had ended, also where somebody else had cancelled
    it before."""

    def __bool__(self) -> bool:
        return self.took_effect


class Capacity(Record, frozen=True, kw_only=True):
    """What a host can take on: the flows and queues it serves, and how many tasks it has slots for."""

    worker: str
    """The host's worker id, unique among all hosts."""
    flow_ids: tuple[int, ...]
    queues: tuple[str, ...]
    slots: int
    lease_duration: timedelta
    minimum_priority: int | None = None
    """Hand over nothing below this priority, since a claim left such tasks waiting; None where none waits."""

    def __post_init__(self) -> None:
        _at_least("slots", self.slots, 0)


class ClaimRuns(Command["ClaimedRuns"], frozen=True, kw_only=True):
    """Make pending runs running, their first tasks leased to the host as far as it has slots."""

    capacity: Capacity
    limit: int
    only: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _at_least("limit", self.limit, 1)


class ClaimedRuns(Record, frozen=True, kw_only=True):
    """The runs that were claimed, and those of their first tasks that are leased to the claiming host."""

    runs: tuple[PendingRun, ...]
    tasks: tuple[ClaimedTask, ...]
    queued: bool = False
    """Whether there are first tasks that found no slot and wait in their queues."""


class ClaimTasks(Command[tuple[ClaimedTask, ...]], frozen=True, kw_only=True):
    """Lease queued tasks of one queue."""

    capacity: Capacity
    queue: str
    lost_limit: int = 1
    """How many tasks that lost a lease before may be among them; 0 while the host holds one."""
    only: tuple[TaskKey, ...] | None = None

    def __post_init__(self) -> None:
        _at_least("lost_limit", self.lost_limit, 0)


class RecallTasks(Command[tuple[ClaimedTask, ...]], frozen=True):
    """Tell which tasks are leased to this worker, by key. Repeatable: it changes nothing.

    After a claim whose commit is unknown the worker may have leases that it never heard of.
    """

    worker: str


class OutcomeKind(enum.StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"


class Outcome(Record, frozen=True, kw_only=True):
    """How the host's attempt at one task ended, written back under its token."""

    key: TaskKey
    token: int
    flow_id: int
    kind: OutcomeKind
    output: bytes | None = None
    """Canonical JSON, validated; for `COMPLETED` only."""
    facts: bytes | None = None
    """The facts of `output`."""
    error: bytes | None = None
    """The recorded error (`kernel.failures`); for `FAILED` only."""
    reason: str | None = None
    """For `FAILED`: one word of the glossary, such as `handler_failed` or `timed_out`."""
    retryable: bool = True
    """For `FAILED`: whether a further attempt may help."""
    retry_after: timedelta | None = None
    """For `FAILED`: a delay asked for by the handler instead of the step's own."""


class Verdict(enum.StrEnum):
    """What became of an outcome."""

    SETTLED = "settled"
    """It is recorded, now or by an earlier try of the same command."""
    STALE = "stale"
    """The task is no longer the host's under this token; nothing changed."""
    DEFERRED = "deferred"
    """Another transaction holds the run; nothing changed yet: put it into the next batch."""


class SettleTasks(Command["Settlement"], frozen=True, kw_only=True):
    """Record outcomes and advance their runs, in one transaction. Repeatable: each counts once by (task, token)."""

    outcomes: tuple[Outcome, ...]
    capacity: Capacity
    """Slots reserved for tasks that become ready and are handed over already leased."""
    wait: bool = False
    """Wait for runs that another transaction holds, instead of deferring their outcomes."""
    repeated: bool = False
    """An earlier try of this command ended with an unknown commit: adopt what it may have leased."""

    def __post_init__(self) -> None:
        _at_most("outcomes to settle", len(self.outcomes), SETTLE_BATCH_MAX)


class Settlement(Record, frozen=True, kw_only=True):
    """What a settled batch did."""

    verdicts: Mapping[Lease, Verdict]
    continuations: tuple[ClaimedTask, ...]
    """Tasks that became ready and are leased to the host. After a repetition these are all of its tasks in the runs
    concerned, and the host leaves out those it knows already."""
    queued: bool = False
    """Whether there are tasks that became ready and wait in their queues. After a repetition there may be."""
    unrecorded: frozenset[Lease] = frozenset()
    """Settled with an output that is not recorded: the rules or the store refused it, and the task has failed."""


class HeartbeatTasks(Command[LeaseAnswer], frozen=True, kw_only=True):
    """Extend the leases of tasks that are being executed. Repeatable."""

    leases: tuple[Lease, ...]
    lease_duration: timedelta


class ReapTasks(Command[int], frozen=True, kw_only=True):
    """Take back tasks whose lease ran out: queued again, or failed as `worker_lost`. Answers how many. Repeatable."""

    limit: int = 200

    def __post_init__(self) -> None:
        _at_least("limit", self.limit, 1)


class SweepJobs(Command[int], frozen=True, kw_only=True):
    """Announce again what has been ready for `older_than` and nobody claimed. Answers how many. Repeatable."""

    older_than: timedelta
    limit: int = 200

    def __post_init__(self) -> None:
        _at_least("limit", self.limit, 1)


class FlushOutbox(Command["Flushed"], frozen=True, kw_only=True):
    """Publish committed events through the sink. Repeatable: at worst an event is published again."""

    worker: str
    lease_duration: timedelta
    limit: int = 500
    """Outbox rows per shard and flush."""

    def __post_init__(self) -> None:
        _at_least("limit", self.limit, 1)


class Flushed(Record, frozen=True, kw_only=True):
    """What a flush did."""

    published: int
    """Events that the sink accepted and that are marked so."""
    held_back: tuple[tuple[str, str], ...] = ()
    """(run id, what the sink raised or did) for each run whose events wait for the next flush."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def require_startable(runs: int) -> None:
    """Refuse to start more runs in one command than it takes.

    Raises:
        LimitExceeded: there are more than `START_BATCH_MAX`.
    """
    _at_most("runs to start", runs, START_BATCH_MAX)


def _at_most(what: str, found: int, most: int) -> None:
    if found > most:
        raise LimitExceeded(what=what, limit=most, found=found)


def _at_least(name: str, found: int, least: int) -> None:
    if found < least:
        raise InvalidArgument(name, f"at least {least}", found)
