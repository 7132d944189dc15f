"""A store in which two kernels meet, can be stopped, and begin again at the same scene as often as is needed."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
from attrs import evolve, field, frozen

from fairlead.adapters.memory import (
    CollectingSink,
    ManualClock,
    MemoryPersistence,
    MemoryScheduler,
    memory_ports,
)
from fairlead.adapters.memory.store import Store
from fairlead.adapters.postgres import PostgresPersistence, PostgresScheduler
from fairlead.adapters.postgres.database import Database, DatabaseSettings
from fairlead.adapters.postgres.source import conninfo_of
from fairlead.kernel import Kernel
from fairlead.ports import Persistence, Scheduler
from fairlead.ports.records import ClaimedTask
from tests.support.hands import Hands
from tests.support.stepping import SteppedDatabase

from .flows import everything, waits
from .stepping import SteppedPort, Steps

NEVER_THE_SAME = {"flows", "migrations", "outbox_shards", "workers", "log_counters"}
"""Tables that are left out of what is compared: leases of flushers among them, which are nobody's concern later."""

PASSING = {"shard", "digest", "registered_at"}
"""Columns that follow from ids, or are random."""

COUNTED_BY_ALL = {"scheduled"}
"""Tables whose `token` comes from one sequence for all rows."""

CANCELLED = re.compile(r"""["']status["']: ["']cancelled["']""")
HOLDER = re.compile(r"""["']worker["']: ("[^"]*"|'[^']*'|None|null)""")
"""Who had a task last. Where it was cancelled while it waited, that depends on who looked at it before, and says
nothing."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?|datetime\.datetime\([^)]*\)")


@frozen
class Scene:
    """What is there to be acted upon."""

    runs: Mapping[str, str]
    """Run ids by name."""
    tasks: Mapping[str, ClaimedTask] = field(factory=dict[str, ClaimedTask])
    """Claimed tasks by name: that of the run, a slash, and its step; of a map also its element."""
    token: str = ""
    """A resume token for a signal of the run `active`."""
    deferred: str = ""
    """The name of a start that was deferred."""


class Arena(ABC):
    """Two hosts worked by hand, over one store; each can be stopped at any of its points."""

    clock: ManualClock
    sink: CollectingSink
    first: Hands
    second: Hands

    def __init__(self) -> None:
        self.steps = (Steps(), Steps())
        self._judged: dict[str, str] = {}

    @abstractmethod
    async def bring(self, build: Callable[[Arena], Awaitable[Scene]]) -> Scene:
        """Have a scene as it is built, and nothing else; of one arena it is always the same."""

    @abstractmethod
    async def until_waiting(self) -> None:
        """Return once a transaction waits for a lock that another one holds."""

    @abstractmethod
    async def rows(self) -> Mapping[str, list[str]]:
        """All that is stored, by table, as text."""

    async def broken(self, rows: Mapping[str, list[str]]) -> str:
        """Which invariants are broken by what is stored now; not looked at twice where all is as it was before."""
        stored = str(rows)
        if stored not in self._judged:
            broken = await self.second.kernel.ports.persistence.check_invariants()
            self._judged[stored] = str(broken or "")
        return self._judged[stored]

    def _make(self, stores: tuple[tuple[Any, Any], tuple[Any, Any]]) -> None:
        shared = memory_ports(clock=self.clock, sink=self.sink)
        kernels = [
            Kernel(flows=[everything(), waits()], ports=evolve(shared, persistence=persistence, scheduler=scheduler))
            for persistence, scheduler in stores
        ]
        self.first, self.second = (Hands(kernel) for kernel in kernels)

    async def became(self, scene: Scene) -> Mapping[str, list[str]]:
        """All that is stored and was published, without times and ids."""
        names = {run_id: name for name, run_id in scene.runs.items()}
        told: dict[str, list[str]] = {table: sorted(map(str, rows)) for table, rows in (await self.rows()).items()}
        told["tasks"] = [HOLDER.sub("", row) if CANCELLED.search(row) else row for row in told["tasks"]]
        for run_id, name in names.items():
            events = {event.sequence: event.type for event in self.sink.of_run(run_id)}
            told[f"told of {name}"] = [f"{sequence} {events[sequence]}" for sequence in sorted(events)]
        return {table: sorted(anonymous(row, names) for row in rows) for table, rows in told.items()}


DIGEST = re.compile(r"[0-9a-f]{32,}")


def anonymous(text: str, names: Mapping[str, str]) -> str:
    """A text without the ids and times in it."""
    without_ids = UUID.sub(lambda found: names.get(found[0], "uuid"), text)
    return TIME.sub("time", DIGEST.sub("digest", without_ids))


class MemoryArena(Arena):
    """Everything in memory, made anew for each scene."""

    async def bring(self, build: Callable[[Arena], Awaitable[Scene]]) -> Scene:
        self._store = Store()
        self.clock, self.sink = ManualClock(), CollectingSink()
        self._make(tuple(self._handles(steps) for steps in self.steps))  # type: ignore[arg-type]
        for hands in (self.first, self.second):
            await hands.kernel.register()
        for steps in self.steps:
            steps.begin(None)
        return await build(self)

    def _handles(self, steps: Steps) -> tuple[SteppedPort, SteppedPort]:
        persistence = MemoryPersistence(self._store, lock_timeout_s=30.0)
        return SteppedPort(persistence, steps), SteppedPort(MemoryScheduler(self._store), steps)

    async def until_waiting(self) -> None:
        while not self._store.locks.waiting:  # noqa: ASYNC110 - the wait is over within a few turns of the loop
            await asyncio.sleep(0)

    async def rows(self) -> Mapping[str, list[str]]:
        tables = MemoryPersistence(self._store).snapshot()
        rows = {
            table: [str({name: value for name, value in row.items() if name not in PASSING}) for row in rows]
            for table, rows in tables.items()
            if table not in NEVER_THE_SAME
        }
        kept = await MemoryScheduler(self._store).list("", after="", limit=1_000)
        return {**rows, "scheduled": [str(each.scheduled) for each in kept]}


TABLES = """
SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position)
FROM information_schema.columns
WHERE table_schema = 'fairlead' AND is_generated = 'NEVER'
    AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'fairlead')
