"""Beginning runs anew, and ending or beginning anew many of them at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen
from msgspec.structs import replace

from ...ports.errors import Contention, UsageError
from ...ports.reading import RunCursor, RunFilter, RunRecord
from ...ports.statuses import RunStatus
from ..commands import CancelledRun, CancelRun, RestartedRun
from ..definition import StepName
from ..filters import checked_runs
from ..runs import RunHandle
from .commanding import Commanding

Answer = TypeVar("Answer", covariant=True)

BULK_PAGE_RUNS = 100
"""Runs that are looked up at a time: so many may have changed meanwhile, and each is looked at again under its lock."""


@frozen(kw_only=True)
class RunAnswer(Generic[Answer]):
    """What became of one of many runs."""

    run: RunRecord
    """As it was listed."""
    answer: Answer | None
    """None where it was refused."""
    refusal: UsageError | Contention | None = None
    """Why; `Contention` where somebody else held the run for too long."""


class Control(Commanding):
    """Reruns, retries and cancels of a kernel."""

    async def rerun(self, run_id: str, *from_steps: StepName, dry_run: bool = False) -> RestartedRun:
        """Begin a run anew from some steps, in a new generation; see `RunHandle.rerun`."""
        return await self.run(run_id).rerun(*from_steps, dry_run=dry_run)

    async def retry(self, run_id: str, *steps: StepName, dry_run: bool = False) -> RestartedRun:
        """Do again what did not complete of a run, in a new generation; see `RunHandle.retry`."""
        return await self.run(run_id).retry(*steps, dry_run=dry_run)

    async def cancel_runs(
        self, chosen: RunFilter, *, reason: str | None = None, dry_run: bool = False
    ) -> AsyncIterator[RunAnswer[CancelledRun]]:
        """Cancel runs one after the other, newest first, each as `cancel` does.

        Runs that are started meanwhile are left out. Whoever stops half-way has cancelled what was yielded.

        Args:
            chosen: which runs; those that have ended among them only where it names statuses.
            reason: why; see `cancel`.
            dry_run: cancel none, only tell which.

        Yields:
            What became of each run.
        """
        command = CancelRun("", reason)  # refused, if it is, before the first run is looked at

        async def cancel(run: RunRecord) -> CancelledRun:
            if dry_run:
                return CancelledRun(run_id=run.id, found=run.status, took_effect=False)
            return await self.dispatch(replace(command, run_id=run.id))

        live = frozenset({RunStatus.PENDING, RunStatus.RUNNING})
        async for each in self._answers(_of_statuses(chosen, live), cancel):
            yield each

    async def rerun_runs(
        self, chosen: RunFilter, *from_steps: StepName, dry_run: bool = False
    ) -> AsyncIterator[RunAnswer[RestartedRun]]:
        """Begin runs anew one after the other, newest first, each as `rerun` does.

        Args:
            chosen: which runs; unless it names statuses, those that have failed.
            from_steps: as for `rerun`.
            dry_run: change nothing, only tell what would be.

        Yields:
            What became of each run. One that is refused, because it has no such step, say, keeps none of the others
            back.
        """

        async def rerun(run: RunRecord) -> RestartedRun:
            return await self._run(run).rerun(*from_steps, dry_run=dry_run)

        async for each in self._answers(_of_statuses(chosen, _FAILED), rerun):
            yield each

    async def retry_runs(
        self, chosen: RunFilter, *steps: StepName, dry_run: bool = False
    ) -> AsyncIterator[RunAnswer[RestartedRun]]:
        """Do again what did not complete of runs, one after the other, newest first, each as `retry` does.

        Args:
            chosen: which runs; unless it names statuses, those that have failed.
            steps: as for `retry`.
            dry_run: change nothing, only tell what would be.

        Yields:
            As for `rerun_runs`.
        """

        async def retry(run: RunRecord) -> RestartedRun:
            return await self._run(run).retry(*steps, dry_run=dry_run)

        async for each in self._answers(_of_statuses(chosen, _FAILED), retry):
            yield each

    def _run(self, run: RunRecord) -> RunHandle:
        return self.handle_of(run.id, created=False)

    async def _answers(
        self, chosen: RunFilter, ask: Callable[[RunRecord], Awaitable[Answer]]
    ) -> AsyncIterator[RunAnswer[Answer]]:
        after: RunCursor | None = None
        chosen = checked_runs(chosen)
        while True:
            page = await self.ports.persistence.list_runs(chosen, limit=BULK_PAGE_RUNS, after=after)
            for run in page.runs:
                try:
                    answer = await ask(run)
                except (UsageError, Contention) as refusal:  # recovers 62: one run of many is not as it was found
                    yield RunAnswer(run=run, answer=None, refusal=refusal)
                else:
                    yield RunAnswer(run=run, answer=answer)
            if page.next is None:
                return
            after = page.next


_FAILED = frozenset({RunStatus.FAILED})


def _of_statuses(chosen: RunFilter, statuses: frozenset[RunStatus]) -> RunFilter:
    return chosen if chosen.statuses is not None else replace(chosen, statuses=statuses)
