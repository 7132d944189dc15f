"""A removal of a sink that was interrupted or overtaken leaves nothing to whoever is registered afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import LiteralString

import psycopg
import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.adapters.postgres.database import Database
from fairlead.adapters.postgres.persistence import PostgresPersistence
from fairlead.ports.outbox import DeadLetter, EventRecord, HeldRun, Holdings
from tests.support.records import at, new_flow, new_run
from tests.support.waiting import until

REMOVED: LiteralString = "UPDATE fairlead.sinks SET removed = true"

WAITS: LiteralString = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

LEFT: LiteralString = """
SELECT 'held', run_id FROM fairlead.held_runs UNION ALL SELECT 'dead', run_id FROM fairlead.dead_letters
"""


class Overtaken(PostgresPersistence):
    """A store in whose removals a flusher begins to record when those that wrote before have ended."""

    def __init__(self, database: Database, record: Callable[[], Awaitable[asyncio.Task[bool]]]) -> None:
        super().__init__(database)
        self._record_meanwhile = record
        self.recorded: asyncio.Task[bool]

    async def _until_written(self) -> None:
        await super()._until_written()
        self.recorded = await self._record_meanwhile()


@pytest.mark.parametrize("name", ["audit", "another"])
async def test_nobody_gets_a_run_with_a_gap(
    url: str, observer: psycopg.Connection[tuple[object, ...]], name: str
) -> None:
    """The first row waits for a sink whose removal dies half-way; later ones are born published, and nobody's."""
    ports = postgres_ports(url)
    store = ports.persistence
    flow = await store.register_flow(new_flow(), replace=False)
    await store.register_sinks(["audit"], now=at(0))
    await store.insert_runs([new_run(flow, 1)])
    observer.execute(REMOVED)
    await store.insert_runs([new_run(flow, 2)])
    await store.register_sinks([name], now=at(1))
    await store.insert_runs([new_run(flow, 3)])

    waiting = {row[0] for row in observer.execute("SELECT run_id::text FROM fairlead.outbox WHERE NOT published")}
    assert waiting == {new_run(flow, 3).id}
    await ports.aclose()


async def test_what_a_flusher_records_while_its_sink_is_removed_is_nobodys(
    url: str, database: Database, observer: psycopg.Connection[tuple[object, ...]]
) -> None:
    """The sink's number is given to others, to whom no run is held at an event that somebody else had refused."""
    store = PostgresPersistence(database)
    flow = await store.register_flow(new_flow(), replace=False)
    run = new_run(flow, 1).id
    await store.register_sinks(["audit", "mail"], now=at(0))
    await store.insert_runs([new_run(flow, 1)])
    (lease,) = (await store.lease_shards("audit", "flusher", now=at(0), until=at(30), limit=1)).leases
    event = EventRecord(
        run_id=run, flow="orders", generation=1, sequence=1, type="run.created", step=None, at=at(0), data=b"{}"
    )
    refused = Holdings(
        rows=[(run, 1)],
        runs=[HeldRun(run_id=run, next_sequence=1, lost=True, attempts=0, not_before=at(9), problem="no")],
        dead=[DeadLetter(sink="audit", event=event, attempts=90, problem="no", died_at=at(0))],
    )
    with psycopg.connect(url) as neighbour:

        async def record() -> asyncio.Task[bool]:
            neighbour.execute("SELECT FROM fairlead.outbox FOR UPDATE")
            recording = asyncio.create_task(store.record_holdings(lease, refused))
            await until(lambda: observer.execute(WAITS).fetchall())
            return recording

        removal = Overtaken(database, record)
        removing = asyncio.create_task(removal.remove_sink("audit"))
        await until(lambda: removing.done() or len(observer.execute(WAITS).fetchall()) > 1)

    assert (await removal.recorded, await removing) == (True, True)
    assert observer.execute(LEFT).fetchall() == []
