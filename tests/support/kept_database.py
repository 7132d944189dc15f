"""A database with a run in every state that it can be kept in, as a file of SQL: what later versions have to resume.

    python -m tests.support.kept_database

writes `tests/unit/adapters/postgres/kept_databases/<version of the tables>.sql` with this version of Fairlead. The file
holds the rows alone: the tables come from the migrations up to that version, which never change.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from attrs import evolve
from psycopg import sql

from fairlead.adapters.memory import ManualClock, MemoryWakeups
from fairlead.adapters.postgres import migrate, postgres_ports
from fairlead.adapters.postgres.embedded import EmbeddedServer
from fairlead.adapters.postgres.migrating import LATEST
from fairlead.kernel import EventRecord, Flow, GiveUp, Kernel, RunHandle, Suspend
from fairlead.kernel.commands import WriteNotes
from fairlead.ports import Ports
from fairlead.ports.notes import LogLevel, NewLogEntry, ProgressRecord
from fairlead.ports.records import ClaimedTask

from .flushing import flush, flush_all
from .hands import Hands
from .records import run_id
from .survey import survey

KEPT = Path(__file__).parents[1] / "unit/adapters/postgres/kept_databases"
"""One file for each version of the tables that was released."""

HOUR = timedelta(hours=1)
LARGE = ["large", "x" * 1_000]
"""An input that does not fit into its run's row where `INLINE_BYTES_MAX` is."""
INLINE_BYTES_MAX = 500

COLUMNS = """
SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position)
FROM information_schema.columns
WHERE table_schema = 'fairlead' AND is_generated = 'NEVER' AND table_name NOT IN ('migrations', 'outbox_shards')
GROUP BY table_name
ORDER BY table_name
"""


def patient() -> Flow[Any]:
    """A step, an answer, a sleep, and slow work that is looked at."""
    flow: Flow[Any] = Flow("patient", version=1)
    flow.step(lambda: None, slug="draft")
    flow.signal("answer", str, after=["draft"])
    flow.sleep("pause", HOUR, after=["answer"])

    @flow.step(after=["pause"])
    def compute() -> Any | Suspend[Any]:
        return None

    @flow.check(compute)
    def look(state: Any) -> Any | Suspend[Any]:
        return state

    return flow


class Mail:
    """A subscriber that gives up on the first event that it is told of, and refuses all others until it is well."""

    def __init__(self) -> None:
        self.well = False
        self.heard: list[tuple[str, int]] = []

    async def __call__(self, event: EventRecord) -> None:
        """Hear an event."""
        if self.well:
            self.heard.append((event.run_id, event.sequence))
        elif event.sequence == 1:
            raise GiveUp("unknown address")
        else:
            raise ConnectionError("down")


