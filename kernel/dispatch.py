"""Carrying commands out: load under lock, decide, commit everything, then wake whoever has work now.

Transactions, idempotency, repetition and wake-ups are handled here for every command alike, by the same `means`; what
advances runs is in `advancing`. What is decided is none of its business (`kernel.decisions`), nor how it is stored
(`ports.persistence`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from ..ports import Ports
from ..ports.records import (
    ClaimedTask,
    LeaseAnswer,
    LoadRequest,
    NewRun,
    RunClaim,
    TaskClaim,
)
from ..ports.statuses import RunStatus
from .advancing import Advancing
from .commands import (
    CancelledRun,
    CancelRun,
    ClaimedRuns,
    ClaimRuns,
    ClaimTasks,
    Command,
    Flushed,
    FlushOutbox,
    HeartbeatTasks,
    ReapTasks,
    RecallTasks,
    RunStart,
    SettleTasks,
    StartRuns,
    SweepJobs,
)
from .decisions.cancel import cancel_run
from .decisions.claim import claim_runs
from .decisions.handover import HandOver
from .decisions.start import start_run
from .decisions.state import as_claimed
from .errors import IdempotencyConflict, RunNotFound
from .flushing import flush
from .means import Means
from .registry import Registry
from .waking import jobs_of_runs

Result = TypeVar("Result")


class Dispatcher:
    """Carries out the commands of one kernel."""

    def __init__(self, registry: Registry, ports: Ports) -> None:
        self._ports = ports
        self._persistence = ports.persistence
        self._means = Means(registry, ports)
        advancing = Advancing(self._means)
        self._handlers: Mapping[type[Command[Any]], Callable[[Any], Coroutine[Any, Any, Any]]] = {
            StartRuns: self._start_runs,
            CancelRun: self._cancel_run,
            ClaimRuns: self._claim_runs,
            ClaimTasks: self._claim_tasks,
            RecallTasks: self._recall_tasks,
            SettleTasks: advancing.settle,
            HeartbeatTasks: self._heartbeat_tasks,
            ReapTasks: advancing.reap,
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

    # Runs

    async def _start_runs(self, command: StartRuns) -> tuple[RunStart, ...]:
        now = self._ports.clock.now()
        runs = [
            start_run(
                request,
                request.flow_id,
                self._means.plans[request.flow_id],
                run_id=request.run_id or self._ports.new_id(),
                now=now,
                published=self._means.published,
            )
            for request in command.requests
        ]
        _refuse_two_payloads(runs)
        started = await self._means.until_known(lambda: self._persistence.insert_runs(runs))
        for run, answer in zip(runs, started, strict=True):
            if answer.request_digest != run.request_digest:  # nothing was inserted then
                raise IdempotencyConflict(flow=run.flow, key=run.key or "", run_id=answer.id)
        created = [run for run, answer in zip(runs, started, strict=True) if answer.created]
        if created:
            await self._means.wake(jobs_of_runs(created, delivers=self._ports.transport.delivers))
        return tuple(RunStart(run_id=answer.id, created=answer.created) for answer in started)

    async def _cancel_run(self, command: CancelRun) -> CancelledRun:
        """Cancel; whether it was an earlier try, whose commit was unknown, is told by the time of the run's end."""
        tried: dict[datetime, RunStatus] = {}
        return await self._means.until_known(lambda: self._cancel_or_recognise(command, tried))

    async def _cancel_or_recognise(self, command: CancelRun, tried: dict[datetime, RunStatus]) -> CancelledRun:
        tried_before = bool(tried)
        answer = await self._cancel_once(command, tried)
        if tried_before and answer.found is RunStatus.CANCELLED:
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
            changes = cancel_run(run, command.reason, now=now, published=self._means.published)
            if changes.runs:
                await transaction.apply(changes)
                tried[now] = run.status
        return CancelledRun(run_id=run.id, found=run.status, took_effect=bool(changes.runs))

    async def _claim_runs(self, command: ClaimRuns) -> ClaimedRuns:
        return await self._means.from_the_top(lambda: self._claim_runs_once(command))

    async def _claim_runs_once(self, command: ClaimRuns) -> ClaimedRuns:
        capacity = command.capacity
        claim = RunClaim(flow_ids=capacity.flow_ids, limit=command.limit, only=command.only)
        async with self._persistence.transaction() as transaction:
            runs = await transaction.claim_runs(claim)
            if not runs:
                return ClaimedRuns(runs=(), tasks=())
            now = self._ports.clock.now()
            changes = claim_runs(
                runs, self._means.plans, now=now, hand_over=HandOver(capacity, now), published=self._means.published
            )
            await transaction.apply(changes.frozen())
        await self._means.wake_for(changes, {}, now)
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
        return tuple(await self._means.from_the_top(lambda: self._persistence.claim_tasks(claim)))

    async def _recall_tasks(self, command: RecallTasks) -> tuple[ClaimedTask, ...]:
        leased = await self._persistence.find_leased(command.worker)
        return tuple(as_claimed(task) for task in leased if task.flow_id in self._means.plans)

    async def _heartbeat_tasks(self, command: HeartbeatTasks) -> LeaseAnswer:
        until = self._ports.clock.now() + command.lease_duration
        return await self._means.from_the_top(lambda: self._persistence.extend_leases(command.leases, until))

    # Outbox and jobs

    async def _sweep_jobs(self, command: SweepJobs) -> int:
        before = self._ports.clock.now() - command.older_than
        jobs = await self._persistence.find_unclaimed(before, flow_ids=self._means.flow_ids, limit=command.limit)
        await self._means.wake(jobs)
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


def _refuse_two_payloads(runs: Sequence[NewRun]) -> None:
    """Within one request a key stands for one payload: otherwise the conflict would name a run that never was."""
    digests: dict[tuple[str, str], str] = {}
    for run in runs:
        if run.key is not None and digests.setdefault((run.flow, run.key), run.request_digest) != run.request_digest:
            raise IdempotencyConflict(flow=run.flow, key=run.key, run_id=None)
