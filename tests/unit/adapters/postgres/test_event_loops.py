"""One kernel in one event loop after the other, as programs have it that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

import psycopg
import pytest

from fairlead.adapters.postgres import PostgresTransport, postgres_ports
from fairlead.adapters.postgres.connecting import Connection
from fairlead.adapters.postgres.database import Database, DatabaseSettings
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


Returned = TypeVar("Returned")


def _run_and_close(call: Coroutine[Any, Any, Returned]) -> Returned:
    """As programs do that make their loops by hand: what else is under way is neither awaited nor cancelled."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(call)
    finally:
        loop.close()


@pytest.fixture
def left_tasks() -> Generator[list[object]]:
    """Keeps tasks of closed loops from being collected while a test runs; Python says then that they were pending."""
    kept: list[object] = []
    yield kept
    kept.clear()
    gc.collect()


ABANDONED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Collecting a task that waits for a closed loop has psycopg ask that loop for something."""


@ABANDONED
def test_wake_ups_go_on_after_a_loop_was_closed_over_one(ports: Ports, url: str, left_tasks: list[object]) -> None:
    """The next loop's starts are announced, and closing does not wait for the one that will never be sent."""
    kernel = Kernel(flows=[double], ports=ports)

    async def start(number: int) -> None:
        await kernel.start(double, number)
        left_tasks.extend(asyncio.all_tasks())

    for number in range(2):
        _run_and_close(start(number))
    with psycopg.connect(url, autocommit=True) as hearing:
        hearing.execute("LISTEN fairlead")

        async def start_and_close() -> None:
            await kernel.start(double, 2)
            await kernel.aclose()

        asyncio.run(start_and_close())
        heard = list(hearing.notifies(timeout=10, stop_after=1))

    assert len(heard) == 1


@ABANDONED
def test_listening_goes_on_after_a_loop_was_closed_over_it(ports: Ports, left_tasks: list[object]) -> None:
    """The next loop listens again, a third closes; the database says if that leaves a connection open."""
    transport = ports.transport
    assert isinstance(transport, PostgresTransport)
    listener = transport.listener
    assert listener is not None

    async def listen() -> bool:
        await transport.listen(queues=["default"], wait_s=0)
        left_tasks.extend(asyncio.all_tasks())
        return await until(listener.listening.is_set)

    heard = [_run_and_close(listen())]
    heard.append(_run_and_close(listen()))
    asyncio.run(transport.aclose())

    assert heard == [True, True]
    assert not listener.listening.is_set()


@ABANDONED
@pytest.mark.parametrize("used_again", [True, False])
def test_a_connection_lent_in_a_closed_loop_is_closed(
    settings: DatabaseSettings, left_tasks: list[object], used_again: bool
) -> None:
    """When the next loop uses the pool, or at closing; nobody will give it back."""
    database = Database(settings)
    lent: list[Connection] = []

    async def hold() -> None:
        async with database.connection() as connection:
            lent.append(connection)
            await asyncio.Event().wait()

    async def begin() -> None:
        left_tasks.append(asyncio.create_task(hold()))
        await until(lambda: lent)

    async def use() -> None:
        async with database.connection():
            pass

    _run_and_close(begin())
    asyncio.run(use() if used_again else database.aclose())

    assert lent[0].closed
    asyncio.run(database.aclose())
