"""Ticks: isolated steps, claims by messages, and the rule about tasks that lost a lease."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from msgspec.structs import replace

from fairlead.adapters.memory import ManualClock, MemoryPersistence, MemoryTransport, memory_ports
from fairlead.hosts.node import NodeHost
from fairlead.hosts.ticks import FOREIGN_JOB_PAUSE_S, LOST_TASK_PAUSE_S, Ticks
from fairlead.hosts.virtual import LoopClock, run_virtually
from fairlead.hosts.worker import Worker, WorkerOptions
from fairlead.kernel import Context, Flow, Kernel, Start
from fairlead.kernel.commands import Capacity, ClaimRuns
from fairlead.ports import Ports
from fairlead.ports.clock import Clock
from fairlead.ports.outbox import EventRecord
from fairlead.ports.records import TaskKey, TaskRow
from fairlead.ports.transport import Job

from .conftest import MakeKernel

TIMEOUT_S = 10.0


class Troubled(MemoryPersistence):
    """A store in which nothing expired can be found."""

    async def find_expired(self, before: datetime, **asked: Any) -> Sequence[TaskRow]:
        raise LookupError("no index")


class CountingSink:
    """Accepts everything."""

    def __init__(self) -> None:
        self.accepted = 0

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        self.accepted += len(batch)
        return len(batch)

    async def aclose(self) -> None:
        pass


class DriftingClock(ManualClock):
    """A clock that can be uncertain, and counts how often it was synchronised."""

    uncertain_s = 0.0
    synchronised = 0

    async def synchronise(self) -> None:
        self.synchronised += 1

    @property
    def uncertainty_s(self) -> float:
        return self.uncertain_s


def _flow() -> Flow[int]:
    flow = Flow("ticked", version=1, input=int, input_name="n", max_attempts=10)

    @flow.step
    async def work(n: int) -> int:
        await asyncio.Event().wait()
        return n

    return flow


class World:
    """A worker that settles nothing by itself, and its ticks."""

    def __init__(self, ports: Ports, *, slots: int = 10) -> None:
        self.ports = ports
        self.flow = _flow()
        self.kernel = Kernel(flows=[self.flow], ports=ports)
        options = WorkerOptions(
            worker="ticker",
            concurrency=slots,
            queues=("default",),
            lease_duration=timedelta(seconds=30),
            cancel_grace_s=1,
        )
        self.worker = Worker(self.kernel, options, {})
        self.ticks = Ticks(self.worker, sweep_after=timedelta(seconds=60))

    async def __aenter__(self) -> World:
        await self.kernel.register()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.worker.stop_attempts()
        self.worker.settler.close()
        await self.worker.settler.run()
        await self.worker.until_empty()
        await self.worker.close()
        await self.kernel.aclose()


@pytest.fixture
async def clock(nothing_left_open: None) -> DriftingClock:
    """A clock that stands still until it is moved."""
    return DriftingClock()


@pytest.mark.fault(76)
async def test_one_failing_maintenance_step_stops_no_other(clock: DriftingClock) -> None:
    """The counts of all others are returned, with the error of the one that failed."""
    sink = CountingSink()
    transport = MemoryTransport(clock)
    ports = evolve(memory_ports(clock=clock, transport=transport, sink=sink), persistence=Troubled())
    async with World(ports) as world:
        await world.kernel.start(world.flow, 1)
        clock.advance(61)
        report = await world.ticks.maintain()

    nothing = dict.fromkeys(("synchronise", "fire", "wake", "expire", "prune", "collect"), 0)
    assert dict(report.counts) == {**nothing, "sweep": 1, "flush": 1}
    assert list(report.errors) == ["reap"]
    assert isinstance(report.errors["reap"], LookupError)
    assert (clock.synchronised, sink.accepted, transport.pending) == (1, 1, 2)


@pytest.mark.fault(43)
async def test_a_host_with_an_uncertain_clock_does_not_claim(clock: DriftingClock) -> None:
    """Its leases could not be relied upon; once the clock is good again it claims."""
    async with World(memory_ports(clock=clock)) as world:
        clock.uncertain_s = 5.1
        assert not world.ticks.may_claim
        clock.uncertain_s = 5.0
        assert world.ticks.may_claim


@pytest.mark.fault(43)
async def test_a_host_with_an_uncertain_clock_takes_nothing_back(clock: DriftingClock) -> None:
    """A lease that seems to have run out may be alive; once the clock is good again it is taken back."""
    async with World(memory_ports(clock=clock)) as world:
        await world.kernel.start(world.flow, 1)
        await world.kernel.dispatch(ClaimRuns(capacity=_capacity_of_another(world), limit=10))
        clock.advance(60)
        clock.uncertain_s = 5.1
        assert await world.ticks.reap() == 0
        clock.uncertain_s = 0.0
        assert await world.ticks.reap() == 1


@pytest.mark.fault(6, 38, 45)
async def test_a_message_is_acknowledged_once_its_job_is_claimed(clock: DriftingClock) -> None:
    """From then on the lease decides; a second message for the same job is acknowledged with nothing to claim."""
    transport = MemoryTransport(clock)
    async with World(memory_ports(clock=clock, transport=transport)) as world:
        run = await world.kernel.start(world.flow, 1)
        await transport.enqueue([Job(run_id=run.id, queue=""), Job(run_id="unknown", queue="")])
        deliveries = await transport.dequeue(queues=["default"], limit=10, wait_s=0)
        assert len(deliveries) == 3
        assert await world.ticks.claim_delivered(deliveries) == 1

        assert (transport.pending, len(world.worker.held)) == (0, 1)
        assert world.worker.slots.free == 9


@pytest.mark.fault(46, 59)
async def test_messages_of_another_host_s_flows_and_queues_come_again(clock: DriftingClock) -> None:
    """A host that lacks the code, or does not serve the queue, leaves the message to one that does."""
    transport = MemoryTransport(clock)
    async with World(memory_ports(clock=clock, transport=transport)) as world:
        other = Flow("other", version=1, input=int)

        @other.step
        async def work() -> int:
            return 1

        await Kernel(flows=[other], ports=world.ports).start(other, 1)
        run = await world.kernel.start(world.flow, 1)
        await transport.enqueue([Job(run_id=run.id, queue="rare", task=TaskKey(run.id, "work", 1, 0))])
        deliveries = await transport.dequeue(queues=["default", "rare"], limit=10, wait_s=0)
        assert await world.ticks.claim_delivered(deliveries) == 1

        assert (len(deliveries), transport.pending) == (3, 2)
        assert not await transport.dequeue(queues=["default", "rare"], limit=10, wait_s=0)
        clock.advance(FOREIGN_JOB_PAUSE_S + 0.1)
        again = await transport.dequeue(queues=["default", "rare"], limit=10, wait_s=0)
        assert {(each.job.flow_id in world.kernel.flow_ids, each.job.queue) for each in again} == {
            (False, ""),
            (False, "rare"),
        }


async def test_a_message_that_comes_early_comes_again(clock: DriftingClock) -> None:
    """A job whose time has not come is put off until then, not claimed in vain and forgotten."""
    transport = MemoryTransport(clock)
    async with World(memory_ports(clock=clock, transport=transport)) as world:
        early = Job(run_id="r", queue="", not_before=clock.now() + timedelta(seconds=20))
        await transport.enqueue([early])
        clock.advance(20)
        (delivery,) = await transport.dequeue(queues=["default"], limit=1, wait_s=0)
        later = replace(delivery, job=replace(early, not_before=clock.now() + timedelta(seconds=7)))
        assert await world.ticks.claim_delivered([later]) == 0

        clock.advance(6.9)
        assert not await transport.dequeue(queues=["default"], limit=1, wait_s=0)
        clock.advance(0.2)
        assert len(await transport.dequeue(queues=["default"], limit=1, wait_s=0)) == 1


async def test_one_task_that_lost_a_lease_at_a_time(clock: DriftingClock) -> None:
    """The others' messages come again later; polling leaves them in their queue, for other hosts."""
    transport = MemoryTransport(clock)
    async with World(memory_ports(clock=clock, transport=transport)) as world:
        await world.kernel.start_many(world.flow, [Start(input=n) for n in range(3)])
        lost = await _lose_all(world, transport, clock)
        assert len(lost) == 3

        assert await world.ticks.claim_delivered(lost) == 1
        assert (len(world.worker.held), world.worker.lost_limit, transport.pending) == (1, 0, 2)
        clock.advance(LOST_TASK_PAUSE_S + 0.1)
        again = await transport.dequeue(queues=["default"], limit=10, wait_s=0)
        assert await world.ticks.claim_delivered(again) == 0
        assert transport.pending == 2
        assert await world.ticks.dequeue("default", world.worker.slots.take(5)) == 0


