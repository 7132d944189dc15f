"""Commands about the life of the data: removing old runs, and blobs that nobody refers to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from ...ports.reading import RunCursor
from ...ports.record import Record
from .base import Command, at_least

PRUNE_BATCH = 500
"""Runs looked at in one prune: what a database removes in a tenth of a second, and passes over in a hundredth."""


class PruneRuns(Command["Pruned"], frozen=True, kw_only=True):
    """Remove a batch of runs that ended before a time, with everything of theirs. Repeatable. It needs no code.

    A run whose events are not all published is kept until they are, and one with dead letters unless these may go.
    """

    needs_flows: ClassVar[bool] = False
    ended_before: datetime
    """Exclusive."""
    flow: str | None = None
    """The slug of the only flow whose runs are removed; None for all."""
    after: RunCursor | None = None
    """`next` of the batch before; None to begin with the oldest."""
    limit: int = PRUNE_BATCH
    dead_letters: bool = False
    """Whether runs go that have dead letters, and these with them."""
    dry_run: bool = False
    """Only tell what would be removed."""

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class PruneOutlived(Command["Pruned"], frozen=True, kw_only=True):
    """Remove a batch of a flow's runs that ended longer ago than they are kept. Repeatable. It needs no code.

    As `PruneRuns`, for those who ask again and again: runs that were looked at before are looked at again only when
    some of them may be old enough. Runs with dead letters stay.
    """

    needs_flows: ClassVar[bool] = False
    flow: str
    """Its slug."""
    retention: timedelta
    """How long its runs are kept after their end."""
    after: RunCursor | None = None
    """`next` of the batch before; None to begin."""
    limit: int = PRUNE_BATCH

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class Pruned(Record, frozen=True, kw_only=True):
    """What a prune removed, or would."""

    runs: int
    tasks: int
    """Of these runs, in all generations."""
    blobs: int
    """What was removed of them; 0 in a dry run, which looks at no blob."""
    unpublished: int = 0
    """How many runs are old enough and stay, since some of their events are not published yet."""
    dead_letters: int = 0
    """How many others stay, since some of their events are dead letters."""
    next: RunCursor | None = None
    """Where the next batch begins; None where all was looked at."""

    def and_then(self, batch: Pruned) -> Pruned:
        """This and the next batch together."""
        return Pruned(
            runs=self.runs + batch.runs,
            tasks=self.tasks + batch.tasks,
            blobs=self.blobs + batch.blobs,
            unpublished=self.unpublished + batch.unpublished,
            dead_letters=self.dead_letters + batch.dead_letters,
            next=batch.next,
        )


class CollectBlobs(Command["CollectedBlobs"], frozen=True, kw_only=True):
    """Remove blobs that no row refers to and that are older than a grace period. Repeatable. It needs no code.

    They are left behind by attempts that died or came too late after they had written their output, and by starts and
    prunes that died half-way. Every blob is looked at, so this is for now and then.
    """

    needs_flows: ClassVar[bool] = False
    older_than: timedelta
    """The grace: longer than any attempt may take, since what it wrote is referred to only when it is settled."""
    dry_run: bool = False
    """Only tell what would be removed."""


class CollectedBlobs(Record, frozen=True, kw_only=True):
    """What a collection found."""

    blobs: int
    """How many were removed, or would be."""
    size_bytes: int
    """Of these together."""
    kept: int
    """Blobs that are referred to or might still be, as far as they are older than the grace."""
    foreign: int
    """Blobs whose keys are not ours to judge: none of them was touched."""


class ClaimChore(Command[bool], frozen=True, kw_only=True):
    """Ask for a chore that one host of all does now and then. True where the asking host is to do it now.

    A chore that was never asked for is due only after a first interval. Whoever gets it and dies leaves it undone until
    the next time: so are chores alone that do no harm by being late.
    """

    needs_flows: ClassVar[bool] = False
    name: str
    every: timedelta
