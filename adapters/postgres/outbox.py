"""The flusher's part of the store: leases on shards, what is to be published, and recording what was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.outbox import (
    FIRST_PLACE,
    DeadLetter,
    DeadLetterKey,
    HeldRun,
    Holdings,
    OutboxPlace,
    OutboxRow,
    ShardLease,
    ShardLeases,
)
from .arrays import documents, flags, ints, texts, times, uuids
from .database import Database, Parameters, Row
from .rows import is_run_id
from .sinks import dead_letter, held_run


class OutboxKeeping:
    """The methods of `Outbox` that flushers and readers call. Each is one statement."""

    _database: Database

    async def lease_shards(self, sink: str, worker: str, *, now: datetime, until: datetime, limit: int) -> ShardLeases:
        """Lease up to `limit` shards that have something to do for a sink."""
        parameters = {"sink": sink, "worker": worker, "now": now, "until": until, "limit": limit}
        rows = await self._database.write("lease_shards", parameters)
        return ShardLeases(
            leases=[ShardLease(*row[:3]) for row in rows],
            held_shards=frozenset(row[1] for row in rows if row[3]),
            asked_shards=frozenset(row[1] for row in rows if row[4]),
            pauses=rows[0][5] if rows else 0,
        )

    async def release_shards(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Give leases back."""
        parameters = {
            "worker": worker,
            "sinks": ints([lease.sink for lease in leases]),
            "shards": ints([lease.shard for lease in leases]),
            "tokens": texts([str(lease.token) for lease in leases]),
        }
        await self._database.write("release_shards", parameters)

    async def read_fresh(
        self, lease: ShardLease, *, after: OutboxPlace = FIRST_PLACE, limit: int
    ) -> Sequence[OutboxRow]:
        """The first fresh rows of a shard behind a place; none where the lease was lost."""
        place = {"after_run": after.run_id, "after_sequence": after.first_sequence, "limit": limit}
        rows = await self._database.read("read_fresh", {**lease._asdict(), **place})
        return [_outbox_row(row, in_trouble=row[7]) for row in rows]

    async def read_held(self, lease: ShardLease, *, now: datetime, limit: int) -> Sequence[HeldRun]:
        """Held runs of a shard that are due, earliest first; none where the lease was lost."""
        rows = await self._database.read("read_held", {**lease._asdict(), "now": now, "limit": limit})
        return [held_run(row) for row in rows]

    async def read_undelivered(self, lease: ShardLease, held: HeldRun, *, limit: int) -> Sequence[OutboxRow]:
        """The rows of a held run that the sink has not, by sequence; none where the lease was lost."""
        run = {"run": held.run_id, "next": held.next_sequence, "limit": limit}
        return [_outbox_row(row) for row in await self._database.read("read_undelivered", {**lease._asdict(), **run})]

    async def mark_delivered(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark rows as delivered, if the lease still holds; in one order, so that no two flushers lock crosswise."""
        ordered = sorted(rows)
        parameters = {
            **lease._asdict(),
            "run_ids": uuids([run_id for run_id, _ in ordered]),
            "first_sequences": ints([sequence for _, sequence in ordered]),
        }
        return await self._record("mark_delivered", parameters)

    async def record_holdings(self, lease: ShardLease, holdings: Holdings) -> bool:
        """Record what is held, if the lease still holds."""
        return await self._record("record_holdings", {**lease._asdict(), **_holdings(holdings)})

    async def read_replays(self, lease: ShardLease, *, limit: int) -> Sequence[DeadLetter]:
        """Dead letters of a shard that wait to be replayed; none where the lease was lost."""
        rows = await self._database.read("read_replays", {**lease._asdict(), "limit": limit})
        return [dead_letter(row) for row in rows]

    async def record_replays(
        self, lease: ShardLease, *, accepted: Sequence[DeadLetterKey], refused: Sequence[tuple[DeadLetterKey, str]]
    ) -> bool:
        """Forget accepted dead letters and keep refused ones, if the lease still holds."""
        parameters = {
            **lease._asdict(),
            "accepted_runs": uuids([key.run_id for key in accepted]),
            "accepted_sequences": ints([key.sequence for key in accepted]),
            "refused_runs": uuids([key.run_id for key, _ in refused]),
            "refused_sequences": ints([key.sequence for key, _ in refused]),
            "problems": texts([problem for _, problem in refused]),
        }
        return await self._record("record_replays", parameters)

    async def read_events(self, run_id: str, *, after: int = 0) -> Sequence[OutboxRow]:
        """The outbox rows of a run with events later than `after`, published or not, by sequence."""
        if not is_run_id(run_id):
            return []
        rows = await self._database.read("read_events", {"run": run_id, "after": after})
        return [_outbox_row(row) for row in rows]

    async def _record(self, name: str, parameters: Parameters) -> bool:
        """Whether the lease held."""
        ((held,),) = await self._database.write(name, parameters, by_key=True)
        return bool(held)


def _holdings(holdings: Holdings) -> Parameters:
    rows, runs, dead = sorted(holdings.rows), holdings.runs, holdings.dead
    events = [letter.event for letter in dead]
    return {
        "row_runs": uuids([run_id for run_id, _ in rows]),
        "row_firsts": ints([sequence for _, sequence in rows]),
        "runs": uuids([run.run_id for run in runs]),
        "next_sequences": ints([run.next_sequence for run in runs]),
        "lost": flags([run.lost for run in runs]),
        "attempts": ints([run.attempts for run in runs]),
        "not_befores": times([run.not_before for run in runs]),
        "problems": texts([run.problem for run in runs]),
        "cleared": uuids(holdings.cleared),
        "dead_runs": uuids([event.run_id for event in events]),
        "dead_sequences": ints([event.sequence for event in events]),
        "dead_generations": ints([event.generation for event in events]),
        "dead_flows": texts([event.flow for event in events]),
        "dead_types": texts([event.type for event in events]),
        "dead_steps": texts([event.step for event in events]),
        "dead_ats": times([event.at for event in events]),
        "dead_attempts": ints([letter.attempts for letter in dead]),
        "dead_problems": texts([letter.problem for letter in dead]),
        "died_ats": times([letter.died_at for letter in dead]),
        "dead_events": documents([event.data for event in events]),
    }


def _outbox_row(row: Row, *, in_trouble: bool = False) -> OutboxRow:
    return OutboxRow(
        run_id=row[0],
        flow=row[1],
        generation=row[2],
        first_sequence=row[3],
        count=row[4],
        at=row[5],
        events=row[6],
        in_trouble=in_trouble,
    )