async def _lose_all(world: World, transport: MemoryTransport, clock: DriftingClock) -> Any:
    """Have another worker claim everything and die; the messages for what it lost."""
    await transport.complete(await transport.dequeue(queues=["default"], limit=10, wait_s=0))
    await world.kernel.dispatch(ClaimRuns(capacity=_capacity_of_another(world), limit=10))
    clock.advance(60)
    await world.ticks.reap()
    return await transport.dequeue(queues=["default"], limit=10, wait_s=0)


def _capacity_of_another(world: World) -> Capacity:
    return Capacity(
        worker="dying",
        flow_ids=world.kernel.flow_ids,
        queues=("default",),
        slots=10,
        lease_duration=timedelta(seconds=30),
    )


async def test_messages_without_a_slot_come_again_at_once(clock: DriftingClock) -> None:
    """What finds no slot is not acknowledged: another host may have one."""
    transport = MemoryTransport(clock)
    async with World(memory_ports(clock=clock, transport=transport), slots=2) as world:
        await world.kernel.start_many(world.flow, [Start(input=n) for n in range(3)])
        lost = await _lose_all(world, transport, clock)
        world.worker.slots.take(2)

        assert await world.ticks.claim_delivered(lost) == 0
        assert len(await transport.dequeue(queues=["default"], limit=10, wait_s=0)) == 3


