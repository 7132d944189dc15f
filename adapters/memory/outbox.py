"""What sinks are owed: the rows that are fresh to each, its runs in trouble, its dead letters, and its shards' leases.

All outbox rows are kept with their run; this index holds those that a sink waits for. Every method expects the store's
mutex to be held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from heapq import nsmallest

from msgspec.structs import replace

from ...ports.outbox import (
    OUTBOX_SHARDS,
    SINKS_MAX,
    DeadLetter,
    DeadLetterKey,
    HeldRun,
    Holdings,
    OutboxPlace,
    OutboxRow,
    ShardLease,
    ShardLeases,
    shard_of,
)
from .rows import Batch


class Shard:
    """A row of `outbox_shards`, and what its sink is owed of its runs."""

    __slots__ = ("fresh", "held", "lease_until", "letters", "token", "worker")

    def __init__(self) -> None:
        self.token = 0
        self.worker: str | None = None
        self.lease_until: datetime | None = None
        self.fresh: dict[str, dict[int, Batch]] = {}
        """By run id, then first sequence."""
        self.held: dict[str, HeldRun] = {}
        self.letters: dict[DeadLetterKey, DeadLetter] = {}

    @property
    def is_empty(self) -> bool:
        """Whether its sink is owed nothing of its runs, as nearly always."""
        return not (self.fresh or self.held or self.letters)

    def is_due(self, now: datetime) -> bool:
        """Whether a flusher would find something."""
        return bool(self.fresh) or self.earliest(now) is not None or self.is_asked

    def earliest(self, until: datetime | None = None) -> datetime | None:
        """When the first held run is due, if that is no later than `until`."""
        times = (held.not_before for held in self.held.values())
        return min((time for time in times if until is None or time <= until), default=None)

    @property
    def is_asked(self) -> bool:
        """Whether a dead letter waits to be replayed."""
        return any(letter.asked_at is not None for letter in self.letters.values())


class Sink:
    """A row of `sinks`, with its shards."""

    def __init__(self, number: int, name: str, registered_at: datetime) -> None:
        self.number = number
        self.bit = 1 << number
        self.name = name
        self.registered_at = registered_at
        self.pauses = 0
        self.not_before: datetime | None = None
        self.problem: str | None = None
        self.shards = tuple(Shard() for _ in range(OUTBOX_SHARDS))

    def is_paused(self, now: datetime) -> bool:
        """Whether nothing may be offered to it."""
        return self.not_before is not None and self.not_before > now

    def add(self, batch: Batch) -> None:
        """A row that is fresh to it."""
        self.shards[shard_of(batch.run_id)].fresh.setdefault(batch.run_id, {})[batch.first_sequence] = batch

    def take(self, batch: Batch) -> None:
        """A row is fresh no more."""
        fresh = self.shards[shard_of(batch.run_id)].fresh
        of_run = fresh.get(batch.run_id, {})
        of_run.pop(batch.first_sequence, None)
        if not of_run:
            fresh.pop(batch.run_id, None)

    def letters(self) -> Iterator[DeadLetter]:
        """Its dead letters, in no promised order."""
        for shard in self.shards:
            yield from shard.letters.values()


class Deliveries:
    """All sinks of a store, and the rows that are not published."""

    def __init__(self) -> None:
        self.sinks: dict[str, Sink] = {}
        self.unpublished: dict[str, dict[int, Batch]] = {}
        """By run id, then first sequence."""
        self._tokens = 0

    # Sinks

    def register(self, names: Sequence[str], now: datetime) -> list[str]:
        """Make sinks known; those for which there was no room."""
        for name in names:
            numbers = {sink.number for sink in self.sinks.values()}
            free = [number for number in range(SINKS_MAX) if number not in numbers]
            if name not in self.sinks and free:
                sink = self.sinks[name] = Sink(free[0], name, now)
                for batch in self.waiting():
                    sink.add(batch)
        return [name for name in names if name not in self.sinks]

    def remove(self, name: str) -> bool:
        """Forget a sink; what all others have is published."""
        gone = self.sinks.pop(name, None)
        if gone is None:
            return False
        for batch in list(self.waiting()):
            batch.delivered &= ~gone.bit
            batch.held &= ~gone.bit
            self._publish(batch)
        return True

    def waiting(self) -> Iterator[Batch]:
        """All rows that are not published."""
        for of_run in self.unpublished.values():
            yield from of_run.values()

    # Rows

    def add(self, batch: Batch) -> None:
        """Remember a committed row; where no sink is known, it is born published."""
        if not self.sinks:
            batch.published = True
            return
        self.unpublished.setdefault(batch.run_id, {})[batch.first_sequence] = batch
        for sink in self.sinks.values():
            sink.add(batch)

    def has_dead_letters(self, run_id: str) -> bool:
        """Whether a sink never accepted some event of a run."""
        shard = shard_of(run_id)
        return any(key.run_id == run_id for sink in self.sinks.values() for key in sink.shards[shard].letters)

    def forget_run(self, run_id: str) -> None:
        """A run is gone that had nothing left to publish, and its dead letters with it."""
        for sink in self.sinks.values():
            shard = sink.shards[shard_of(run_id)]
            shard.held.pop(run_id, None)
            for key in [key for key in shard.letters if key.run_id == run_id]:
                del shard.letters[key]

    def due(self, names: Iterable[str], now: datetime) -> tuple[list[str], datetime | None]:
        """Which of these sinks have something to do now, and when the next of the others has."""
        due: list[str] = []
        later: list[datetime] = []
        for name in names:
            sink = self.sinks.get(name)
            if sink is None:
                continue
            shards = [shard for shard in sink.shards if not shard.is_empty]
            ready = any(shard.is_due(now) for shard in shards)
            if ready and not sink.is_paused(now):
                due.append(name)
            elif ready and sink.not_before is not None:
                later.append(sink.not_before)
            else:
                later += [time for shard in shards if (time := shard.earliest()) is not None]
        return due, min(later, default=None)

    # Flushing

    def lease(self, name: str, worker: str, now: datetime, until: datetime, limit: int) -> ShardLeases:
        """Lease up to `limit` shards with something to do, those first that were leased longest ago."""
        sink = self.sinks.get(name)
        if sink is None or sink.is_paused(now):
            return ShardLeases(leases=[], pauses=0)
        free = [
            (shard.token, number)
            for number, shard in enumerate(sink.shards)
            if not shard.is_empty
            and (shard.worker in (None, worker) or shard.lease_until is None or shard.lease_until <= now)
            and shard.is_due(now)
        ]
        leases: list[ShardLease] = []
        for _, number in nsmallest(limit, free):
            shard = sink.shards[number]
            self._tokens += 1
            shard.token = self._tokens
            shard.worker = worker
            shard.lease_until = until
            leases.append(ShardLease(sink.number, number, shard.token))
        shards = {lease.shard: sink.shards[lease.shard] for lease in leases}
        return ShardLeases(
            leases=leases,
            held_shards=frozenset(number for number, shard in shards.items() if shard.earliest(now) is not None),
            asked_shards=frozenset(number for number, shard in shards.items() if shard.is_asked),
            pauses=sink.pauses if leases else 0,
        )

    def release(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Free those of `leases` that are still the worker's."""
        for lease in leases:
            held = self._leased(lease)
            if held is not None and held[1].worker == worker:
                held[1].worker = held[1].lease_until = None

    def read_fresh(self, lease: ShardLease, after: OutboxPlace, limit: int) -> list[OutboxRow]:
        """The first `limit` fresh rows of a leased shard behind a place; none where the lease was lost."""
        held = self._leased(lease)
        if held is None:  # recovers 20: a shard is read without its lease
            return []
        shard = held[1]
        rows: list[OutboxRow] = []
        # One more run than rows: the place's own run may have none behind it.
        for run_id in nsmallest(limit + 1, (each for each in shard.fresh if each >= after.run_id)):
            batches = shard.fresh[run_id]
            behind = (number for number in batches if (run_id, number) > after)
            in_trouble = run_id in shard.held
            rows += [batches[first].loaded(in_trouble) for first in nsmallest(limit - len(rows), behind)]
            if len(rows) == limit:
                break
        return rows

    def read_held(self, lease: ShardLease, now: datetime, limit: int) -> list[HeldRun]:
        """Held runs of a leased shard that are due, earliest first."""
        held = self._leased(lease)
        due = [] if held is None else [run for run in held[1].held.values() if run.not_before <= now]
        return sorted(due, key=lambda run: (run.not_before, run.run_id))[:limit]

    def read_undelivered(self, lease: ShardLease, run: HeldRun, limit: int) -> list[OutboxRow]:
        """The rows of a held run that the sink has not, by sequence."""
        held = self._leased(lease)
        if held is None:
            return []
        of_run = self.unpublished.get(run.run_id, {})
        rows = [of_run[first] for first in sorted(of_run) if not of_run[first].delivered & held[0].bit]
        return [row.loaded() for row in rows if row.first_sequence + row.count > run.next_sequence][:limit]

    def deliver(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark rows as delivered, if the lease still holds."""
        held = self._leased(lease)
        if held is None:  # recovers 9, 20: a delivery is recorded without the shard's lease
            return False
        sink, _ = held
        for run_id, first in rows:
            batch = self.unpublished.get(run_id, {}).get(first)
            if batch is not None:
                batch.delivered |= sink.bit
                batch.held &= ~sink.bit
                sink.take(batch)
                self._publish(batch)
        return True

    def hold(self, lease: ShardLease, holdings: Holdings) -> bool:
        """Record what is held, if the lease still holds."""
        held = self._leased(lease)
        if held is None:  # recovers 20: a refusal is recorded without the shard's lease
            return False
        sink, shard = held
        for run_id, first in holdings.rows:
            batch = self.unpublished.get(run_id, {}).get(first)
            if batch is not None and not batch.delivered & sink.bit:
                batch.held |= sink.bit
                sink.take(batch)
        for run in holdings.runs:
            shard.held[run.run_id] = run
        for run_id in holdings.cleared:
            shard.held.pop(run_id, None)
            for batch in self.unpublished.get(run_id, {}).values():
                if batch.held & sink.bit:
                    batch.held &= ~sink.bit
                    sink.add(batch)
        for letter in holdings.dead:
            shard.letters.setdefault(DeadLetterKey(letter.event.run_id, letter.event.sequence), letter)
        return True

    def read_replays(self, lease: ShardLease, limit: int) -> list[DeadLetter]:
        """Dead letters of a leased shard that wait to be replayed, by run, then sequence."""
        held = self._leased(lease)
        letters = {} if held is None else held[1].letters
        return [letters[key] for key in sorted(letters) if letters[key].asked_at is not None][:limit]

    def replayed(
        self, lease: ShardLease, accepted: Sequence[DeadLetterKey], refused: Sequence[tuple[DeadLetterKey, str]]
    ) -> bool:
        """Forget accepted dead letters and keep refused ones, if the lease still holds."""
        held = self._leased(lease)
        if held is None:
            return False
        letters = held[1].letters
        for key in accepted:
            letters.pop(key, None)
        for key, problem in refused:
            letter = letters.get(key)
            if letter is not None and letter.asked_at is not None:
                letters[key] = replace(letter, asked_at=None, attempts=letter.attempts + 1, problem=problem)
        return True

    def _leased(self, lease: ShardLease) -> tuple[Sink, Shard] | None:
        """The sink and shard that a lease is for, if it still holds."""
        for sink in self.sinks.values():
            shard = sink.shards[lease.shard]
            if sink.number == lease.sink and shard.token == lease.token and shard.worker is not None:
                return sink, shard
        return None

    def _publish(self, batch: Batch) -> None:
        """A row that every sink has is published."""
        if all(batch.delivered & sink.bit for sink in self.sinks.values()):
            batch.published = True
            of_run = self.unpublished.get(batch.run_id, {})
            of_run.pop(batch.first_sequence, None)
            if not of_run:
                self.unpublished.pop(batch.run_id, None)
