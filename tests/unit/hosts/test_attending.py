"""What handlers may ask of their host: resume tokens, and waiting in a thread for what is asynchronous."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow

from .conftest import MakeKernel
from .test_suspending import failure_of

TIMEOUT_S = 10.0


async def test_a_thread_waits_for_the_loop_of_its_host(make_kernel: MakeKernel) -> None:
    """What it waits for runs in the host's loop; result and error come back, whatever they are."""
    here = threading.current_thread()
    flow = Flow("awaited", version=1)

    async def double(number: int) -> tuple[bool, int]:
        await asyncio.sleep(0)
        return threading.current_thread() is here, 2 * number

    async def fail(error: BaseException) -> None:
        raise error

    @flow.step
    def work(ctx: Context) -> list[Any]:
        found: list[Any] = [*ctx.wait_for(double(4)), threading.current_thread() is here]
        for error in (ValueError("no"), asyncio.CancelledError(), SystemExit(1)):
            try:
                ctx.wait_for(fail(error))
            except BaseException as raised:
                found.append(raised is error)
        return found

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)

        assert await run.output(work, timeout=TIMEOUT_S) == [True, 8, False, True, True, True]


async def test_an_async_handler_is_told_to_await(make_kernel: MakeKernel) -> None:
    """It would wait for itself; what it was to wait for is not left behind."""
    flow = Flow("misled", version=1, max_attempts=1)

    @flow.step
    async def work(ctx: Context) -> None:
        ctx.wait_for(asyncio.sleep(0))

    async with NodeHost(make_kernel(flow)) as host:
        told = await failure_of(await host.kernel.start(flow, None))

    assert "AwaitedInLoop" in told
    assert "in an `async def` handler, await it" in told


async def test_waiting_ends_with_the_attempt(make_kernel: MakeKernel) -> None:
    """A thread that waits when its time is over is let go, and what it waited for is cancelled."""
    cancelled = threading.Event()
    flow = Flow("endless", version=1, max_attempts=1)

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    @flow.step(timeout=0.5)
    def work(ctx: Context) -> None:
        ctx.wait_for(never())

    async with NodeHost(make_kernel(flow)) as host:
        told = await failure_of(await host.kernel.start(flow, None))

    assert told.startswith("timed_out: ")
    assert cancelled.is_set()
