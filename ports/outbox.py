"""The outbox: events that were committed with the change that caused them and wait to be delivered to every sink.

An outbox row holds consecutive events of one run that one transaction caused. Rows of one run are inserted under
that run's lock, so whoever reads the undelivered rows of a run by sequence number reads them without a gap. Runs
are spread over `OUTBOX_SHARDS` shards; a flusher leases shards for one sink, never runs, and publishes outside
transactions.

Sinks are registered in the store by name, so that a process without a sink does not keep events from another's. Where
the store knows no sink, rows are born published: history for readers only. Otherwise a row is published once every
sink has it that is registered then. Which sinks have a row is its own state, so each sink goes at its own pace:

- *fresh*: the sink has neither accepted the row nor put it off. Fresh rows are what a flusher reads page by page.
- *held*: the row's run is in trouble with the sink (`HeldRun`); the row is read again with its run, when that is due.
- *delivered*: the sink has accepted all events of the row, or those that it never accepted are dead letters.

A sink that is registered later is owed what is written from then on, and whatever still waits for another sink. Of
each run it is owed a suffix, without a gap.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from .record import Record

OUTBOX_SHARDS = 64
"""Into how many shards runs are spread: enough for dozens of flushers, few enough to lease in one statement."""

SINKS_MAX = 15
"""Sinks that a store knows at a time: which of them have a row is one small integer of so many bits."""


def shard_of(run_id: str) -> int:
    """The shard that holds a run's outbox rows: stable across processes and versions."""
    return zlib.crc32(run_id.encode()) % OUTBOX_SHARDS


class OutboxRow(Record, frozen=True, kw_only=True):
    """An outbox row."""

    run_id: str
    flow: str
    generation: int
    first_sequence: int
    count: int
    at: datetime
    events: bytes
    in_trouble: bool = False
    """Whether the row's run is held, so that the row must wait for it. Told by `read_fresh` alone."""


class OutboxPlace(NamedTuple):
    """Where a row stands in its shard."""

    run_id: str
    first_sequence: int


FIRST_PLACE = OutboxPlace("00000000-0000-0000-0000-000000000000", 0)
"""The place before every row."""


class ShardLease(NamedTuple):
    """A flusher's lease on one shard for one sink; `token` is its fence, and never given out twice."""

    sink: int
    """The sink's number in the store."""
    shard: int
    token: int


class ShardLeases(Record, frozen=True, kw_only=True):
    """What a flusher got to do for a sink."""

    leases: Sequence[ShardLease]
    held_shards: frozenset[int] = frozenset()
    """Those of the shards that have held runs which are due."""
    asked_shards: frozenset[int] = frozenset()
    """Those of the shards that have dead letters to replay."""
    pauses: int
    """How often in a row the sink was paused, since it accepted nothing; 0 where all is well."""


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


class HeldRun(Record, frozen=True, kw_only=True):
    """A run that is in trouble with a sink, and how far the sink got with it. It exists only while there is trouble."""

    run_id: str
    next_sequence: int
    """The event that is offered next."""
    lost: bool = False
    """Whether that event is a dead letter already, and what is offered next is the announcement of its loss."""
    attempts: int
    """How often it was refused."""
    not_before: datetime
    """When it is offered again."""
    problem: str
    """What the sink raised or did the last time; empty where it merely ran out of time."""


class DeadLetter(Record, frozen=True, kw_only=True):
    """An event that a sink never accepted. It is named by sink, run and sequence number."""

    sink: str
    event: EventRecord
    attempts: int
    problem: str
    died_at: datetime
    asked_at: datetime | None = None
    """Since when it waits to be replayed; None where nobody asked for it."""


class DeadLetterKey(NamedTuple):
    """A dead letter's name, without its sink."""

    run_id: str
    sequence: int


class DeadLetterCursor(NamedTuple):
    """The last dead letter of a page; the next page begins after it."""

    sink: str
    run_id: str
    sequence: int


class DeadLetterPage(Record, frozen=True):
    """Dead letters by sink, run and sequence, and where the next page begins (None at the end)."""

    letters: Sequence[DeadLetter]
    next: DeadLetterCursor | None


class DeadLetterFilter(Record, frozen=True, kw_only=True):
    """Which dead letters; every field that is set must hold."""

    sink: str | None = None
    run_id: str | None = None
    sequence: int | None = None
    type: str | None = None
    flow: str | None = None
    asked: bool | None = None
    """Whether somebody asked for their replay."""


class Holdings(Record, frozen=True, kw_only=True):
    """What a flusher records in one transaction of runs that are in trouble with its sink. Each run is in one place."""

    rows: Sequence[tuple[str, int]] = ()
    """(run id, first sequence) of fresh rows that are held from now on."""
    runs: Sequence[HeldRun] = ()
    """Where these runs stand now."""
    cleared: Sequence[str] = ()
    """Runs whose trouble is over: nothing of them is held any more."""
    dead: Sequence[DeadLetter] = ()
    """Events that are dead letters from now on."""


