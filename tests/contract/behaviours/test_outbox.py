"""Acceptance behaviours 67 and 68, as far as one flush goes: publishing in order, and who waits for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import Flow, Kernel, RunHandle, Start
from fairlead.kernel.commands import Flushed, FlushOutbox
from fairlead.ports import Ports
from fairlead.ports.outbox import EventRecord, shard_of
from tests.support.hands import Hands

FLUSHES_FOR_ALL_SHARDS = 12
"""Flushes after which every shard had its turn, three times over."""


def single() -> Flow[Any]:
    """One step."""
    flow = Flow("single", version=1)

    @flow.step
    def work() -> object:
        return None

    return flow


async def flush(kernel: Kernel, limit: int = 500) -> Flushed:
    """One flush."""
    command = FlushOutbox(worker="flusher", lease_duration=timedelta(seconds=10), limit=limit)
    return await kernel.dispatch(command)


async def flush_all(kernel: Kernel) -> int:
    """Flush until nothing more is published."""
    total = 0
    while published := (await flush(kernel)).published:
        total += published
    return total


async def in_one_shard(kernel: Kernel, count: int) -> list[RunHandle]:
    """So many runs whose events share a shard, by id."""
    runs = await kernel.start_many("single", [Start(input=None) for _ in range(count * 200)])
    by_shard: dict[int, list[RunHandle]] = {}
    for run in runs:
        by_shard.setdefault(shard_of(run.id), []).append(run)
    fullest = max(by_shard.values(), key=lambda of_shard: len(of_shard))
    return sorted(fullest, key=lambda run: run.id)[:count]


async def test_events_are_published_in_order_once_accepted(world: Ports, sink: CollectingSink) -> None:
    """Behaviour 67: in sequence per run; a second flush publishes nothing."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    runs = [await kernel.start(flow, None) for _ in range(5)]
    await Hands(kernel).drain(1)

    flushed = await flush_all(kernel)

    assert flushed == len(sink.events)
    for run in runs:
        mine = [event for event in sink.events if event.run_id == run.id]
        assert [event.sequence for event in mine] == [1, 2, 3, 4, 5]
        assert [event.type for event in mine][-1] == "run.completed"
    assert (await flush(kernel)).published == 0


class RefusingSink(CollectingSink):
    """Refuses the events of some runs."""

    def __init__(self, refused: set[str]) -> None:
        super().__init__()
        self.refused = refused

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        if batch[0].run_id in self.refused:
            raise RuntimeError("not this run")
        return await super().publish(batch)


async def test_a_refused_run_holds_back_itself_alone(world: Ports) -> None:
    """Behaviour 68: runs that are refused at the head of their shard do not keep those behind them waiting."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    runs = await in_one_shard(kernel, 6)
    sink = RefusingSink({run.id for run in runs[:4]})
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))

    for _ in range(FLUSHES_FOR_ALL_SHARDS):
        await flush(kernel, limit=2)
    while_refused = {event.run_id for event in sink.events}
    sink.refused.clear()
    for _ in range(FLUSHES_FOR_ALL_SHARDS):
        await flush(kernel, limit=2)

    published = Counter(event.run_id for event in sink.events)
    assert while_refused.isdisjoint(run.id for run in runs[:4])
    assert while_refused >= {run.id for run in runs[4:]}
    assert all(published[run.id] == 1 for run in runs)


async def test_a_slow_sink_makes_progress(world: Ports, clock: ManualClock) -> None:
    """Each flush ends with half its lease used, and what was accepted by then is not published again."""

    class SlowSink(CollectingSink):
        async def publish(self, batch: Sequence[EventRecord]) -> int:
            clock.advance(1)
            return await super().publish(batch)

    flow = single()
    sink = SlowSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    await kernel.start_many(flow, [Start(input=None) for _ in range(30)])

    first = await flush(kernel)
    total = first.published
    while published := (await flush(kernel)).published:
        total += published

    assert 1 <= first.published <= 6
    assert total == 30
    assert set(Counter(event.run_id for event in sink.events).values()) == {1}
