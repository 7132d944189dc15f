"""Forgetting: what may be pruned, removing it, and telling whose a blob is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ...ports.reading import RunCursor
from ...ports.records import TaskKey, TaskRow
from ...ports.retention import PrunablePage, PrunableRun
from .arrays import uuids
from .database import Database
from .rows import is_run_id, key_columns, task_row


class Forgetting:
    """The methods of `Retention`."""

    _database: Database

    async def find_prunable(
        self, ended_before: datetime, *, flow: str | None, after: RunCursor | None, limit: int
    ) -> PrunablePage:
        """Terminal runs that ended before `ended_before` and have no unpublished event."""
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
        runs = [PrunableRun(id=row[0], flow=row[1], ended_at=row[3], tasks=row[4]) for row in rows if row[5]]
        return PrunablePage(runs, RunCursor(rows[-1][2], rows[-1][0]) if len(rows) == limit else None)

    async def delete_runs(self, runs: Sequence[str], *, ended_before: datetime) -> Sequence[str]:
        """Remove runs and every row of theirs, in one transaction."""
        wanted = {"runs": uuids(sorted({run_id for run_id in runs if is_run_id(run_id)}))}
        async with self._database.transaction() as connection:
            locked = await self._database.fetch(connection, "lock_prunable", {**wanted, "ended_before": ended_before})
            held = {"runs": uuids([row[0] for row in locked])}
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
