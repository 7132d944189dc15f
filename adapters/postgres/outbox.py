"""The flusher's part of the store: leases on shards, unpublished rows, and marking them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.outbox import FIRST_PLACE, OutboxPlace, OutboxRow, ShardLease
from .arrays import ints, uuids
from .database import Database, Row
from .rows import is_run_id


class OutboxKeeping:
    """The methods of `Outbox`. Each is one statement."""

    _database: Database

    async def lease_shards(self, worker: str, *, now: datetime, until: datetime, limit: int) -> Sequence[ShardLease]:
        """Lease up to `limit` shards that hold unpublished rows."""
        parameters = {"worker": worker, "now": now, "until": until, "limit": limit}
        return [ShardLease(*row) for row in await self._database.write("lease_shards", parameters)]

    async def release_shards(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Give leases back."""
        parameters = {
            "worker": worker,
            "shards": ints([lease.shard for lease in leases]),
            "tokens": ints([lease.token for lease in leases]),
        }
        await self._database.write("release_shards", parameters)

    async def read_unpublished(
        self, lease: ShardLease, *, after: OutboxPlace = FIRST_PLACE, limit: int
    ) -> Sequence[OutboxRow]:
        """The first unpublished rows of a shard behind a place; none where the lease was lost."""
        parameters = {
            "shard": lease.shard,
            "token": lease.token,
            "after_run": after.run_id,
            "after_sequence": after.first_sequence,
            "limit": limit,
        }
        return [_outbox_row(row) for row in await self._database.read("read_unpublished", parameters)]

    async def mark_published(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark rows as published, if the lease still holds."""
        parameters = {
            "shard": lease.shard,
            "token": lease.token,
            "run_ids": uuids([run_id for run_id, _ in rows]),
            "first_sequences": ints([sequence for _, sequence in rows]),
        }
        ((held,),) = await self._database.write("mark_published", parameters, by_key=True)
        return bool(held)

    async def read_events(self, run_id: str, *, after: int = 0) -> Sequence[OutboxRow]:
        """The outbox rows of a run with events later than `after`, published or not, by sequence."""
        if not is_run_id(run_id):
            return []
        rows = await self._database.read("read_events", {"run": run_id, "after": after})
        return [_outbox_row(row) for row in rows]


def _outbox_row(row: Row) -> OutboxRow:
    return OutboxRow(
        run_id=row[0],
        flow=row[1],
        generation=row[2],
        first_sequence=row[3],
        count=row[4],
        at=row[5],
        events=row[6],
    )
