"""A host whose world fails for a while goes on by itself, and one trouble does not become another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import MemoryPersistence, MemoryTransport, memory_ports
from fairlead.adapters.memory.transaction import MemoryTransaction
from fairlead.adapters.system import SystemClock
from fairlead.hosts import ticks
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, Start
from fairlead.kernel.commands import FlushOutbox
from fairlead.ports.errors import AdapterError, CommitUnknown, Unavailable
from fairlead.ports.outbox import EventRecord
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import Due, OutputRequest, Payloads
from fairlead.ports.records import ClaimedTask, TaskClaim, TaskKey

TIMEOUT_S = 20.0


class Weather(MemoryPersistence):
    """A store that fails as often as it is told to, before an operation or with its answer lost."""

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(7)
        self.failing = 0.0
        self.failures = 0

    def _before(self) -> None:
        if self.random.random() < self.failing:
            self.failures += 1
            raise Unavailable("bad weather")

    def _after(self) -> None:
        if self.random.random() < self.failing:
            self.failures += 1
            raise CommitUnknown("bad weather")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[MemoryTransaction]:
        self._before()
        async with super().transaction() as transaction:
            yield transaction
        self._after()

    async def claim_tasks(self, claim: TaskClaim) -> Sequence[ClaimedTask]:
        self._before()
        return await super().claim_tasks(claim)

    async def due(
        self,
        *,
        flow_ids: Sequence[int],
        queues: Sequence[str],
        sinks: Sequence[str] = (),
        now: datetime,
        expired_before: datetime,
    ) -> Due:
        self._before()
        return await super().due(flow_ids=flow_ids, queues=queues, sinks=sinks, now=now, expired_before=expired_before)

    async def read_payloads(
        self, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey] = ()
    ) -> Payloads:
        self._before()
        return await super().read_payloads(runs, outputs, states)

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Persistence]:
        self._before()
        yield self


def _flow() -> Flow[int]:
    flow = Flow("weathered", version=1, input=int, input_name="n")

    @flow.step
    async def first(n: int) -> list[int]:
        return list(range(n))

    @flow.map(over=first)
    async def each(item: int) -> int:
        return item

    @flow.step
    def last(each: list[int]) -> int:
        return sum(each)

    return flow


@pytest.mark.fault(21, 22)
@pytest.mark.parametrize("delivers", [False, True], ids=["hints", "delivers"])
async def test_work_goes_on_in_a_store_that_fails_now_and_then(nothing_left_open: None, delivers: bool) -> None:
    """One operation in five fails, before it or with its answer lost: every run completes, each task in its first
    attempt, but for those whose claim's answer was lost, which run once more when their leases are over."""
    store, clock = Weather(), MovableClock()
    transport = MemoryTransport(clock) if delivers else None
    ports = evolve(memory_ports(clock=clock, transport=transport), persistence=store)
    async with Kernel(flows=[_flow()], ports=ports) as kernel:
        runs = await kernel.start_many("weathered", [Start(input=4) for _ in range(40)])
        async with NodeHost(kernel, concurrency=5, poll_interval=0.05, sweep_interval=0.1):
            store.failing = 0.2
            await _until(lambda: store.failures > 50)
            store.failing = 0.0
            clock.ahead = timedelta(minutes=5)
            for run in runs:
                assert await run.result(timeout=TIMEOUT_S) == {"last": 6}
        tasks = [task for run in runs for task in (await run.details()).tasks]
        broken = await store.check_invariants()

    assert all(task.attempts == 1 + task.losses for task in tasks)
    assert not {name: rows for name, rows in broken.items() if rows}


class MovableClock(SystemClock):
    """The system's clock, which can be put forward."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class MoodySink:
    """A sink that does what its mood says."""

    def __init__(self) -> None:
        self.mood = "well"
        self.calls = 0
        self.accepted: list[EventRecord] = []

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        self.calls += 1
        if self.mood == "hangs":
            await asyncio.Event().wait()
        if self.mood == "raises":
            raise LookupError("not today")
        self.accepted += batch
        return len(batch)

    async def aclose(self) -> None:
        pass


@pytest.mark.fault(75)
@pytest.mark.parametrize("mood", ["hangs", "raises"])
async def test_a_sink_in_trouble_holds_up_nothing_but_events(
    nothing_left_open: None, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    """Runs complete while the sink hangs (it is timed out) or raises; once it is well it gets every event in order."""
    monkeypatch.setattr(ticks, "FlushOutbox", partial(FlushOutbox, publish_timeout=timedelta(seconds=0.1)))
    sink = MoodySink()
    sink.mood = mood
    kernel = Kernel(flows=[_flow()], ports=memory_ports(sink=sink))
    async with kernel, NodeHost(kernel, poll_interval=0.05):
        runs = [await kernel.start("weathered", n) for n in range(3)]
        for run in runs:
            await run.result(timeout=TIMEOUT_S)
        await _until(lambda: sink.calls >= 2)
        assert not sink.accepted
        sink.mood = "well"
        expected = sum([(await run.read()).next_sequence - 1 for run in runs])
        await _until(lambda: len(sink.accepted) >= expected)

    for run in runs:
        sequences = [event.sequence for event in sink.accepted if event.run_id == run.id]
        assert sequences == list(range(1, len(sequences) + 1))


async def test_a_store_that_cannot_be_reached_refuses_the_start(nothing_left_open: None) -> None:
    """The error comes out of the start, nothing is left open, and a later start works."""
    store = Weather()
    unreachable: list[Any] = [Unavailable("refused")]
    register = store.register_flow

    async def refuse(*args: Any, **options: Any) -> Any:
        if unreachable:
            raise unreachable.pop()
        return await register(*args, **options)

    store.register_flow = refuse  # type: ignore[method-assign]
    async with Kernel(flows=[_flow()], ports=evolve(memory_ports(), persistence=store)) as kernel:
        host = NodeHost(kernel)
        with pytest.raises(AdapterError):
            await host.start()
        async with host:
            run = await kernel.start("weathered", 2)
            assert await run.result(timeout=TIMEOUT_S) == {"last": 1}
