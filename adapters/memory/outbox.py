"""Unpublished outbox rows by shard, and the leases that flushers hold on shards.

All outbox rows are kept with their run; this index holds those that wait to be published. Every method expects the
store's mutex to be held.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import nsmallest

from ...ports.outbox import OUTBOX_SHARDS, OutboxPlace, OutboxRow, ShardLease, shard_of
from .rows import Batch


class Shard:
    """A row of `outbox_shards`, and what its shard holds unpublished: by run id, then first sequence."""

    __slots__ = ("lease_until", "token", "unpublished", "worker")

    def __init__(self) -> None:
        self.token = 0
        self.worker: str | None = None
        self.lease_until: datetime | None = None
        self.unpublished: dict[str, dict[int, Batch]] = {}


class OutboxShards:
    """All shards of a store."""

    def __init__(self) -> None:
        self.shards = tuple(Shard() for _ in range(OUTBOX_SHARDS))

    def add(self, batch: Batch) -> None:
        """Remember a committed batch that waits to be published."""
        shard = self.shards[shard_of(batch.run_id)]
        shard.unpublished.setdefault(batch.run_id, {})[batch.first_sequence] = batch

    def is_published(self, batch: Batch) -> bool:
        """Whether a committed batch does not wait any more."""
        waiting = self.shards[shard_of(batch.run_id)].unpublished.get(batch.run_id, {})
        return batch.first_sequence not in waiting

    def any(self) -> bool:
        """Whether anything is unpublished."""
        return any(shard.unpublished for shard in self.shards)

    def lease(self, worker: str, now: datetime, until: datetime, limit: int) -> list[ShardLease]:
        """Lease up to `limit` shards with unpublished rows, those first that were leased least often."""
        free = [
            (shard.token, number)
            for number, shard in enumerate(self.shards)
            if shard.unpublished
            and (shard.worker in (None, worker) or shard.lease_until is None or shard.lease_until <= now)
        ]
        leases: list[ShardLease] = []
        for token, number in nsmallest(limit, free):
            shard = self.shards[number]
            shard.token = token + 1
            shard.worker = worker
            shard.lease_until = until
            leases.append(ShardLease(number, shard.token))
        return leases

    def release(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Free those of `leases` that are still the worker's."""
        for lease in leases:
            shard = self.shards[lease.shard]
            if shard.worker == worker and shard.token == lease.token:
                shard.worker = shard.lease_until = None

    def read(self, lease: ShardLease, after: OutboxPlace, limit: int) -> list[OutboxRow]:
        """The first `limit` unpublished rows of a leased shard behind a place; none where the lease was lost."""
        if not self._holds(lease):
            return []
        shard = self.shards[lease.shard]
        rows: list[OutboxRow] = []
        # One more run than rows: the place's own run may have none behind it.
        for run_id in nsmallest(limit + 1, (each for each in shard.unpublished if each >= after.run_id)):
            batches = shard.unpublished[run_id]
            behind = (number for number in batches if (run_id, number) > after)
            rows += [batches[sequence].loaded() for sequence in nsmallest(limit - len(rows), behind)]
            if len(rows) == limit:
                break
        return rows

    def publish(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark rows as published, if the lease still holds."""
        if not self._holds(lease):
            return False
        unpublished = self.shards[lease.shard].unpublished
        for run_id, first_sequence in rows:
            batches = unpublished.get(run_id)
            if batches is not None:
                batches.pop(first_sequence, None)
                if not batches:
                    del unpublished[run_id]
        return True

    def _holds(self, lease: ShardLease) -> bool:
        shard = self.shards[lease.shard]
        return shard.worker is not None and shard.token == lease.token
