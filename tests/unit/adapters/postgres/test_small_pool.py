"""A host with one connection goes on with other runs while some are locked that it has outcomes of."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.hosts.settling import APART_PAUSE_S_MAX
from fairlead.kernel import Flow, Kernel

LOCKED = 3
"""More than the host has connections."""

TIMEOUT_S = 20.0
"""Far longer than the runs take that nobody locks, on a busy machine too."""

SOON_S = 10 * APART_PAUSE_S_MAX
"""Several times the longest pause between two tries of each."""


@pytest.mark.fault(24, 25)
async def test_runs_that_are_locked_leave_the_one_connection_to_others(url: str) -> None:
    """Others end while they are locked, and they end as soon as they are not."""
    going = asyncio.Event()
    flow = Flow("f", version=1, input=int, input_name="n")

    @flow.step
    async def one(n: int) -> int:
        if n < LOCKED:
            await going.wait()
        return n

    client = Kernel(flows=[flow], ports=postgres_ports(url, listen=False))
    kernel = Kernel(flows=[flow], ports=postgres_ports(url, listen=False, pool_size=1))
    locked = [await client.start("f", n) for n in range(LOCKED)]
    async with NodeHost(kernel, poll_interval=0.1) as host, asyncio.timeout(3 * TIMEOUT_S):
        while host.held < LOCKED:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        with psycopg.connect(url) as other:
            other.execute("SELECT FROM fairlead.runs FOR UPDATE")
            going.set()
            await asyncio.sleep(1)
            for n in range(LOCKED, LOCKED + 3):
                run = await client.start("f", n)
                assert await run.result(timeout=TIMEOUT_S) == {"one": n}
            assert [(await run.read()).ended_at for run in locked] == [None] * LOCKED
        began_s = time.monotonic()
        for run in locked:
            await run.wait(timeout=TIMEOUT_S)
        took_s = time.monotonic() - began_s
    await kernel.ports.aclose()
    await client.ports.aclose()

    assert took_s < SOON_S
