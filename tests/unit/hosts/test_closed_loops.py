"""A host whose event loop is closed under it, as by a program that ends `asyncio.run` and goes on otherwise."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.hosts.heartbeats import Heartbeats
from fairlead.hosts.worker import Worker, WorkerOptions
from fairlead.kernel import Context, Flow, Kernel, RunHandle
from tests.support.hands import Hands
from tests.support.waiting import until

TIMEOUT_S = 10.0


@pytest.mark.fault(72, 77)
def test_what_goes_on_in_threads_after_the_host_s_loop_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    """A heartbeat that is answered then still tells the handler of a cancel; the handler's end is nobody's any more."""
    caplog.set_level(logging.INFO)
    begun, seen = threading.Event(), list[bool]()
    flow: Flow[Any] = Flow("left", version=1)

    @flow.step
    def work(ctx: Context) -> int:
        begun.set()
        ends_s = time.monotonic() + TIMEOUT_S
        while not ctx.cancelled and time.monotonic() < ends_s:
            time.sleep(0.005)
        seen.append(ctx.cancelled)
        return 1

    kernel = Kernel(flows=[flow], ports=memory_ports())
    options = WorkerOptions(
        worker="left", concurrency=1, queues=("default",), lease_duration=timedelta(seconds=30), cancel_grace_s=1
    )

    async def begin() -> tuple[Worker, RunHandle]:
        worker = Worker(kernel, options, {})
        run = await kernel.start("left", None)
        worker.slots.take(1)
        worker.adopt(await Hands(kernel, "left", slots=1).claim_runs())
        await until(begun.is_set)
        return worker, run

    async def beat(worker: Worker, run: RunHandle) -> None:
        await run.cancel()
        await Heartbeats(worker, interval_s=1.0).beat(kernel)

    worker, run = asyncio.run(begin())
    asyncio.run(beat(worker, run))
    asyncio.run(until(lambda: "ended after its host" in caplog.text))
    worker.threads.close()

    assert seen == [True]
