"""Why what was begun does not end: of runs as the kernel explains it, of events as the outbox has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ...adapters.memory.outbox import Sink
from ...adapters.memory.store import Store
from ...kernel import Kernel
from ...ports.outbox import shard_of
from ...ports.statuses import TERMINAL_RUN


async def unfinished(store: Store, kernel: Kernel, now: datetime) -> Sequence[str]:
    """Why each run that has not ended stands where it does, and which sink lacks which events."""
    lines: list[str] = []
    for run_id, stored in store.runs.items():
        if stored.row.status not in TERMINAL_RUN:
            explanation = await kernel.why(run_id)
            lines += [cause.what for cause in explanation.causes]
    for sink in store.outbox.sinks.values():
        lines += _undelivered(store, sink, now)
    return lines


def _undelivered(store: Store, sink: Sink, now: datetime) -> Iterator[str]:
    """The first event of each run that a sink lacks, and why it does."""
    for run_id, batches in store.outbox.unpublished.items():
        missing = [batch.first_sequence for batch in batches.values() if not batch.delivered & sink.bit]
        if not missing:
            continue
        number = shard_of(run_id)
        shard = sink.shards[number]
        held = shard.held.get(run_id)
        why = "it was not offered" if held is None else f"it was refused {held.attempts} times, {held.problem!r}"
        if sink.is_paused(now):
            why += f"; the sink is paused until {sink.not_before}, {sink.problem!r}"
        holder = "nobody has" if shard.worker is None else f"{shard.worker} has until {shard.lease_until}"
        yield f"sink {sink.name!r} lacks event {min(missing)} of run {run_id}: {why}; {holder} its shard {number}"
