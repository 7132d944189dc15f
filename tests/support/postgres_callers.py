"""Applications with connections of their own: of SQLAlchemy and psycopg, asynchronous and not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from .subjects import Caller, Opened

ASYNCHRONOUS = ("async session", "async connection", "async psycopg")
BLOCKING = ("session", "connection", "psycopg")
KINDS = (*ASYNCHRONOUS, *BLOCKING)

Psycopg = psycopg.Connection[Any]
AsyncPsycopg = psycopg.AsyncConnection[Any]


@asynccontextmanager
async def callers_of(url: str, driver: str = "psycopg") -> AsyncGenerator[Mapping[str, Opened]]:
    """How to become a caller of each kind. Nothing is kept open in between."""
    address = url.replace("postgresql://", f"postgresql+{driver}://")
    engines: list[Engine | AsyncEngine] = []

    def blocking() -> Engine:
        engines.append(create_engine(address, poolclass=NullPool))
        return engines[-1]  # type: ignore[return-value]

    def asynchronous() -> AsyncEngine:
        engines.append(create_async_engine(address, poolclass=NullPool))
        return engines[-1]  # type: ignore[return-value]

    yield {
        "async session": lambda: async_session(AsyncSession(asynchronous())),
        "async connection": lambda: async_connection(asynchronous()),
        "async psycopg": partial(async_psycopg, url),
        "session": lambda: session(Session(blocking())),
        "connection": lambda: connection(blocking()),
        "psycopg": partial(blocking_psycopg, url),
    }
    for engine in engines:
        await engine.dispose() if isinstance(engine, AsyncEngine) else engine.dispose()


@asynccontextmanager
async def async_session(made: AsyncSession) -> AsyncGenerator[Caller]:
    """With a session of SQLAlchemy."""
    async with made:

        async def execute(sql: str) -> None:
            await made.execute(text(sql))

        yield Caller(connection=made, blocks=False, execute=execute, commit=made.commit, roll_back=made.rollback)


@asynccontextmanager
async def session(made: Session) -> AsyncGenerator[Caller]:
    """With a session of SQLAlchemy that blocks."""
    with made:
        yield _blocking(made, lambda sql: made.execute(text(sql)))


@asynccontextmanager
async def async_connection(engine: AsyncEngine) -> AsyncGenerator[Caller]:
    """With a connection of SQLAlchemy."""
    async with engine.connect() as made:

        async def execute(sql: str) -> None:
            await made.execute(text(sql))

        yield Caller(connection=made, blocks=False, execute=execute, commit=made.commit, roll_back=made.rollback)


@asynccontextmanager
async def connection(engine: Engine) -> AsyncGenerator[Caller]:
    """With a connection of SQLAlchemy that blocks."""
    with engine.connect() as made:
        yield _blocking(made, lambda sql: made.execute(text(sql)))


@asynccontextmanager
async def async_psycopg(url: str) -> AsyncGenerator[Caller]:
    """With a connection of psycopg."""
    made = await psycopg.AsyncConnection[Any].connect(url)
    try:

        async def execute(sql: str) -> None:
            await made.execute(sql.encode())

        yield Caller(connection=made, blocks=False, execute=execute, commit=made.commit, roll_back=made.rollback)
    finally:
        await made.close()


@asynccontextmanager
async def blocking_psycopg(url: str) -> AsyncGenerator[Caller]:
    """With a connection of psycopg that blocks."""
    made = psycopg.connect(url)
    try:
        yield _blocking(made, lambda sql: made.execute(sql.encode()))
    finally:
        made.close()


def _blocking(made: Session | Connection | Psycopg, run: Callable[[str], object]) -> Caller:
    async def execute(sql: str) -> None:
        run(sql)

    async def commit() -> None:
        made.commit()

    async def roll_back() -> None:
        made.rollback()

    return Caller(connection=made, blocks=True, execute=execute, commit=commit, roll_back=roll_back)


def pgconn_of(caller: Caller) -> psycopg.pq.abc.PGconn:
    """The connection of libpq below a caller's, over psycopg."""
    made: Any = caller.connection
    if isinstance(made, AsyncSession):
        made = made.sync_session
    if isinstance(made, Session):
        made = made.connection()
    if isinstance(made, AsyncConnection):
        made = made.sync_connection
    if isinstance(made, Connection):
        made = made.connection.driver_connection
    return made.pgconn  # type: ignore[no-any-return]
