"""Hosts fire what is scheduled: soon, within their maintenance, and telling what goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.adapters.memory import MemoryPersistence, memory_ports
from fairlead.hosts.node import NodeHost, loops
from fairlead.hosts.serverless import ServerlessHost
from fairlead.hosts.ticks import TickReport, isolated
from fairlead.kernel import Flow, Kernel
from fairlead.ports.reading import Due, RunFilter

from .conftest import MakeKernel
from .test_ticks import DriftingClock, World

TIMEOUT_S = 20.0


def _flow(version: int = 1, *, takes: Any = int) -> Flow[Any]:
    flow: Flow[Any] = Flow("fired", version=version, input=takes, input_name="n")

    @flow.step
    async def work() -> int:
        return 1

    return flow


@pytest.fixture
async def clock(nothing_left_open: None) -> DriftingClock:
    """A clock that stands still until it is moved."""
    return DriftingClock()


async def test_a_node_host_fires_and_runs(make_kernel: MakeKernel) -> None:
    """Tick after tick, whichever way it hears of work, and what is put off meanwhile."""
    kernel = make_kernel(_flow())
    schedule = await kernel.schedule("fired", cron="* * * * * *", input=1)
    async with NodeHost(kernel, poll_interval=0.5), asyncio.timeout(TIMEOUT_S):
        later = await kernel.start_later("fired", 2, after=0.2)
        while (await schedule.read()).started < 2 or await kernel.deferred():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert await (await later.run()).result(timeout=TIMEOUT_S) == {"work": 1}
        await schedule.pause()
        for run in (await kernel.runs(RunFilter(flow="fired"))).runs:
            await kernel.run(run.id).result(timeout=TIMEOUT_S)


async def test_a_node_host_looks_after_its_runs_before_it_fires(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps runs alive that are there comes first, so that nothing that fires late can delay it."""
    steps: asyncio.Queue[list[str]] = asyncio.Queue()

    async def noted(mapping: Mapping[str, Any]) -> TickReport:
        steps.put_nowait(list(mapping))
        return await isolated(mapping)

    async def everything(self: MemoryPersistence, **asked: Any) -> Due:
        return replace(await due(self, **asked), expired=True, waits=True, overdue=True, scheduled=True)

    due = MemoryPersistence.due
    monkeypatch.setattr(MemoryPersistence, "due", everything)
    monkeypatch.setattr(loops, "isolated", noted)
    async with NodeHost(make_kernel(_flow()), poll_interval=0.05), asyncio.timeout(TIMEOUT_S):
        assert (await steps.get())[:4] == ["reap", "wake", "expire", "fire"]


async def test_a_maintenance_tick_of_a_function_fires(clock: DriftingClock) -> None:
    """Everything that is due, and it says how much."""
    kernel = Kernel(flows=[_flow()], ports=memory_ports(clock=clock))
    for name in ("a", "b"):
        await kernel.schedule("fired", cron="@hourly", input=1, name=name)
    clock.advance(timedelta(hours=1))
    async with ServerlessHost(kernel) as host:
        first = await host.run_maintenance_tick()
        second = await host.run_maintenance_tick()

    assert (first.counts["fire"], second.counts["fire"]) == (2, 0)
    assert list(first.counts)[1:5] == ["reap", "wake", "expire", "fire"]
    assert len((await kernel.runs()).runs) == 2


@pytest.mark.fault(43)
async def test_a_host_whose_clock_is_uncertain_fires_nothing(clock: DriftingClock) -> None:
    """It may be too early by its clock."""
    async with World(memory_ports(clock=clock)) as world:
        await world.kernel.schedule("ticked", cron="@hourly", input=1)
        clock.advance(timedelta(hours=1))
        clock.uncertain_s = 60.0
        assert await world.ticks.fire() == 0
        clock.uncertain_s = 0.0
        assert await world.ticks.fire() == 1


async def test_what_is_left_out_and_what_is_held_is_logged(
    clock: DriftingClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator finds it without asking."""
    ports = memory_ports(clock=clock)
    async with World(ports) as world:
        await world.kernel.schedule("ticked", cron="@hourly", input=1, name="missed")
        await Kernel(flows=[_flow()], ports=ports).schedule("fired", cron="@hourly", input=1, name="misfit")
        clock.advance(timedelta(hours=2, minutes=30))
        with caplog.at_level(logging.WARNING):
            await world.ticks.fire()
            async with ServerlessHost(Kernel(flows=[_flow(2, takes=str)], ports=ports)) as host:
                clock.advance(timedelta(minutes=30))
                await host.run_maintenance_tick()

    messages = [record.getMessage() for record in caplog.records]
    left_out = "its ticks from 2026-01-01T01:00:00+00:00 to 2026-01-01T02:00:00+00:00 were missed and are left out"
    assert f"schedule 'missed': {left_out}" in messages
    held = [message for message in messages if message.startswith("cron/misfit could not be carried out and is held")]
    assert len(held) == 1
    assert "Expected `str`, got `int`" in held[0]
