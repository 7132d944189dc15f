"""Carrying commands out: load under lock, decide, commit everything, then wake whoever has work now.

This is the one place where transactions, idempotency, repetition and wake-ups are handled, for every command alike.
What is decided is none of its business (`kernel.decisions`), nor how it is stored (`ports.persistence`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from ..ports import Ports
from ..ports.errors import AdapterError, CommitUnknown, Contention, CorruptionError, UnstorableValue
from ..ports.persistence import Transaction
from ..ports.records import (
    ClaimedTask,
    LeaseAnswer,
    LoadRequest,
    NewRun,
    RunClaim,
    RunRow,
    Snapshot,
    TaskClaim,
    TaskKey,
    TaskRow,
)
from ..ports.statuses import RunStatus
from ..ports.transport import Job
from .commands import (
    SETTLE_BATCH_MAX,
    START_BATCH_MAX,
    CancelledRun,
    CancelRun,
    Capacity,
    ClaimedRuns,
    ClaimRuns,
    ClaimTasks,
    Command,
    Flushed,
    FlushOutbox,
    HeartbeatTasks,
    Outcome,
    OutcomeKind,
    ReapTasks,
    RecallTasks,
    RunStart,
    Settlement,
    SettleTasks,
    StartRuns,
    SweepJobs,
    Verdict,
)
from .decisions.cancel import cancel_run
from .decisions.claim import claim_runs
from .decisions.handover import HandOver
from .decisions.settle import Settled, reap_tasks, settle_tasks
from .decisions.start import start_run
from .decisions.state import ChangeSet
from .errors import IdempotencyConflict, LimitExceeded, RunNotFound
from .failures import encode_failure
from .flushing import flush
from .plan import Plan
from .registry import Registry
from .waking import jobs_of_changes, jobs_of_runs

Result = TypeVar("Result")
Done = TypeVar("Done")

CONTENTION_TRIES_MAX = 6
"""How often a transaction is tried that ends in a deadlock, serialization failure or lock timeout."""

SETTLE_PATIENCE_S = 1.0
"""After this long no settle is tried again: it ran into a lock rather than a deadlock, and its host has others to
settle meanwhile."""

CONTENTION_DELAY_S = 0.01
"""The pause before the second try; it doubles with each further one."""

CLOCK_SKEW_MAX = timedelta(seconds=5)
"""How far the clocks of two hosts may differ: a lease is taken back this much after it ran out."""

_NOBODY = Capacity(worker="", flow_ids=(), queues=(), slots=0, lease_duration=timedelta(0))


class Dispatcher:
    """Carries out the commands of one kernel."""

    def __init__(self, registry: Registry, ports: Ports) -> None:
        self._registry = registry
        self._ports = ports
        self._persistence = ports.persistence
        self._handlers: Mapping[type[Command[Any]], Callable[[Any], Coroutine[Any, Any, Any]]] = {
            StartRuns: self._start_runs,
            CancelRun: self._cancel_run,
            ClaimRuns: self._claim_runs,
            ClaimTasks: self._claim_tasks,
            RecallTasks: self._recall_tasks,
            SettleTasks: self._settle_tasks,
            HeartbeatTasks: self._heartbeat_tasks,
            ReapTasks: self._reap_tasks,
            SweepJobs: self._sweep_jobs,
            FlushOutbox: self._flush_outbox,
        }

    async def dispatch(self, command: Command[Result]) -> Result:
        """Carry out a command; a transaction that got into another's way is taken again from the top.

        Raises:
            UsageError: the command is wrong; it had no effect.
            AdapterError: the world failed. After `CommitUnknown` the effect may exist, after any other it does not.
            CorruptionError: the store contradicts the rules.
        """
        handler = self._handlers[type(command)]
        return cast(Result, await handler(command))

    async def _from_the_top(self, transact: Callable[[], Awaitable[Done]], *, patience_s: float = float("inf")) -> Done:
        """Run one transaction, again where it got into another's way: its rollback left no trace."""
        clock = self._ports.clock
        ends_s = clock.monotonic() + patience_s
        for tries in range(1, CONTENTION_TRIES_MAX):
            try:
                return await transact()
            except Contention:
                if clock.monotonic() >= ends_s:
                    raise
                await clock.sleep(CONTENTION_DELAY_S * 2 ** (tries - 1))
        return await transact()

    async def _until_known(self, transact: Callable[[], Awaitable[Done]]) -> Done:
        """Run a transaction that recognises its own effect, again where the answer to its commit was lost.

        What fails after that is unknown, too, however it fails: an earlier try may have taken effect.
        """
        unknown: CommitUnknown | None = None
        for tries in range(1, CONTENTION_TRIES_MAX):
            try:
                return await self._from_the_top(transact)
            except CommitUnknown as error:
                unknown = error
            except AdapterError as error:
                if unknown is None:
                    raise
                raise CommitUnknown(f"{unknown}; then: {error}") from error
            await self._ports.clock.sleep(CONTENTION_DELAY_S * 2 ** (tries - 1))
        return await self._from_the_top(transact)

    # Runs

    async def _start_runs(self, command: StartRuns) -> tuple[RunStart, ...]:
        _limit("runs to start", START_BATCH_MAX, len(command.requests))
        now = self._ports.clock.now()
        runs = [
            start_run(
                request,
                request.flow_id,
                self._plans[request.flow_id],
                run_id=request.run_id or self._ports.new_id(),
                now=now,
                published=self._published,
            )
            for request in command.requests
        ]
        _refuse_two_payloads(runs)
        started = await self._until_known(lambda: self._persistence.insert_runs(runs))
        for run, answer in zip(runs, started, strict=True):
            if answer.request_digest != run.request_digest:  # nothing was inserted then
                raise IdempotencyConflict(flow=run.flow, key=run.key or "", run_id=answer.id)
        created = [run for run, answer in zip(runs, started, strict=True) if answer.created]
        if created:
            await self._wake(jobs_of_runs(created, delivers=self._ports.transport.delivers))
        return tuple(RunStart(run_id=answer.id, created=answer.created) for answer in started)

    async def _cancel_run(self, command: CancelRun) -> CancelledRun:
        """Cancel; whether it was an earlier try, whose commit was unknown, is told by the time of the run's end."""
        tried: dict[datetime, RunStatus] = {}
        answer = await self._until_known(lambda: self._cancel_once(command, tried))
        if answer.found is RunStatus.CANCELLED and tried:
            record = await self._persistence.read_run(command.run_id)
            found = None if record is None or record.ended_at is None else tried.get(record.ended_at)
            if found is not None:
                return replace(answer, found=found, took_effect=True)
        return answer

    async def _cancel_once(self, command: CancelRun, tried: dict[datetime, RunStatus]) -> CancelledRun:
        request = LoadRequest(runs=(command.run_id,), steps=(), tasks=(), wait=True)
        async with self._persistence.transaction() as transaction:
            run = (await transaction.load(request)).runs.get(command.run_id)
            if run is None:
                raise RunNotFound(command.run_id)
            now = self._ports.clock.now()
            changes = cancel_run(run, command.reason, now=now, published=self._published)
            if changes.runs:
                await transaction.apply(changes)
                tried[now] = run.status
        return CancelledRun(run_id=run.id, found=run.status, took_effect=bool(changes.runs))

    async def _claim_runs(self, command: ClaimRuns) -> ClaimedRuns:
        return await self._from_the_top(lambda: self._claim_runs_once(command))

    async def _claim_runs_once(self, command: ClaimRuns) -> ClaimedRuns:
        capacity = command.capacity
        claim = RunClaim(flow_ids=capacity.flow_ids, limit=command.limit, only=command.only)
        async with self._persistence.transaction() as transaction:
            runs = await transaction.claim_runs(claim)
            if not runs:
                return ClaimedRuns(runs=(), tasks=())
            now = self._ports.clock.now()
            changes = claim_runs(
                runs, self._plans, now=now, hand_over=HandOver(capacity, now), published=self._published
            )
            await transaction.apply(changes.frozen())
        await self._wake_for(changes, {}, now)
        return ClaimedRuns(runs=tuple(runs), tasks=tuple(changes.claimed), queued=changes.queues_tasks)

    # Tasks

    async def _claim_tasks(self, command: ClaimTasks) -> tuple[ClaimedTask, ...]:
        capacity = command.capacity
        if not capacity.slots:
            return ()
        now = self._ports.clock.now()
        claim = TaskClaim(
            flow_ids=capacity.flow_ids,
            queue=command.queue,
            limit=capacity.slots,
            lost_limit=command.lost_limit,
            worker=capacity.worker,
            now=now,
            lease_until=now + capacity.lease_duration,
            only=command.only,
        )
        return tuple(await self._from_the_top(lambda: self._persistence.claim_tasks(claim)))

    async def _recall_tasks(self, command: RecallTasks) -> tuple[ClaimedTask, ...]:
        leased = await self._persistence.find_leased(command.worker)
        return tuple(_as_claimed(task) for task in leased if task.flow_id in self._plans)

    async def _heartbeat_tasks(self, command: HeartbeatTasks) -> LeaseAnswer:
        until = self._ports.clock.now() + command.lease_duration
        return await self._from_the_top(lambda: self._persistence.extend_leases(command.leases, until))

    async def _settle_tasks(self, command: SettleTasks) -> Settlement:
        """Settle a batch; where the store refuses a value in it, find the culprit by halving and fail its task."""
        _limit("outcomes to settle", SETTLE_BATCH_MAX, len(command.outcomes))
        try:
            return await self._from_the_top(lambda: self._settle_batch(command), patience_s=SETTLE_PATIENCE_S)
        except UnstorableValue as refusal:
            if len(command.outcomes) == 1:
                unstorable = replace(command, outcomes=(_unstorable(command.outcomes[0], refusal),))
                return await self._from_the_top(lambda: self._settle_batch(unstorable), patience_s=SETTLE_PATIENCE_S)
        middle = len(command.outcomes) // 2
        first = await self._settle_tasks(replace(command, outcomes=command.outcomes[:middle]))
        slots = max(0, command.capacity.slots - len(first.continuations))
        rest = replace(command, outcomes=command.outcomes[middle:], capacity=replace(command.capacity, slots=slots))
        try:
            second = await self._settle_tasks(rest)
        except AdapterError as error:
            raise CommitUnknown("one half of a batch is recorded, the other is not; repeat all of it") from error
        return Settlement(
            verdicts={**first.verdicts, **second.verdicts},
            continuations=first.continuations + second.continuations,
            queued=first.queued or second.queued,
        )

    async def _settle_batch(self, command: SettleTasks) -> Settlement:
        outcomes = command.outcomes
        request = LoadRequest(
            runs=tuple(sorted({outcome.key.run_id for outcome in outcomes})),
            steps=self._neighbours((outcome.key, outcome.flow_id) for outcome in outcomes),
            tasks=tuple(sorted({outcome.key for outcome in outcomes})),
            wait=command.wait,
            leased_to=command.capacity.worker if command.repeated else None,
        )
        async with self._persistence.transaction() as transaction:
            snapshot = await transaction.load(request)
            now = self._ports.clock.now()

            def decide(snapshot: Snapshot) -> Settled:
                return settle_tasks(
                    outcomes,
                    snapshot,
                    self._plans,
                    now=now,
                    hand_over=HandOver(command.capacity, now),
                    published=self._published,
                    absent=Verdict.STALE if command.wait else Verdict.DEFERRED,
                )

            settled = await self._decide(transaction, snapshot, decide)
        await self._wake_for(settled.changes, snapshot.runs, now)
        mine = {outcome.key for outcome in outcomes}
        adopted = (_as_claimed(task) for task in snapshot.leased if task.key not in mine)
        return Settlement(
            verdicts=settled.verdicts,
            continuations=(*settled.changes.claimed, *adopted),
            queued=settled.changes.queues_tasks or command.repeated,
        )

    async def _reap_tasks(self, command: ReapTasks) -> int:
        return await self._from_the_top(lambda: self._reap_once(command))

    async def _reap_once(self, command: ReapTasks) -> int:
        before = self._ports.clock.now() - CLOCK_SKEW_MAX
        expired = await self._persistence.find_expired(
            before, flow_ids=tuple(self._registry.by_id), limit=command.limit
        )
        if not expired:
            return 0
        request = LoadRequest(
            runs=tuple(sorted({task.key.run_id for task in expired})),
            steps=self._neighbours((task.key, task.flow_id) for task in expired),
            tasks=tuple(sorted(task.key for task in expired)),
            lock_tasks=True,
        )
        async with self._persistence.transaction() as transaction:
            snapshot = await transaction.load(request)
            now = self._ports.clock.now()

            def decide(snapshot: Snapshot) -> Settled:
                return reap_tasks(
                    expired,
                    snapshot,
                    self._plans,
                    now=now,
                    before=before,
                    hand_over=HandOver(_NOBODY, now),
                    published=self._published,
                )

            settled = await self._decide(transaction, snapshot, decide)
        await self._wake_for(settled.changes, snapshot.runs, now)
        return len(settled.verdicts)

    async def _decide(
        self, transaction: Transaction, snapshot: Snapshot, decide: Callable[[Snapshot], Settled]
    ) -> Settled:
        """Decide on what was loaded; where that is not all it takes, load the rest and decide again. Then apply it.

        The first decision may miss steps, each later one the elements of a further map; a flow has no more than steps.
        """
        settled = decide(snapshot)
        tries = 0
        while not settled.complete:
            if tries > max(len(self._plans[row.flow_id].steps) for row in snapshot.runs.values()):
                raise CorruptionError(f"rows are missing: steps of {settled.incomplete}, elements {settled.elements}")
            tries += 1
            snapshot = await self._completed(transaction, snapshot, settled)
            settled = decide(snapshot)
        if not settled.changes.empty:
            await transaction.apply(settled.changes.frozen())
        return settled

    async def _completed(self, transaction: Transaction, snapshot: Snapshot, settled: Settled) -> Snapshot:
        """The snapshot with what a decision asked for besides."""
        steps, elements = snapshot.steps, snapshot.elements
        if settled.incomplete:
            plans = {run_id: self._plans[snapshot.runs[run_id].flow_id] for run_id in settled.incomplete}
            rows = await transaction.load_steps(
                [(run_id, slug) for run_id, plan in plans.items() for slug in plan.steps]
            )
            steps = {**steps, **{(row.run_id, row.slug): row for row in rows}}
        if settled.elements:
            elements = {**elements, **await transaction.load_elements(settled.elements)}
        return replace(snapshot, steps=steps, elements=elements)

    # Outbox and jobs

    async def _sweep_jobs(self, command: SweepJobs) -> int:
        before = self._ports.clock.now() - command.older_than
        jobs = await self._persistence.find_unclaimed(before, flow_ids=tuple(self._registry.by_id), limit=command.limit)
        await self._wake(jobs)
        return len(jobs)

    async def _flush_outbox(self, command: FlushOutbox) -> Flushed:
        if self._ports.sink is None:
            return Flushed(published=0)
        return await flush(
            self._persistence,
            self._ports.sink,
            self._ports.clock,
            worker=command.worker,
            lease_duration=command.lease_duration,
            limit=command.limit,
        )

    async def _wake_for(self, changes: ChangeSet, runs: Mapping[str, RunRow], now: datetime) -> None:
        flow_ids = {run_id: row.flow_id for run_id, row in runs.items()}
        plans = {run_id: self._plans[flow_id] for run_id, flow_id in flow_ids.items()}
        delivers = self._ports.transport.delivers
        await self._wake(jobs_of_changes(changes, plans, flow_ids=flow_ids, now=now, delivers=delivers))

    async def _wake(self, jobs: Sequence[Job]) -> None:
        """Announce jobs; where that fails, hosts find them by polling, or a sweep announces them again."""
        if jobs:
            with suppress(AdapterError):
                await self._ports.transport.enqueue(jobs)

    # What the decisions need

    @property
    def _plans(self) -> Mapping[int, Plan]:
        return self._registry.plans

    @property
    def _published(self) -> bool:
        return self._ports.sink is None

    def _neighbours(self, tasks: Iterable[tuple[TaskKey, int]]) -> tuple[tuple[str, str], ...]:
        """The (run id, slug) steps that the end of these tasks touches, each once."""
        wanted: dict[tuple[str, str], None] = {}
        for key, flow_id in tasks:
            for slug in self._plans[flow_id].neighbours[key.step]:
                wanted[key.run_id, slug] = None
        return tuple(wanted)


