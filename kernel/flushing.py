"""Flushing the outbox: publishing what was committed, in order per run, outside every transaction.

A flusher leases shards of the outbox, reads a shard's oldest unpublished rows, gives each run's events to the sink in
order of their sequence, and marks the rows that were accepted whole. A row that was accepted in part is published
again from its start, so a sink may see an event twice, never out of order. A run whose events the sink refuses is held
back alone. A crash between publishing and marking publishes again what was not marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from ..ports.clock import Clock
from ..ports.outbox import OutboxRow, ShardLease
from ..ports.persistence import Persistence
from ..ports.sink import EventSink
from .commands import Flushed
from .events import event_records

SHARDS_PER_FLUSH_MAX = 16
"""Shards leased at once: few enough that several flushers share the work, enough for one to keep up."""


async def flush(
    persistence: Persistence,
    sink: EventSink,
    clock: Clock,
    *,
    worker: str,
    lease_duration: timedelta,
    limit: int,
) -> Flushed:
    """Publish up to `limit` outbox rows of each of some shards, and give the shards back."""
    now = clock.now()
    leases = await persistence.lease_shards(worker, now=now, until=now + lease_duration, limit=SHARDS_PER_FLUSH_MAX)
    published = 0
    held_back: list[tuple[str, str]] = []
    try:
        for lease in leases:
            rows = await persistence.read_unpublished(lease, limit=limit)
            published += await _flush_shard(persistence, sink, lease, rows, held_back)
    finally:
        if leases:
            await persistence.release_shards(worker, leases)
    return Flushed(published=published, held_back=tuple(held_back))


async def _flush_shard(
    persistence: Persistence,
    sink: EventSink,
    lease: ShardLease,
    rows: Sequence[OutboxRow],
    held_back: list[tuple[str, str]],
) -> int:
    accepted: list[OutboxRow] = []
    for run_id, of_run in groupby(rows, key=lambda row: row.run_id):
        batch = list(of_run)
        taken, problem = await _publish(sink, batch)
        accepted += taken
        if problem is not None:
            held_back.append((run_id, problem))
    if not accepted:
        return 0
    marked = await persistence.mark_published(lease, [(row.run_id, row.first_sequence) for row in accepted])
    return sum(row.count for row in accepted) if marked else 0


async def _publish(sink: EventSink, rows: Sequence[OutboxRow]) -> tuple[Sequence[OutboxRow], str | None]:
    """Offer one run's rows; answers those that were accepted whole, and why not all were."""
    events = [event for row in rows for event in event_records(row)]
    try:
        accepted = await sink.publish(events)
    except Exception as error:  # the sink is user code: whatever it raises concerns this run alone
        return (), f"{type(error).__name__}: {error}"
    taken: list[OutboxRow] = []
    for row in rows:
        if row.count > accepted:
            return taken, f"the sink accepted {len(taken)} of {len(rows)} rows"
        accepted -= row.count
        taken.append(row)
    return taken, None
