"""What waits without a handler in real hosts: signals, sleeps, deadlines, and who asks the store for them when."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest

from fairlead.adapters.memory import ManualClock, MemoryPersistence, memory_ports
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import (
    Context,
    Flow,
    Kernel,
    NotASignal,
    ResumeTokenUnknown,
    RunStatus,
    SignalConflict,
    SignalFate,
    SignalNotAwaited,
)
from fairlead.ports import Ports
from fairlead.ports.reading import Due
from tests.support.waiting import until

from .conftest import MakeKernel
from .test_suspending import failure_of, statuses, until_suspended

TIMEOUT_S = 30.0

SOON_S = 3.0
"""What happens within this was not waited for by looking again and again, which a long idle host does every five
seconds; a loaded machine may take as long."""

PAUSE_S = 0.05
"""Between two looks of a host at the store."""

TIMER_EARLY_S = 0.005
"""By how much an event loop may be early."""


@attrs.frozen
class Approval:
    """A manager's answer."""

    approved: bool
    by: str


def approval_flow(*, version: int = 1, **options: Any) -> Flow[Any]:
    """A step between two others waits for an approval."""
    flow = Flow("order", version=version, input=int, input_name="total")

    @flow.step
    async def assess(total: int) -> str:
        return "high" if total > 100 else "low"

    approval = flow.signal("approval", Approval, after=[assess], **options)

    @flow.step(after=[approval])
    async def charge(total: int, approval: Approval | None) -> str:
        return "no answer" if approval is None else f"{total} by {approval.by}: {approval.approved}"

    return flow


@pytest.mark.usefixtures("long_idle")
async def test_a_signal_lets_its_run_go_on_at_once(make_kernel: MakeKernel) -> None:
    """On a host that would look only every ten seconds; its payload is the step's output, typed."""
    flow = approval_flow()
    async with NodeHost(make_kernel(flow), poll_interval=10) as host:
        run = await host.kernel.start(flow, 200)
        await until_suspended(run, "approval")
        began = time.monotonic()
        sent = await run.signal("approval", Approval(approved=True, by="Ada"))

        assert await run.result(timeout=TIMEOUT_S) == {"charge": "200 by Ada: True"}
        assert time.monotonic() - began < SOON_S
        assert (sent.fate, sent.repeated) == (SignalFate.DELIVERED, False)
        assert await run.output("approval") == Approval(approved=True, by="Ada")


async def test_a_signal_that_comes_early_is_kept(make_kernel: MakeKernel) -> None:
    """Before a host has claimed the run: its step takes it, and never waits. Sent again, it is recognised."""
    flow = approval_flow()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, 200)
    sent = await run.signal("approval", {"approved": False, "by": "Ada"}, key="mail-7")
    again = await run.signal("approval", {"approved": False, "by": "Ada"}, key="mail-7")
    with pytest.raises(SignalConflict):
        await run.signal("approval", {"approved": True, "by": "Ada"}, key="mail-7")
    async with NodeHost(kernel):
        assert await run.result(timeout=TIMEOUT_S) == {"charge": "200 by Ada: False"}

    assert (sent.fate, sent.repeated, again.repeated) == (SignalFate.KEPT, False, True)
    events = [event.type for event in (await run.details()).events if event.step == "approval"]
    assert events == ["step.started", "step.completed"]
    with pytest.raises(SignalNotAwaited):
        await run.signal("approval", {"approved": True, "by": "Bob"}, key="mail-8")
    with pytest.raises(NotASignal):
        await run.signal("charge", "x")


