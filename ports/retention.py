"""Forgetting: which runs are old enough to go, removing everything of theirs, and telling whose a blob is.

Only what has ended is removed, and only once its events are published: nobody waits for anything of it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from .reading import RunCursor
from .record import Record
from .records import TaskKey, TaskRow


class PrunableRun(Record, frozen=True, kw_only=True):
    """A run that may be removed."""

    id: str
    flow: str
    ended_at: datetime
    tasks: int
    """How many tasks it has, in all generations: nearly all of what its removal costs."""


class PrunablePage(Record, frozen=True):
    """Runs to remove, oldest first, and where the search goes on (None at the end)."""

    runs: Sequence[PrunableRun]
    next: RunCursor | None


class Retention(Protocol):
    """The part of the store that forgets."""

    async def find_prunable(
        self, ended_before: datetime, *, flow: str | None, after: RunCursor | None, limit: int
    ) -> PrunablePage:
        """Terminal runs that ended before `ended_before` and have no unpublished event; nothing is locked.

        Args:
            ended_before: exclusive.
            flow: the slug of the only flow to look at; None for all.
            after: `next` of the page before.
            limit: how many runs are looked at, oldest first by (`created_at`, id), whether they may go or not. So a
                page may be empty without being the last.
        """
        ...

    async def delete_runs(self, runs: Sequence[str], *, ended_before: datetime) -> Sequence[str]:
        """Remove runs and every row of theirs, in one transaction.

        What is locked, has gone on meanwhile (by a rerun), ended later or has unpublished events, is left alone whole.

        Returns:
            The ids of the runs that were removed, ascending.
        """
        ...

    async def find_runs(self, runs: Sequence[str]) -> frozenset[str]:
        """Those of some ids that are ids of runs; nothing is locked."""
        ...

    async def find_tasks(self, tasks: Sequence[TaskKey]) -> Mapping[TaskKey, TaskRow]:
        """Those of some tasks that exist; nothing is locked."""
        ...
