"""Sessions and connections of SQLAlchemy, over whatever driver."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import event, exc, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from ....ports.callers import InvalidConnection, TransactionFailed
from .failing import AUTOCOMMIT, translate_for_caller
from .lent import Lent, Row

COMMITS = "fairlead.commits"
"""Where a session keeps who is told of its commits."""


def lent_by_sqlalchemy(connection: object) -> Lent | None:
    """The connection as it can be used; None where it is none of SQLAlchemy's."""
    found: object = connection
    if isinstance(connection, (scoped_session, async_scoped_session)):
        found = cast(Callable[[], object], connection)()
    match found:
        case Session() | Connection():
            return _Blocking(found)
        case AsyncSession() | AsyncConnection():
            return _Asynchronous(found)
        case _:
            return None


class _Blocking(Lent):
    blocks = True

    def __init__(self, connection: Connection | Session) -> None:
        self._connection = connection

    async def rows(self, sql: str, given: str) -> Sequence[Row]:
        with _translated():
            return _rows(self._connection, sql, given)

    async def run(self, sql: str) -> None:
        with _translated():
            _run(self._connection, sql)

    def after_commit(self, act: Callable[[], None]) -> bool:
        return _after_commit(self._connection, act)


class _Asynchronous(Lent):
    blocks = False

    def __init__(self, connection: AsyncConnection | AsyncSession) -> None:
        self._connection = connection

    async def rows(self, sql: str, given: str) -> Sequence[Row]:
        with _translated():
            return await self._connection.run_sync(_rows, sql, given)

    async def run(self, sql: str) -> None:
        with _translated():
            await self._connection.run_sync(_run, sql)

    def after_commit(self, act: Callable[[], None]) -> bool:
        connection = self._connection
        return isinstance(connection, AsyncSession) and _after_commit(connection.sync_session, act)


def _rows(connection: Connection | Session, sql: str, given: str) -> Sequence[Row]:
    statement = text(sql.replace("%(given)s", ":given"))
    return [tuple(row) for row in _in_transaction(connection).execute(statement, {"given": given})]


def _run(connection: Connection | Session, sql: str) -> None:
    _in_transaction(connection).execute(text(sql))


def _in_transaction(connection: Connection | Session) -> Connection:
    """The connection itself, or that of a session; SQLAlchemy begins a transaction where none was begun."""
    found = connection.connection() if isinstance(connection, Session) else connection
    if getattr(found.connection.dbapi_connection, "autocommit", False) is True:
        raise InvalidConnection(AUTOCOMMIT)
    return found


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except exc.PendingRollbackError as error:
        raise TransactionFailed(_first_line(error)) from error
    except exc.DBAPIError as error:
        raise translate_for_caller(_as_of_psycopg(error)) from error
    except exc.SQLAlchemyError as error:
        raise InvalidConnection(f"connection cannot be used: {_first_line(error)}") from error


def _as_of_psycopg(error: exc.DBAPIError) -> Exception:
    """The error of any driver as psycopg would have raised it; the state says which."""
    original = error.orig
    if isinstance(original, psycopg.Error):
        return original
    message = str(original)
    state = _state(original)
    if state is None:
        return psycopg.OperationalError(message) if error.connection_invalidated else psycopg.Error(message)
    try:
        kind = psycopg.errors.lookup(state)
    except KeyError:
        return psycopg.Error(message)
    return kind(message)


def _state(original: BaseException | None) -> str | None:
    """The SQLSTATE, where the driver keeps it: psycopg2 and asyncpg in fields, pg8000 in what the server said."""
    for name in ("sqlstate", "pgcode"):
        state = getattr(original, name, None)
        if isinstance(state, str):
            return state
    said: Any = original.args[0] if original is not None and original.args else None
    state = said.get("C") if isinstance(said, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return state if isinstance(state, str) else None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _after_commit(session: Session | Connection, act: Callable[[], None]) -> bool:
    """A connection tells of its commits before they are sent, which is too early."""
    if isinstance(session, Connection):
        return False
    commits = session.info.get(COMMITS)
    if not isinstance(commits, _Commits):
        commits = session.info[COMMITS] = _Commits(session)
    commits.acts.append(act)
    return True


class _Commits:
    """What is to be done once a session has committed; its rollback forgets it."""

    def __init__(self, session: Session) -> None:
        self.acts: list[Callable[[], None]] = []
        event.listen(session, "after_commit", self._committed)
        event.listen(session, "after_rollback", self._rolled_back)

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint was released
            return
        acts, self.acts = self.acts, []
        for act in acts:
            act()

    def _rolled_back(self, session: Session) -> None:
        if not session.in_nested_transaction():
            self.acts = []
