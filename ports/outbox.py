"""The outbox: events that were committed with the change that caused them and wait to be published.

An outbox row holds consecutive events of one run that one transaction caused. Rows of one run are inserted under
that run's lock, so whoever reads the unpublished rows of a run by sequence number reads them without a gap. Runs
are spread over `OUTBOX_SHARDS` shards; a flusher leases shards, never runs, and publishes outside transactions.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from .record import Record

OUTBOX_SHARDS = 64
"""Into how many shards runs are spread: enough for dozens of flushers, few enough to lease in one statement."""


def shard_of(run_id: str) -> int:
    """The shard that holds a run's outbox rows: stable across processes and versions."""
    return zlib.crc32(run_id.encode()) % OUTBOX_SHARDS


class OutboxRow(Record, frozen=True, kw_only=True):
    """An unpublished outbox row."""

    run_id: str
    flow: str
    generation: int
    first_sequence: int
    count: int
    at: datetime
    events: bytes


class OutboxPlace(NamedTuple):
    """Where a row stands in its shard."""

    run_id: str
    first_sequence: int


FIRST_PLACE = OutboxPlace("00000000-0000-0000-0000-000000000000", 0)
"""The place before every row."""


class ShardLease(NamedTuple):
    """A flusher's lease on one shard; `token` is its fence."""

    shard: int
    token: int


class EventRecord(Record, frozen=True, kw_only=True):
    """One event as a reader or a sink sees it."""

    run_id: str
    flow: str
    generation: int
    sequence: int
    type: str
    step: str | None
    at: datetime
    data: bytes
    """The whole event as a JSON object, its type included."""


class Outbox(Protocol):
    """The part of the store that a flusher works with."""

    async def lease_shards(self, worker: str, *, now: datetime, until: datetime, limit: int) -> Sequence[ShardLease]:
        """Lease up to `limit` shards that hold unpublished rows and whose lease is free, past or the worker's own."""
        ...

    async def release_shards(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Give leases back. A lease that is no longer the worker's changes nothing."""
        ...

    async def read_unpublished(
        self, lease: ShardLease, *, after: OutboxPlace = FIRST_PLACE, limit: int
    ) -> Sequence[OutboxRow]:
        """The first unpublished rows of a shard behind a place: by run, then sequence.

        Read from the first place on, a run's rows are a gapless prefix of what is unpublished. None where the lease
        was lost.
        """
        ...

    async def mark_published(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark (run id, first sequence) rows as published, if the lease still holds. Idempotent.

        Returns:
            False where the lease was lost; then nothing was marked and the rows are published again by its holder.
        """
        ...

    async def read_events(self, run_id: str, *, after: int = 0) -> Sequence[OutboxRow]:
        """The outbox rows of a run that are kept, published or not, by sequence.

        Args:
            run_id: whose.
            after: the sequence number of an event; only rows with later events are read, and only they cost anything.
                The first of them may hold earlier ones too.
        """
        ...