@pytest.mark.fault(8, 48)
async def test_a_sweep_finds_what_lost_its_messages(make_kernel: MakeKernel, ports: Ports) -> None:
    """A host gets runs whose announcements were lost: by polling, or by announcing them again."""
    flow = Flow("swept", version=1, input=int)

    @flow.step
    async def work(ctx: Context) -> int:
        return ctx.attempt

    kernel = make_kernel(flow)
    await kernel.register()
    run = await kernel.start(flow, 1)
    lost = await ports.transport.dequeue(queues=["default"], limit=10, wait_s=0)
    await ports.transport.complete(lost)
    async with NodeHost(kernel, sweep_interval=0.1):
        assert await run.result(timeout=TIMEOUT_S) == {"work": 1}


class CountingTransport(MemoryTransport):
    """Delivers, and counts what is announced of each run."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.announced: Counter[str] = Counter()

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Announce."""
        self.announced.update(job.run_id for job in jobs)
        await super().enqueue(jobs)


async def _wait_behind(long_s: float) -> int:
    """How often a run is announced that waits until the handler of another one gives back the only slot."""
    flow = Flow("sweeping", version=1, input=float, timeout=timedelta(hours=1))

    @flow.step
    async def work(input: float) -> None:
        await asyncio.sleep(input)

    clock = LoopClock(asyncio.get_running_loop())
    transport = CountingTransport(clock)
    async with Kernel(flows=[flow], ports=memory_ports(clock=clock, transport=transport)) as kernel:
        await kernel.register()
        async with NodeHost(kernel, concurrency=1, sweep_interval=10, heartbeats="loop"):
            await kernel.start(flow, long_s)
            await asyncio.sleep(1)
            waiting = await kernel.start(flow, 0.0)
            assert await waiting.result(timeout=2 * long_s) == {"work": None}
            assert asyncio.get_running_loop().time() == pytest.approx(long_s, abs=1)
    return transport.announced[waiting.id]


@pytest.mark.fault(52)
def test_what_waits_behind_long_handlers_is_announced_ever_more_rarely() -> None:
    """After pauses of 10, 20, 40, 80 and then 160 s: sweeps every 10 s would leave a hundred messages in vain."""
    assert 6 <= run_virtually(_wait_behind(1_000.0)) <= 12
