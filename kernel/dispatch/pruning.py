"""Forgetting runs that are old.

Rows go first, blobs after the commit: a process that dies in between leaves blobs of runs that are gone, and those are
collected as all orphans are.

What hosts do by themselves again and again costs nothing where nothing is to be done: how far a flow's runs were looked
at, and from when on it may be worth looking at these again, is kept in an entry of the scheduler that is never due.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...ports.reading import RunCursor
from ...ports.retention import PrunablePage
from ...ports.scheduler import KeptCommand, ScheduledCommand
from ..commands import Pruned, PruneOutlived, PruneRuns
from ..decisions.outliving import Looked, decode_looked, encode_looked, first_look
from ..references import run_prefix
from .means import Handlers, Means

TASKS_TOGETHER_MAX = 20_000
"""Tasks removed in one transaction, unless a single run has more: about a second's work of a database."""

LOOKED = "outlived/"
"""How the names begin of what is kept about the runs that were looked at, among what is scheduled."""


class Pruning:
    """Carries out `PruneRuns` and `PruneOutlived`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {PruneRuns: self._prune_runs, PruneOutlived: self._prune_outlived}

    async def _prune_runs(self, command: PruneRuns) -> Pruned:
        page = await self._means.persistence.find_prunable(
            command.ended_before, flow=command.flow, after=command.after, limit=command.limit
        )
        if not command.dry_run:
            pruned, _ = await self._prune(page, command.ended_before, dead_letters=command.dead_letters)
            return pruned
        going = [run.tasks for run in page.runs if not run.stays(dead_letters=command.dead_letters)]
        return _pruned(page, runs=len(going), tasks=sum(going), blobs=0, dead_letters=command.dead_letters)

    async def _prune_outlived(self, command: PruneOutlived) -> Pruned:
        now = self._means.clock.now()
        ended_before = now - command.retention
        kept = await self._means.ports.scheduler.read(f"{LOOKED}{command.flow}")
        looked = None if kept is None else decode_looked(kept.scheduled.command)
        if command.after is None:
            looked = looked if looked is not None and looked.serves(ended_before, now) else first_look(now)
        elif looked is not None and looked.place != command.after:
            looked = None  # recovers 69: somebody else looks, too, and keeps what both need to know
        page = await self._means.persistence.find_prunable(
            ended_before,
            flow=command.flow,
            after=command.after if looked is None else looked.place,
            limit=command.limit,
        )
        pruned, next_end = await self._prune(page, ended_before, dead_letters=False)
        if looked is not None and page.last is not None:
            await self._keep(command.flow, kept, looked.further(page.last, next_end))
        return pruned

    async def _prune(
        self, page: PrunablePage, ended_before: datetime, *, dead_letters: bool
    ) -> tuple[Pruned, datetime | None]:
        """Remove those runs of a page that may go; answers also when the first of the others ended.

        Those that only their dead letters keep do not count for that: they may stay for ever.
        """
        persistence = self._means.persistence
        tasks = {run.id: run.tasks for run in page.runs if not run.stays(dead_letters=dead_letters)}
        gone: set[str] = set()
        blobs = 0
        for together in _together(tasks):
            deleted = await persistence.delete_runs(together, ended_before=ended_before, dead_letters=dead_letters)
            gone.update(deleted)
            blobs += await self._delete_blobs_of(deleted)
        ends = [run.ended_at for run in page.runs if run.unpublished or (run.id in tasks and run.id not in gone)]
        if page.next_end is not None:
            ends.append(page.next_end)
        removed = sum(tasks[run_id] for run_id in gone)
        pruned = _pruned(page, runs=len(gone), tasks=removed, blobs=blobs, dead_letters=dead_letters)
        return pruned, min(ends, default=None)

    async def _delete_blobs_of(self, runs: Iterable[str]) -> int:
        store, deleted = self._means.ports.blobs, 0
        for run_id in runs:
            async for blob in store.list(run_prefix(run_id)):
                await store.delete(blob.key)
                deleted += 1
        return deleted

    async def _keep(self, flow: str, kept: KeptCommand | None, looked: Looked) -> None:
        """Keep how far the runs of a flow were looked at, unless somebody else did meanwhile."""
        scheduler = self._means.ports.scheduler
        entry = ScheduledCommand(name=f"{LOOKED}{flow}", due_at=None, command=encode_looked(looked))
        if kept is None:
            await scheduler.schedule(entry, replace=False)
        else:
            await scheduler.put_back(kept, entry)


def _pruned(page: PrunablePage, *, runs: int, tasks: int, blobs: int, dead_letters: bool) -> Pruned:
    next: RunCursor | None = page.last if page.more else None
    return Pruned(
        runs=runs,
        tasks=tasks,
        blobs=blobs,
        unpublished=sum(run.unpublished for run in page.runs),
        dead_letters=sum(run.dead_letters and not run.unpublished for run in page.runs if not dead_letters),
        next=next,
    )


def _together(tasks: dict[str, int]) -> Iterable[list[str]]:
    """Runs in groups that are removed in one transaction each."""
    group: list[str] = []
    weight = 0
    for run_id, count in tasks.items():
        if group and weight + count > TASKS_TOGETHER_MAX:
            yield group
            group, weight = [], 0
        group.append(run_id)
        weight += count
    if group:
        yield group