GROUP BY table_name ORDER BY table_name
"""
WAITING = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
), pg_sleep(0.0005)
"""


class PostgresArena(Arena):
    """Two pools of connections to one database. The scene is built once, kept in tables beside, and copied back."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._scene: Scene | None = None
        self._databases: list[Database] = []

    async def open(self) -> None:
        """Connect; the connection that looks on is a third one."""
        self._observer = await psycopg.AsyncConnection[Any].connect(self._url, autocommit=True)
        self._tables = dict(await self._all(TABLES))
        settings = DatabaseSettings(conninfo=conninfo_of(self._url), lock_wait_s=30.0)
        self.clock, self.sink = ManualClock(), CollectingSink()
        handles: list[tuple[Persistence, Scheduler]] = []
        for steps in self.steps:
            database = SteppedDatabase(settings, steps)
            self._databases.append(database)
            handles.append((PostgresPersistence(database), PostgresScheduler(database)))
        self._make((handles[0], handles[1]))
        for hands in (self.first, self.second):
            await hands.kernel.register()

    async def bring(self, build: Callable[[Arena], Awaitable[Scene]]) -> Scene:
        for steps in self.steps:
            steps.begin(None)
        if self._scene is None:
            self._scene = await build(self)
            await self._run(
                "CREATE SCHEMA kept", *(f"CREATE TABLE kept.{t} AS TABLE fairlead.{t}" for t in self._tables)
            )
        else:
            await self._run("BEGIN", *map(self._restore, self._tables), "COMMIT")
        self.sink.events.clear()
        return self._scene

    def _restore(self, table: str) -> str:
        columns = ", ".join(f'"{column}"' for column in self._tables[table])
        return (
            f"DELETE FROM fairlead.{table}; INSERT INTO fairlead.{table} ({columns})"
            f" OVERRIDING SYSTEM VALUE SELECT {columns} FROM kept.{table}"
        )

    async def until_waiting(self) -> None:
        while not (await self._all(WAITING))[0][0]:
            pass

    async def rows(self) -> Mapping[str, list[str]]:
        compared = [table for table in self._tables if table not in NEVER_THE_SAME]
        dropped = [[*PASSING, "token"] if table in COUNTED_BY_ALL else [*PASSING] for table in compared]
        parts = (f"SELECT '{table}', (to_jsonb(t) - %s::text[])::text FROM fairlead.{table} AS t" for table in compared)
        rows = await self._all(" UNION ALL ".join(parts), *dropped)
        return {table: [text for name, text in rows if name == table] for table in compared}

    async def close(self) -> None:
        await self._observer.close()
        for database in self._databases:
            await database.aclose()

    async def _run(self, *statements: str) -> None:
        await self._observer.execute("; ".join(statements).encode())

    async def _all(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await (await self._observer.execute(statement.encode(), parameters or None)).fetchall()
