"""The invariants of the outbox, as `invariants` has those of everything else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from ...ports.outbox import shard_of
from .outbox import Shard, Sink
from .rows import Batch
from .store import Store

REGISTRATION_GRACE = timedelta(minutes=1)
"""How much later than its registration a row must be to be owed to a sink: hosts' clocks differ, and a caller's
transaction may have begun before."""


def I20_sinks_get_prefixes(store: Store) -> Iterator[str]:
    """What a sink received of a run, deduplicated, is a prefix: it has no row behind one that it has not.

    So no published row follows one that is not, unless no sink is known, and a sink's place in a run is before the
    first row that it has not.
    """
    for run in store.runs.values():
        batches = run.batches()
        for before, after in pairwise(batches):
            if store.outbox.sinks and after.published and not before.published:
                yield f"{_named(after)} is published, the row before it is not"
            for sink in store.outbox.sinks.values():
                if not after.published and after.delivered & sink.bit and not before.published | _has(sink, before):
                    yield f"sink {sink.name} has {_named(after)} and not the row before it"
    for sink, shard in _shards(store):
        for held in shard.held.values():
            of_run = store.outbox.unpublished.get(held.run_id, {})
            rows = [of_run[first] for first in sorted(of_run) if not _has(sink, of_run[first])]
            if rows and rows[0].first_sequence + rows[0].count <= held.next_sequence:
                yield f"sink {sink.name} is held at event {held.next_sequence} of run {held.run_id}, and has less"


def I21_published_means_accepted(store: Store) -> Iterator[str]:
    """A row is published exactly when every sink has it that is owed it."""
    sinks = store.outbox.sinks.values()
    for run in store.runs.values():
        for batch in run.events.values():
            owed = [sink for sink in sinks if sink.registered_at + REGISTRATION_GRACE < batch.at]
            if batch.published and not all(_has(sink, batch) for sink in owed):
                yield f"{_named(batch)} is published, and not every sink has it"
            if sinks and not batch.published and all(_has(sink, batch) for sink in sinks):
                yield f"{_named(batch)} is not published, although every sink has it"


def I33_nothing_is_lost(store: Store) -> Iterator[str]:
    """Dead + published = all: a row is delivered, fresh, or held with its run; a dead letter is behind its sink."""
    for batch in (batch for run in store.runs.values() for batch in run.events.values() if not batch.published):
        for sink in store.outbox.sinks.values():
            shard = sink.shards[shard_of(batch.run_id)]
            fresh = batch.first_sequence in shard.fresh.get(batch.run_id, {})
            held = bool(batch.held & sink.bit) and batch.run_id in shard.held
            if [_has(sink, batch), fresh, held].count(True) != 1:
                yield f"{_named(batch)} is neither with sink {sink.name} nor on its way, or both"
    for sink, shard in _shards(store):
        for key in shard.letters:
            run = store.runs.get(key.run_id)
            rows = [] if run is None else [row for row in run.batches() if row.first_sequence <= key.sequence]
            if not rows or key.sequence >= rows[-1].first_sequence + rows[-1].count:
                yield f"dead letter {key.sequence} of run {key.run_id} for sink {sink.name} is no event of its run"
                continue
            standing = shard.held.get(key.run_id)
            passed = standing is not None and (standing.next_sequence, standing.lost) >= (key.sequence, True)
            if not (rows[-1].published or _has(sink, rows[-1]) or passed):
                yield f"dead letter {key.sequence} of run {key.run_id} is still to be offered to sink {sink.name}"


def _shards(store: Store) -> Iterator[tuple[Sink, Shard]]:
    """The shards in which something is in trouble, or was."""
    shards = ((sink, shard) for sink in store.outbox.sinks.values() for shard in sink.shards)
    return ((sink, shard) for sink, shard in shards if shard.held or shard.letters)


def _has(sink: Sink, batch: Batch) -> bool:
    return bool(batch.delivered & sink.bit)


def _named(batch: Batch) -> str:
    return f"the row at event {batch.first_sequence} of run {batch.run_id}"
