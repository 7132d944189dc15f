"""Starting runs and cancelling them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from ...ports.changes import NewRun
from ...ports.records import LoadRequest, StartedRun
from ...ports.statuses import RunStatus
from ..commands import CancelledRun, CancelRun, RunRequest, RunStart, StartRuns
from ..decisions.cancel import cancel_run
from ..decisions.start import start_run
from ..errors import IdempotencyConflict, RunNotFound
from .announcing import jobs_of_runs
from .means import Handlers, Means


class Running:
    """Carries out `StartRuns` and `CancelRun`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {StartRuns: self._start_runs, CancelRun: self._cancel_run}

    async def _start_runs(self, command: StartRuns) -> tuple[RunStart, ...]:
        runs = new_runs(command.requests, self._means)
        require_one_payload(runs)
        patience_s, persistence = command.patience_s, self._means.persistence
        started = await self._means.until_known(
            lambda: persistence.insert_runs(runs, patience_s=patience_s), patience_s=patience_s
        )
        answers = run_starts(runs, started)
        created = [run for run, answer in zip(runs, answers, strict=True) if answer.created]
        if created:
            await self._means.wake(jobs_of_runs(created, delivers=self._means.ports.transport.delivers))
        return answers

    async def _cancel_run(self, command: CancelRun) -> CancelledRun:
        """Cancel; whether it was an earlier try, whose commit was unknown, is told by the time of the run's end."""
        tried: dict[datetime, RunStatus] = {}
        return await self._means.until_known(
            lambda: self._cancel_or_recognise(command, tried), patience_s=command.patience_s
        )

    async def _cancel_or_recognise(self, command: CancelRun, tried: dict[datetime, RunStatus]) -> CancelledRun:
        tried_before = bool(tried)
        answer = await self._cancel_once(command, tried)
        if tried_before and answer.found is RunStatus.CANCELLED:  # recovers 22: a try finds the run cancelled already
            record = await self._means.persistence.read_run(command.run_id)
            found = None if record is None or record.ended_at is None else tried.get(record.ended_at)
            if found is not None:  # recovers 22: an earlier try of a cancel was committed
                return replace(answer, found=found, took_effect=True)
        return answer

    async def _cancel_once(self, command: CancelRun, tried: dict[datetime, RunStatus]) -> CancelledRun:
        request = LoadRequest(runs=(command.run_id,), steps=(), tasks=(), wait=True, patience_s=command.patience_s)
        async with self._means.persistence.transaction() as transaction:
            run = (await transaction.load(request)).runs.get(command.run_id)
            if run is None:
                raise RunNotFound(command.run_id)
            now = self._means.clock.now()
            changes = cancel_run(run, command.reason, now=now)
            if changes.runs:
                await transaction.apply(changes)
                tried[now] = run.status
        await self._means.tell_ended(changes.runs)
        return CancelledRun(run_id=run.id, found=run.status, took_effect=bool(changes.runs))


def new_runs(requests: Sequence[RunRequest], means: Means) -> list[NewRun]:
    """What is put down for runs that were asked for."""
    now = means.clock.now()
    return [
        start_run(
            request,
            request.flow_id,
            means.plans[request.flow_id],
            run_id=request.run_id or means.ports.new_id(),
            now=now,
        )
        for request in requests
    ]


def run_starts(runs: Sequence[NewRun], started: Sequence[StartedRun]) -> tuple[RunStart, ...]:
    """What whoever asked for runs is told.

    Raises:
        IdempotencyConflict: a key is held by another request; nothing was inserted then.
    """
    for run, answer in zip(runs, started, strict=True):
        if answer.request_digest != run.request_digest:
            raise IdempotencyConflict(flow=run.flow, key=run.key or "", run_id=answer.id)
    return tuple(RunStart(run_id=answer.id, created=answer.created) for answer in started)


def require_one_payload(runs: Sequence[NewRun]) -> None:
    """Within one request a key stands for one payload: otherwise the conflict would name a run that never was."""
    digests: dict[tuple[str, str], str] = {}
    for run in runs:
        if run.key is not None and digests.setdefault((run.flow, run.key), run.request_digest) != run.request_digest:
            raise IdempotencyConflict(flow=run.flow, key=run.key, run_id=None)