class KeptWorld:
    """A kernel on a database, on a clock that is moved by hand, with ids that are counted."""

    def __init__(self, url: str, *, ids_from: int = 1) -> None:
        self.clock = ManualClock()
        numbers = count(ids_from)
        ports = postgres_ports(url)
        self.ports: Ports = evolve(
            ports, clock=self.clock, transport=MemoryWakeups(self.clock), new_id=lambda: run_id(next(numbers))
        )
        self.mail = Mail()
        self.kernel = Kernel(flows=[survey(), patient()], ports=self.ports, inline_bytes_max=INLINE_BYTES_MAX)
        self.kernel.subscribe("*", self.mail, name="mail")
        self.hands = Hands(self.kernel)

    async def begin(self) -> None:
        """Leave a run in every state, and everything that is kept beside runs. Keys say what is what."""
        for key in ("completed", "cancelled", "failed", "rerun"):
            await self._survey(key)
        for key in ("asked", "sleeping", "checked"):
            await self._patient(key)
        await self._survey("running")
        ahead = await self.kernel.start("patient", None, key="answered ahead")
        await ahead.signal("answer", "yes", key="early")
        await self.kernel.start("survey", LARGE, key="large")
        await self.kernel.start("survey", [1, 2, 3], key="pending", annotations={"customer": "acme", "rush": True})
        nightly = await self.kernel.schedule("survey", cron="0 3 * * *", input=[1, 2, 3], name="nightly")
        await nightly.pause()
        await self.kernel.schedule("survey", cron="@hourly", input=[1, 2, 3], name="hourly")
        await self.kernel.start_later("survey", [1, 2, 3], after=2 * HOUR, key="later")
        await self.kernel.start_later("survey", LARGE, after=2 * HOUR, key="large and later")
        asked = await self.kernel.start("patient", None, key="to be cancelled")
        await self.kernel.cancel_later(asked.id, after=HOUR, reason="too late")
        await flush_all(self.kernel, "mail")
        await flush(self.kernel, "mail")

    async def _survey(self, key: str) -> None:
        run = await self.kernel.start("survey", [1, 2, 3], key=key)
        await self.hands.claim_runs()
        await self.hands.complete((await self._tasks(run))[0], [1, 2, 3])
        match key:
            case "cancelled":
                await run.cancel(reason="no longer wanted")
            case "failed":
                await self.hands.fail((await self._tasks(run))[0], retryable=False)
            case "running":
                done, failed, leased = await self._tasks(run)
                await self.hands.complete(done, 1)
                await self.hands.fail(failed)
                await self._note(leased)
            case _:
                await self.hands.drain([1])
        if key == "rerun":
            await run.rerun("weigh")
            await self.hands.complete((await self.hands.claim_tasks(1))[0], 1)

    async def _patient(self, key: str) -> None:
        run = await self.kernel.start("patient", None, key=key)
        await self.hands.claim_runs()
        await self.hands.complete((await self._tasks(run))[0])
        if key == "asked":
            await run.resume_token("answer", expires_in=timedelta(days=7))
            return
        await run.signal("answer", "yes")
        if key == "checked":
            self.clock.advance(HOUR)
            await self.hands.wake()
            (task,) = await self._tasks(run)
            await self.hands.suspend(task, {"job": 1}, check_after=HOUR, give_up_after=5 * HOUR)

    async def _tasks(self, run: RunHandle) -> list[ClaimedTask]:
        """Those of a run; what is claimed of others besides stays leased."""
        return [task for task in await self.hands.claim_tasks() if task.key.run_id == run.id]

    async def _note(self, task: ClaimedTask) -> None:
        noted: dict[str, Any] = {"key": task.key, "token": task.token, "attempt": 1, "at": self.clock.now()}
        entry = NewLogEntry(sequence=1, level=LogLevel.INFO, message="at work", fields=b'{"n":1}', **noted)
        progress = ProgressRecord(done=1, total=2, message="half", **noted)
        await self.kernel.dispatch(WriteNotes(entries=(entry,), progress=(progress,)))


def dumped(url: str) -> Iterator[str]:
    """The rows of all tables as statements, a row a line."""
    with psycopg.connect(url) as connection:
        for table, columns in connection.execute(COLUMNS).fetchall():
            quoted = (sql.SQL("quote_nullable({}::text)").format(sql.Identifier(column)) for column in columns)
            row = sql.SQL(" || ', ' || ").join(quoted)
            select = sql.SQL("SELECT '(' || {} || ')' FROM {}").format(row, sql.Identifier("fairlead", table))
            rows = sorted(row for (row,) in connection.execute(select).fetchall())
            if rows:
                into = f"INSERT INTO fairlead.{table} ({', '.join(columns)})"
                yield f"{into} OVERRIDING SYSTEM VALUE VALUES\n" + ",\n".join(rows) + ";\n"


async def made() -> str:
    """The file's text."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer.open(Path(folder), discard=True) as server:
        url = server.ensure_database("kept")
        await migrate(url)
        world = KeptWorld(url)
        await world.begin()
        await world.ports.aclose()
        return "\n".join(dumped(url))


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{LATEST:04}.sql").write_text(asyncio.run(made()), encoding="utf-8")
