"""Forgetting: which runs are old enough to go, removing everything of theirs, and telling whose a blob is.

Only what has ended is removed, and only once its events are published: nobody waits for anything of it any more. What
a sink never accepted is a dead letter, and goes only with whoever says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from .reading import RunCursor
from .record import Record
from .records import TaskKey, TaskRow


class PrunableRun(Record, frozen=True, kw_only=True):
    """A run that is old enough to be removed."""

    id: str
    flow: str
    ended_at: datetime
    tasks: int
    """How many tasks it has, in all generations: nearly all of what its removal costs."""
    unpublished: bool = False
    """Whether it stays, since some of its events are not published yet."""
    dead_letters: bool = False
    """Whether it stays unless its dead letters may go with it. Those of sinks that are removed do not count."""

    def stays(self, *, dead_letters: bool) -> bool:
        """Whether its events keep it; `dead_letters` says whether dead letters may go."""
        return self.unpublished or (self.dead_letters and not dead_letters)


class PrunablePage(Record, frozen=True, kw_only=True):
    """What was found among some runs that were looked at."""

    runs: Sequence[PrunableRun]
    """Those that are old enough, by (`created_at`, id)."""
    last: RunCursor | None = None
    """The last run that was looked at; None where there was none."""
    more: bool = False
    """Whether there may be others behind it."""
    next_end: datetime | None = None
    """When the first of the other runs ended that were looked at; None where none of them has ended."""


class Retention(Protocol):
    """The part of the store that forgets."""

    async def find_prunable(
        self, ended_before: datetime, *, flow: str | None, after: RunCursor | None, limit: int
    ) -> PrunablePage:
        """Terminal runs that ended before `ended_before`, and which of their events keep them; nothing is locked.

        Args:
            ended_before: exclusive.
            flow: the slug of the only flow to look at; None for all.
            after: `last` of the page before.
            limit: how many runs are looked at, oldest first by (`created_at`, id), whether they may go or not. So a
                page may be empty without being the last.
        """
        ...

    async def delete_runs(
        self, runs: Sequence[str], *, ended_before: datetime, dead_letters: bool = False
    ) -> Sequence[str]:
        """Remove runs and every row of theirs, in one transaction.

        What is locked, has gone on meanwhile (by a rerun), ended later or has unpublished events, is left alone whole.

        Args:
            runs: ids.
            ended_before: exclusive.
            dead_letters: whether runs go that have dead letters, and these with them.

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
