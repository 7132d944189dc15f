"""What operators and readers see of sinks and dead letters. Every function expects the store's mutex to be held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from ...ports.outbox import DeadLetter, DeadLetterCursor, DeadLetterFilter, DeadLetterKey, SinkRecord, shard_of
from .outbox import Deliveries, Sink


def sink_records(deliveries: Deliveries, count_max: int) -> list[SinkRecord]:
    """All sinks by name, with what waits for them."""
    return [_sink_record(deliveries, deliveries.sinks[name], count_max) for name in sorted(deliveries.sinks)]


def _sink_record(deliveries: Deliveries, sink: Sink, count_max: int) -> SinkRecord:
    waiting = [batch for batch in deliveries.waiting() if not batch.delivered & sink.bit][:count_max]
    held = [run for shard in sink.shards for run in shard.held.values()][:count_max]
    return SinkRecord(
        name=sink.name,
        registered_at=sink.registered_at,
        removed=False,
        pauses=sink.pauses,
        not_before=sink.not_before,
        problem=sink.problem,
        waiting=min(sum(batch.count for batch in waiting), count_max),
        oldest_at=min((batch.at for batch in waiting), default=None),
        held_runs=len(held),
        dead_letters=min(sum(len(shard.letters) for shard in sink.shards), count_max),
        worst=min(held, key=lambda run: (run.problem == "", -run.attempts, run.run_id), default=None),
    )


def dead_letters(deliveries: Deliveries, chosen: DeadLetterFilter) -> list[DeadLetter]:
    """The dead letters that `chosen` admits, by sink, run and sequence."""
    found = (letter for letter in _letters(deliveries) if _admits(chosen, letter))
    return sorted(found, key=cursor_of)


def ask_for_replay(deliveries: Deliveries, chosen: DeadLetterFilter, now: datetime, limit: int) -> int:
    """Let dead letters be replayed; how many."""
    waiting = [letter for letter in dead_letters(deliveries, chosen) if letter.asked_at is None][:limit]
    for letter in waiting:
        key = DeadLetterKey(letter.event.run_id, letter.event.sequence)
        shard = deliveries.sinks[letter.sink].shards[shard_of(key.run_id)]
        shard.letters[key] = replace(letter, asked_at=now)
    return len(waiting)


def cursor_of(letter: DeadLetter) -> DeadLetterCursor:
    """Where a dead letter stands among all."""
    return DeadLetterCursor(letter.sink, letter.event.run_id, letter.event.sequence)


def _letters(deliveries: Deliveries) -> Iterator[DeadLetter]:
    for sink in deliveries.sinks.values():
        yield from sink.letters()


def _admits(chosen: DeadLetterFilter, letter: DeadLetter) -> bool:
    event = letter.event
    return (
        chosen.sink in (None, letter.sink)
        and chosen.run_id in (None, event.run_id)
        and chosen.sequence in (None, event.sequence)
        and chosen.type in (None, event.type)
        and chosen.flow in (None, event.flow)
        and chosen.asked in (None, letter.asked_at is not None)
    )