@pytest.mark.usefixtures("long_idle")
async def test_a_signal_that_does_not_come(make_kernel: MakeKernel) -> None:
    """In time, on a host that would look only every ten seconds: its step fails, or is skipped."""
    failing, skipping = approval_flow(timeout=0.2), approval_flow(version=2, timeout=0.2, on_timeout="skip")
    kernel = make_kernel(failing, skipping)
    began = time.monotonic()
    async with NodeHost(kernel, poll_interval=10):
        failed, skipped = await kernel.start(failing, 200), await kernel.start(skipping, 200)

        assert (await failure_of(failed)).startswith("timed_out: ")
        assert await skipped.result(timeout=TIMEOUT_S) == {"charge": "no answer"}
        for run in (failed, skipped):
            with pytest.raises(SignalNotAwaited):
                await run.signal("approval", Approval(approved=True, by="late"))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_resume_token(make_kernel: MakeKernel, threaded: bool) -> None:
    """A handler hands it out; whoever has it answers without knowing any id, once."""
    mailed: list[str] = []
    flow = Flow("mailed", version=1)
    approval = flow.signal("approval", str)

    def ask(ctx: Context) -> str:
        mailed.append(ctx.wait_for(ctx.resume_token(approval, expires_in=60)))
        return mailed[0][:0]

    async def ask_async(ctx: Context) -> str:
        mailed.append(await ctx.resume_token("approval"))
        return ""

    flow.step(ask if threaded else ask_async, slug="ask")

    @flow.step(after=["ask"])
    async def close(approval: str) -> str:
        return approval.upper()

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)
        await run.output("ask", timeout=TIMEOUT_S)
        outside = make_kernel(flow)
        with pytest.raises(ResumeTokenUnknown):
            await outside.resume(f"{mailed[0]}x", "yes")
        await outside.resume(mailed[0], "yes")

        assert await run.output(close, timeout=TIMEOUT_S) == "YES"
        assert (await outside.resume(mailed[0], "yes")).repeated
        with pytest.raises(SignalConflict):
            await outside.resume(mailed[0], "no")


async def test_a_token_for_no_signal_is_refused(make_kernel: MakeKernel) -> None:
    """The handler is told which steps take signals."""
    flow = Flow("misled", version=1, max_attempts=1)
    flow.signal("approval", str)

    @flow.step
    async def ask(ctx: Context) -> str:
        return await ctx.resume_token("ask")

    async with NodeHost(make_kernel(flow)) as host:
        assert "approval" in await failure_of(await host.kernel.start(flow, None))


@pytest.mark.usefixtures("long_idle")
@pytest.mark.parametrize("seconds", [0.3, 0.05])
async def test_a_sleep_ends_in_time(make_kernel: MakeKernel, seconds: float) -> None:
    """On a host that would look only every ten seconds: not before its time, and soon after it."""
    flow = Flow("nap", version=1)
    nap = flow.sleep("nap", timedelta(seconds=seconds))

    @flow.step(after=[nap])
    async def wake() -> float:
        return time.monotonic()

    async with NodeHost(make_kernel(flow), poll_interval=10) as host:
        began = time.monotonic()
        run = await host.kernel.start(flow, None)
        woken = await run.output(wake, timeout=TIMEOUT_S)

    assert woken is not None
    assert seconds <= woken - began < seconds + SOON_S


async def test_a_sleep_until_a_time_in_the_data(make_kernel: MakeKernel) -> None:
    """It ends then; a time that has passed is no reason to wait."""
    flow = Flow("send", version=1, input=datetime, input_name="at")
    due = flow.sleep("due", until="at")

    @flow.step(after=[due])
    async def send() -> float:
        return time.time()

    async with NodeHost(make_kernel(flow), poll_interval=10) as host:
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        later, past = await host.kernel.start(flow, soon), await host.kernel.start(flow, soon - timedelta(days=1))
        sent = await later.output(send, timeout=TIMEOUT_S)

        assert sent is not None
        assert 0 <= sent - soon.timestamp() < 1
        assert await past.output(send) is not None
        events = [event.type for event in (await past.details()).events if event.step == "due"]
        assert "step.suspended" not in events


async def test_a_long_sleep_fires_once_with_five_hosts(make_kernel: MakeKernel) -> None:
    """It holds no slot of them, and what follows runs once."""
    woken = 0
    flow = Flow("shared", version=1)
    nap = flow.sleep("nap", 0.3)

    @flow.step(after=[nap])
    async def wake() -> None:
        nonlocal woken
        woken += 1

    hosts = [NodeHost(make_kernel(flow), concurrency=1, poll_interval=0.02) for _ in range(5)]
    async with hosts[0], hosts[1], hosts[2], hosts[3], hosts[4]:
        runs = [await hosts[0].kernel.start(flow, None) for _ in range(20)]
        for run in runs:
            await run.result(timeout=TIMEOUT_S)

    assert woken == len(runs)


