"""The PostgreSQL adapters for the contract suites, each test in a database of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

import psycopg
import pytest
from attrs import frozen

from fairlead.adapters.postgres import PostgresPersistence, migration_sql, postgres_ports
from fairlead.adapters.postgres.connecting import Connection
from fairlead.adapters.postgres.database import Database, DatabaseSettings, Sent
from fairlead.adapters.postgres.source import conninfo_of
from fairlead.ports import Ports
from fairlead.ports.blobs import BlobStore
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import TaskKey
from fairlead.ports.scheduler import Scheduler

from .postgres_callers import callers_of
from .subjects import AdapterSubject, BeforeCommit, CallersSubject, ClockSubject, StoreSubject, TransportSubject

WAITING = """
SELECT count(*), pg_sleep(0.001)
FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""

SEVER = """
SELECT pg_terminate_backend(pid)
FROM (
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    ORDER BY wait_event_type = 'Lock' DESC NULLS LAST
) AS others
"""

HOLD_TASK = """
SELECT FROM fairlead.tasks
WHERE run_id = %s AND step = %s AND generation = %s AND element = %s
FOR UPDATE
"""


@frozen(kw_only=True)
class Place:
    """A database, and the ways to it."""

    url: str
    """How the ports and callers reach it."""
    beside: str
    """How a test looks at it, and how it is listened to: directly."""


@frozen
class Migrated:
    """Makes databases that have the tables."""

    place: Callable[[], AbstractContextManager[Place]]

    @asynccontextmanager
    async def ports(self, lock_wait_s: float = 30.0) -> AsyncGenerator[tuple[Place, Ports]]:
        """All ports on a fresh database, and where that is."""
        with self.place() as place:
            ports = postgres_ports(place.url, lock_wait_s=lock_wait_s, listen_url=place.beside)
            try:
                yield place, ports
            finally:
                await ports.aclose()


def adapter(request: pytest.FixtureRequest) -> AdapterSubject:
    """Everything in PostgreSQL, on the run's server."""
    databases = request.getfixturevalue("database_factory")
    template = request.getfixturevalue("template_factory")("migrated", create_tables)

    @contextmanager
    def place() -> Generator[Place]:
        with databases(template) as url:
            yield Place(url=url, beside=url)

    return subject_in(Migrated(place))


def subject_in(migrated: Migrated) -> AdapterSubject:
    """All ports in databases that are made like this."""
    return AdapterSubject(
        open_store=partial(open_store, migrated, lock_wait_s=30.0),
        open_impatient_store=partial(open_store, migrated, lock_wait_s=0.05),
        open_clock=partial(open_clock, migrated),
        open_hinting_transport=partial(open_hinting_transport, migrated),
        open_blobs=partial(open_blobs, migrated),
        open_scheduler=partial(open_scheduler, migrated),
        open_ports=partial(open_ports, migrated),
        open_callers=partial(open_callers, migrated),
    )


def create_tables(url: str) -> None:
    """Run the script that `fairlead migrate --sql` prints."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(migration_sql().encode())


class StoppingDatabase(Database):
    """A database whose transactions stop between what they write last and their commit."""

    def __init__(self, settings: DatabaseSettings, before_commit: BeforeCommit) -> None:
        super().__init__(settings)
        self._before_commit = before_commit

    async def commit(self, connection: Connection, last: Sequence[Sent] = ()) -> None:
        """Commit, in a round trip of its own."""
        if last:
            await self.exchange(connection, last)
            await self._before_commit()
        await super().commit(connection)


@asynccontextmanager
async def open_store(migrated: Migrated, lock_wait_s: float) -> AsyncGenerator[StoreSubject]:
    """A store of its own."""
    async with migrated.ports(lock_wait_s) as (place, ports):
        url = place.beside

        @asynccontextmanager
        async def hold_task(key: TaskKey) -> AsyncGenerator[None]:
            async with await psycopg.AsyncConnection.connect(url) as connection:
                await connection.execute(HOLD_TASK, key)
                yield
                await connection.rollback()

        async def sever() -> None:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(SEVER)

        async with AsyncExitStack() as stack:

            def stopping(before_commit: BeforeCommit) -> Persistence:
                settings = DatabaseSettings(conninfo=conninfo_of(place.url), lock_wait_s=lock_wait_s)
                database = StoppingDatabase(settings, before_commit)
                stack.push_async_callback(database.aclose)
                return PostgresPersistence(database)

            yield StoreSubject(
                store=ports.persistence,
                stopping=stopping,
                until_waiting=partial(until_waiting, url),
                hold_task=hold_task,
                sever=sever,
            )


async def until_waiting(url: str) -> None:
    """Return once somebody in that database waits for a lock that another one holds."""
    async with asyncio.timeout(10), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while (await (await connection.execute(WAITING)).fetchall())[0][0] == 0:
            pass


@asynccontextmanager
async def open_clock(migrated: Migrated) -> AsyncGenerator[ClockSubject]:
    """A clock that follows the server's; its time passes by itself."""
    async with migrated.ports() as (_, ports):
        yield ClockSubject(clock=ports.clock, pass_time=_by_itself)


@asynccontextmanager
async def open_hinting_transport(migrated: Migrated) -> AsyncGenerator[TransportSubject]:
    """Wake-ups."""
    async with migrated.ports() as (_, ports):
        yield TransportSubject(transport=ports.transport, pass_time=_by_itself)


@asynccontextmanager
async def open_blobs(migrated: Migrated) -> AsyncGenerator[BlobStore]:
    """An empty blob store."""
    async with migrated.ports() as (_, ports):
        yield ports.blobs


@asynccontextmanager
async def open_scheduler(migrated: Migrated) -> AsyncGenerator[Scheduler]:
    """An empty scheduler."""
    async with migrated.ports() as (_, ports):
        yield ports.scheduler


@asynccontextmanager
async def open_ports(migrated: Migrated) -> AsyncGenerator[Ports]:
    """All ports."""
    async with migrated.ports() as (_, ports):
        yield ports


@asynccontextmanager
async def open_callers(migrated: Migrated) -> AsyncGenerator[CallersSubject]:
    """All ports, and every kind of connection beside them."""
    async with migrated.ports() as (place, ports), callers_of(place.url) as opened:
        yield CallersSubject(ports=ports, open=opened)


async def _by_itself(duration_s: float) -> None:
    """The seconds pass whether anybody waits for them or not."""
