"""Flushing the outbox: publishing what was committed, in order per run, outside every transaction.

A flusher leases shards of the outbox, reads a shard's unpublished rows page by page, gives each run's events to the
sink in order of their sequence, and marks the rows that were accepted whole: often, so that a slow sink makes progress
and a crash publishes little again. A row that was accepted in part is published again from its start, so a sink may see
an event twice, never out of order. A run whose events the sink refuses is held back alone, until the next flush; the
runs behind it are read past it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from attrs import define, field

from ...ports.clock import Clock
from ...ports.outbox import FIRST_PLACE, OutboxPlace, OutboxRow, ShardLease
from ...ports.persistence import Persistence
from ...ports.sink import EventSink
from ..commands import Flushed
from ..events import event_records
from ..failures import message_of

SHARDS_PER_FLUSH_MAX = 16
"""Shards leased at once: few enough that several flushers share the work, enough for one to keep up."""

MARKED_TOGETHER_MAX = 100
"""Accepted rows that may wait to be marked: what a crash publishes again at most."""

MARK_INTERVAL_S = 1.0
"""How long an accepted row may wait to be marked while a slow sink is busy with the next."""

LEASE_FRACTION = 0.5
"""Which part of its lease a flush uses before it begins nothing new, so that the lease outlasts its last publish."""


async def flush(
    persistence: Persistence,
    sink: EventSink,
    clock: Clock,
    *,
    worker: str,
    lease_duration: timedelta,
    limit: int,
) -> Flushed:
    """Publish what waits in some shards, until all is read or half the lease is over, and give the shards back.

    Args:
        persistence: whose outbox it is.
        sink: who takes the events; whatever it raises concerns the run whose events it was given.
        clock: for the lease.
        worker: who flushes.
        lease_duration: of the shards.
        limit: rows in one page.
    """
    now = clock.now()
    until_s = clock.monotonic() + lease_duration.total_seconds() * LEASE_FRACTION
    leases = await persistence.lease_shards(worker, now=now, until=now + lease_duration, limit=SHARDS_PER_FLUSH_MAX)
    flushing = _Flushing(persistence, sink, clock, limit, until_s)
    try:
        for lease in leases:
            await flushing.flush_shard(lease)
    finally:
        if leases:
            await persistence.release_shards(worker, leases)
    return Flushed(published=flushing.published, held_back=tuple(flushing.held_back.items()))


@define
class _Flushing:
    """One flush over its shards."""

    _persistence: Persistence
    _sink: EventSink
    _clock: Clock
    _limit: int
    _until_s: float
    published: int = 0
    held_back: dict[str, str] = field(factory=dict[str, str])
    """Why a run waits, by run id."""
    _accepted: list[OutboxRow] = field(factory=list[OutboxRow])
    _marked_s: float = 0.0

    async def flush_shard(self, lease: ShardLease) -> None:
        """Publish the rows of one shard; what was accepted is marked even where the flush is cut short."""
        place = FIRST_PLACE
        self._marked_s = self._clock.monotonic()
        try:
            while rows := await self._persistence.read_unpublished(lease, after=place, limit=self._limit):
                place = OutboxPlace(rows[-1].run_id, rows[-1].first_sequence)
                for run_id, of_run in groupby(rows, key=lambda row: row.run_id):
                    if self._clock.monotonic() >= self._until_s:
                        return
                    if run_id not in self.held_back:
                        await self._publish(run_id, list(of_run))
                    if self._mark_is_due() and not await self._mark(lease):
                        return
                if len(rows) < self._limit:
                    return
        finally:
            await self._mark(lease)

    async def _publish(self, run_id: str, rows: Sequence[OutboxRow]) -> None:
        """Offer one run's rows, and remember which were accepted whole, and why not all were."""
        events = [event for row in rows for event in event_records(row)]
        try:
            accepted = await self._sink.publish(events)
        except Exception as error:  # the sink is user code: whatever it raises concerns this run alone
            self.held_back[run_id] = f"{type(error).__name__}: {message_of(error)}"
            return
        if isinstance(accepted, bool) or not isinstance(accepted, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            self.held_back[run_id] = f"the sink answered {type(accepted).__name__}, not how many events it accepted"
            return
        for row in rows:
            if row.count > accepted:
                self.held_back[run_id] = f"the sink accepted {accepted} of {row.count} events of one change"
                return
            accepted -= row.count
            self._accepted.append(row)

    def _mark_is_due(self) -> bool:
        waited_s = self._clock.monotonic() - self._marked_s
        return len(self._accepted) >= MARKED_TOGETHER_MAX or (bool(self._accepted) and waited_s >= MARK_INTERVAL_S)

    async def _mark(self, lease: ShardLease) -> bool:
        """Mark what was accepted; answers whether the lease still holds."""
        rows, self._accepted = self._accepted, []
        self._marked_s = self._clock.monotonic()
        if not rows:
            return True
        held = await self._persistence.mark_published(lease, [(row.run_id, row.first_sequence) for row in rows])
        if held:
            self.published += sum(row.count for row in rows)
        return held
