"""Persistence: where runs, steps, tasks and the outbox live. The one record of the truth.

Rules that every adapter keeps:

- **Isolation.** READ COMMITTED-like: a statement sees what was committed before it began, and its own
  transaction's writes. Taking a lock and reading what it protects are two statements, in this order.
- **Atomicity.** A transaction's writes become visible together at its commit, or never. A method outside
  `transaction()` is a transaction of its own.
- **Order of locks.** Runs before steps before tasks before outbox; several of a kind in ascending order of key.
- **Time** is an argument. No method asks a clock, the database's included.
- **Payloads** come back byte for byte.
- **Errors.** `Contention` for deadlock, serialization failure and lock timeout; `CommitUnknown` where a commit's
  answer was lost; `Unavailable` where the store cannot be reached; `UnstorableValue` where it refuses a value;
  `CorruptionError` where a guard refuses. In every case but `CommitUnknown` the transaction left no trace.

`Persistence` is made of roles, so that a reader or a flusher can say how little it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from .changes import Changes, EventBatch, NewRun, ResumeToken, RunUpdate
from .health import LINES_PER_INVARIANT_MAX, Health
from .notes import Notes
from .outbox import Outbox
from .reading import (
    AttemptRecord,
    Due,
    GenerationRecord,
    OutputPage,
    OutputRequest,
    Payloads,
    RunCursor,
    RunFilter,
    RunPage,
    RunRecord,
    StepOutput,
    StepRecord,
    TaskRecord,
    WorkInHand,
)
from .records import (
    ClaimedTask,
    ElementRequest,
    FlowRow,
    Lease,
    LeaseAnswer,
    LoadRequest,
    NewFlow,
    PendingRun,
    RunClaim,
    SignalRow,
    Snapshot,
    StartedRun,
    StepRow,
    TaskClaim,
    TaskKey,
    TaskRow,
)
from .retention import Retention
from .transport import Job
from .workers import Workers


class Transaction(Protocol):
    """One transaction of the kernel: load under lock, decide, apply."""

    async def claim_runs(self, claim: RunClaim) -> Sequence[PendingRun]:
        """Lock pending runs for their claim, skipping those that another transaction holds.

        Eligible: status `pending` and `flow_id` among `claim.flow_ids`. Order: priority (higher first), then
        `created_at`, then id. At most `claim.limit` runs are locked and returned.
        """
        ...

    async def load(self, request: LoadRequest) -> Snapshot:
        """Lock `request.runs` in order of id, then read the steps and tasks asked for.

        A run that another transaction holds is left out, unless `request.wait`. Rows of runs that are not locked
        are left out of the answer. Tasks are locked only where `request.lock_tasks` asks for it, and a task that
        cannot be locked at once is left out.
        """
        ...

    async def load_steps(self, steps: Sequence[tuple[str, str]]) -> Sequence[StepRow]:
        """Read further (run id, slug) steps of runs that this transaction holds, each in its highest generation."""
        ...

    async def load_elements(self, requests: Sequence[ElementRequest]) -> Mapping[ElementRequest, Sequence[int]]:
        """Read which elements the next tasks of maps are for, in runs that this transaction holds.

        Returns:
            For each request the indices behind the last task that `step` has a row of in `generation`, in ascending
            order, at most `limit`: of those that `source` has completed in a generation from `source_retry_of` to
            `source_generation` (in that one alone where None), or without a source of all up to `elements`; less those
            that `step` itself has completed in a generation from `retry_of` on (none where None). Nothing for a run
            that is not held.
        """
        ...

    async def load_signals(self, runs: Sequence[str]) -> Mapping[str, Sequence[SignalRow]]:
        """Read all signals that were sent to these runs, which this transaction holds, by run id; each run's by time
        of sending, then step and key. Nothing for a run that is not held."""
        ...

    async def load_annotations(self, runs: Sequence[str]) -> Mapping[str, bytes]:
        """Read the annotations of those of these runs that have some and that this transaction holds, by run id."""
        ...

    async def apply(self, changes: Changes) -> None:
        """Write everything in `changes`; called at most once in a transaction, as its last word.

        A cancellation meets what is live after all other changes: of a run its steps and tasks, of a step its tasks.
        An update whose guard refuses (a task no longer `running` under its token, a row that is missing) raises
        `CorruptionError`, here or when the block ends, and nothing of the transaction remains. A task that is updated
        to another status loses its lease; one that goes back to `queued` through lease loss loses its `worker` too.
        """
        ...


class RunReader(Protocol):
    """Reading what happened. Locks nothing; each method sees one state of the store."""

    async def read_run(self, run_id: str) -> RunRecord | None:
        """One run, or None."""
        ...

    async def read_steps(self, run_id: str) -> Sequence[StepRecord]:
        """All steps of a run in all generations, by generation; within one in no promised order."""
        ...

    async def read_tasks(self, run_id: str, *, step: str | None = None) -> Sequence[TaskRecord]:
        """All tasks of a run, or of one of its steps, by step, generation, index."""
        ...

    async def read_generations(self, run_id: str) -> Sequence[GenerationRecord]:
        """The generations that a run has left, by generation; none where it was never rerun."""
        ...

    async def read_attempts(self, run_id: str) -> Sequence[AttemptRecord]:
        """The attempts of a run that did not complete, by task, then token."""
        ...

    async def list_runs(self, chosen: RunFilter, *, limit: int, after: RunCursor | None) -> RunPage:
        """Runs that `chosen` admits, newest first (by `created_at`, then id, both descending), at most `limit`.

        Pages are stable: walking from page to page meets every run that existed at the start exactly once,
        whatever is started meanwhile.
        """
        ...

    async def read_payloads(
        self, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey] = ()
    ) -> Payloads:
        """The inputs of `runs`, the recorded outputs asked for, and the states that tasks were suspended with.

        In one round trip.
        """
        ...

    async def read_output_page(self, page: OutputPage) -> StepOutput | None:
        """Consecutive outputs of a step's tasks; None where there is no such step.

        The page ends with the last element, or before the output that no longer fits. It is empty only where the
        step is not completed or has no element from `page.first` on. The memory this takes is bounded by the page.
        """
        ...

    async def read_signals(self, run_id: str) -> Sequence[SignalRow]:
        """The signals that were sent to a run, consumed or kept, by time of sending, then step and key."""
        ...

    async def read_work_in_hand(self, now: datetime) -> Sequence[WorkInHand]:
        """How many running tasks have a lease that lasts beyond `now`, by queue and flow, in no promised order."""
        ...


class Persistence(RunReader, Outbox, Retention, Notes, Workers, Protocol):
    """The store. Safe for concurrent use within one event loop."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction: commits when the block ends, rolls back when it raises.

        A block that raised never commits. A connection whose state is not known afterwards is closed, not reused.
        """
        ...

    def dedicated(self) -> AbstractAsyncContextManager[Persistence]:
        """A second handle on the same store with resources of its own, for another thread's event loop.

        Heartbeats use it: they must neither wait for a pooled connection nor for the main loop.
        """
        ...

    async def register_flow(self, flow: NewFlow, *, replace: bool) -> FlowRow:
        """Insert a shape, or return the one that its (slug, version) has; the caller compares fingerprints.

        With `replace`, a different shape takes the old one's place if no run of the old one is `pending` or
        `running`; otherwise the old one is returned. Of the same shape, the new document takes the old one's place in
        its row, whatever runs there are. Safe to call from many processes at once: all get one answer.
        """
        ...

    async def read_flow(self, slug: str, version: str) -> FlowRow | None:
        """The shape that a (slug, version) has now, or None; nothing is locked."""
        ...

    async def insert_runs(self, runs: Sequence[NewRun], *, patience_s: float | None = None) -> Sequence[StartedRun]:
        """Insert runs and their first events, atomically, and answer in the order of `runs`.

        A run whose (flow, key) is taken, by an earlier run or by an earlier one of this batch, is not inserted;
        the answer is the run that holds the key. Where that run has another `request_digest`, nothing at all is
        inserted, and the answer shows it. A run whose id exists already is its own repetition and answered as
        created.

        Args:
            runs: to insert.
            patience_s: how long it waits for a transaction that has inserted a run with such a key and may still
                commit; as long as the adapter's lock timeout where None.

        Raises:
            Contention: that transaction has not ended in time; nothing is inserted.
        """
        ...

    async def insert_cancelled(self, run: NewRun, update: RunUpdate, event: EventBatch) -> bool:
        """Insert a run together with what cancels it, atomically; nothing where there is a run with its id.

        Args:
            run: without a key and without annotations.
            update: what it is after that.
            event: what tells of it, behind the first events of the run.

        Returns:
            Whether it was inserted.
        """
        ...

    async def claim_tasks(self, claim: TaskClaim) -> Sequence[ClaimedTask]:
        """Lease queued tasks: status `running`, token + 1, attempts + 1, the lease until `claim.lease_until`.

        Eligible: status `queued`, `ready_at` ≤ `claim.now`, queue and flow as claimed, and at most
        `claim.lost_limit` tasks with losses ≥ 1. Order: priority (higher first), then `ready_at`, then key. No two
        claims get one task; rows that another transaction holds are skipped. No run is locked.
        """
        ...

    async def extend_leases(self, leases: Sequence[Lease], until: datetime) -> LeaseAnswer:
        """Set the leases of running tasks to `until` where their token is still the same; a stale one changes nothing.

        A row that cannot be locked at once is in no set of the answer. `cancelled` holds tasks that were read as
        cancelled under this token, `lost` those that were read with another token or any other status, or that no
        longer exist.
        """
        ...

    async def find_expired(
        self, before: datetime, *, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> Sequence[TaskRow]:
        """Running tasks of these flows whose lease ended before `before`, earliest first; nothing is locked.

        Tasks of the runs in `leave_out`, given by their ids, are not among them.
        """
        ...

    async def find_waits(
        self, before: datetime, *, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> Sequence[TaskRow]:
        """Suspended tasks of these flows with `wake_at` ≤ `before`, earliest first; nothing is locked.

        Tasks of the runs in `leave_out`, given by their ids, are not among them.
        """
        ...

    async def find_overdue(self, before: datetime, *, limit: int, leave_out: Sequence[str] = ()) -> Sequence[str]:
        """Ids of runs that have not ended by their deadline, which is ≤ `before`, earliest first; nothing is locked.

        Of any flow: no code is needed to end a run. Those in `leave_out` are not among them.
        """
        ...

    async def insert_resume_tokens(self, tokens: Sequence[ResumeToken]) -> None:
        """Put tokens down. One whose digest exists is its own repetition."""
        ...

    async def read_resume_token(self, digest: str) -> ResumeToken | None:
        """The token of that digest, expired or not, or None; nothing is locked."""
        ...

    async def find_leased(self, worker: str) -> Sequence[TaskRow]:
        """The running tasks that are leased to this worker, by key; nothing is locked."""
        ...

    async def find_unclaimed(self, before: datetime, *, flow_ids: Sequence[int], limit: int) -> Sequence[Job]:
        """Jobs for pending runs created before `before`, and for queued tasks with `ready_at` before it, oldest first.

        What a sweep announces again, since a transport's messages may have been lost. A run's job has the queue `""`.
        """
        ...

    async def due(
        self,
        *,
        flow_ids: Sequence[int],
        queues: Sequence[str],
        sinks: Sequence[str] = (),
        now: datetime,
        expired_before: datetime,
    ) -> Due:
        """Tell an idle host in one statement whether any of its ticks would find something.

        Args:
            flow_ids: the flows that it serves.
            queues: the queues that it serves.
            sinks: the names of the sinks that it publishes to.
            now: its time.
            expired_before: which leases count as lost.
        """
        ...

    async def read_health(self, now: datetime) -> Health:
        """What waits for hosts at `now`, whoever serves it; in one state of the store. Not for a hot path."""
        ...

    async def check_invariants(self, *, lines_max: int = LINES_PER_INVARIANT_MAX) -> Mapping[str, Sequence[str]]:
        """The invariants of stored rows that do not hold, by name, with lines about the first rows that break each.

        Args:
            lines_max: how many lines for one invariant, at least 1; no more rows than these leave the store.
        """
        ...

    async def aclose(self) -> None:
        """Close everything that was opened. Opening is implicit; a closed store may be used again."""
        ...
