"""Cancel in hosts: running handlers learn of it at the next heartbeat, whatever they return is discarded."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import MemoryPersistence, memory_ports
from fairlead.hosts.beside import HeartbeatsIn
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Context, Flow, GiveUp, Kernel, RunHandle, RunStatus
from fairlead.ports.reading import OutputRequest, Payloads
from fairlead.ports.records import TaskKey
from tests.support.hands import Hands
from tests.support.waiting import until

from .conftest import MakeKernel

TIMEOUT_S = 10.0
BEAT_S = 0.02
"""Between two heartbeats."""


class Handler:
    """What a handler shows the test of itself, and what it waits for. Works across threads."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.seen: list[tuple[bool, bool]] = []
        """`ctx.cancelled` and `ctx.lease_lost` as the handler saw them when it was stopped."""

    def see(self, ctx: Context) -> None:
        """Note the flags."""
        self.seen.append((ctx.cancelled, ctx.lease_lost))


def flow_of(handler: Handler, *, threaded: bool = False, stubborn: bool = False) -> Flow[Any]:
    """A flow whose only step runs until it is cancelled; with an input of 0 it returns at once.

    A stubborn handler sees the cancel and goes on until it is told to.
    """
    flow = Flow("cancelled", version=1, input=int)

    def in_thread(input: int, ctx: Context) -> str:
        if not input:
            return "done"
        handler.begun.set()
        while not ctx.cancelled:
            assert not ctx.lease_lost
        handler.see(ctx)
        if stubborn:
            assert handler.go_on.wait(TIMEOUT_S)
        return "discarded"

    async def in_loop(input: int, ctx: Context) -> str:
        if not input:
            return "done"
        handler.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            handler.see(ctx)
            if stubborn:
                await until(handler.go_on.is_set)
        return "discarded"

    flow.step(in_thread if threaded else in_loop, slug="work")
    return flow


async def statuses(run: RunHandle) -> set[tuple[str, str]]:
    """Each task's step and status."""
    return {(task.key.step, task.status) for task in (await run.details()).tasks}


@pytest.mark.parametrize("heartbeats", ["thread", "loop"])
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_a_running_handler_is_stopped(
    make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture, threaded: bool, heartbeats: HeartbeatsIn
) -> None:
    """Behaviour 58: it sees `ctx.cancelled`, what it returns is discarded, and its slot is another's."""
    handler = Handler()
    flow = flow_of(handler, threaded=threaded)
    kernel = make_kernel(flow)
    with caplog.at_level(logging.INFO, "fairlead"):
        async with NodeHost(kernel, concurrency=1, heartbeat_interval=BEAT_S, heartbeats=heartbeats):
            run = await kernel.start(flow, 1)
            await until(handler.begun.is_set)
            before = (await run.details()).tasks

            assert (await run.cancel(reason="enough")).took_effect
            other = await kernel.start(flow, 0)
            assert await other.result(timeout=TIMEOUT_S) == {"work": "done"}

    details = await run.details()
    assert handler.seen == [(True, False)]
    assert details.run.status is RunStatus.CANCELLED
    assert [(task.status, task.token, task.has_output) for task in details.tasks] == [
        ("cancelled", before[0].token, False)
    ]
    assert list(details.attempts) == []
    assert any("was stopped: it was cancelled" in message for message in caplog.messages)
    assert not any("lease is lost" in message for message in caplog.messages)


@pytest.mark.fault(73)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_a_handler_that_goes_on_gives_its_slot_up(
    make_kernel: MakeKernel, caplog: pytest.LogCaptureFixture, threaded: bool
) -> None:
    """FAULTS 73: after its grace another run is executed beside it; what it returns in the end is discarded."""
    handler = Handler()
    flow = flow_of(handler, threaded=threaded, stubborn=True)
    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=1, heartbeat_interval=BEAT_S, cancel_grace=0.05):
        run = await kernel.start(flow, 1)
        await until(handler.begun.is_set)
        await run.cancel()
        other = await kernel.start(flow, 0)
        assert await other.result(timeout=TIMEOUT_S) == {"work": "done"}
        handler.go_on.set()

    assert await statuses(run) == {("work", "cancelled")}
    assert any("was cancelled and does not end" in message for message in caplog.messages)


@pytest.mark.fault(62)
async def test_a_result_that_comes_before_the_heartbeat_is_discarded(make_kernel: MakeKernel) -> None:
    """Behaviour 59: the handler knew of nothing; the store does, and the host goes on."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    flow = Flow("quick", version=1, input=bool)

    @flow.step
    async def work(input: bool) -> str:
        if input:
            begun.set()
            await go_on.wait()
        return "done"

    @flow.step
    async def after(work: str) -> str:
        return work

    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=1, lease_duration=3600):
        run = await kernel.start(flow, True)
        await begun.wait()
        await run.cancel()
        go_on.set()
        assert await (await kernel.start(flow, False)).result(timeout=TIMEOUT_S) == {"after": "done"}

    assert await statuses(run) == {("work", "cancelled")}


@pytest.mark.fault(68)
async def test_siblings_of_a_failure_are_stopped(make_kernel: MakeKernel) -> None:
    """A step that fails ends its run; what runs beside it learns so as of a cancel."""
    begun, flags = asyncio.Event(), list[tuple[bool, bool]]()
    flow = Flow("siblings", version=1, input=int)

    @flow.step
    async def long(ctx: Context) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            flags.append((ctx.cancelled, ctx.lease_lost))

    @flow.step
    async def fails() -> None:
        await begun.wait()
        raise GiveUp("never")

    kernel = make_kernel(flow)
    async with NodeHost(kernel, heartbeat_interval=BEAT_S):
        run = await kernel.start(flow, 1)
        assert (await run.wait(timeout=TIMEOUT_S)).status is RunStatus.FAILED
        await until(lambda: flags)

    assert flags == [(True, False)]
    assert await statuses(run) == {("long", "cancelled"), ("fails", "failed")}


class SlowPersistence(MemoryPersistence):
    """A store whose payloads can be made to take their time, on every handle."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def read_payloads(
        self, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey] = ()
    ) -> Payloads:
        self.asked.set()
        await self.answers.wait()
        return await super().read_payloads(runs, outputs, states)


async def test_an_attempt_that_has_not_begun_is_dropped(nothing_left_open: None) -> None:
    """Its input was still being read: the handler is never called, and the slot is free."""
    handler = Handler()
    flow = flow_of(handler)
    store = SlowPersistence()
    kernel = Kernel(flows=[flow], ports=evolve(memory_ports(), persistence=store))
    run = await kernel.start(flow, 1)
    await Hands(kernel, "another").claim_runs()
    async with NodeHost(kernel, concurrency=1, heartbeat_interval=BEAT_S):
        await asyncio.wait_for(store.asked.wait(), TIMEOUT_S)
        await run.cancel()
        assert await (await kernel.start(flow, 0)).wait(timeout=TIMEOUT_S)
        store.answers.set()

    assert not handler.begun.is_set()
    assert await statuses(run) == {("work", "cancelled")}
    await kernel.aclose()


async def test_a_call_ends_when_its_run_is_cancelled(make_kernel: MakeKernel) -> None:
    """A serverless host does not wait for a result that nobody wants."""
    handler = Handler()
    flow = flow_of(handler)
    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    async with ServerlessHost(kernel, lease_duration=0.1) as host:
        call = asyncio.create_task(host.process_available_jobs(10))
        await until(handler.begun.is_set)
        await run.cancel()
        await asyncio.wait_for(call, TIMEOUT_S)

    assert handler.seen == [(True, False)]
    assert await statuses(run) == {("work", "cancelled")}