def _limit(what: str, limit: int, found: int) -> None:
    if found > limit:
        raise LimitExceeded(what=what, limit=limit, found=found)


def _refuse_two_payloads(runs: Sequence[NewRun]) -> None:
    """Within one request a key stands for one payload: otherwise the conflict would name a run that never was."""
    digests: dict[tuple[str, str], str] = {}
    for run in runs:
        if run.key is not None and digests.setdefault((run.flow, run.key), run.request_digest) != run.request_digest:
            raise IdempotencyConflict(flow=run.flow, key=run.key, run_id=None)


def _as_claimed(task: TaskRow) -> ClaimedTask:
    assert task.lease_until is not None, "a running task has a lease"
    return ClaimedTask(
        key=task.key,
        flow_id=task.flow_id,
        token=task.token,
        attempt=task.attempts,
        losses=task.losses,
        phase=task.phase,
        lease_until=task.lease_until,
        priority=task.priority,
    )


def _unstorable(outcome: Outcome, refusal: UnstorableValue) -> Outcome:
    """The outcome that takes the place of one whose values the store refuses."""
    return replace(
        outcome,
        kind=OutcomeKind.FAILED,
        output=None,
        facts=None,
        error=encode_failure(type="UnstorableOutput", message=str(refusal)),
        reason="unstorable_output",
        retryable=False,
    )
