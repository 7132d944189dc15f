"""Connections: lent, waited for, noticed when dead, and never left open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Generator

import psycopg
import pytest
from attrs import evolve

from fairlead.adapters.postgres import PoolExhausted, connecting, pool, postgres_ports
from fairlead.adapters.postgres.connecting import connect
from fairlead.adapters.postgres.database import BEGIN, Database, DatabaseSettings
from fairlead.adapters.postgres.migrating import LATEST
from fairlead.adapters.postgres.persistence import PostgresPersistence
from fairlead.adapters.postgres.statements import numbered
from fairlead.ports.errors import Unavailable
from tests.support.records import load_request
from tests.support.waiting import until

Observer = psycopg.Connection[tuple[object, ...]]

OURS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fairlead'"
SLEEP = numbered("SELECT pg_sleep(60)")


def _open(observer: Observer) -> set[object]:
    return {row[0] for row in observer.execute(OURS).fetchall()}


async def _until_asleep(observer: Observer) -> None:
    await until(lambda: observer.execute(f"{OURS} AND wait_event = 'PgSleep'".encode()).fetchall())


async def test_connections_are_opened_when_needed_and_used_again(database: Database, observer: Observer) -> None:
    """Nothing at first, then one for whatever comes one after the other."""
    before = _open(observer)
    await database.read("schema_version")
    first = _open(observer)
    await database.read("schema_version")

    assert before == set()
    assert len(first) == 1
    assert _open(observer) == first


@pytest.mark.fault(25)
async def test_waiting_for_a_connection_is_bounded(database: Database) -> None:
    """Both are lent; the third caller is told so."""
    async with database.connection(), database.connection():
        with pytest.raises(PoolExhausted, match="all 2 connections"):
            await database.read("schema_version")

    assert await database.read("schema_version")


async def test_whoever_waits_gets_what_comes_back(settings: DatabaseSettings) -> None:
    """A pool of one serves many, one after the other."""
    database = Database(evolve(settings, pool_size=1, pool_wait_s=10.0))
    rows = await asyncio.gather(*(database.read("schema_version") for _ in range(20)))
    await database.aclose()

    assert len(rows) == 20


@pytest.mark.fault(27)
async def test_a_connection_that_is_not_idle_is_closed(database: Database, observer: Observer) -> None:
    """Whoever forgot a transaction does not hand it to the next."""
    async with database.connection() as connection:
        await database.exchange(connection, [(BEGIN, {})])
        pid = connection.info.backend_pid
    async with database.connection() as connection:
        other = connection.info.backend_pid

    assert pid != other
    await until(lambda: _open(observer) == {other})


@pytest.mark.fault(27)
async def test_a_cancelled_statement_does_not_go_back(database: Database, observer: Observer) -> None:
    """The next caller gets an answer to its own question."""

    async def sleep() -> None:
        async with database.connection() as connection:
            await database.exchange(connection, [(SLEEP, {})])

    sleeping = asyncio.create_task(sleep())
    await _until_asleep(observer)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping

    assert await database.read("schema_version") == [(LATEST,)]


@pytest.mark.fault(27)
async def test_a_transaction_that_is_cancelled_is_rolled_back(database: Database, observer: Observer) -> None:
    """Its locks are gone with it."""

    async def work() -> None:
        async with database.transaction() as connection:
            await database.exchange(connection, [(numbered("DELETE FROM fairlead.outbox_shards"), {})])
            await database.exchange(connection, [(SLEEP, {})])

    working = asyncio.create_task(work())
    await _until_asleep(observer)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    observer.execute("SET lock_timeout = '10s'; SELECT FROM fairlead.outbox_shards FOR UPDATE")

    assert observer.execute("SELECT count(*) FROM fairlead.outbox_shards").fetchall() == [(15 * 64,)]


@pytest.mark.fault(21)
async def test_what_the_server_ended_is_replaced_unnoticed(database: Database, observer: Observer) -> None:
    """A restart between two calls costs neither of them."""
    await database.read("schema_version")
    for pid in _open(observer):
        observer.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    assert await database.read("schema_version") == [(LATEST,)]


@pytest.mark.fault(26)
async def test_a_server_that_stops_answering_is_given_up(settings: DatabaseSettings, observer: Observer) -> None:
    """The deadline is the wall clock's; the connection is closed, not used again."""
    database = Database(evolve(settings, deadline_s=0.05))
    observer.execute("BEGIN; LOCK TABLE fairlead.blobs")
    with pytest.raises(Unavailable):
        await database.read("has_blob", {"key": "a"})
    observer.execute("ROLLBACK")
    rows = await database.read("has_blob", {"key": "a"})
    await database.aclose()

    assert rows == []


