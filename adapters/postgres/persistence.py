"""The store in PostgreSQL: `Persistence` put together from its roles."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ...ports.persistence import Persistence, Transaction
from .claiming import TaskLeasing
from .database import Database
from .health import HealthReading
from .invariants import InvariantChecking
from .notes import NoteKeeping
from .outbox import OutboxKeeping
from .reading import RunReading
from .retention import Forgetting
from .sinks import SinkKeeping
from .starting import RunStarting
from .transaction import PostgresTransaction
from .waiting import WaitKeeping
from .workers import WorkerKeeping

DEDICATED_CONNECTIONS = 2
"""A second handle serves one duty in a thread, heartbeats or notes: one statement at a time, and one while that one is
stuck."""


class PostgresPersistence(
    RunStarting,
    TaskLeasing,
    WaitKeeping,
    OutboxKeeping,
    SinkKeeping,
    RunReading,
    Forgetting,
    HealthReading,
    NoteKeeping,
    WorkerKeeping,
    InvariantChecking,
):
    """`Persistence` over one database and schema."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction: commits when the block ends, rolls back when it raises."""
        return PostgresTransaction(self._database)

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Persistence]:
        """A second handle on the same store with connections of its own, for another thread's event loop."""
        handle = PostgresPersistence(self._database.with_own_connections(DEDICATED_CONNECTIONS))
        try:
            yield handle
        finally:
            await handle.aclose()

    async def aclose(self) -> None:
        """Close everything that was opened. A closed store may be used again."""
        await self._database.aclose()
