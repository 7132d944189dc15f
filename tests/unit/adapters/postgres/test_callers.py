"""Callers' connections: what is sent on them, what is locked, and what applications have done to them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from fairlead.adapters.postgres import SchemaMissing, migrate, postgres_ports
from fairlead.kernel import Flow, IdempotencyConflict, InvalidConnection, Kernel, Start, TransactionFailed
from fairlead.ports import CallerConnection
from fairlead.ports.errors import Contention
from tests.support.hands import Hands
from tests.support.postgres_callers import KINDS, callers_of, pgconn_of
from tests.support.subjects import Caller

from .conftest import create_tables

TABLES = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'fairlead'"


def order_flow(version: int = 1) -> Flow[Any]:
    """A signal and a step behind it."""
    flow = Flow("order", version=version, input=int, input_name="order")
    flow.signal("approval", str)

    @flow.step
    def ship(order: int, approval: str) -> str:
        return f"{order} {approval}"

    return flow


@pytest.fixture
async def kernel(url: str) -> AsyncGenerator[Kernel]:
    """A kernel whose flow is registered."""
    async with Kernel(flows=[order_flow()], ports=postgres_ports(url)) as made:
        await made.register()
        yield made


@pytest.fixture(params=KINDS)
async def caller(request: pytest.FixtureRequest, url: str) -> AsyncGenerator[Caller]:
    """A caller, of one kind after the other."""
    async with callers_of(url) as opened, opened[request.param]() as made:
        yield made


@contextmanager
def traced(caller: Caller) -> Generator[list[str]]:
    """What was sent inside the block, by the first word of each statement."""
    sent: list[str] = []
    pgconn = pgconn_of(caller)
    with tempfile.NamedTemporaryFile() as file:
        pgconn.trace(file.fileno())
        try:
            yield sent
        finally:
            pgconn.untrace()
        for line in Path(file.name).read_text(encoding="utf-8", errors="replace").splitlines():
            fields = line.split("\t")
            if len(fields) > 4 and fields[1] == "F" and fields[3] in {"Query", "Parse"}:
                sent.append(fields[4].replace('"', " ").split()[0])


# What is sent


@pytest.mark.fault(33)
async def test_a_start_is_one_statement(kernel: Kernel, caller: Caller) -> None:
    """An insert; one read more where the key is known. Nothing is begun but by the driver, set, locked or notified."""
    await caller.execute("SELECT 1")
    connection = caller.connection
    with traced(caller) as new:
        run = await kernel.start("order", 1, key="k", annotations={"a": 1}, connection=connection)
    with traced(caller) as known:
        await kernel.start("order", 1, key="k", connection=connection)
    with traced(caller) as several:
        await kernel.start_many("order", [Start(input=number) for number in range(3)], connection=connection)
    with traced(caller) as keyed:
        await kernel.start_many(
            "order", [Start(input=number, key=str(number)) for number in (1, 2)], connection=connection
        )
    with traced(caller) as signalled:
        await kernel.request_signal(run.id, "approval", "yes", connection=connection)
    with traced(caller) as cancelled:
        await kernel.request_cancel(run.id, connection=connection)

    assert new == ["WITH"]
    assert known == ["WITH", "SELECT"]
    assert several == ["WITH"]
    assert keyed == ["SAVEPOINT", "WITH", "RELEASE"]
    assert signalled == ["SELECT", "INSERT"]
    assert cancelled == ["SELECT", "INSERT"]
    await caller.roll_back()


async def test_nothing_that_exists_is_locked_or_waited_for(kernel: Kernel, url: str, caller: Caller) -> None:
    """Whoever has locked every row of every table holds no caller up, and no caller holds up them."""
    run = await kernel.start("order", 1, key="k")
    await Hands(kernel).claim_runs()
    await kernel.cancel_later(run.id, after=60)
    async with await psycopg.AsyncConnection[Any].connect(url) as other:
        tables = [name for (name,) in await (await other.execute(TABLES)).fetchall()]
        for name in tables:
            await other.execute(f"SELECT FROM {name} FOR UPDATE".encode())
        await caller.execute("SET LOCAL lock_timeout = '2s'")

        await kernel.start("order", 2, connection=caller.connection)
        assert (await kernel.start("order", 1, key="k", connection=caller.connection)).id == run.id
        await kernel.request_signal(run.id, "approval", "yes", connection=caller.connection)
        await kernel.request_cancel(run.id, connection=caller.connection)
        for name in tables:
            await other.execute(f"SELECT FROM {name} FOR UPDATE NOWAIT".encode())
        await caller.commit()
        await other.rollback()


# What applications have done to their connections


async def test_a_connections_factories_are_of_no_consequence(kernel: Kernel, url: str) -> None:
    """Rows as dictionaries, cursors of another kind, JSON and text read in another way."""
    async with await psycopg.AsyncConnection[Any].connect(url, cursor_factory=psycopg.AsyncRawCursor) as connection:
        connection.row_factory = dict_row
        set_json_loads(lambda data: "not what it was", connection)
        run = await kernel.start("order", 1, key="k", connection=connection)
        await kernel.request_signal(run.id, "approval", "yes", key="s", connection=connection)
        await kernel.request_signal(run.id, "approval", "yes", key="s", connection=connection)
        again = await kernel.start("order", 1, key="k", connection=connection)

        assert (again.id, again.created) == (run.id, False)
        with pytest.raises(IdempotencyConflict):
            await kernel.start("order", 2, key="k", connection=connection)


async def test_a_pipeline_may_be_on(kernel: Kernel, url: str) -> None:
    """The statement is sent and answered within it."""
    async with await psycopg.AsyncConnection.connect(url) as connection, connection.pipeline():
        run = await kernel.start("order", 1, connection=connection)
    assert (await run.read()).id == run.id


async def test_scoped_sessions_are_sessions(kernel: Kernel, url: str) -> None:
    """As Flask-SQLAlchemy's are, and those of asynchronous applications."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    session = scoped_session(sessionmaker(engine))
    run = await asyncio.to_thread(_start_and_commit, kernel, session)
    assert (await run.read()).id == run.id
    session.remove()
    engine.dispose()

    async_engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    async_session = async_scoped_session(async_sessionmaker(async_engine), scopefunc=asyncio.current_task)
    run = await kernel.start("order", 2, connection=async_session)
    await async_session.commit()
    assert (await run.read()).id == run.id
    await async_session.remove()
    await async_engine.dispose()


