"""Hosts say that they are there: when they start, twice a minute, and when they end; and nothing depends on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock, memory_ports
from fairlead.hosts.announcing import RETRY_S, Announcer
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.hosts.simulation.clocks import MachineClock
from fairlead.hosts.virtual import VirtualLoop
from fairlead.kernel import Flow, Kernel, RunStatus, Worker, WorkerState
from fairlead.kernel.commands import AnnounceWorker
from fairlead.kernel.workers import as_worker
from fairlead.ports.errors import Unavailable
from fairlead.ports.workers import HostKind, ServedFlow, WorkerRecord
from tests.support.waiting import until

from .conftest import MakeKernel


def _echo(version: int = 1) -> Flow[int]:
    flow = Flow("echo", version=version, input=int)

    @flow.step
    async def same(input: int) -> int:
        return input

    return flow


def _announcer(kernel: Kernel) -> Announcer:
    return Announcer(kernel, worker="one", kind=HostKind.NODE, queues=("default",), slots=3)


def _announcements(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[AnnounceWorker]:
    """Every announcement that a kernel is asked to make from now on."""
    made: list[AnnounceWorker] = []
    dispatch = kernel.dispatch

    async def noting(command: Any) -> Any:
        if isinstance(command, AnnounceWorker):
            made.append(command)
        return await dispatch(command)

    monkeypatch.setattr(kernel, "dispatch", noting)
    return made


async def _states(kernel: Kernel) -> Sequence[tuple[str, WorkerState]]:
    return [(worker.record.worker, worker.state) for worker in await kernel.workers()]


async def test_a_host_is_listed_while_it_runs_and_when_it_has_ended(make_kernel: MakeKernel) -> None:
    """With what it serves and where it is."""
    kernel = make_kernel(_echo(1), _echo(2))
    async with NodeHost(kernel, worker="one", concurrency=7):
        (running,) = await _listed(kernel)
    (ended,) = await kernel.workers()

    assert running.state is WorkerState.RUNNING
    assert (running.record.kind, running.record.slots, running.record.pid) == (HostKind.NODE, 7, os.getpid())
    assert running.record.flows == (ServedFlow("echo", "1"), ServedFlow("echo", "2"))
    assert running.record.queues == ("default",)
    assert running.serves("echo", "2")
    assert not running.serves("echo", "3")
    assert ended.state is WorkerState.ENDED
    assert ended.record.started_at == running.record.started_at


async def _listed(kernel: Kernel) -> Sequence[Worker]:
    """The workers, as soon as there are any."""
    async with asyncio.timeout(10):
        while not (found := await kernel.workers()):  # noqa: ASYNC110 - a host's first turns of the loop
            await asyncio.sleep(0)
    return found


async def test_a_host_that_is_not_heard_of_is_silent() -> None:
    """Three missed announcements are needed, and the next one makes it a running one again."""
    clock = ManualClock()
    async with Kernel(flows=[], ports=memory_ports(clock=clock)) as kernel:
        announcer = _announcer(kernel)
        await announcer.announce()
        clock.advance(90)
        before = await _states(kernel)
        clock.advance(1)
        after = await _states(kernel)
        await announcer.announce()
        again = await _states(kernel)

    assert [before, after, again] == [
        [("one", WorkerState.RUNNING)],
        [("one", WorkerState.SILENT)],
        [("one", WorkerState.RUNNING)],
    ]


async def test_announcements_are_due_twice_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that failed is made again sooner; a host that was never announced takes no leave."""
    clock = ManualClock()
    async with Kernel(flows=[], ports=memory_ports(clock=clock)) as kernel:
        announcer = _announcer(kernel)
        await announcer.say_goodbye()
        first = announcer.due_in_s
        await announcer.announce()
        next_one = announcer.due_in_s

        async def refuse(command: Any) -> None:
            raise Unavailable("gone")

        with monkeypatch.context() as patched:
            patched.setattr(kernel, "dispatch", refuse)
            with pytest.raises(Unavailable):
                await announcer.announce()
        states = await _states(kernel)

        assert (first, next_one, announcer.due_in_s) == (0.0, 30.0, RETRY_S)
        assert states == [("one", WorkerState.RUNNING)]


async def test_workers_are_forgotten_after_a_week() -> None:
    """By the announcement of another."""
    clock = ManualClock()
    async with Kernel(flows=[], ports=memory_ports(clock=clock)) as kernel:
        await _announcer(kernel).announce()
        clock.advance(7 * 24 * 3600)
        other = Announcer(kernel, worker="two", kind=HostKind.NODE, queues=(), slots=1)
        await other.announce()
        in_a_week = await _states(kernel)
        clock.advance(1)
        await other.announce()

        assert in_a_week == [("one", WorkerState.SILENT), ("two", WorkerState.RUNNING)]
        assert await _states(kernel) == [("two", WorkerState.RUNNING)]


async def test_a_host_works_although_its_announcements_fail(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing depends on them; it is told in the log."""
    kernel = make_kernel(_echo())

    async def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("no such table")

    monkeypatch.setattr(kernel.ports.persistence, "announce_worker", refuse)
    async with NodeHost(kernel):
        run = await kernel.start("echo", 7)

        assert await run.result(timeout=10) == {"same": 7}
        await until(lambda: "announce failed" in caplog.text)


async def test_a_serverless_host_is_one_worker(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls it takes; the leases of its calls are known as its own."""
    kernel = make_kernel(_echo())
    announcements = _announcements(kernel, monkeypatch)
    async with ServerlessHost(kernel, worker="function") as host:
        for number in range(5):
            await kernel.start("echo", number)
            await host.process_available_jobs(1)
        (running,) = await kernel.workers()
        told = len(announcements)
    (ended,) = await kernel.workers()

    assert told == 1
    assert (running.record.worker, running.record.kind) == ("function", HostKind.SERVERLESS)
    assert running.holds("function-17")
    assert not running.holds("function")
    assert not running.holds("function-a")
    assert (running.state, ended.state) == (WorkerState.RUNNING, WorkerState.ENDED)


async def test_a_maintenance_tick_announces_nothing(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs no tasks, so it serves no flow."""
    kernel = make_kernel(_echo())
    announcements = _announcements(kernel, monkeypatch)
    async with ServerlessHost(kernel) as host:
        await host.run_maintenance_tick()

    assert announcements == []


def test_a_node_s_leases_are_its_own() -> None:
    """Its worker id as it is, and no other that begins like it."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    record = WorkerRecord(
        worker="one",
        kind=HostKind.NODE,
        host="here",
        pid=1,
        flows=(),
        queues=(),
        slots=1,
        started_at=now,
        seen_at=now,
    )
    node = as_worker(record, now)

    assert node.holds("one")
    assert not node.holds("one-1")


@pytest.mark.fault(43)
async def test_nobody_looks_at_a_clock_before_it_is_measured() -> None:
    """One that is ahead would stay so: a function that was just made is good for leases at its first call."""
    right = ManualClock()

    async def ask() -> datetime:
        return right.now()

    clock = MachineClock(VirtualLoop(), ask, start=right.now() + timedelta(hours=1))
    flow = _echo()
    kernel = Kernel(flows=[flow], ports=evolve(memory_ports(), clock=clock))
    async with ServerlessHost(kernel) as host:
        run = await kernel.start(flow, 5)
        await host.process_available_jobs(1)

        assert (await run.read()).status is RunStatus.COMPLETED
    assert abs(clock.now() - right.now()) < timedelta(seconds=1)