class SinkRecord(Record, frozen=True, kw_only=True):
    """A registered sink, and what waits for it."""

    name: str
    registered_at: datetime
    removed: bool
    """Whether its removal has begun: nothing waits for it any more."""
    pauses: int
    not_before: datetime | None
    """Until when nothing is offered to it, since it accepted nothing; None where all is well."""
    problem: str | None
    """What it raised or did when it was paused."""
    waiting: int
    """Events of rows that it has not, counted up to the limit asked for."""
    oldest_at: datetime | None
    """The time of the oldest of those that were counted."""
    held_runs: int
    """Runs that are in trouble with it, counted likewise."""
    worst: HeldRun | None = None
    """Of these the one whose next event was refused most often; one that merely ran out of time only if all did."""
    dead_letters: int
    """Counted likewise."""


class Outbox(Protocol):
    """The part of the store that sinks and flushers work with."""

    async def register_sinks(self, names: Sequence[str], *, now: datetime) -> Sequence[str]:
        """Make sinks known; one that is known already is left as it is, one whose removal has begun is known again.

        Safe to call from many processes at once, and the cheaper the less there is to do.

        Returns:
            The names for which there was no room, since the store knows `SINKS_MAX` already; empty where all is well.
        """
        ...

    async def remove_sink(self, name: str) -> bool:
        """Forget a sink: what it is owed, what it is in trouble with, and its dead letters. No row waits for it.

        In several transactions, each of them bounded; where it is interrupted, it goes on when it is called again.

        Returns:
            False where there is no such sink.
        """
        ...

    async def read_sinks(self, *, count_max: int) -> Sequence[SinkRecord]:
        """All sinks by name, with what waits for them; nothing is counted beyond `count_max`."""
        ...

    async def lease_shards(self, sink: str, worker: str, *, now: datetime, until: datetime, limit: int) -> ShardLeases:
        """Lease up to `limit` shards that have something to do for a sink, and whose lease is free or past.

        That is fresh rows, held runs that are due, or dead letters to replay. A lease that is the worker's own is
        renewed. Shards that were leased longest ago come first. None where the sink is not known, or is paused.
        """
        ...

    async def release_shards(self, worker: str, leases: Sequence[ShardLease]) -> None:
        """Give leases back. A lease that is no longer the worker's changes nothing."""
        ...

    async def pause_sink(self, name: str, *, pauses: int, not_before: datetime | None, problem: str | None) -> None:
        """Offer nothing to a sink before a time, and nothing of this to any flusher; None for `not_before` resumes."""
        ...

    async def read_fresh(
        self, lease: ShardLease, *, after: OutboxPlace = FIRST_PLACE, limit: int
    ) -> Sequence[OutboxRow]:
        """The first fresh rows of a shard behind a place: by run, then sequence.

        Read from the first place on, a run's rows are a gapless prefix of what the sink was not offered yet. None
        where the lease was lost.
        """
        ...

    async def read_held(self, lease: ShardLease, *, now: datetime, limit: int) -> Sequence[HeldRun]:
        """Held runs of a shard with `not_before` ≤ `now`, earliest first. None where the lease was lost."""
        ...

    async def read_undelivered(self, lease: ShardLease, held: HeldRun, *, limit: int) -> Sequence[OutboxRow]:
        """The rows of a held run that the sink has not, fresh ones included, by sequence. None under a lost lease."""
        ...

    async def mark_delivered(self, lease: ShardLease, rows: Sequence[tuple[str, int]]) -> bool:
        """Mark (run id, first sequence) rows as delivered, if the lease still holds. Idempotent.

        A row that every other registered sink has, too, is published with this.

        Returns:
            False where the lease was lost; then nothing was marked and the rows are published again by its holder.
        """
        ...

    async def record_holdings(self, lease: ShardLease, holdings: Holdings) -> bool:
        """Record what is held, if the lease still holds. Idempotent; a dead letter that exists stays as it is.

        Returns:
            False where the lease was lost; then nothing was recorded.
        """
        ...

    async def read_replays(self, lease: ShardLease, *, limit: int) -> Sequence[DeadLetter]:
        """Dead letters of a shard that wait to be replayed, by run, then sequence. None where the lease was lost."""
        ...

    async def record_replays(
        self, lease: ShardLease, *, accepted: Sequence[DeadLetterKey], refused: Sequence[tuple[DeadLetterKey, str]]
    ) -> bool:
        """Forget the dead letters that the sink accepted, if the lease still holds.

        One that it refused (with the problem) stays, has one attempt more, and is not replayed before it is asked for
        again.

        Returns:
            False where the lease was lost; then nothing was recorded.
        """
        ...

    async def list_dead_letters(
        self, chosen: DeadLetterFilter, *, limit: int, after: DeadLetterCursor | None
    ) -> Sequence[DeadLetter]:
        """Dead letters that `chosen` admits, by sink, run and sequence, at most `limit` behind `after`."""
        ...

    async def count_dead_letters(self, chosen: DeadLetterFilter) -> int:
        """How many dead letters `chosen` admits."""
        ...

    async def ask_for_replay(self, chosen: DeadLetterFilter, *, now: datetime, limit: int) -> int:
        """Let dead letters be replayed that `chosen` admits and for which nobody asked yet, at most `limit`.

        Returns:
            How many. Where that is less than `limit`, there are no more.
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
