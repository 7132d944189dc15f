"""Leases: kept alive whatever the handler does, and given up when they are gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import MemoryPersistence, memory_ports
from fairlead.adapters.system import SystemClock
from fairlead.hosts.beside import HeartbeatsIn
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Context, Flow, Kernel, RunHandle
from fairlead.kernel.commands import ReapTasks
from fairlead.ports.clock import Clock
from fairlead.ports.errors import Unavailable
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import TaskRecord
from fairlead.ports.records import Lease, LeaseAnswer
from fairlead.ports.statuses import TaskStatus

TIMEOUT_S = 10.0

SPEED = 20
"""How much faster than the handlers the fast clock runs: a lease of ten seconds lasts half a second.

A busy machine's pauses stay below that.
"""


class MovableClock(SystemClock):
    """The system's clock, whose wall time and monotonic time can be put forward, each by itself."""

    ahead = timedelta(0)
    skipped_s = 0.0

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped_s


class FastClock(SystemClock):
    """A clock whose wall time runs `SPEED` times faster, so that leases run out soon."""

    def __init__(self) -> None:
        super().__init__()
        self._began = super().now()

    def now(self) -> datetime:
        return self._began + (super().now() - self._began) * SPEED


class FaultyPersistence(MemoryPersistence):
    """A store whose heartbeats can fail, on every handle."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.refused = 0
        self.beaten = 0

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Persistence]:
        yield self

    async def extend_leases(self, leases: Sequence[Lease], until: datetime) -> LeaseAnswer:
        if self.broken:
            self.refused += 1
            raise Unavailable("cut off")
        self.beaten += 1
        return await super().extend_leases(leases, until)


@pytest.fixture
async def store(nothing_left_open: None) -> FaultyPersistence:
    """A store whose heartbeats can be made to fail."""
    return FaultyPersistence()


def _kernel(store: Persistence, *flows: Flow[Any], clock: Clock | None = None) -> Kernel:
    return Kernel(flows=flows, ports=evolve(memory_ports(clock=clock), persistence=store))


@pytest.mark.fault(71)
@pytest.mark.parametrize(("heartbeats", "kept"), [("thread", True), ("loop", False)])
async def test_a_call_s_heartbeats_go_on_while_its_loop_is_blocked(
    store: FaultyPersistence, heartbeats: HeartbeatsIn, kept: bool
) -> None:
    """In a thread of their own they do; in the loop they cannot. None is left when the call has ended."""
    flow = Flow("blocking", version=1, input=int)

    @flow.step
    async def work() -> bool:
        held_from = store.beaten
        ends_s = time.monotonic() + (TIMEOUT_S if kept else 0.5)
        while store.beaten == held_from and time.monotonic() < ends_s:
            time.sleep(0.005)  # noqa: ASYNC251
        return store.beaten > held_from

    async with _kernel(store, flow) as kernel, ServerlessHost(kernel, lease_duration=1, heartbeats=heartbeats) as host:
        run = await kernel.start(flow, 1)
        report = await host.handle_job({"run_id": run.id})

        assert (report.completed, await run.result()) == (1, {"work": kept})
        assert not [thread for thread in threading.enumerate() if "heartbeats" in thread.name]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _until_lost(run: RunHandle) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not any(task.losses for task in (await run.details()).tasks):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _task(run: RunHandle) -> TaskRecord:
    (task,) = (await run.details()).tasks
    return task


@contextmanager
def _reaping_elsewhere(kernel: Kernel) -> Generator[None]:
    """A reaper in another thread, which goes on while this one's loop is blocked."""
    over = threading.Event()

    async def reap() -> None:
        while not over.is_set():
            await kernel.dispatch(ReapTasks())
            await asyncio.sleep(0.02)

    thread = threading.Thread(target=asyncio.run, args=[reap()])
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _long_flow(kind: str, length_s: float) -> Flow[int]:
    flow = Flow("long", version=1, input=int, max_attempts=5)

    async def wait() -> str:
        await asyncio.sleep(length_s)
        return "done"

    async def block_the_loop() -> str:
        time.sleep(length_s)  # noqa: ASYNC251
        return "done"

    def block_a_thread() -> str:
        time.sleep(length_s)
        return "done"

    handlers: dict[str, Callable[[], object]] = {"waits": wait, "blocks": block_the_loop, "thread": block_a_thread}
    flow.step(handlers[kind], slug="work")
    return flow


