"""Waiting with real hosts on PostgreSQL: checks, signals, sleeps and deadlines, in time, once, and under crossfire."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel, RunHandle, RunStatus, SignalFate, SignalNotAwaited, Suspend
from fairlead.kernel.references import INLINE_BYTES_MAX

TIMEOUT_S = 30.0

MakeKernel = Callable[..., Kernel]


@pytest.fixture
async def make_kernel(migrated_url: str) -> AsyncGenerator[MakeKernel]:
    """Kernels of processes over one database, which is sound in the end."""
    made: list[Kernel] = []

    def make(*flows: Flow[Any]) -> Kernel:
        made.append(Kernel(flows=flows, ports=postgres_ports(migrated_url, pool_size=4)))
        return made[-1]

    yield make
    broken = await made[0].ports.persistence.check_invariants()
    assert not {name: rows for name, rows in broken.items() if rows}
    for kernel in made:
        await kernel.aclose()


async def events_of(run: RunHandle, step: str) -> list[str]:
    """The events of one step."""
    return [event.type for event in (await run.details()).events if event.step == step]


@pytest.mark.fault(69)
async def test_a_suspended_step_is_checked_by_one_host_at_a_time(make_kernel: MakeKernel) -> None:
    """Five hosts, a state beyond what a row takes, a check that fails now and then: ten looks, none beside another."""
    lock = threading.Lock()
    looks = 0
    flow = Flow("compute", version=1, base_delay=0)

    @flow.step
    def work() -> int | Suspend[str]:
        return Suspend(state="x" * (INLINE_BYTES_MAX + 1), check_after=0.02, give_up_after=60)

    @flow.check(work)
    def look(state: str, ctx: Context) -> int | Suspend[str]:
        nonlocal looks
        assert lock.acquire(blocking=False), "somebody else checks it"
        try:
            looks += 1
            time.sleep(0.005)
            if ctx.attempt == 1 and len(state) % 3 == 0:
                raise ConnectionError
            ready = len(state) == INLINE_BYTES_MAX + 10
            return len(state) if ready else Suspend(state=f"{state}x", check_after=0.02)
        finally:
            lock.release()

    kernels = [make_kernel(flow) for _ in range(5)]
    hosts = [NodeHost(kernel, poll_interval=0.05) for kernel in kernels]
    async with hosts[0], hosts[1], hosts[2], hosts[3], hosts[4]:
        run = await kernels[0].start(flow, None)

        assert await run.output(work, timeout=TIMEOUT_S) == INLINE_BYTES_MAX + 10
        assert await events_of(run, "work") == [
            "step.started",
            "step.suspended",
            *["task.retrying"] * 3,
            "step.resumed",
            "step.completed",
        ]
    assert looks == 10 + 3


async def test_waits_are_looked_at_in_time(make_kernel: MakeKernel) -> None:
    """Of an idle host that polls every ten seconds: a check, a sleep and a timeout, each 300 ms away."""
    flow = Flow("punctual", version=1)
    moments: dict[str, float] = {}
    nap = flow.sleep("nap", 0.3)
    silence = flow.signal("silence", str, timeout=0.3, on_timeout="skip")

    @flow.step
    async def work() -> str | Suspend[None]:
        moments["begin"] = time.monotonic()
        return Suspend(state=None, check_after=0.3)

    @flow.check(work)
    async def look(state: None) -> str:
        moments["check"] = time.monotonic()
        return "done"

    @flow.step(after=[nap])
    async def wake() -> None:
        moments["wake"] = time.monotonic()

    @flow.step(after=[silence])
    async def go_on() -> None:
        moments["go on"] = time.monotonic()

    kernel = make_kernel(flow)
    async with NodeHost(kernel, poll_interval=10):
        run = await kernel.start(flow, None)
        await run.result(timeout=TIMEOUT_S)
    late_s = {what: moment - moments["begin"] - 0.3 for what, moment in moments.items() if what != "begin"}

    assert late_s.keys() == {"check", "wake", "go on"}
    assert late_s["check"] >= 0
    assert max(late_s.values()) < 3


@pytest.mark.fault(63)
async def test_signal_and_timeout_at_the_same_moment(make_kernel: MakeKernel) -> None:
    """Whoever wins, both sides know: the sender is told and its answer counts, or is refused and the time was over."""
    flow = Flow("close_call", version=1)
    answer = flow.signal("answer", int, timeout=0.25, on_timeout="skip")

    @flow.step
    async def close(answer: int | None) -> int:
        return -1 if answer is None else answer

    async def send(run: RunHandle, number: int) -> bool:
        await asyncio.sleep(0.2 + 0.005 * number)
        try:
            sent = await run.signal(answer, number)
        except SignalNotAwaited:
            return False
        return sent.fate in SignalFate

    kernel, outside = make_kernel(flow), make_kernel(flow)
    async with NodeHost(kernel, poll_interval=0.02), NodeHost(make_kernel(flow), poll_interval=0.02):
        runs = [await kernel.start(flow, None) for _ in range(20)]
        told = await asyncio.gather(*(send(outside.run(run.id), number) for number, run in enumerate(runs)))
        results = [await run.output(close, timeout=TIMEOUT_S) for run in runs]

    assert results == [number if told[number] else -1 for number in range(len(runs))]


async def test_sleeps_fire_once_with_five_hosts(make_kernel: MakeKernel) -> None:
    """Two hundred sleeps that end at about the same time; none of them holds a slot."""
    woken: list[str] = []
    flow = Flow("shared", version=1)
    nap = flow.sleep("nap", 0.5)

    @flow.step(after=[nap])
    async def wake(ctx: Context) -> None:
        woken.append(ctx.run_id)

    kernels = [make_kernel(flow) for _ in range(5)]
    hosts = [NodeHost(kernel, concurrency=2, poll_interval=0.05) for kernel in kernels]
    async with hosts[0], hosts[1], hosts[2], hosts[3], hosts[4]:
        runs = [await kernels[0].start(flow, None) for _ in range(200)]
        for run in runs:
            await run.result(timeout=TIMEOUT_S)

    assert sorted(woken) == sorted(run.id for run in runs)


async def test_a_run_past_its_deadline_fails(make_kernel: MakeKernel) -> None:
    """In time, with what it waits for and what it does; a token for it is of no use any more."""
    stopped = threading.Event()
    flow = Flow("hurried", version=1, run_timeout=0.4)
    approval = flow.signal("approval", str, timeout=timedelta(days=3))

    @flow.step
    def work(ctx: Context) -> None:
        while not ctx.cancelled:
            time.sleep(0.01)
        stopped.set()

    kernel = make_kernel(flow)
    async with NodeHost(kernel, poll_interval=10, heartbeat_interval=0.05):
        run = await kernel.start(flow, None)
        token = await run.resume_token(approval)
        record = await run.wait(timeout=TIMEOUT_S)

        assert (record.status, record.reason) == (RunStatus.FAILED, "timed_out")
        assert record.started_at is not None
        assert record.ended_at is not None
        assert timedelta(seconds=0.4) <= record.ended_at - record.started_at < timedelta(seconds=5)
        with pytest.raises(SignalNotAwaited):
            await kernel.resume(token, "yes")
        await asyncio.to_thread(stopped.wait, TIMEOUT_S)

    assert stopped.is_set()
