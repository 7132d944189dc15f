"""Forgetting: what may be pruned, removing it, and telling whose a blob is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ...ports.reading import RunCursor
from ...ports.records import TaskKey, TaskRow
from ...ports.retention import PrunablePage, PrunableRun
from .arrays import uuids
from .database import Database, Row
from .rows import is_run_id, key_columns, task_row


class Forgetting:
    """The methods of `Retention`."""

    _database: Database

    async def find_prunable(
        self, ended_before: datetime, *, flow: str | None, after: RunCursor | None, limit: int
    ) -> PrunablePage:
        """Runs that ended before `ended_before`, and which of their events keep them."""
        parameters: dict[str, object] = {
            "ended_before": ended_before,
            "after_created_at": None if after is None else after.created_at,
            "after_id": None if after is None else after.id,
            "limit": limit,
        }
        if flow is None:
            rows = await self._database.read("find_prunable", parameters)
        else:
            rows = await self._database.read("find_prunable_of_flow", {**parameters, "flow": flow})
        return PrunablePage(
            runs=[_prunable_run(row) for row in rows if row[4] is not None],
            last=RunCursor(rows[-1][2], rows[-1][0]) if rows else None,
            more=len(rows) == limit,
            next_end=min((row[3] for row in rows if row[4] is None and row[3] is not None), default=None),
        )

    async def delete_runs(
        self, runs: Sequence[str], *, ended_before: datetime, dead_letters: bool = False
    ) -> Sequence[str]:
        """Remove runs and every row of theirs, in one transaction."""
        wanted = {"runs": uuids(sorted({run_id for run_id in runs if is_run_id(run_id)}))}
        async with self._database.transaction() as connection:
            locked = await self._database.fetch(connection, "lock_prunable", {**wanted, "ended_before": ended_before})
            held = {"runs": uuids([row[0] for row in locked]), "dead_letters": dead_letters}
            return [row[0] for row in await self._database.fetch(connection, "delete_runs", held)] if locked else []

    async def find_runs(self, runs: Sequence[str]) -> frozenset[str]:
        """Those of some ids that are ids of runs."""
        asked = {"runs": uuids(sorted({run_id for run_id in runs if is_run_id(run_id)}))}
        return frozenset(row[0] for row in await self._database.read("find_runs", asked, by_key=True))

    async def find_tasks(self, tasks: Sequence[TaskKey]) -> Mapping[TaskKey, TaskRow]:
        """Those of some tasks that exist."""
        keys = [key for key in dict.fromkeys(tasks) if is_run_id(key.run_id)]
        rows = await self._database.read("load_tasks", key_columns(keys), by_key=True)
        places: list[int] = [row[0] for row in rows]
        return {keys[place - 1]: task_row(keys[place - 1], row) for place, row in zip(places, rows, strict=True)}


def _prunable_run(row: Row) -> PrunableRun:
    return PrunableRun(id=row[0], flow=row[1], ended_at=row[3], tasks=row[4], unpublished=row[5], dead_letters=row[6])
