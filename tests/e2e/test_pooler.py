"""Hosts and clients behind PgBouncer in transaction mode, with fewer sessions than connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.adapters.postgres.embedded import EmbeddedServer
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, Kernel, Start
from tests.support import pgbouncer
from tests.support.postgres_subject import create_tables

SESSIONS = 3
RUNS = 20
TIMEOUT_S = 60.0


def doubling() -> Flow[Any]:
    """A map, a signal, and a step behind both."""
    flow = Flow("doubling", version=1, input=list[int])

    @flow.map(over="input")
    async def double(item: int) -> int:
        return 2 * item

    approval = flow.signal("approval", int)

    @flow.step(after=[approval])
    def add(double: list[int], approval: int) -> int:
        return sum(double) + approval

    return flow


@pytest.fixture
def urls(
    postgres_server: EmbeddedServer,
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[tuple[str, str]]:
    """The way to a database through the pooler, and the direct one."""
    if pgbouncer.PROGRAM is None:
        pytest.skip("PgBouncer is not installed here")
    with (
        database_factory(template_factory("migrated", create_tables)) as direct,
        pgbouncer.pgbouncer(postgres_server.url, sessions=SESSIONS) as bouncer,
    ):
        name = pgbouncer.database_of(direct)
        yield bouncer.url(name), direct
        bouncer.forget(name)


@pytest.mark.fault(33)
@pytest.mark.parametrize("listens", [False, True], ids=["polling", "listening beside it"])
async def test_hosts_share_few_sessions(urls: tuple[str, str], listens: bool) -> None:
    """Two hosts with ten connections each do all that clients ask for, over three sessions of the server."""
    pooled, direct = urls
    kernels = [
        Kernel(flows=[doubling()], ports=postgres_ports(pooled, listen=listens, listen_url=direct)) for _ in range(3)
    ]
    clients = kernels[0]
    try:
        async with NodeHost(kernels[1], poll_interval=0.1), NodeHost(kernels[2], poll_interval=0.1):
            runs = await clients.start_many("doubling", [Start(input=[run, run + 1]) for run in range(RUNS)])
            await asyncio.gather(*(run.signal("approval", 1) for run in runs))
            results = [await run.result(timeout=TIMEOUT_S) for run in runs]
            sessions = _sessions(direct)

        assert results == [{"add": 4 * run + 3} for run in range(RUNS)]
        assert sessions <= SESSIONS + listens * len(kernels)
        assert await clients.ports.persistence.check_invariants() == {}
    finally:
        for kernel in kernels:
            await kernel.aclose()


def _sessions(url: str) -> int:
    """How many sessions the server has in this database, besides the one that asks."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*)::int FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    return int(found[0])