@pytest.mark.usefixtures("long_idle")
async def test_a_run_that_takes_too_long_fails(make_kernel: MakeKernel) -> None:
    """Whatever it waits for or does: its handlers are told at the next heartbeat, and what they return is discarded."""
    stopped = asyncio.Event()
    flow = Flow("hurried", version=1, run_timeout=0.2)
    flow.signal("approval", str)

    @flow.step
    async def work(ctx: Context) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            assert ctx.cancelled
            stopped.set()

    async with NodeHost(make_kernel(flow), poll_interval=10, heartbeat_interval=0.02) as host:
        run = await host.kernel.start(flow, None)
        record = await run.wait(timeout=TIMEOUT_S)
        await asyncio.wait_for(stopped.wait(), TIMEOUT_S)

    assert (record.status, record.reason) == (RunStatus.FAILED, "timed_out")
    assert await statuses(run) == {"approval": "cancelled", "work": "cancelled"}


@pytest.mark.usefixtures("nothing_left_open")
async def test_functions_look_at_waits_with_maintenance() -> None:
    """A sleep ends, and a deadline passes, in the tick that finds it; nothing in a call waits for it."""
    clock = ManualClock()
    flow = Flow("called", version=1, run_timeout=180)
    nap = flow.sleep("nap", 60)
    flow.sleep("night", 3600, after=[nap])
    kernel = Kernel(flows=[flow], ports=memory_ports(clock=clock))
    run = await kernel.start(flow, None)
    async with ServerlessHost(kernel) as host:
        await host.process_available_jobs(10)
        clock.advance(timedelta(seconds=61))
        first = (await host.run_maintenance_tick()).counts
        clock.advance(timedelta(seconds=120))
        second = (await host.run_maintenance_tick()).counts

    assert (first["wake"], first["expire"], second["wake"], second["expire"]) == (1, 0, 0, 1)
    assert (await run.read()).reason == "timed_out"


async def test_an_idle_host_asks_no_more_because_of_waits(make_kernel: MakeKernel, ports: Ports) -> None:
    """A hundred runs that wait for long cost nothing but the one question that an empty store costs, too."""
    flow = Flow("patient", version=1, input=int)
    flow.signal("approval", str, timeout=timedelta(days=3))
    flow.sleep("night", timedelta(days=30))
    kernel = make_kernel(flow)
    persistence = ports.persistence
    assert isinstance(persistence, MemoryPersistence)
    asked: list[Due] = []
    asked_at_s: list[float] = []
    writes = 0
    due, transaction = persistence.due, persistence.transaction

    async def counted(**given: Any) -> Due:
        asked_at_s.append(time.monotonic())
        asked.append(await due(**given))
        return asked[-1]

    def counted_transaction() -> Any:
        nonlocal writes
        writes += 1
        return transaction()

    persistence.due = counted  # type: ignore[method-assign]
    persistence.transaction = counted_transaction  # type: ignore[method-assign]

    async def shortest_pause_s() -> float:
        """Between two of the questions that a host asks once it is idle, which writes nothing."""
        nonlocal writes
        asked_at_s.clear()
        async with NodeHost(kernel, poll_interval=PAUSE_S):
            await until(lambda: len(asked_at_s) >= 3)
            writes = 0
            await until(lambda: len(asked_at_s) >= 13)
            assert writes == 0
        return min(later - earlier for earlier, later in pairwise(asked_at_s[2:]))

    assert await shortest_pause_s() >= PAUSE_S - TIMER_EARLY_S
    runs = [await kernel.start(flow, number) for number in range(100)]
    async with NodeHost(kernel):
        for run in runs:
            await until_suspended(run, "night")

    assert await shortest_pause_s() >= PAUSE_S - TIMER_EARLY_S
    assert asked[-1].next_at is not None
    assert not asked[-1].waits
