"""One kernel in one event loop after the other, as programs have it that are not asynchronous themselves."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.adapters.postgres import PostgresTransport, postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel
from fairlead.ports import Ports
from tests.support.waiting import until

double = Flow("double", version=1, input=int, input_name="number")


@double.step
def twice(number: int) -> int:
    return 2 * number


@pytest.fixture
def ports(url: str) -> Ports:
    """With so few connections that callers wait for one another."""
    return postgres_ports(url, pool_size=2)


def test_each_call_may_have_a_loop_of_its_own(ports: Ports) -> None:
    """Starts and reads in many loops, closed in one more; the database says if that leaves a connection open."""
    kernel = Kernel(flows=[double], ports=ports)
    runs = [asyncio.run(kernel.start(double, number, key=f"{number}")) for number in range(5)]
    again = asyncio.run(kernel.start(double, 3, key="3"))
    statuses = [asyncio.run(kernel.run(run.id).status()) for run in runs]
    asyncio.run(kernel.aclose())

    assert again.id == runs[3].id
    assert statuses == ["pending"] * 5


def test_callers_wait_for_connections_in_each_loop(ports: Ports) -> None:
    """Many at a time with few connections, in one loop and in the next."""
    kernel = Kernel(flows=[double], ports=ports)

    async def start_many() -> set[str]:
        return {run.id for run in await asyncio.gather(*(kernel.start(double, number) for number in range(20)))}

    started = asyncio.run(start_many()) | asyncio.run(start_many())
    asyncio.run(kernel.aclose())

    assert len(started) == 40


def test_a_host_works_in_a_loop_of_its_own(ports: Ports) -> None:
    """Started in one loop, carried out by a host in the next, read in a third, closed in a fourth."""
    kernel = Kernel(flows=[double], ports=ports)
    transport = ports.transport
    assert isinstance(transport, PostgresTransport)

    async def work() -> None:
        async with NodeHost(kernel):
            await run.wait(timeout=30)
            listener = transport.listener
            assert listener is not None
            await until(listener.listening.is_set)

    run = asyncio.run(kernel.start(double, 21))
    asyncio.run(work())
    output = asyncio.run(kernel.run(run.id).output("twice"))
    asyncio.run(kernel.aclose())

    assert output == 42
