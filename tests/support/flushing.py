"""Flushers worked by hand, and sinks with moods."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fairlead.adapters.memory import CollectingSink
from fairlead.kernel import Flow, Kernel, RunHandle, Start
from fairlead.kernel.commands import Flushed, FlushOutbox
from fairlead.ports.outbox import EventRecord, shard_of
from fairlead.ports.sink import DEFAULT_SINK

LEASE = timedelta(seconds=30)
PATIENCE = timedelta(seconds=0.05)
"""How long a sink may hang in a test."""

FLUSHES_FOR_ALL_SHARDS = 12
"""Flushes after which every shard had its turn, three times over."""


def single() -> Flow[Any]:
    """One step."""
    flow = Flow("single", version=1)

    @flow.step
    def work() -> object:
        return None

    return flow


async def flush(
    kernel: Kernel,
    sink: str = DEFAULT_SINK,
    *,
    worker: str = "flusher",
    limit: int = 500,
    lease: timedelta = LEASE,
    patience: timedelta = timedelta(seconds=10),
) -> Flushed:
    """One flush."""
    command = FlushOutbox(worker=worker, lease_duration=lease, sink=sink, limit=limit, publish_timeout=patience)
    return await kernel.dispatch(command)


async def flush_all(kernel: Kernel, sink: str = DEFAULT_SINK, *, worker: str = "flusher", limit: int = 500) -> int:
    """Flush until nothing more is published."""
    total = 0
    while accepted := (await flush(kernel, sink, worker=worker, limit=limit)).accepted:
        total += accepted
    return total


async def in_one_shard(kernel: Kernel, count: int) -> list[RunHandle]:
    """So many runs whose events share a shard, by id."""
    runs = await kernel.start_many("single", [Start(input=None) for _ in range(count * 200)])
    by_shard: dict[int, list[RunHandle]] = {}
    for run in runs:
        by_shard.setdefault(shard_of(run.id), []).append(run)
    fullest = max(by_shard.values(), key=lambda of_shard: len(of_shard))
    return sorted(fullest, key=lambda run: run.id)[:count]


class RefusingSink(CollectingSink):
    """Refuses the events of some runs, or some events of theirs, by run id and sequence number."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: set[str] = set()
        self.refused: set[tuple[str, int]] = set()
        self.offers = 0
        self.hangs = False

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        self.offers += 1
        if self.hangs:
            await asyncio.Event().wait()
        if batch[0].run_id in self.runs:
            raise RuntimeError("not this run")
        for place, event in enumerate(batch):
            if (event.run_id, event.sequence) in self.refused and event.type != "event.lost":
                if not place:
                    raise LookupError(f"not event {event.sequence}")
                return await super().publish(batch[:place])
        return await super().publish(batch)

    def told(self, run_id: str) -> list[tuple[int, str]]:
        """What it accepted of a run: (sequence, type), in order of arrival."""
        return [(event.sequence, event.type) for event in self.of_run(run_id)]


def without_repetitions(sequences: Sequence[int]) -> list[int]:
    """The sequence numbers in order of their first arrival."""
    return list(dict.fromkeys(sequences))
