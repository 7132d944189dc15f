"""The proxy does what it says: above all, a lost COMMIT is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import psycopg
import pytest

from tests.chaos.proxy import Proxy, ProxyFault, proxied

DEADLINE_S = 0.5
PATIENCE_S = 20.0


@pytest.fixture
async def link(empty_database_url: str) -> AsyncGenerator[tuple[str, Proxy]]:
    """A way to a database with a table, and the proxy on it."""
    with psycopg.connect(empty_database_url, autocommit=True) as direct:
        direct.execute("CREATE TABLE kept (value int)")
    async with proxied(empty_database_url) as (url, proxy):
        yield url, proxy


def kept(url: str) -> list[int]:
    """What the database holds, seen without the proxy."""
    with psycopg.connect(url) as direct:
        return [value for (value,) in direct.execute("SELECT value FROM kept ORDER BY value").fetchall()]


async def connect(url: str, **options: Any) -> psycopg.AsyncConnection[Any]:
    """A connection through the proxy."""
    return await psycopg.AsyncConnection.connect(url, **options)


async def commit(connection: psycopg.AsyncConnection[Any], *, in_pipeline: bool) -> None:
    """COMMIT, as a simple query or in a pipeline."""
    if not in_pipeline:
        await connection.execute("COMMIT")
        return
    async with connection.pipeline():
        await connection.execute("COMMIT")


async def test_it_forwards_everything(link: tuple[str, Proxy], empty_database_url: str) -> None:
    """Small and large, in a transaction and alone, in a pipeline too."""
    async with await connect(link[0]) as connection:
        await connection.execute("INSERT INTO kept VALUES (1)")
        async with connection.pipeline():
            await connection.execute("INSERT INTO kept VALUES (2)")
            cursor = await connection.execute("SELECT repeat('x', 1000000)")
        assert len((await cursor.fetchall())[0][0]) == 1_000_000

    assert kept(empty_database_url) == [1, 2]


@pytest.mark.parametrize("in_pipeline", [False, True], ids=["simple", "pipeline"])
async def test_a_lost_commit_is_committed(link: tuple[str, Proxy], empty_database_url: str, in_pipeline: bool) -> None:
    """The row is there, and the client got an error; the next commit is answered again."""
    url, proxy = link
    proxy.lose(ProxyFault.LOSE_COMMIT)
    connection = await connect(url, autocommit=True)
    await connection.execute("BEGIN")
    await connection.execute("INSERT INTO kept VALUES (1)")
    assert kept(empty_database_url) == []
    with pytest.raises(psycopg.OperationalError):
        await commit(connection, in_pipeline=in_pipeline)
    await connection.close()

    assert kept(empty_database_url) == [1]
    assert proxy.lost[ProxyFault.LOSE_COMMIT] == 1
    async with await connect(url) as again:
        await again.execute("INSERT INTO kept VALUES (2)")
    assert kept(empty_database_url) == [1, 2]


async def test_a_rollback_is_no_lost_commit(link: tuple[str, Proxy], empty_database_url: str) -> None:
    """The fault waits for a commit that is one: neither a rollback, nor the commit of what has failed."""
    url, proxy = link
    proxy.lose(ProxyFault.LOSE_COMMIT)
    async with await connect(url, autocommit=True) as connection:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO kept VALUES (1)")
        await connection.execute("ROLLBACK")
        await connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await connection.execute("SELECT FROM nothing")
        await connection.execute("COMMIT")

    assert (kept(empty_database_url), proxy.lost[ProxyFault.LOSE_COMMIT]) == ([], 0)


async def test_a_lost_write_is_committed(link: tuple[str, Proxy], empty_database_url: str) -> None:
    """A statement that commits by itself, also from a CTE; reads, and writes inside a transaction, are answered."""
    url, proxy = link
    proxy.lose(ProxyFault.LOSE_WRITE)
    connection = await connect(url, autocommit=True)
    await connection.execute("SELECT value FROM kept FOR UPDATE")
    async with connection.transaction():
        await connection.execute("INSERT INTO kept VALUES (1)")
    assert proxy.lost[ProxyFault.LOSE_WRITE] == 0
    with pytest.raises(psycopg.OperationalError):
        await connection.execute("WITH done AS (INSERT INTO kept VALUES (2) RETURNING value) SELECT value FROM done")
    await connection.close()

    assert kept(empty_database_url) == [1, 2]
    assert proxy.lost[ProxyFault.LOSE_WRITE] == 1


async def test_a_cut_ends_a_share_of_the_connections(link: tuple[str, Proxy]) -> None:
    """Those are reset at once; the others go on."""
    url, proxy = link
    connections = [await connect(url, autocommit=True) for _ in range(4)]
    assert (proxy.connections, proxy.cut(0.5)) == (4, 2)
    ended = 0
    for connection in connections:
        try:
            await connection.execute("SELECT 1")
        except psycopg.OperationalError:
            ended += 1
        await connection.close()

    assert ended == 2


async def test_a_dropped_connection_stays_open_at_the_server(link: tuple[str, Proxy], empty_database_url: str) -> None:
    """Nothing comes back, and the server believes in its client, with its transaction, also after that has left."""
    url, proxy = link
    connection = await connect(url)
    pid = connection.info.backend_pid
    await connection.execute("INSERT INTO kept VALUES (1)")
    assert proxy.drop() == 1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            await connection.execute("SELECT 1")
    await connection.close()

    with psycopg.connect(empty_database_url) as direct:
        states = direct.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall()
    assert states == [("idle in transaction",)]


async def test_a_stall_ends(link: tuple[str, Proxy]) -> None:
    """Nothing passes for a while, and then everything that was sent."""
    url, proxy = link
    connection = await connect(url, autocommit=True)
    proxy.stall(3600)
    answering = asyncio.create_task(connection.execute("SELECT 1"))
    done, _ = await asyncio.wait([answering], timeout=DEADLINE_S)
    assert not done
    proxy.heal()
    async with asyncio.timeout(PATIENCE_S):
        assert await (await answering).fetchall() == [(1,)]
    await connection.close()


async def test_a_server_that_is_gone_is_no_connection(unused_tcp_port: int) -> None:
    """The client is refused, as it would be without a proxy."""
    async with proxied(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none") as (url, _):
        with pytest.raises(psycopg.OperationalError):
            await connect(url)
