"""Which runs may be removed, and what must be gone with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ...adapters.memory.rows import Batch, Run
from ...adapters.memory.store import Store
from ...kernel import Flow
from ...ports.outbox import shard_of


class RemovalChecks:
    """Judges removals of runs: only of flows that say for how long they are kept, whole, and when nobody needs them.

    Args:
        store: whose rows they were.
        flows: all that a host may serve.
        clock_error_s: by how much whoever removes runs may be wrong about the time.
    """

    def __init__(self, store: Store, flows: Sequence[Flow[Any]], *, clock_error_s: float) -> None:
        self.removed = 0
        """How many runs were."""
        self._store = store
        self._flows = flows
        self._clock_error = timedelta(seconds=clock_error_s)
        self._lettered: frozenset[str] = frozenset()
        """The runs that had dead letters in the state before."""

    @cached_property
    def _retention(self) -> Mapping[str, timedelta]:
        """By flow. Some of them no host may have had so far."""
        for flow in self._flows:
            flow.seal()
        return {
            flow.slug: timedelta(seconds=flow.plan.retention_s)
            for flow in self._flows
            if flow.plan.retention_s is not None
        }

    def look(self) -> None:
        """Remember what has to be known of a run when it is gone."""
        if self._retention:
            sinks = self._store.outbox.sinks.values()
            self._lettered = frozenset(letter.event.run_id for sink in sinks for letter in sink.letters())

    def problems(self, run: Run, batches: Sequence[Batch], now: datetime) -> Iterator[str]:
        """What should not be, of a run that is gone.

        Args:
            run: as it was.
            batches: its events, as they were.
            now: the time.
        """
        self.removed += 1
        retention = self._retention.get(run.flow)
        if retention is None:
            yield f"I1: run {run.id} is gone, and flow {run.flow!r} keeps its runs"
            return
        if run.ended_at is None:
            yield f"I1: run {run.id} is gone, and was {run.status}"
        elif now - run.ended_at < retention - self._clock_error:
            yield f"I1: run {run.id} is gone {now - run.ended_at} after its end, and is to be kept for {retention}"
        if unpublished := [batch.first_sequence for batch in batches if not batch.published]:
            yield f"I33: run {run.id} is gone, and a sink lacks its events from {unpublished}"
        if run.id in self._lettered:
            yield f"I33: run {run.id} is gone, and had dead letters"
        for place in self._left_of(run):
            yield f"I1: run {run.id} is gone, and something is left of it: {place}"

    def _left_of(self, run: Run) -> Iterator[str]:
        store = self._store
        if run.key is not None and (holder := store.by_key.get((run.flow, run.key))) and holder.row.id == run.id:
            yield "its key"
        if (run.created_at, run.id) in store.by_age:
            yield "its place among all runs"
        if any(token.run_id == run.id for token in store.resume_tokens.values()):
            yield "a token for its signals"
        if run.id in store.outbox.unpublished:
            yield "events"
        number = shard_of(run.id)
        for sink in store.outbox.sinks.values():
            shard = sink.shards[number]
            if run.id in shard.fresh or run.id in shard.held or any(key.run_id == run.id for key in shard.letters):
                yield f"what sink {sink.name!r} is owed"
