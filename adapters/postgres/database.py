"""One database and schema as the adapter uses it: single statements, pipelined exchanges, deadlines, proof.

Nothing here knows of runs or tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from attrs import evolve, field, frozen
from psycopg import AsyncCursor, AsyncRawCursor
from psycopg.errors import InvalidSqlStatementName
from psycopg.pq import TransactionStatus

from ...ports.errors import AdapterError, Unavailable
from .connecting import Connection, close_now
from .errors import MIGRATE, SchemaMismatch, SchemaMissing, translated
from .migrating import LATEST
from .pool import ConnectionPool
from .statements import DEFAULT_SCHEMA, Statement, Statements, quoted

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, object]
Sent: TypeAlias = tuple[Statement, Parameters]
"""A statement and its parameters."""

NONE: Parameters = {}
BEGIN = Statement(b"BEGIN ISOLATION LEVEL READ COMMITTED", ())
SNAPSHOT = Statement(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
"""For several statements that must see one state."""
PLAN_BY_KEY = Statement(
    b"SELECT set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),"
    b" set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),"
    b" set_config('enable_mergejoin', 'off', true), set_config('enable_material', 'off', true),"
    b" set_config('plan_cache_mode', 'force_generic_plan', true)",
    (),
)
"""For statements that find every row by an index, in its order. A planner without good statistics would rather read a
whole table, or everything that waits in an index in order to sort it or to compare it with each row; and one that
overestimates a recursion would compile the statement first, which takes longer than running it. So the parameters do
not matter to the plan: a statement that is prepared is planned once, and not again for each batch, which takes longer
than writing a small one. The settings end with the transaction."""
_END_WHEN_LONG = b"set_config('transaction_timeout', '%d', true)"
"""A host that falls silent inside a transaction (it is stopped, or has no power any more) would keep its locks for as
long as TCP believes in its connection. The setting ends with the transaction. Limits for idle sessions do not help:
psycopg ends a pipeline with a Flush, after which the server takes its client for busy."""
_HAS_TRANSACTION_TIMEOUT = 170_000
"""The version of PostgreSQL since which there is such a limit."""
TRANSACTION_DEADLINES = 2
"""How many deadlines of an exchange a transaction may take in all; one is two round trips or three."""
COMMIT = Statement(b"COMMIT", ())
ROLLBACK = Statement(b"ROLLBACK", ())
_OPEN = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})
_FAILED = "the transaction had failed before its commit, and was rolled back"


@frozen(kw_only=True)
class DatabaseSettings:
    """How a database is reached."""

    conninfo: str = field(repr=False)
    schema: str = DEFAULT_SCHEMA
    pool_size: int = 10
    pool_wait_s: float = 10.0
    """How long a caller waits for a connection."""
    deadline_s: float = 30.0
    """How long one exchange with the server may take before its connection is given up; a transaction may take
    `TRANSACTION_DEADLINES` as long in all."""
    lock_wait_s: float = 5.0
    """How long a transaction waits for another one's lock where it was told to wait."""
    prepare: bool = False


