"""Commands of hosts: claiming runs and tasks, keeping leases, settling outcomes, taking back what was lost."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta

from ...ports.record import Record
from ...ports.records import ClaimedTask, Lease, LeaseAnswer, PendingRun, TaskKey
from .base import Command, at_least, at_most

SETTLE_BATCH_MAX = 500
"""Outcomes in one `SettleTasks`: past this a batch gains nothing and holds its runs' locks for longer."""

CLOCK_SKEW_MAX = timedelta(seconds=5)
"""How far the clocks of two hosts may differ: a lease is taken back this much after it ran out."""


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
        at_least("slots", self.slots, 0)


class ClaimRuns(Command["ClaimedRuns"], frozen=True, kw_only=True):
    """Make pending runs running, their first tasks leased to the host as far as it has slots."""

    capacity: Capacity
    limit: int
    only: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class ClaimedRuns(Record, frozen=True, kw_only=True):
    """The runs that were claimed, and those of their first tasks that are leased to the claiming host."""

    runs: tuple[PendingRun, ...]
    tasks: tuple[ClaimedTask, ...]
    queued: bool = False
    """Whether there are first tasks that found no slot and wait in their queues."""
    put_off: bool = False
    """Whether something is to be looked at later: a first task after its delay, a wait, the run's deadline."""


class ClaimTasks(Command[tuple[ClaimedTask, ...]], frozen=True, kw_only=True):
    """Lease queued tasks of one queue."""

    capacity: Capacity
    queue: str
    lost_limit: int = 1
    """How many tasks that lost a lease before may be among them; 0 while the host holds one."""
    only: tuple[TaskKey, ...] | None = None

    def __post_init__(self) -> None:
        at_least("lost_limit", self.lost_limit, 0)


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
    SUSPENDED = "suspended"


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
    state: bytes | None = None
    """For `SUSPENDED`: what the step's check is given, canonical JSON."""
    check_after: timedelta | None = None
    """For `SUSPENDED`: how long until the check."""
    give_up_after: timedelta | None = None
    """For `SUSPENDED`: how long from now on the step may wait; only that of a task's first suspension counts, and None
    is for ever."""
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
    patience_s: float | None = None
    """How long a lock is waited for then, before `Contention`; None where the host has nothing else to do."""
    repeated: bool = False
    """An earlier try of this command ended with an unknown commit: adopt what it may have leased."""

    def __post_init__(self) -> None:
        at_most("outcomes to settle", len(self.outcomes), SETTLE_BATCH_MAX)


class Settlement(Record, frozen=True, kw_only=True):
    """What a settled batch did."""

    verdicts: Mapping[Lease, Verdict]
    continuations: tuple[ClaimedTask, ...]
    """Tasks that became ready and are leased to the host. After a repetition these are all of its tasks in the runs
    concerned, and the host leaves out those it knows already."""
    queued: bool = False
    """Whether there are tasks that became ready and wait in their queues. After a repetition there may be."""
    put_off: bool = False
    """Whether something is to be looked at later: a retry, a start after a delay, a wait. After a repetition there may
    be."""
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
        at_least("limit", self.limit, 1)


class SweepJobs(Command[int], frozen=True, kw_only=True):
    """Announce again what has been ready for `older_than` and nobody claimed. Answers how many. Repeatable."""

    older_than: timedelta
    limit: int = 200

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)
