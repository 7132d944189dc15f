"""Claiming runs and tasks, keeping their leases, and announcing what nobody claimed."""

from __future__ import annotations

from ...ports.records import ClaimedTask, LeaseAnswer, RunClaim, TaskClaim
from ..commands import ClaimedRuns, ClaimRuns, ClaimTasks, HeartbeatTasks, RecallTasks, SweepJobs
from ..decisions.claim import claim_runs
from ..decisions.handover import HandOver
from ..decisions.state import as_claimed
from .means import Handlers, Means


class Claiming:
    """Carries out `ClaimRuns`, `ClaimTasks`, `RecallTasks`, `HeartbeatTasks` and `SweepJobs`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {
            ClaimRuns: self._claim_runs,
            ClaimTasks: self._claim_tasks,
            RecallTasks: self._recall_tasks,
            HeartbeatTasks: self._heartbeat_tasks,
            SweepJobs: self._sweep_jobs,
        }

    async def _claim_runs(self, command: ClaimRuns) -> ClaimedRuns:
        return await self._means.from_the_top(lambda: self._claim_runs_once(command))

    async def _claim_runs_once(self, command: ClaimRuns) -> ClaimedRuns:
        capacity = command.capacity
        claim = RunClaim(flow_ids=capacity.flow_ids, limit=command.limit, only=command.only)
        async with self._means.persistence.transaction() as transaction:
            runs = await transaction.claim_runs(claim)
            if not runs:
                return ClaimedRuns(runs=(), tasks=())
            early = [run.id for run in runs if run.signals]
            signals = await transaction.load_signals(early) if early else None
            now = self._means.clock.now()
            changes = claim_runs(
                runs,
                self._means.plans,
                now=now,
                hand_over=HandOver(capacity, now),
                signals=signals,
            )
            await transaction.apply(changes.frozen())
        await self._means.wake_for(changes, {}, now)
        return ClaimedRuns(
            runs=tuple(runs),
            tasks=tuple(changes.claimed),
            queued=changes.queues_tasks,
            put_off=changes.puts_off,
        )

    async def _claim_tasks(self, command: ClaimTasks) -> tuple[ClaimedTask, ...]:
        capacity = command.capacity
        if not capacity.slots:
            return ()
        now = self._means.clock.now()
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
        return tuple(await self._means.from_the_top(lambda: self._means.persistence.claim_tasks(claim)))

    async def _recall_tasks(self, command: RecallTasks) -> tuple[ClaimedTask, ...]:
        leased = await self._means.persistence.find_leased(command.worker)
        return tuple(as_claimed(task) for task in leased if task.flow_id in self._means.plans)

    async def _heartbeat_tasks(self, command: HeartbeatTasks) -> LeaseAnswer:
        until = self._means.clock.now() + command.lease_duration
        return await self._means.from_the_top(lambda: self._means.persistence.extend_leases(command.leases, until))

    async def _sweep_jobs(self, command: SweepJobs) -> int:
        before = self._means.clock.now() - command.older_than
        jobs = await self._means.persistence.find_unclaimed(before, flow_ids=self._means.flow_ids, limit=command.limit)
        await self._means.wake(jobs)
        return len(jobs)
