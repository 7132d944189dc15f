"""The loops of a host: nothing that goes wrong in one ends it, and what ends one is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest

from fairlead.adapters.memory import MemoryTransport, memory_ports
from fairlead.adapters.system import SystemClock
from fairlead.hosts.backoff import Backoff
from fairlead.hosts.heartbeats import Heartbeats
from fairlead.hosts.node import NodeHost, loops
from fairlead.hosts.node.loops import Occasion, keep_going, kept_up
from fairlead.hosts.node.running import Running
from fairlead.hosts.settling import Settler
from fairlead.kernel import Flow, Kernel, RunStatus
from tests.support.waiting import until

from .conftest import MakeKernel

TIMEOUT_S = 10.0


class Panic(BaseException):
    """What nobody expects."""


def _backoff() -> Backoff:
    return Backoff(Random(1), first_s=0.001)


@pytest.mark.fault(76)
@pytest.mark.parametrize("error", [Panic(), asyncio.CancelledError(), SystemExit(), ValueError()])
async def test_a_step_that_fails_is_repeated(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises, a cancellation that nobody asked for included; it is said once."""
    occasion = Occasion()
    errors = [error, error]

    async def step() -> None:
        if errors:
            raise errors.pop()
        occasion.stop()

    async with asyncio.timeout(TIMEOUT_S):
        await keep_going(step, occasion, _backoff())

    assert not errors
    assert caplog.text.count("goes on trying") == 1


async def test_a_loop_ends_when_it_is_cancelled() -> None:
    """Neither the repetition of steps nor that of loops swallows the host's own cancellation."""
    occasion, began = Occasion(), asyncio.Event()

    async def step() -> None:
        began.set()
        await asyncio.Event().wait()

    async def steps() -> None:
        await keep_going(step, occasion, _backoff())

    task = asyncio.create_task(kept_up(steps, lambda: occasion.stopped, _backoff()))
    await began.wait()
    task.cancel()
    await asyncio.wait([task], timeout=TIMEOUT_S)

    assert task.cancelled()


@pytest.mark.parametrize("error", [Panic(), asyncio.CancelledError(), None])
async def test_a_loop_that_ends_too_early_is_begun_again(
    error: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, with what it raised, each time."""
    begun = 0

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 3 and error is not None:
            raise error

    async with asyncio.timeout(TIMEOUT_S):
        await kept_up(loop, lambda: begun == 3, _backoff())

    assert begun == 3
    records = [record for record in caplog.records if "begun again" in record.message]
    assert [record.exc_info and record.exc_info[1] for record in records] == [error, error]


@pytest.mark.fault(76)
async def test_a_host_whose_loops_die_goes_on(make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settler's loops and the heartbeats end once each, the ones in the host's, the other in its thread."""
    settle, settle_second, beat = Settler.run, Settler.run_second, Heartbeats.run
    died: list[str] = []

    async def run_settler(self: Settler) -> None:
        if "settler" not in died:
            died.append("settler")
            raise Panic
        await settle(self)

    async def run_second(self: Settler) -> None:
        if "second" not in died:
            died.append("second")
            raise Panic
        died.append("second lives")
        await settle_second(self)

    async def run_heartbeats(self: Heartbeats, stop: asyncio.Event) -> None:
        if "heartbeats" not in died:
            died.append("heartbeats")
            raise Panic
        died.append("heartbeats live")
        await beat(self, stop)

    monkeypatch.setattr(Settler, "run", run_settler)
    monkeypatch.setattr(Settler, "run_second", run_second)
    monkeypatch.setattr(Heartbeats, "run", run_heartbeats)
    flow = Flow("plain", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        assert await (await kernel.start(flow, 1)).result(timeout=TIMEOUT_S) == {"work": 1}
        await until(lambda: {"heartbeats live", "second lives"} <= set(died))

    assert {"settler", "second", "heartbeats"} <= set(died)


class Doubtful(SystemClock):
    """The system's clock, which is not sure of the time until it is; it knows how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.sure = False
        self.asked = 0

    @property
    def uncertainty_s(self) -> float:
        self.asked += 1
        return 0.0 if self.sure else 3600.0


@pytest.mark.fault(43)
@pytest.mark.parametrize("delivers", [False, True], ids=["polls", "takes-messages"])
async def test_a_host_that_does_not_trust_its_clock_claims_nothing(
    nothing_left_open: None, monkeypatch: pytest.MonkeyPatch, delivers: bool
) -> None:
    """However much there is to do; it looks again and again, and claims as soon as it may."""
    monkeypatch.setattr(loops, "CLOCK_PAUSE_S", 0.01)
    clock = Doubtful()
    flow = Flow("plain", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    ports = memory_ports(clock=clock, transport=MemoryTransport(clock) if delivers else None)
    async with Kernel(flows=[flow], ports=ports) as kernel, NodeHost(kernel):
        run = await kernel.start(flow, 1)
        asked = clock.asked
        await until(lambda: clock.asked > asked + 5)
        assert await run.status() is RunStatus.PENDING
        clock.sure = True

        assert await run.result(timeout=TIMEOUT_S) == {"work": 1}


async def test_a_host_starts_and_stops_one_at_a_time(make_kernel: MakeKernel) -> None:
    """Of two starts at once one is refused; a stop during a start stops what it started."""
    flow = Flow("plain", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    kernel = make_kernel(flow)
    host = NodeHost(kernel)
    answers = await asyncio.gather(host.start(), host.start(), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), RuntimeError]
    await host.stop()
    await asyncio.gather(host.start(), host.stop())

    assert not host.running


async def test_resources_are_closed_where_the_start_fails_last(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where there is no thread for heartbeats; the next start opens them again."""
    opened = closed = 0

    @asynccontextmanager
    async def resources() -> AsyncGenerator[dict[str, object]]:
        nonlocal opened, closed
        opened += 1
        try:
            yield {}
        finally:
            closed += 1

    def refuse(self: Running) -> None:
        raise RuntimeError("can't start new thread")

    flow = Flow("plain", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    host = NodeHost(make_kernel(flow), resources=resources)
    with monkeypatch.context() as patched:
        patched.setattr(Running, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            await host.start()
    assert (opened, closed, host.running) == (1, 1, False)
    async with host:
        pass

    assert (opened, closed) == (2, 2)
