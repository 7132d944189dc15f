"""`Persistence` in memory: a handle on a store, as a connection is a handle on a database.

Several handles, event loops and threads may share one store. Statements outside `transaction()` run in one piece
under the store's mutex and never wait; no method hands control to the event loop except to wait for a row lock.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

from ...ports.changes import Changes, EventBatch, NewRun, ResumeToken, RunUpdate
from ...ports.errors import Unavailable
from ...ports.health import LINES_PER_INVARIANT_MAX, Health
from ...ports.notes import LogRecord, NewLogEntry, ProgressRecord
from ...ports.outbox import (
    FIRST_PLACE,
    DeadLetter,
    DeadLetterCursor,
    DeadLetterFilter,
    DeadLetterKey,
    HeldRun,
    Holdings,
    OutboxPlace,
    OutboxRow,
    ShardLease,
    ShardLeases,
    SinkRecord,
)
from ...ports.persistence import Persistence
from ...ports.reading import (
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
from ...ports.records import (
    ClaimedTask,
    FlowRow,
    Lease,
    LeaseAnswer,
    NewFlow,
    SignalRow,
    StartedRun,
    TaskClaim,
    TaskKey,
    TaskRow,
)
from ...ports.retention import PrunablePage
from ...ports.transport import Job
from ...ports.workers import WorkerRecord
from . import forgetting, leasing, notes, reading
from . import sinks as sink_keeping
from .health import read_health
from .invariants import broken_invariants
from .locks import Holder
from .snapshot import Table, snapshot_of
from .store import Store
from .transaction import MemoryTransaction
from .writing import Writing

LOCK_TIMEOUT_S = 5.0
"""How long a statement waits for a row lock, in the event loop's time, before it gives up with `Contention`."""


