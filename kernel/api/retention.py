"""Removing what is old: runs with everything of theirs, and blobs that nobody refers to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from msgspec.structs import replace

from ..arguments import checked_seconds
from ..commands import CollectBlobs, CollectedBlobs, Pruned, PruneRuns
from ..durations import Duration
from ..errors import InvalidArgument
from .commanding import Commanding

ORPHAN_GRACE = timedelta(days=1)
"""How old a blob must be before it may be taken for an orphan: no attempt takes so long from writing its output to
being settled."""

ORPHAN_GRACE_LEAST = timedelta(hours=1)


class Pruning(Commanding):
    """What a kernel forgets."""

    async def prune(
        self, *, older_than: Duration, flow: str | None = None, dead_letters: bool = False, dry_run: bool = False
    ) -> Pruned:
        """Remove all runs that ended longer ago than this, with everything of theirs: rows, events, keys, blobs.

        In bounded batches, each a transaction of its own; whoever stops half-way has removed whole runs. An idempotency
        key is free again once its run is gone. A run whose events are not all published is kept until they are, and
        one with dead letters until they are replayed; the answer says how many there are of both.

        Args:
            older_than: how long a run is kept after its end; a `timedelta`, or seconds.
            flow: the slug of the only flow whose runs are removed; None for all.
            dead_letters: also remove runs that have dead letters, and these with them: nobody gets them any more.
            dry_run: only tell how many would be removed.

        Raises:
            InvalidArgument: `older_than` is no duration, or `flow` no text.
        """
        total = Pruned(runs=0, tasks=0, blobs=0)
        async for pruned in self.prune_in_batches(
            older_than=older_than, flow=flow, dead_letters=dead_letters, dry_run=dry_run
        ):
            total = total.and_then(pruned)
        return total

    async def prune_in_batches(
        self, *, older_than: Duration, flow: str | None = None, dead_letters: bool = False, dry_run: bool = False
    ) -> AsyncIterator[Pruned]:
        """As `prune`, telling after each batch what it removed."""
        await self._keep_time()
        ended_before = self.ports.clock.now() - timedelta(seconds=checked_seconds("older_than", older_than))
        if flow is not None and not isinstance(flow, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("flow", "the slug of a flow", flow)
        command = PruneRuns(ended_before=ended_before, flow=flow, dead_letters=dead_letters, dry_run=dry_run)
        batch = await self.dispatch(command)
        yield batch
        while batch.next is not None:
            batch = await self.dispatch(replace(command, after=batch.next))
            yield batch

    async def collect_blobs(self, *, older_than: Duration = ORPHAN_GRACE, dry_run: bool = False) -> CollectedBlobs:
        """Remove blobs that no row refers to. All blobs are listed, so this is for now and then.

        Args:
            older_than: how old a blob must be, at least an hour; a `timedelta`, or seconds.
            dry_run: only tell what would be removed.

        Raises:
            InvalidArgument: `older_than` is no duration, or too short.
        """
        grace = timedelta(seconds=checked_seconds("older_than", older_than))
        if grace < ORPHAN_GRACE_LEAST:
            raise InvalidArgument(
                "older_than", "an hour at least: what an attempt wrote is referred to when it is settled", grace
            )
        return await self.dispatch(CollectBlobs(older_than=grace, dry_run=dry_run))
