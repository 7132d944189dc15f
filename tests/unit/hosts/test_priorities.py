"""What a host does first when more waits than it has slots for."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.adapters.system import SystemClock
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel
from tests.support.waiting import until

TIMEOUT_S = 10.0


@pytest.mark.fault(51)
async def test_what_waits_with_a_higher_priority_comes_before_what_becomes_ready(nothing_left_open: None) -> None:
    """A slot is not handed on to a run of low priority while queued tasks of a higher one wait for it."""
    order: list[str] = []
    held, permits = asyncio.Event(), asyncio.Semaphore(0)
    low = Flow("low", version=1, input=int)
    high = Flow("high", version=1, input=list[int], input_name="numbers")

    @low.step
    async def first() -> int:
        order.append("first")
        await held.wait()
        return 1

    @low.step
    async def second(first: int) -> int:
        order.append("second")
        return first + 1

    @high.map(over="numbers")
    async def urgent(item: int) -> int:
        order.append("urgent")
        await permits.acquire()
        return item

    ports = memory_ports(clock=SystemClock())
    async with Kernel(flows=[low, high], ports=ports) as kernel, NodeHost(kernel, concurrency=2):
        waiting = await kernel.start(low, 1)
        await until(lambda: "first" in order)
        preferred = await kernel.start(high, list(range(12)), priority=5)
        for _ in range(3):
            permits.release()
        await until(lambda: order.count("urgent") == 4)
        held.set()
        await until(lambda: len(order) == 6)
        for _ in range(12):
            permits.release()
        await preferred.result(timeout=TIMEOUT_S)
        assert await waiting.result(timeout=TIMEOUT_S) == {"second": 2}

    assert order == ["first", *["urgent"] * 12, "second"]