class MemoryPersistence:
    """`Persistence` that lives as long as its process. Not tied to an event loop.

    Args:
        store: the store to share; a new one where None.
        lock_timeout_s: how long a statement waits for a row lock, in seconds of the event loop's time.
    """

    def __init__(self, store: Store | None = None, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self._store = Store() if store is None else store
        self._lock_timeout_s = lock_timeout_s
        self._open: dict[MemoryTransaction, None] = {}

    def connect(self) -> MemoryPersistence:
        """Another handle on the same store, with transactions of its own: what a second process would have."""
        return MemoryPersistence(self._store, lock_timeout_s=self._lock_timeout_s)

    def disconnect(self) -> None:
        """Break this handle's connections as the death of a process would: its open transactions roll back at once.

        Whatever still uses one of them gets `Unavailable`. The handle may be used again.
        """
        with self._store.mutex:
            for transaction in tuple(self._open):
                transaction.abort(Unavailable("the connection was closed while a transaction was open"))

    @property
    def transactions(self) -> int:
        """How many transactions of this handle are open."""
        return len(self._open)

    def snapshot(self) -> Mapping[str, Table]:
        """All committed rows as plain data; see `snapshot_of`."""
        with self._store.mutex:
            return snapshot_of(self._store)

    # Transactions

    def transaction(self) -> AbstractAsyncContextManager[MemoryTransaction]:
        """Begin a transaction."""
        return MemoryTransaction(self._store, self._lock_timeout_s, self._open)

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Persistence]:
        """A second handle on the same store."""
        handle = self.connect()
        try:
            yield handle
        finally:
            await handle.aclose()

    # Flows and runs

    async def register_flow(self, flow: NewFlow, *, replace: bool) -> FlowRow:
        """Insert a shape, or return the one that its (slug, version) has."""
        with self._store.mutex:
            return self._store.register_flow(flow, replace=replace)

    async def read_flow(self, slug: str, version: str) -> FlowRow | None:
        """The shape that a (slug, version) has now, or None."""
        with self._store.mutex:
            return self._store.current_flows.get((slug, version))

    async def insert_runs(self, runs: Sequence[NewRun], *, patience_s: float | None = None) -> Sequence[StartedRun]:
        """Insert runs and their first events; no other transaction inserts any, so there is nothing to wait for."""
        with self._store.mutex:
            return self._store.insert_runs(runs)

    async def insert_cancelled(self, run: NewRun, update: RunUpdate, event: EventBatch) -> bool:
        """Insert a run together with what cancels it."""
        store, holder = self._store, Holder()
        with store.mutex:
            if run.id in store.runs:
                return False
            store.insert_runs([run])
            writing = Writing(store, holder)
            writing.apply(Changes(runs=(update,), events=(event,)))
            store.commit(writing.rows)
            store.locks.release(holder)
            return True

    # Leases

    async def claim_tasks(self, claim: TaskClaim) -> Sequence[ClaimedTask]:
        """Lease queued tasks."""
        with self._store.mutex:
            return leasing.claim_tasks(self._store, claim)

    async def extend_leases(self, leases: Sequence[Lease], until: datetime) -> LeaseAnswer:
        """Set the leases of running tasks to `until` where their token is still the same."""
        with self._store.mutex:
            return leasing.extend_leases(self._store, leases, until)

    async def find_expired(
        self, before: datetime, *, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> Sequence[TaskRow]:
        """Running tasks of these flows whose lease ended before `before`, earliest first."""
        with self._store.mutex:
            return [task.loaded() for task in self._store.leased.expired(before, flow_ids, limit, leave_out)]

    async def find_waits(
        self, before: datetime, *, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> Sequence[TaskRow]:
        """Suspended tasks of these flows with `wake_at` ≤ `before`, earliest first."""
        with self._store.mutex:
            return [task.loaded() for task in self._store.waiting.due(before, flow_ids, limit, leave_out)]

    async def find_overdue(self, before: datetime, *, limit: int, leave_out: Sequence[str] = ()) -> Sequence[str]:
        """Ids of runs that have not ended by their deadline, which is ≤ `before`, earliest first."""
        with self._store.mutex:
            return self._store.deadlines.passed(before, limit, leave_out)

    async def insert_resume_tokens(self, tokens: Sequence[ResumeToken]) -> None:
        """Put tokens down. One whose digest exists is its own repetition."""
        with self._store.mutex:
            for token in tokens:
                self._store.resume_tokens.setdefault(token.digest, token)

    async def read_resume_token(self, digest: str) -> ResumeToken | None:
        """The token of that digest, expired or not, or None."""
        with self._store.mutex:
            return self._store.resume_tokens.get(digest)

    async def find_leased(self, worker: str) -> Sequence[TaskRow]:
        """The running tasks that are leased to this worker, by key."""
        with self._store.mutex:
            return [task.loaded() for task in self._store.leased.of(worker)]

    async def find_unclaimed(self, before: datetime, *, flow_ids: Sequence[int], limit: int) -> Sequence[Job]:
        """Jobs for pending runs created, and for queued tasks ready, before `before`; oldest first."""
        with self._store.mutex:
            return leasing.find_unclaimed(self._store, before, flow_ids, limit)

    async def due(
        self,
        *,
        flow_ids: Sequence[int],
        queues: Sequence[str],
        sinks: Sequence[str] = (),
        now: datetime,
        expired_before: datetime,
    ) -> Due:
        """Whether any of a host's ticks would find something."""
        with self._store.mutex:
            return leasing.find_due(
                self._store,
                flow_ids=flow_ids,
                queues=queues,
                sinks=sinks,
                now=now,
                expired_before=expired_before,
            )

    # Outbox

    async def register_sinks(self, names: Sequence[str], *, now: datetime) -> Sequence[str]:
        """Make sinks known; the names for which there was no room."""
        with self._store.mutex:
            return self._store.outbox.register(names, now)

    async def remove_sink(self, name: str) -> bool:
        """Forget a sink."""
        with self._store.mutex:
            return self._store.outbox.remove(name)

    async def read_sinks(self, *, count_max: int) -> Sequence[SinkRecord]:
        """All sinks by name, with what waits for them."""
        with self._store.mutex:
            return sink_keeping.sink_records(self._store.outbox, count_max)

    async def pause_sink(self, name: str, *, pauses: int, not_before: datetime | None, problem: str | None) -> None:
        """Offer nothing to a sink before a time."""
        with self._store.mutex:
            sink = self._store.outbox.sinks.get(name)
            if sink is not None:
                sink.pauses, sink.not_before, sink.problem = pauses, not_before, problem

    async def lease_shards(self, sink: str, worker: str, *, now: datetime, until: datetime, limit: int) -> ShardLeases:
        """Lease up to `limit` shards that have something to do for a sink."""
        with self._store.mutex:
            return self._store.outbox.lease(sink, worker, now, until, limit)

    async def release_shards(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Give leases back."""
        with self._store.mutex:
            self._store.outbox.release(worker, leases)

    async def read_fresh(
        self, lease: ShardLease, *, after: OutboxPlace = FIRST_PLACE, limit: int
    ) -> Sequence[OutboxRow]:
        """The first fresh rows of a shard behind a place; none where the lease was lost."""
        with self._store.mutex:
            return self._store.outbox.read_fresh(lease, after, limit)

    async def read_held(self, lease: ShardLease, *, now: datetime, limit: int) -> Sequence[HeldRun]:
        """Held runs of a shard that are due, earliest first; none where the lease was lost."""
        with self._store.mutex:
            return self._store.outbox.read_held(lease, now, limit)

    async def read_undelivered(self, lease: ShardLease, held: HeldRun, *, limit: int) -> Sequence[OutboxRow]:
        """The rows of a held run that the sink has not, by sequence; none where the lease was lost."""
        with self._store.mutex:
            return self._store.outbox.read_undelivered(lease, held, limit)

    async def mark_delivered(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark rows as delivered, if the lease still holds."""
        with self._store.mutex:
            return self._store.outbox.deliver(lease, rows)

    async def record_holdings(self, lease: ShardLease, holdings: Holdings) -> bool:
        """Record what is held, if the lease still holds."""
        with self._store.mutex:
            return self._store.outbox.hold(lease, holdings)

    async def read_replays(self, lease: ShardLease, *, limit: int) -> Sequence[DeadLetter]:
        """Dead letters of a shard that wait to be replayed; none where the lease was lost."""
        with self._store.mutex:
            return self._store.outbox.read_replays(lease, limit)

    async def record_replays(
        self, lease: ShardLease, *, accepted: Sequence[DeadLetterKey], refused: Sequence[tuple[DeadLetterKey, str]]
    ) -> bool:
        """Forget accepted dead letters and keep refused ones, if the lease still holds."""
        with self._store.mutex:
            return self._store.outbox.replayed(lease, accepted, refused)

    async def list_dead_letters(
        self, chosen: DeadLetterFilter, *, limit: int, after: DeadLetterCursor | None
    ) -> Sequence[DeadLetter]:
        """Dead letters that `chosen` admits, by sink, run and sequence."""
        with self._store.mutex:
            found = sink_keeping.dead_letters(self._store.outbox, chosen)
        return [letter for letter in found if after is None or sink_keeping.cursor_of(letter) > after][:limit]

    async def count_dead_letters(self, chosen: DeadLetterFilter) -> int:
        """How many dead letters `chosen` admits."""
        with self._store.mutex:
            return len(sink_keeping.dead_letters(self._store.outbox, chosen))

    async def ask_for_replay(self, chosen: DeadLetterFilter, *, now: datetime, limit: int) -> int:
        """Let dead letters be replayed; how many."""
        with self._store.mutex:
            return sink_keeping.ask_for_replay(self._store.outbox, chosen, now, limit)

    async def read_events(self, run_id: str, *, after: int = 0) -> Sequence[OutboxRow]:
        """The outbox rows of a run with events later than `after`, by sequence."""
        with self._store.mutex:
            return reading.read_events(self._store, run_id, after)

    # Retention

    async def find_prunable(
        self, ended_before: datetime, *, flow: str | None, after: RunCursor | None, limit: int
    ) -> PrunablePage:
        """Runs that ended before `ended_before`, and which of their events keep them."""
        with self._store.mutex:
            return forgetting.find_prunable(self._store, ended_before, flow, after, limit)

    async def delete_runs(
        self, runs: Sequence[str], *, ended_before: datetime, dead_letters: bool = False
    ) -> Sequence[str]:
        """Remove runs and every row of theirs."""
        with self._store.mutex:
            return forgetting.delete_runs(self._store, runs, ended_before, dead_letters=dead_letters)

    async def find_runs(self, runs: Sequence[str]) -> frozenset[str]:
        """Those of some ids that are ids of runs."""
        with self._store.mutex:
            return frozenset(run_id for run_id in runs if run_id in self._store.runs)

    async def find_tasks(self, tasks: Sequence[TaskKey]) -> Mapping[TaskKey, TaskRow]:
        """Those of some tasks that exist."""
        with self._store.mutex:
            return {key: task.loaded() for key in tasks if (task := leasing.find_task(self._store, key)) is not None}

    # Notes

    async def write_notes(self, entries: Sequence[NewLogEntry], progress: Sequence[ProgressRecord]) -> None:
        """Put down what was noted."""
        with self._store.mutex:
            notes.write_notes(self._store, entries, progress)

    async def read_logs(self, run_id: str, *, after: int = 0, limit: int, last: bool = False) -> Sequence[LogRecord]:
        """The first or the last log entries of a run with numbers above `after`, by number."""
        with self._store.mutex:
            return notes.read_logs(self._store, run_id, after, limit, last=last)

    async def read_progress(self, run_id: str, *, limit: int) -> Sequence[ProgressRecord]:
        """How far the tasks of a run are that told it, those first that told it last."""
        with self._store.mutex:
            return notes.read_progress(self._store, run_id, limit)

    async def read_annotations(self, runs: Sequence[str]) -> Mapping[str, bytes]:
        """The annotations of those of `runs` that have some."""
        with self._store.mutex:
            return notes.read_annotations(self._store, runs)

    # Workers

    async def announce_worker(self, worker: WorkerRecord, *, forget_before: datetime) -> None:
        """Put a worker down, and forget those that were last seen before a time."""
        with self._store.mutex:
            self._store.workers.announce(worker, forget_before)

    async def read_workers(self) -> Sequence[WorkerRecord]:
        """All workers that are known, by worker id."""
        with self._store.mutex:
            return self._store.workers.all()

    # Reading

    async def read_run(self, run_id: str) -> RunRecord | None:
        """One run, or None."""
        with self._store.mutex:
            return reading.read_run(self._store, run_id)

    async def read_steps(self, run_id: str) -> Sequence[StepRecord]:
        """All steps of a run in all generations."""
        with self._store.mutex:
            return reading.read_steps(self._store, run_id)

    async def read_tasks(self, run_id: str, *, step: str | None = None) -> Sequence[TaskRecord]:
        """All tasks of a run, or of one of its steps."""
        with self._store.mutex:
            return reading.read_tasks(self._store, run_id, step)

    async def read_generations(self, run_id: str) -> Sequence[GenerationRecord]:
        """The generations that a run has left."""
        with self._store.mutex:
            return reading.read_generations(self._store, run_id)

    async def read_attempts(self, run_id: str) -> Sequence[AttemptRecord]:
        """The attempts of a run that did not complete."""
        with self._store.mutex:
            return reading.read_attempts(self._store, run_id)

    async def list_runs(self, chosen: RunFilter, *, limit: int, after: RunCursor | None) -> RunPage:
        """Runs that `chosen` admits, newest first."""
        with self._store.mutex:
            return reading.list_runs(self._store, chosen, limit, after)

    async def read_payloads(
        self, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey] = ()
    ) -> Payloads:
        """The inputs of `runs`, the recorded outputs and the states asked for."""
        with self._store.mutex:
            return reading.read_payloads(self._store, runs, outputs, states)

    async def read_signals(self, run_id: str) -> Sequence[SignalRow]:
        """The signals that were sent to a run, consumed or kept."""
        with self._store.mutex:
            return reading.read_signals(self._store, run_id)

    async def read_output_page(self, page: OutputPage) -> StepOutput | None:
        """Consecutive outputs of a step's tasks, as many as fit."""
        with self._store.mutex:
            return reading.read_output_page(self._store, page)

    async def read_work_in_hand(self, now: datetime) -> Sequence[WorkInHand]:
        """How many running tasks have a lease that lasts beyond `now`, by queue and flow."""
        with self._store.mutex:
            return reading.read_work_in_hand(self._store, now)

    async def read_health(self, now: datetime) -> Health:
        """What waits for hosts at `now`, whoever serves it."""
        with self._store.mutex:
            return read_health(self._store, now)

    async def check_invariants(self, *, lines_max: int = LINES_PER_INVARIANT_MAX) -> Mapping[str, Sequence[str]]:
        """The invariants of stored rows that do not hold; see `invariants`."""
        with self._store.mutex:
            return broken_invariants(self._store, lines_max=lines_max)

    async def aclose(self) -> None:
        """Roll back what is open. The rows stay, and the handle may be used again."""
        self.disconnect()
