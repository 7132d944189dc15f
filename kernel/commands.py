"""The commands that the kernel accepts: one class each, in the imperative.

A command says all that its decision needs; the time, fresh ids and the stored state are added by `Kernel.dispatch`.
Its type parameter is the type of its result. Whether a command may be repeated is said in its docstring.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import Generic, TypeVar

from attrs import field, frozen
from attrs.validators import ge, gt

from ..ports.records import ClaimedTask, Lease, LeaseAnswer, PendingRun, Row, TaskKey

Result = TypeVar("Result", covariant=True)

START_BATCH_MAX = 10_000
"""Runs in one `StartRuns`: what one statement inserts within about a second."""

SETTLE_BATCH_MAX = 500
"""Outcomes in one `SettleTasks`: past this a batch gains nothing and holds its runs' locks for longer."""


class Command(Generic[Result]):
    """Something the kernel can be asked to do; its answer is a `Result`."""

    __slots__ = ()


@frozen(kw_only=True)
class RunRequest:
    """One run to start. `input` and `config` are canonical JSON that has been validated against the flow."""

    flow_id: int
    input: bytes
    config: bytes | None = None
    facts: bytes | None = None
    """The facts of the input (`kernel.facts`)."""
    key: str | None = None
    priority: int = 0


@frozen(kw_only=True)
class RunStart:
    """What became of a requested run."""

    run_id: str
    created: bool
    """False where the key was known, with the same payload: the run is the one that was started then."""


@frozen
class StartRuns(Command[tuple[RunStart, ...]]):
    """Put runs down as pending. Repeatable where every request has a key."""

    requests: tuple[RunRequest, ...]


@frozen(kw_only=True)
class Capacity:
    """What a host can take on: the flows and queues it serves, and how many tasks it has slots for."""

    worker: str
    """The host's worker id, unique among all hosts."""
    flow_ids: tuple[int, ...]
    queues: tuple[str, ...]
    slots: int = field(validator=ge(0))
    lease_duration: timedelta
    minimum_priority: int | None = None
    """Hand over nothing below this priority, since a claim left such tasks waiting; None where none waits."""


@frozen(kw_only=True)
class ClaimRuns(Command["ClaimedRuns"]):
    """Make pending runs running, their first tasks leased to the host as far as it has slots."""

    capacity: Capacity
    limit: int = field(validator=gt(0))
    only: tuple[str, ...] | None = None


@frozen(kw_only=True)
class ClaimedRuns:
    """The runs that were claimed, and those of their first tasks that are leased to the claiming host."""

    runs: tuple[PendingRun, ...]
    tasks: tuple[ClaimedTask, ...]
    queued: bool = False
    """Whether there are first tasks that found no slot and wait in their queues."""


@frozen(kw_only=True)
class ClaimTasks(Command[tuple[ClaimedTask, ...]]):
    """Lease queued tasks of one queue."""

    capacity: Capacity
    queue: str
    lost_limit: int = field(default=1, validator=ge(0))
    """How many tasks that lost a lease before may be among them; 0 while the host holds one."""
    only: tuple[TaskKey, ...] | None = None


@frozen
class RecallTasks(Command[tuple[ClaimedTask, ...]]):
    """Tell which tasks are leased to this worker, by key. Repeatable: it changes nothing.

    After a claim whose commit is unknown the worker may have leases that it never heard of.
    """

    worker: str


class OutcomeKind(enum.StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"


class Outcome(Row, frozen=True, kw_only=True):
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


@frozen(kw_only=True)
class SettleTasks(Command["Settlement"]):
    """Record outcomes and advance their runs, in one transaction. Repeatable: each counts once by (task, token)."""

    outcomes: tuple[Outcome, ...]
    capacity: Capacity
    """Slots reserved for tasks that become ready and are handed over already leased."""
    wait: bool = False
    """Wait for runs that another transaction holds, instead of deferring their outcomes."""
    repeated: bool = False
    """An earlier try of this command ended with an unknown commit: adopt what it may have leased."""


@frozen(kw_only=True)
class Settlement:
    """What a settled batch did."""

    verdicts: Mapping[Lease, Verdict]
    continuations: tuple[ClaimedTask, ...]
    """Tasks that became ready and are leased to the host. After a repetition these are all of its tasks in the runs
    concerned, and the host leaves out those it knows already."""
    queued: bool = False
    """Whether there are tasks that became ready and wait in their queues. After a repetition there may be."""


@frozen(kw_only=True)
class HeartbeatTasks(Command[LeaseAnswer]):
    """Extend the leases of tasks that are being executed. Repeatable."""

    leases: tuple[Lease, ...]
    lease_duration: timedelta


@frozen(kw_only=True)
class ReapTasks(Command[int]):
    """Take back tasks whose lease ran out: queued again, or failed as `worker_lost`. Answers how many. Repeatable."""

    limit: int = field(default=200, validator=gt(0))


@frozen(kw_only=True)
class SweepJobs(Command[int]):
    """Announce again what has been ready for `older_than` and nobody claimed. Answers how many. Repeatable."""

    older_than: timedelta
    limit: int = field(default=200, validator=gt(0))


@frozen(kw_only=True)
class FlushOutbox(Command["Flushed"]):
    """Publish committed events through the sink. Repeatable: at worst an event is published again."""

    worker: str
    lease_duration: timedelta
    limit: int = field(default=500, validator=gt(0))
    """Outbox rows per shard and flush."""


@frozen(kw_only=True)
class Flushed:
    """What a flush did."""

    published: int
    """Events that the sink accepted and that are marked so."""
    held_back: tuple[tuple[str, str], ...] = ()
    """(run id, what the sink raised or did) for each run whose events wait for the next flush."""
