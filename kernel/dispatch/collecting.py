"""Collecting blobs that nobody refers to.

A blob is removed only where its run is gone, or where the attempt that wrote it can never be recorded any more; what
this cannot tell is left alone.

What belongs to a run and to no attempt goes with the run: its input, and the payloads of its signals. So a large
payload stays for as long whose sender died between writing it and sending the signal. To tell it apart, both the run's
signals and those that callers have asked for would have to be read, for one blob that one process left behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from ...ports.blobs import BlobInfo
from ...ports.records import TaskKey
from ...ports.scheduler import ScheduledCommand
from ..commands import ClaimChore, CollectBlobs, CollectedBlobs
from ..decisions.keeping import may_be_referred_to
from ..references import RUNS, BlobOwner, owner_of
from ..templates import TEMPLATES, kept_blobs
from .means import Handlers, Means

CHORES = "chore/"
"""How the names of chores begin among what is scheduled."""

BLOBS_TOGETHER = 1_000
"""Blobs whose owners are asked for in one statement."""


class Collecting:
    """Carries out `CollectBlobs` and `ClaimChore`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {CollectBlobs: self._collect_blobs, ClaimChore: self._claim_chore}

    async def _collect_blobs(self, command: CollectBlobs) -> CollectedBlobs:
        store = self._means.ports.blobs
        before = self._means.clock.now() - command.older_than
        blobs = size_bytes = kept = foreign = 0
        for prefix, judge in ((RUNS, self._orphans_of_runs), (TEMPLATES, self._orphans_of_templates)):
            async for page in _pages(store.list(prefix, older_than=before)):
                ours, orphans = await judge(page)
                foreign += len(page) - ours
                kept += ours - len(orphans)
                blobs += len(orphans)
                size_bytes += sum(blob.size_bytes for blob in orphans)
                for blob in orphans if not command.dry_run else ():
                    await store.delete(blob.key)
        return CollectedBlobs(blobs=blobs, size_bytes=size_bytes, kept=kept, foreign=foreign)

    async def _orphans_of_runs(self, page: Sequence[BlobInfo]) -> tuple[int, list[BlobInfo]]:
        """How many have keys of ours, and those of them that nobody refers to."""
        owners = [(blob, owner) for blob in page if (owner := owner_of(blob.key)) is not None]
        return len(owners), await self._orphans(owners)

    async def _orphans_of_templates(self, page: Sequence[BlobInfo]) -> tuple[int, list[BlobInfo]]:
        """Likewise, of inputs that wait for their time: an entry is written right after its blob."""
        kept = await kept_blobs(self._means.ports.scheduler)
        return len(page), [blob for blob in page if blob.key not in kept]

    async def _claim_chore(self, command: ClaimChore) -> bool:
        """An entry of the scheduler that is never due says when the chore was last given to somebody.

        If that is yet to come by as much, whoever got it had a clock that was ahead.
        """
        scheduler, now = self._means.ports.scheduler, self._means.clock.now()
        given = ScheduledCommand(
            name=f"{CHORES}{command.name}", due_at=None, command=msgspec.json.encode(_Chore(given_at=now))
        )
        kept = await scheduler.read(given.name)
        if kept is None:
            await scheduler.schedule(given, replace=False)
            return False
        last = msgspec.json.decode(kept.scheduled.command, type=_Chore)
        return abs(now - last.given_at) >= command.every and await scheduler.put_back(kept, given)

    async def _orphans(self, owned: Sequence[tuple[BlobInfo, BlobOwner]]) -> list[BlobInfo]:
        """Those blobs that no row refers to, now or ever."""
        persistence = self._means.persistence
        runs = await persistence.find_runs(list({owner.run_id for _, owner in owned}))
        keys: dict[TaskKey, None] = {owner.task: None for _, owner in owned if owner.task is not None}
        tasks = await persistence.find_tasks([key for key in keys if key.run_id in runs])
        return [
            blob
            for blob, owner in owned
            if owner.run_id not in runs
            or (owner.task is not None and not may_be_referred_to(tasks.get(owner.task), owner.token))
        ]


class _Chore(msgspec.Struct, frozen=True):
    """When a chore was last given to a host."""

    given_at: datetime


async def _pages(blobs: AsyncIterator[BlobInfo]) -> AsyncIterator[list[BlobInfo]]:
    page: list[BlobInfo] = []
    async for blob in blobs:
        page.append(blob)
        if len(page) == BLOBS_TOGETHER:
            yield page
            page = []
    if page:
        yield page
