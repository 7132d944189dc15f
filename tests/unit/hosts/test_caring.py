"""What hosts do for the data by themselves: runs go when their flow says so, orphans once a day, by one host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock, MemoryBlobs, memory_ports
from fairlead.hosts.caring import COLLECT_EVERY, Caretaker
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Flow, FlowDefinitionError, Kernel, Start
from fairlead.kernel.commands import PRUNE_BATCH, ClaimChore
from fairlead.ports import Ports
from fairlead.ports.blobs import BlobInfo
from tests.support.hands import Hands

ORPHAN = "runs/00000000-0000-7000-8000-000000000001/pack/1/0/1/whole"


@pytest.fixture
def clock() -> ManualClock:
    """The time, moved by the test."""
    return ManualClock()


@pytest.fixture
async def world(clock: ManualClock) -> AsyncGenerator[Ports]:
    """In-memory ports under that clock."""
    ports = memory_ports(clock=clock)
    yield ports
    assert await ports.persistence.check_invariants() == {}
    await ports.aclose()


def kept(slug: str, version: int = 1, **options: Any) -> Flow[int]:
    """A flow of one step."""
    flow = Flow(slug, version=version, input=int, input_name="n", **options)

    @flow.step
    def work(n: int) -> int:
        return n

    return flow


async def runs_of(kernel: Kernel) -> list[str]:
    """Which flows' runs there are."""
    return sorted(run.flow for run in (await kernel.runs()).runs)


async def test_runs_go_when_their_flow_says_so(world: Ports, clock: ManualClock) -> None:
    """Not before; those that have not ended stay, and those of flows that say nothing."""
    short, long, silent = kept("short", retention=3600), kept("long", retention=timedelta(days=30)), kept("silent")
    kernel = Kernel(flows=[short, long, silent], ports=world)
    for flow in (short, long, silent):
        await kernel.start(flow, 1)
    await Hands(kernel).drain(1)
    await kernel.start(short, 2)
    caretaker = Caretaker(kernel)

    clock.advance(timedelta(minutes=59))
    assert await caretaker.prune() == 0
    clock.advance(timedelta(minutes=2))
    assert await caretaker.prune() == 1
    assert await runs_of(kernel) == ["long", "short", "silent"]
    clock.advance(timedelta(days=400))
    assert await caretaker.prune() == 1
    assert await runs_of(kernel) == ["short", "silent"]


async def test_the_newest_version_decides_for_all(world: Ports, clock: ManualClock) -> None:
    """A retention that was shortened holds for the runs that are there."""
    old = kept("echo", 1)
    kernel = Kernel(flows=[old], ports=world)
    await kernel.start(old, 1)
    await Hands(kernel).drain(1)
    clock.advance(timedelta(days=2))
    newer = Kernel(flows=[kept("echo", 1), kept("echo", 2, retention=timedelta(days=1))], ports=world)

    assert await Caretaker(newer).prune() == 1


async def test_many_runs_go_in_batches(world: Ports, clock: ManualClock) -> None:
    """A tick that is short of time takes one batch, and the next one the next."""
    flow = kept("many", retention=60)
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.start_many(flow, [Start(input=n) for n in range(2 * PRUNE_BATCH + 50)])
    await Hands(kernel).drain(1)
    clock.advance(timedelta(hours=1))

    assert await Caretaker(kernel).prune(batches_max=1) == PRUNE_BATCH
    report = await ServerlessHost(kernel).run_maintenance_tick()
    assert (report.counts["prune"], report.errors) == (PRUNE_BATCH, {})
    assert await Caretaker(kernel).prune() == 50


async def test_runs_that_wait_for_long_keep_no_others(world: Ports, clock: ManualClock) -> None:
    """A tick that is short of time passes over what may not go, however much that is."""
    flow = kept("patient", retention=60)
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.start_many(flow, [Start(input=n) for n in range(2 * PRUNE_BATCH)])
    clock.advance(timedelta(seconds=1))
    await (await kernel.start(flow, 1)).cancel()
    clock.advance(timedelta(hours=1))

    report = await ServerlessHost(kernel).run_maintenance_tick()

    assert (report.counts["prune"], report.errors) == (1, {})