@pytest.fixture
def silent_port() -> Generator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.fault(26)
async def test_a_server_that_never_greets_is_given_up(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a connection has its deadline too."""
    monkeypatch.setattr(connecting, "CONNECT_DEADLINE_S", 0.05)
    with pytest.raises(Unavailable):
        await connect(f"postgresql://127.0.0.1:{silent_port}/app")


async def test_opening_that_is_cancelled_leaves_no_socket(silent_port: int) -> None:
    """Without any help from the garbage collector."""
    conninfo = f"postgresql://127.0.0.1:{silent_port}/app"
    gc.disable()
    try:
        before = _sockets()
        for _ in range(5):
            opening = asyncio.create_task(connect(conninfo))
            await until(lambda: _sockets() > before)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            del opening

            assert _sockets() == before
    finally:
        gc.enable()


def _sockets() -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


@pytest.mark.fault(35, 36)
async def test_a_standby_will_not_do(database: Database, observer: Observer) -> None:
    """It is told at once, nothing stays open, and after the failover the same pool serves everybody.

    A function of the database's stands in for the server's own, which its search path puts behind.
    """
    observer.execute(
        "CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "DO $$ BEGIN"
        " EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$"
    )
    for _ in range(3):
        with pytest.raises(Unavailable, match="the server is a standby; give the URL of the primary") as caught:
            await database.read("schema_version")
        assert caught.value.retryable
    await until(lambda: _open(observer) == set())

    observer.execute("DROP FUNCTION public.pg_is_in_recovery()")
    assert await database.read("schema_version") == [(LATEST,)]


@pytest.mark.fault(26)
async def test_what_a_block_raises_is_not_hidden_by_a_connection_that_is_gone(
    database: Database, observer: Observer
) -> None:
    """There is nobody to roll back with: the connection is closed, which does the same, and another is opened."""

    async def work() -> None:
        async with database.transaction() as connection:
            await database.exchange(connection, [(numbered("DELETE FROM fairlead.outbox_shards"), {})])
            observer.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
            raise LookupError("what the block is about")

    with pytest.raises(LookupError, match="what the block is about"):
        await work()

    assert await database.read("schema_version") == [(LATEST,)]
    assert observer.execute("SELECT count(*) FROM fairlead.outbox_shards").fetchall() == [(15 * 64,)]
    assert len(_open(observer)) == 1


async def test_a_closed_store_may_be_used_again(store: PostgresPersistence, observer: Observer) -> None:
    """Closing leaves nothing open, and is not the end."""
    for _ in range(2):
        assert await store.read_run("0197f000-0000-7000-8000-000000000001") is None
        assert _open(observer)
        await store.aclose()
        await _until_gone(observer)


def test_a_closed_store_may_be_used_in_another_event_loop(settings: DatabaseSettings) -> None:
    """As by a program that calls `asyncio.run` twice; callers wait for one connection both times."""
    store = PostgresPersistence(Database(evolve(settings, pool_size=1, pool_wait_s=10.0)))

    async def use() -> int:
        read = (store.read_run("0197f000-0000-7000-8000-000000000001") for _ in range(5))
        found = await asyncio.gather(*read)
        await store.aclose()
        return len(found)

    assert [asyncio.run(use()), asyncio.run(use())] == [5, 5]


async def test_what_is_lent_while_the_store_is_closed_is_closed_when_it_comes_back(
    database: Database, observer: Observer
) -> None:
    """Nobody's connection is taken away in the middle."""
    async with database.connection() as connection:
        await database.aclose()
        (answer,) = await database.exchange(connection, [(numbered("SELECT 1"), {})])
        answered = await answer.fetchall()
    await _until_gone(observer)

    assert answered == [(1,)]
    assert _open(observer) == set()


async def _until_gone(observer: Observer) -> None:
    await until(lambda: not _open(observer))


async def test_idle_connections_are_closed_in_time(
    database: Database, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a burst opened does not stay for ever."""
    async with database.connection(), database.connection():
        burst = _open(observer)
    monkeypatch.setattr(pool, "IDLE_S_MAX", -1.0)
    await database.read("schema_version")
    await database.read("schema_version")

    assert len(burst) == 2
    await _until_gone(observer)


@pytest.mark.fault(25)
async def test_a_dedicated_handle_does_not_wait_for_the_pool(database: Database) -> None:
    """Heartbeats go on while every pooled connection is lent, in a thread and an event loop of their own."""
    store = PostgresPersistence(database)

    async def beat() -> bool:
        async with store.dedicated() as handle:
            return await handle.read_run("0197f000-0000-7000-8000-000000000001") is None

    async with database.connection(), database.connection():
        assert await asyncio.to_thread(lambda: asyncio.run(beat()))


@pytest.mark.fault(33)
@pytest.mark.parametrize("prepare", [False, True])
async def test_statements_are_prepared_only_where_asked(url: str, prepare: bool) -> None:
    """A pooler in transaction mode may give the next statement to another session."""
    ports = postgres_ports(url, prepare=prepare, pool_size=1)
    store = ports.persistence
    assert isinstance(store, PostgresPersistence)
    for _ in range(10):
        await store.read_run("0197f000-0000-7000-8000-000000000001")
    prepared = numbered("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'FROM fairlead[.]runs'")
    database = store._database  # pyright: ignore[reportPrivateUsage]
    async with database.connection() as connection:
        (answer,) = await database.exchange(connection, [(prepared, {})])
        found = (await answer.fetchall())[0][0]
    await ports.aclose()

    assert found == int(prepare)


@pytest.mark.fault(33)
async def test_notifications_for_others_are_not_kept(database: Database) -> None:
    """Behind a pooler in transaction mode they reach whoever has the session on which somebody once listened."""
    async with database.connection() as connection:
        for statement in ("LISTEN elsewhere", "NOTIFY elsewhere", "SELECT 1"):
            await database.exchange(connection, [(numbered(statement), {})])

        assert not connection._notifies_backlog  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("default", ["read committed", "serializable"])
async def test_every_statement_runs_at_read_committed(
    settings: DatabaseSettings, observer: Observer, default: str
) -> None:
    """By name, whatever the database's default is."""
    observer.execute(
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''{default}''',"
        " current_database()); END $$".encode()
    )
    database = Database(settings)
    level = numbered("SELECT current_setting('transaction_isolation') AS fairlead_level")
    database.statements["schema_version"]
    await database.read("schema_version")
    database.statements._statements["level"] = level  # pyright: ignore[reportPrivateUsage]
    alone = await database.read("level")
    async with database.transaction() as connection:
        together = await database.fetch(connection, "level")
    await database.aclose()

    assert (alone, together) == ([("read committed",)], [("read committed",)])


async def test_nothing_is_opened_by_making_ports() -> None:
    """A handler module may make them at import time."""
    before = _sockets()
    ports = postgres_ports("postgresql://127.0.0.1:1/nothing")

    assert _sockets() == before
    await ports.aclose()


@pytest.mark.fault(29)
async def test_statements_are_prepared_again_after_a_rollback(url: str) -> None:
    """psycopg forgets then what it has prepared, and has the server forget it: neither may count on the other."""
    ports = postgres_ports(url, prepare=True, pool_size=1)
    run = "0197f000-0000-7000-8000-000000000001"

    async def load(*, fails: bool = False) -> None:
        async with ports.persistence.transaction() as transaction:
            await transaction.load(load_request(run))
            if fails:
                raise ZeroDivisionError

    for _ in range(4):
        for _ in range(3):
            await load()
            assert await ports.persistence.read_run(run) is None
        with pytest.raises(ZeroDivisionError):
            await load(fails=True)
    await ports.aclose()