def _start_and_commit(kernel: Kernel, session: scoped_session[Session]) -> Any:
    run = kernel.start_sync("order", 1, connection=session)
    session.commit()
    session.remove()
    return run


async def test_without_a_transaction_there_is_nothing_to_join(kernel: Kernel, url: str) -> None:
    """A connection that commits by itself is refused, unless a transaction was begun on it."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        with pytest.raises(InvalidConnection, match="autocommit"):
            await kernel.start("order", 1, connection=connection)
        async with connection.transaction():
            run = await kernel.start("order", 1, connection=connection)
        assert (await run.read()).id == run.id
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as made, AsyncSession(made) as session:
        with pytest.raises(InvalidConnection, match="autocommit"):
            await kernel.start("order", 2, connection=made)
        with pytest.raises(InvalidConnection, match="autocommit"):
            await kernel.start("order", 2, connection=session)
    await engine.dispose()


async def test_a_closed_session_begins_anew_and_an_unbound_one_is_refused(kernel: Kernel) -> None:
    """The library's own words say what is missing."""
    with pytest.raises(InvalidConnection, match="cannot be used"):
        await kernel.start("order", 1, connection=Session())


async def test_a_session_whose_flush_has_failed_is_told_so(kernel: Kernel, url: str) -> None:
    """Though nothing was sent: the session knows by itself."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with Session(engine) as session:
        nested = session.begin_nested()
        with pytest.raises(DBAPIError):
            session.execute(text("SELECT 1 / 0"))
        with pytest.raises(TransactionFailed):
            await kernel.start("order", 1, connection=session)
        nested.rollback()
        run = await kernel.start("order", 1, connection=session)
        session.commit()
    assert (await run.read()).id == run.id
    engine.dispose()


# Where a connection leads


async def test_another_database_is_told_apart(
    kernel: Kernel,
    url: str,
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> None:
    """One with the tables, in which the flow is not registered or is another; and one without."""
    with database_factory(template_factory("migrated", create_tables)) as elsewhere:
        async with await psycopg.AsyncConnection.connect(elsewhere) as connection:
            with pytest.raises(InvalidConnection, match="is not registered"):
                await kernel.start("order", 1, connection=connection)
            await connection.commit()
        async with Kernel(flows=[order_flow(version=2)], ports=postgres_ports(elsewhere)) as other:
            await other.register()
            async with await psycopg.AsyncConnection.connect(elsewhere) as connection:
                with pytest.raises(InvalidConnection, match="is not registered"):
                    await kernel.start("order", 1, connection=connection)
            assert (await other.runs()).runs == []
    with database_factory("template1") as empty:
        async with await psycopg.AsyncConnection.connect(empty) as connection:
            with pytest.raises(SchemaMissing):
                await kernel.start("order", 1, connection=connection)


async def test_another_schema_is_used(empty_database_url: str) -> None:
    """That of the ports, whatever it is called."""

    await migrate(empty_database_url, schema='a "b" c')
    ports = postgres_ports(empty_database_url, schema='a "b" c')
    async with Kernel(flows=[order_flow()], ports=ports) as kernel:
        async with callers_of(empty_database_url) as opened:
            for kind in KINDS:
                async with opened[kind]() as caller:
                    run = await kernel.start("order", 1, connection=caller.connection)
                    await kernel.request_cancel(run.id, connection=caller.connection)
                    await caller.commit()
        assert len((await kernel.runs()).runs) == len(KINDS)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_stricter_transactions_may_be_ended_by_the_database(kernel: Kernel, caller: Caller, level: str) -> None:
    """A key that was committed after its snapshot is a serialization failure, as any other row would be."""
    await caller.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    await caller.execute("SELECT count(*) FROM fairlead.runs")
    run = await kernel.start("order", 1, key="k")

    with pytest.raises(Contention):
        await kernel.start("order", 1, key="k", connection=caller.connection)

    await caller.roll_back()
    assert (await kernel.start("order", 1, key="k", connection=caller.connection)).id == run.id


# Other drivers


DRIVERS = [
    ("psycopg2", "session"),
    ("pg8000", "connection"),
    ("asyncpg", "async session"),
    ("asyncpg", "async connection"),
]


@pytest.mark.parametrize(("driver", "kind"), DRIVERS)
async def test_any_driver_of_sqlalchemy_will_do(kernel: Kernel, url: str, driver: str, kind: str) -> None:
    """Starts, conflicts, signals, cancels, and the errors of a failed transaction."""
    pytest.importorskip(driver)
    async with callers_of(url, driver) as opened, opened[kind]() as caller:
        connection: CallerConnection = caller.connection
        run = await kernel.start("order", 1, key="k", annotations={"a": "é"}, connection=connection)
        assert not (await kernel.start("order", 1, key="k", connection=connection)).created
        with pytest.raises(IdempotencyConflict):
            await kernel.start("order", 2, key="k", connection=connection)
        starts = [Start(input=3), Start(input=4, key="k")]
        with pytest.raises(IdempotencyConflict):
            await kernel.start_many("order", starts, connection=connection)
        await kernel.request_signal(run.id, "approval", "yes", connection=connection)
        other = await kernel.start("order", 5, connection=connection)
        await kernel.request_cancel(other.id, connection=connection)
        await caller.commit()
        fired = await Hands(kernel).fire()
        assert (fired.claimed, fired.signalled, fired.cancelled) == (2, 1, 1)
        assert len((await kernel.runs()).runs) == 2

        with pytest.raises(DBAPIError):
            await caller.execute("SELECT 1 / 0")
        with pytest.raises(TransactionFailed):
            await kernel.start("order", 6, connection=connection)
        await caller.roll_back()
        await kernel.start("order", 6, key="k6", connection=connection)
        await caller.roll_back()