@pytest.mark.fault(71)
@pytest.mark.parametrize("kind", ["waits", "blocks", "thread"])
async def test_a_task_that_runs_for_ten_leases_is_never_reclaimed(store: FaultyPersistence, kind: str) -> None:
    """Also when the handler blocks the event loop: one attempt, no loss, though another host looks for expired ones."""
    flow = _long_flow(kind, 10 * 10 / SPEED)
    kernel = _kernel(store, flow, clock=FastClock())
    async with NodeHost(kernel, lease_duration=10, heartbeat_interval=0.03):
        with _reaping_elsewhere(kernel):
            run = await kernel.start(flow, 1)
            await run.result(timeout=TIMEOUT_S)

    task = await _task(run)
    assert (task.attempts, task.losses) == (1, 0)
    assert store.beaten > 10


async def test_without_heartbeats_such_a_task_is_taken_back(store: FaultyPersistence) -> None:
    """The counterpart: a handler of three leases, no heartbeat getting through, is run again."""
    store.broken = True
    flow = _long_flow("waits", 3 * 10 / SPEED)
    kernel = _kernel(store, flow, clock=FastClock())
    async with NodeHost(kernel, lease_duration=10, heartbeat_interval=0.03):
        run = await kernel.start(flow, 1)
        await _until_lost(run)

        assert (await _task(run)).losses >= 1


async def test_heartbeats_in_the_loop_keep_leases_too(store: FaultyPersistence) -> None:
    """Where threads are not allowed, a handler that waits keeps its lease."""
    flow = Flow("long", version=1, input=int)

    @flow.step
    async def work() -> int:
        await _until(lambda: store.beaten >= 5)
        return 1

    kernel = _kernel(store, flow)
    async with NodeHost(kernel, lease_duration=30, heartbeat_interval=0.01, heartbeats="loop"):
        run = await kernel.start(flow, 1)
        await run.result(timeout=TIMEOUT_S)

    task = await _task(run)
    assert (task.attempts, task.losses) == (1, 0)


@pytest.mark.fault(42)
async def test_a_lost_lease_stops_the_handler(store: FaultyPersistence) -> None:
    """The first refused heartbeat raises the flag, cancels an async handler and discards what it returns."""
    flags: list[bool] = []
    begun = asyncio.Event()
    flow = Flow("zombie", version=1, input=int)

    @flow.step
    async def work(ctx: Context) -> str:
        if ctx.attempt == 2:
            return "second"
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            flags.append(ctx.lease_lost)
            return "first"
        return "never"

    clock = MovableClock()
    kernel = _kernel(store, flow, clock=clock)
    async with NodeHost(kernel, heartbeat_interval=0.02):
        run = await kernel.start(flow, 1)
        await begun.wait()
        store.broken = True
        clock.ahead = timedelta(hours=1)
        assert await run.result(timeout=TIMEOUT_S) == {"work": "second"}
        assert not flags
        store.broken = False
        await _until(lambda: bool(flags))

    task = await _task(run)
    assert flags == [True]
    assert (task.attempts, task.losses, task.status) == (2, 1, TaskStatus.COMPLETED)
    assert await run.result() == {"work": "second"}


@pytest.mark.fault(21, 24)
async def test_heartbeats_go_on_after_an_outage(store: FaultyPersistence) -> None:
    """While the store refuses, they try on; afterwards the lease is extended and the attempt ends well."""
    begun = asyncio.Event()
    flow = Flow("outage", version=1, input=int)

    @flow.step
    async def work() -> str:
        begun.set()
        await _until(lambda: store.refused >= 3)
        store.broken = False
        before = store.beaten
        await _until(lambda: store.beaten > before)
        return "done"

    kernel = _kernel(store, flow)
    async with NodeHost(kernel, heartbeat_interval=0.02):
        run = await kernel.start(flow, 1)
        await begun.wait()
        store.broken = True
        assert await run.result(timeout=TIMEOUT_S) == {"work": "done"}

    assert (await _task(run)).attempts == 1


@pytest.mark.fault(42)
async def test_a_host_that_is_cut_off_stops_what_others_may_have_begun(store: FaultyPersistence) -> None:
    """When a lease ran out for certain and no heartbeat gets through, the handler is stopped and nothing recorded."""
    begun, stopped = asyncio.Event(), asyncio.Event()
    clock = MovableClock()
    flow = Flow("cut_off", version=1, input=int)

    @flow.step
    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    kernel = _kernel(store, flow, clock=clock)
    async with NodeHost(kernel, heartbeat_interval=0.02, lease_duration=30):
        run = await kernel.start(flow, 1)
        await begun.wait()
        store.broken = True
        await _until(lambda: store.refused >= 3)
        assert not stopped.is_set()
        clock.skipped_s = 36.0
        await asyncio.wait_for(stopped.wait(), TIMEOUT_S)
        store.broken = False

    assert (await _task(run)).status is TaskStatus.RUNNING
