"""Connections of psycopg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from ....ports.callers import InvalidConnection, TransactionFailed
from .failing import AUTOCOMMIT, translated_for_caller
from .lent import Lent, Row

Blocking: TypeAlias = "psycopg.Connection[Any]"
Asynchronous: TypeAlias = "psycopg.AsyncConnection[Any]"


def lent_by_psycopg(connection: object) -> Lent | None:
    """The connection as it can be used; None where it is none of psycopg's."""
    if isinstance(connection, psycopg.Connection):
        return _BlockingConnection(connection)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(connection, psycopg.AsyncConnection):
        return _AsynchronousConnection(connection)  # pyright: ignore[reportUnknownArgumentType]
    return None


class _BlockingConnection(Lent):
    blocks = True

    def __init__(self, connection: Blocking) -> None:
        self._connection = connection

    async def rows(self, sql: str, given: str) -> Sequence[Row]:
        _require_transaction(self._connection)
        # A cursor of our own kind: the connection's factories are the caller's business.
        with translated_for_caller(), psycopg.RawCursor(self._connection, row_factory=tuple_row) as cursor:
            return cursor.execute(_numbered(sql), [given], prepare=False).fetchall()

    async def run(self, sql: str) -> None:
        _require_transaction(self._connection)
        with translated_for_caller(), psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(sql.encode(), prepare=False)


class _AsynchronousConnection(Lent):
    blocks = False

    def __init__(self, connection: Asynchronous) -> None:
        self._connection = connection

    async def rows(self, sql: str, given: str) -> Sequence[Row]:
        _require_transaction(self._connection)
        with translated_for_caller():
            async with psycopg.AsyncRawCursor(self._connection, row_factory=tuple_row) as cursor:
                await cursor.execute(_numbered(sql), [given], prepare=False)
                return await cursor.fetchall()

    async def run(self, sql: str) -> None:
        _require_transaction(self._connection)
        with translated_for_caller():
            async with psycopg.AsyncRawCursor(self._connection) as cursor:
                await cursor.execute(sql.encode(), prepare=False)


def _require_transaction(connection: Blocking | Asynchronous) -> None:
    """Without autocommit psycopg begins a transaction before the first statement, whosever it is."""
    status = connection.info.transaction_status
    if status == TransactionStatus.INERROR:
        raise TransactionFailed("an earlier statement was refused")
    if connection.autocommit and status == TransactionStatus.IDLE:
        raise InvalidConnection(AUTOCOMMIT)


def _numbered(sql: str) -> bytes:
    return sql.replace("%(given)s", "$1").encode()
