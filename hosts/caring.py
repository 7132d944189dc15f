"""What hosts do for the data now and then: pruning by the retention of their flows, collecting orphaned blobs.

Runs are pruned by every host that has their flow, in batches that leave each other alone. Blobs are listed all of them
to find the orphans, so one host does it once a day for everybody. Neither is urgent: what fails is done the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

from msgspec.structs import replace

from ..kernel import Kernel
from ..kernel.api.retention import ORPHAN_GRACE
from ..kernel.commands import ClaimChore, CollectBlobs, Pruned, PruneOutlived

logger = logging.getLogger(__name__)

CARE_INTERVAL_S = 300.0
"""How often runs are pruned: a retention is counted in days."""

COLLECT_EVERY = timedelta(days=1)

COLLECT_LOOK_S = 3600.0
"""How often a host asks whether it is time to collect: one statement."""

COLLECTING = "collect_blobs"


class Caretaker:
    """Looks after the data of one kernel's flows."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def prune(self, *, batches_max: int | None = None) -> int:
        """Remove runs that have been kept as long as their flow says.

        Args:
            batches_max: removes so many batches of each flow, and leaves the rest to the next time; None for all.
                Batches of which nothing may go are passed over: else the oldest runs of a flow that waits for long
                would keep all others.

        Returns:
            How many runs were removed.
        """
        total = 0
        for slug, retention in self._retentions():
            pruned = await self._prune_flow(slug, retention, batches_max)
            total += pruned.runs
            if pruned.dead_letters:
                logger.warning(
                    "%d runs of flow %s have been kept as long as it says, and stay since they have dead letters",
                    pruned.dead_letters,
                    slug,
                )
        if total:
            logger.info("%d runs were removed, since they have been kept as long as their flows say", total)
        return total

    async def _prune_flow(self, slug: str, retention: timedelta, batches_max: int | None) -> Pruned:
        command = PruneOutlived(flow=slug, retention=retention)
        total = await self._kernel.dispatch(command)
        batches = int(total.runs > 0)
        while total.next is not None and (batches_max is None or batches < batches_max):
            pruned = await self._kernel.dispatch(replace(command, after=total.next))
            batches += pruned.runs > 0
            total = total.and_then(pruned)
        return total

    async def collect(self, *, patience_s: float | None = None) -> int:
        """Remove orphaned blobs, if it is time and no other host does.

        Args:
            patience_s: how long it may take; what was not looked at by then waits for the next time. None for all.

        Returns:
            How many were removed; 0 where the time was too short for all.
        """
        if not await self._kernel.dispatch(ClaimChore(name=COLLECTING, every=COLLECT_EVERY)):
            return 0
        try:
            async with asyncio.timeout(patience_s):
                collected = await self._kernel.dispatch(CollectBlobs(older_than=ORPHAN_GRACE))
        except TimeoutError:  # recovers 47: not all blobs can be looked at in time
            logger.warning(
                "not all blobs could be looked at in %.0f s; `fairlead prune --orphaned-blobs` takes its time",
                patience_s,
            )
            return 0
        if collected.blobs:
            logger.info("%d blobs that nobody refers to were removed, %d bytes", collected.blobs, collected.size_bytes)
        return collected.blobs

    def _retentions(self) -> Iterator[tuple[str, timedelta]]:
        """How long the runs of each flow are kept after their end: as its newest version here says."""
        for slug in dict.fromkeys(flow.slug for flow in self._kernel.flows):
            retention_s = self._kernel.find_flow(slug).plan.retention_s
            if retention_s is not None:
                yield slug, timedelta(seconds=retention_s)
