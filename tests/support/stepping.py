"""A database whose statements and commits are points, at which a test may do something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from attrs import evolve
from psycopg import AsyncCursor

from fairlead.adapters.postgres.connecting import Connection
from fairlead.adapters.postgres.database import (
    BEGIN,
    NONE,
    PLAN_BY_KEY,
    ROLLBACK,
    Database,
    DatabaseSettings,
    Parameters,
    Row,
    Sent,
)
from fairlead.adapters.postgres.statements import Statement

Done = TypeVar("Done")

COMMIT = "commit"
"""The name of the point of a commit."""

ASIDE = (BEGIN, PLAN_BY_KEY, ROLLBACK)
"""Statements that are no points: nothing comes between them and the next."""


class Around(Protocol):
    """What is done at a point: the operation, and what a test wants before or after it."""

    async def __call__(self, name: str, operation: Callable[[], Awaitable[Done]], /) -> Done: ...


class SteppedDatabase(Database):
    """A database whose every exchange and commit is a point.

    Args:
        settings: of the database.
        around: carries out what is at a point.
    """

    def __init__(self, settings: DatabaseSettings, around: Around) -> None:
        super().__init__(settings)
        self._around = around

    def with_own_connections(self, size: int) -> Database:
        """The same through another pool."""
        return SteppedDatabase(evolve(self.settings, pool_size=size), self._around)

    async def exchange(self, connection: Connection, sent: Sequence[Sent]) -> list[AsyncCursor[Row]]:
        """Send statements: one point."""
        exchanging = super().exchange
        names = [statement.text.decode() for statement, _ in sent if statement not in ASIDE]
        if not names:
            return await exchanging(connection, sent)
        return await self._around(names[-1], lambda: exchanging(connection, sent))

    async def commit(self, connection: Connection, last: Sequence[Sent] = ()) -> None:
        """Commit: one point, after one for what is sent along, since others meet it while it is not committed yet."""
        if last:
            await self.exchange(connection, last)
        committing = super().commit
        await self._around(COMMIT, lambda: committing(connection))

    async def _single(
        self,
        statement: Statement,
        parameters: Parameters,
        *,
        by_key: bool,
        committing: bool,
        deadline_s: float | None = None,
    ) -> list[Row]:
        """A statement that commits by itself is a transaction, so that its commit is a point, too."""
        if not committing:
            single = super()._single
            return await self._around(
                statement.text.decode(),
                lambda: single(statement, parameters, by_key=by_key, committing=False, deadline_s=deadline_s),
            )
        async with self.transaction() as connection:
            if by_key:
                await self.exchange(connection, [(PLAN_BY_KEY, NONE)])
            (answer,) = await self.exchange(connection, [(statement, parameters)])
            return await answer.fetchall() if answer.description is not None else []
