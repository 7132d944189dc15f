"""Beginning runs anew that have ended."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from ...ports.records import LoadRequest, Snapshot
from ..commands import RerunRun, RestartedRun
from ..decisions.handover import NOBODY, HandOver
from ..decisions.rerun import rerun_run, restart_of
from ..decisions.settled import Settled
from ..errors import RunNotFound
from .deciding import decide_and_apply
from .means import Handlers, Means


@frozen
class _Try:
    """A rerun whose commit may have taken effect."""

    at: datetime
    answer: RestartedRun


class Controlling:
    """Carries out `RerunRun`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {RerunRun: self._rerun}

    async def _rerun(self, command: RerunRun) -> RestartedRun:
        """Rerun; whether it was an earlier try, whose commit was unknown, is told by when the generation began."""
        tried: list[_Try] = []
        return await self._means.until_known(lambda: self._rerun_or_recognise(command, tried))

    async def _rerun_or_recognise(self, command: RerunRun, tried: list[_Try]) -> RestartedRun:
        if tried:  # recovers 22: an earlier try of a rerun may have been committed
            await self._until_over(command.run_id)
            for each in tried:
                if await self._began(each):  # recovers 22: an earlier try of a rerun was committed
                    return each.answer
        return await self._rerun_once(command, tried)

    async def _rerun_once(self, command: RerunRun, tried: list[_Try]) -> RestartedRun:
        means, run_id = self._means, command.run_id
        async with means.persistence.transaction() as transaction:
            snapshot = await transaction.load(LoadRequest(runs=(run_id,), steps=(), tasks=(), wait=True))
            run = snapshot.runs.get(run_id)
            if run is None:
                raise RunNotFound(run_id)
            plan = means.plan_of(run)
            rows = await transaction.load_steps([(run_id, slug) for slug in plan.steps])
            answer = restart_of(command, run, {row.slug: row for row in rows}, plan)
            if command.dry_run:
                return answer
            now = means.clock.now()
            tried.append(_Try(now, answer))

            def decide(snapshot: Snapshot) -> Settled:
                return rerun_run(command, snapshot, plan, now=now, hand_over=HandOver(NOBODY, now))

            whole = Snapshot(runs=snapshot.runs, steps={(row.run_id, row.slug): row for row in rows}, tasks={})
            settled = await decide_and_apply(transaction, whole, means.plans, decide)
        await means.wake_for(settled.changes, snapshot.runs, now)
        return answer

    async def _until_over(self, run_id: str) -> None:
        """Wait for a transaction that may still hold the run: then it is known what became of it."""
        async with self._means.persistence.transaction() as transaction:
            await transaction.load(LoadRequest(runs=(run_id,), steps=(), tasks=(), wait=True))

    async def _began(self, each: _Try) -> bool:
        """Whether the generation that a try made is there, and is its own."""
        run_id, generation = each.answer.run_id, each.answer.generation
        record = await self._means.persistence.read_run(run_id)
        if record is not None and record.generation == generation:
            return record.started_at == each.at
        left = await self._means.persistence.read_generations(run_id)
        return any(ending.generation == generation and ending.started_at == each.at for ending in left)
