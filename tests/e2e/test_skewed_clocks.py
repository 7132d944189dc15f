"""Machines whose clocks are wrong by an hour: what they record has the time of the database's server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from fairlead.adapters.postgres import postgres_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel
from tests.support.skewed_clock import clock_off

TIMEOUT_S = 20.0
HOUR_S = 3600.0
SLACK = timedelta(minutes=5)
"""However slow this machine is; far less than an hour."""

flow = Flow("asked", version=1, input=int)
answer = flow.signal("answer", int)


@flow.step
async def close(input: int, answer: int) -> int:
    """Both together."""
    return input + answer


def kernel_off(url: str, offset_s: float) -> Kernel:
    """A kernel of a machine whose clock is off."""
    with clock_off(offset_s):
        return Kernel(flows=[flow], ports=postgres_ports(url))


def now_at(url: str) -> Any:
    """What the server's clock shows."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT clock_timestamp()").fetchall()[0][0]


@pytest.mark.parametrize("client_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
@pytest.mark.parametrize("host_s", [HOUR_S, -HOUR_S], ids=["host ahead", "host behind"])
async def test_hosts_and_clients_with_wrong_clocks_agree(migrated_url: str, client_s: float, host_s: float) -> None:
    """A host begins to work at once, and goes on at once with what a client has started, answered and deferred."""
    client, served = kernel_off(migrated_url, client_s), kernel_off(migrated_url, host_s)
    async with client, served, NodeHost(served, poll_interval=0.1):
        run = await client.start(flow, 1)
        deferred = await client.start_later(flow, 2, after=0)
        await run.signal(answer, 10)

        assert await run.result(timeout=TIMEOUT_S) == {"close": 11}
        record = await run.read()
        assert record.ended_at is not None
        assert abs(record.created_at - now_at(migrated_url)) < SLACK
        assert abs(record.ended_at - now_at(migrated_url)) < SLACK
        assert abs(deferred.record.due_at - now_at(migrated_url)) < SLACK


async def test_a_cancel_is_recorded_with_the_server_s_time(migrated_url: str) -> None:
    """Also where that is the first thing a process does, for which it needs no flows."""
    async with kernel_off(migrated_url, 0) as right, kernel_off(migrated_url, HOUR_S) as wrong:
        run = await right.start(flow, 1)
        await wrong.cancel(run.id)

        ended_at = (await run.read()).ended_at
        assert ended_at is not None
        assert abs(ended_at - now_at(migrated_url)) < SLACK


def test_a_start_without_an_event_loop_is_recorded_with_the_server_s_time(migrated_url: str) -> None:
    """On a connection that blocks, the clock is measured over one of its own."""
    engine = create_engine(migrated_url.replace("postgresql://", "postgresql+psycopg://"))
    kernel = kernel_off(migrated_url, HOUR_S)
    with engine.begin() as connection:
        run = kernel.start_sync(flow, 1, connection=connection)
    engine.dispose()

    with psycopg.connect(migrated_url) as connection:
        found = connection.execute("SELECT created_at FROM fairlead.runs WHERE id = %s", [run.id]).fetchall()
    assert abs(found[0][0] - now_at(migrated_url)) < SLACK