class Database:
    """Statements in, rows out; every error is one of the ports'."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.statements = Statements(settings.schema)
        end_when_long = _END_WHEN_LONG % round(TRANSACTION_DEADLINES * settings.deadline_s * 1000)
        self._end_when_long = Statement(b"SELECT " + end_when_long, ())
        self._plan_by_key_and_end = Statement(PLAN_BY_KEY.text + b", " + end_when_long, ())
        self._wrap_singles = False
        self._pool = ConnectionPool(
            settings.conninfo,
            size=settings.pool_size,
            wait_s=settings.pool_wait_s,
            prepare=settings.prepare,
            prove=self._prove,
        )

    def with_own_connections(self, size: int) -> Database:
        """The same database through another pool, for another event loop."""
        return Database(evolve(self.settings, pool_size=size))

    async def read(
        self,
        name: str,
        parameters: Parameters = NONE,
        *,
        by_key: bool = False,
        deadline_s: float | None = None,
        rows_max: int | None = None,
    ) -> list[Row]:
        """Run one statement file that changes nothing, and return its rows.

        Args:
            name: of the file.
            parameters: of the statement, by name.
            by_key: as in `PLAN_BY_KEY`.
            deadline_s: how long it may take; as long as any exchange where None.
            rows_max: after how many rows it ends; none where None.
        """
        statement = self.statements[name]
        if rows_max is not None:
            statement, parameters = self.statements.limited(name), {**parameters, "rows_max": rows_max}
        return await self._single(statement, parameters, by_key=by_key, committing=False, deadline_s=deadline_s)

    async def write(self, name: str, parameters: Parameters = NONE, *, by_key: bool = False) -> list[Row]:
        """Run one statement file as a transaction of its own, and return its rows; `by_key` as in `PLAN_BY_KEY`."""
        return await self._single(self.statements[name], parameters, by_key=by_key, committing=True)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A pooled connection in autocommit mode; closed afterwards unless it comes back idle."""
        async with self._pool.connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, begin: Statement = BEGIN, *, bounded: bool = True) -> AsyncGenerator[Connection]:
        """A connection inside an explicit transaction, for what is not hot. The block may roll back early.

        Args:
            begin: how it begins.
            bounded: whether it may take `TRANSACTION_DEADLINES` at most; without, as long as there is data to send.
        """
        async with self._pool.connection() as connection:
            limit = [(self._end_when_long, NONE)] if bounded and _limits_transactions(connection) else []
            await self.exchange(connection, [(begin, NONE), *limit])
            try:
                yield connection
            except BaseException:  # recovers 29: a block fails, and its transaction with it
                await self.roll_back(connection)
                raise
            if connection.closed:  # recovers 29: a block goes on although its connection is gone
                raise AdapterError(_FAILED, retryable=True)
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                await self.commit(connection)

    def begin_by_key(self, connection: Connection) -> Sequence[Sent]:
        """What begins a transaction of several exchanges whose statements are planned as `PLAN_BY_KEY` says."""
        settings = self._plan_by_key_and_end if _limits_transactions(connection) else PLAN_BY_KEY
        return [(BEGIN, NONE), (settings, NONE)]

    async def exchange(self, connection: Connection, sent: Sequence[Sent]) -> list[AsyncCursor[Row]]:
        """Send statements in one round trip and wait for all their answers."""
        with translated():
            async with asyncio.timeout(self.settings.deadline_s):
                return await _pipelined(connection, sent)

    async def fetch(self, connection: Connection, name: str, parameters: Parameters = NONE) -> list[Row]:
        """Run one statement file on `connection`, and return its rows."""
        (answer,) = await self.exchange(connection, [(self.statements[name], parameters)])
        return await _rows(answer)

    async def commit(self, connection: Connection, last: Sequence[Sent] = ()) -> None:
        """Commit, in one round trip with the last statements of the transaction. One that an error had ended already
        is not taken for a commit."""
        with translated(committing=True):
            async with asyncio.timeout(self.settings.deadline_s):
                *_, committed = await _pipelined(connection, [*last, (COMMIT, NONE)])
        if committed.statusmessage != "COMMIT":  # recovers 29: a commit commits nothing
            raise AdapterError(_FAILED, retryable=True)

    async def roll_back(self, connection: Connection) -> None:
        """Roll back if that is possible at once; otherwise the connection is closed, which does the same."""
        if connection.closed or connection.pgconn.transaction_status not in _OPEN:
            return
        try:
            await self.exchange(connection, [(ROLLBACK, NONE)])
        except AdapterError:  # recovers 26: a transaction cannot be rolled back
            await connection.close()

    async def aclose(self) -> None:
        """Close the connections; the next statement opens new ones."""
        await self._pool.aclose()

    async def _single(
        self,
        statement: Statement,
        parameters: Parameters,
        *,
        by_key: bool,
        committing: bool,
        deadline_s: float | None = None,
    ) -> list[Row]:
        async with self._pool.connection() as connection:
            with translated(committing=committing):
                async with asyncio.timeout(deadline_s or self.settings.deadline_s):
                    if not by_key and not self._wrap_singles:
                        return await _rows(await _alone(connection, statement, parameters))
                    before = [(BEGIN, NONE), (PLAN_BY_KEY, NONE)] if by_key else [(BEGIN, NONE)]
                    sent = [*before, (statement, parameters), (COMMIT, NONE)]
                    return await _rows((await _pipelined(connection, sent))[-2])

    async def _prove(self, connection: Connection) -> None:
        """Look once at what the database is, before anything relies on it.

        Raises:
            SchemaMissing: there are no tables.
            SchemaMismatch: they are another version's.
            Unavailable: the server is a standby, which cannot be written to.
        """
        with translated():
            async with asyncio.timeout(self.settings.deadline_s):
                cursor = await connection.execute(
                    "SELECT pg_is_in_recovery(), current_setting('default_transaction_isolation'),"
                    " to_regclass(%s) IS NOT NULL",
                    (f"{quoted(self.settings.schema)}.migrations",),
                )
                standby, isolation, migrated = (await cursor.fetchall())[0]
                if standby:  # recovers 35, 36: the server is a standby
                    raise Unavailable("the server is a standby; give the URL of the primary")
                if not migrated:
                    raise SchemaMissing(
                        f"the database has no Fairlead tables in schema {self.settings.schema!r}; {MIGRATE}",
                    )
                rows = await self._version(connection)
        self._wrap_singles = isolation != "read committed"
        self._check_version(rows)

    async def _version(self, connection: Connection) -> int:
        cursor = await _execute(connection, self.statements["schema_version"], NONE)
        return int((await cursor.fetchall())[0][0])

    def _check_version(self, version: int) -> None:
        if version < LATEST:
            raise SchemaMismatch(f"the database's tables have version {version}, this is version {LATEST}; {MIGRATE}")
        if version > LATEST:
            raise SchemaMismatch(
                f"the database's tables have version {version}, newer than this installation's {LATEST}; "
                "upgrade fairlead",
            )


def _limits_transactions(connection: Connection) -> bool:
    return connection.info.server_version >= _HAS_TRANSACTION_TIMEOUT


async def _pipelined(connection: Connection, sent: Sequence[Sent]) -> list[AsyncCursor[Row]]:
    """All statements in one round trip.

    Where one fails, the server skips the rest, and does not prepare them; psycopg takes those for prepared that it sent
    for the second time. So a connection that prepares statements is not used again.
    """
    cursors: list[AsyncCursor[Row]] = []
    try:
        async with connection.pipeline():
            for statement, parameters in sent:
                cursors.append(await _execute(connection, statement, parameters))
    except BaseException:  # recovers 29: statements are skipped that may have been to be prepared
        if connection.prepare_threshold is not None:
            close_now(connection)
        raise
    return cursors


async def _alone(connection: Connection, statement: Statement, parameters: Parameters) -> AsyncCursor[Row]:
    try:
        return await _execute(connection, statement, parameters)
    except InvalidSqlStatementName:  # recovers 33: the server does not know what was prepared
        close_now(connection)
        raise


async def _execute(connection: Connection, statement: Statement, parameters: Parameters) -> AsyncCursor[Row]:
    cursor: AsyncCursor[Row] = AsyncRawCursor(connection)
    await cursor.execute(statement.text, statement.arguments(parameters), binary=True)
    return cursor


async def _rows(cursor: AsyncCursor[Row]) -> list[Row]:
    return await cursor.fetchall() if cursor.description is not None else []