@pytest.mark.fault(10, 69)
async def test_one_host_collects_once_a_day(world: Ports, clock: ManualClock) -> None:
    """The first time a day after somebody first asked; of several hosts that ask, one."""
    kernel = Kernel(flows=[kept("echo")], ports=world)
    hosts = [Caretaker(kernel) for _ in range(3)]
    await world.blobs.put(ORPHAN, b"nobody refers to it")

    assert [await host.collect() for host in hosts] == [0, 0, 0]
    clock.advance(COLLECT_EVERY + timedelta(days=2))
    assert sorted([await host.collect() for host in hosts]) == [0, 0, 1]
    assert not await world.blobs.has(ORPHAN)
    clock.advance(COLLECT_EVERY)
    chore = ClaimChore(name="collect_blobs", every=COLLECT_EVERY)
    assert [await kernel.dispatch(chore) for _ in range(2)] == [True, False]


async def test_a_clock_that_is_ahead_puts_no_chore_off(world: Ports, clock: ManualClock) -> None:
    """Whoever collected by it did so for that day, and not for all days until then."""
    chore = ClaimChore(name="collect_blobs", every=COLLECT_EVERY)
    right, ahead = (
        Kernel(flows=[kept("echo")], ports=evolve(world, clock=each))
        for each in (clock, ManualClock(clock.now() + timedelta(days=365)))
    )
    await right.dispatch(chore)

    assert await ahead.dispatch(chore)
    assert [await right.dispatch(chore) for _ in range(2)] == [True, False]


async def test_maintenance_ticks_collect_once_a_day(world: Ports, clock: ManualClock) -> None:
    """Where there are no other hosts; each time by one of all ticks."""
    host = ServerlessHost(Kernel(flows=[kept("echo")], ports=world))

    async def collected() -> int:
        report = await host.run_maintenance_tick(deadline=lambda: 60.0)
        assert report.errors == {}
        return report.counts["collect"]

    await world.blobs.put(ORPHAN, b"nobody refers to it")
    assert await collected() == 0
    clock.advance(COLLECT_EVERY + timedelta(days=2))
    assert [await collected() for _ in range(2)] == [1, 0]
    assert not await world.blobs.has(ORPHAN)
    await world.blobs.put(ORPHAN, b"again")
    clock.advance(2 * COLLECT_EVERY)
    assert await collected() == 1


async def test_a_tick_that_is_short_of_time_collects_what_it_can(
    world: Ports, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """All blobs are listed, which may take longer than a call lasts: it says so, and is no failure of the tick."""
    listed: list[str] = []

    class Slow(MemoryBlobs):
        async def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
            listed.append(prefix)
            await asyncio.Event().wait()
            yield await anext(super().list(prefix, older_than=older_than))

    kernel = Kernel(flows=[kept("echo")], ports=evolve(world, blobs=Slow(clock)))
    host = ServerlessHost(kernel, stop_margin=3)
    await host.run_maintenance_tick()
    clock.advance(COLLECT_EVERY)

    left_s = iter((63.0, 3.01))
    report = await host.run_maintenance_tick(deadline=lambda: next(left_s))

    assert (report.counts["collect"], report.errors) == (0, {})
    assert listed == ["runs/"]
    assert "not all blobs could be looked at" in caplog.text


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), True, "a week", timedelta(days=4000)], ids=repr)
def test_a_retention_that_is_none_is_refused(wrong: Any) -> None:
    """Where the flow is made."""
    with pytest.raises(FlowDefinitionError, match="retention"):
        Flow("echo", version=1, retention=wrong)


def test_a_retention_is_no_part_of_the_shape() -> None:
    """It may change without a new version."""
    fingerprints: set[str] = set()
    for flow in (kept("echo"), kept("echo", retention=60)):
        flow.seal()
        fingerprints.add(flow.plan.fingerprint)

    assert len(fingerprints) == 1
