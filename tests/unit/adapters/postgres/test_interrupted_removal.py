"""A removal of a sink that was interrupted or overtaken leaves nothing to whoever is registered afterwards."""

from __future__ import annotations

import asyncio
from typing import LiteralString

import psycopg
import pytest

from fairlead.adapters.postgres import postgres_ports
from fairlead.adapters.postgres.persistence import PostgresPersistence
from tests.support.records import at, new_flow, new_run
from tests.support.waiting import until

REMOVED: LiteralString = "UPDATE fairlead.sinks SET removed = true"

RECORDS: LiteralString = """
WITH leased AS MATERIALIZED (
    SELECT s.sink, s.shard FROM fairlead.outbox_shards AS s WHERE s.worker IS NOT NULL FOR NO KEY UPDATE
), standing AS (
    INSERT INTO fairlead.held_runs (sink, run_id, shard, next_sequence, lost, attempts, not_before, problem)
    SELECT sink, %(run)s, shard, 1, true, 0, now(), 'no' FROM leased
)
INSERT INTO fairlead.dead_letters (
    sink, run_id, sequence, shard, generation, flow, type, at, attempts, problem, died_at, event
)
SELECT sink, %(run)s, 1, shard, 1, 'orders', 'run.created', now(), 90, 'no', now(), '{}' FROM leased
"""
"""What a flusher does that has a lease, as `record_holdings` does it."""

WAITS: LiteralString = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

LEFT: LiteralString = """
SELECT 'held', run_id FROM fairlead.held_runs UNION ALL SELECT 'dead', run_id FROM fairlead.dead_letters
"""


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
    url: str, store: PostgresPersistence, observer: psycopg.Connection[tuple[object, ...]]
) -> None:
    """The sink's number is given to others, to whom no run is held at an event that somebody else had refused."""
    flow = await store.register_flow(new_flow(), replace=False)
    await store.register_sinks(["audit"], now=at(0))
    await store.insert_runs([new_run(flow, 1)])
    await store.lease_shards("audit", "flusher", now=at(0), until=at(30), limit=1)
    with psycopg.connect(url) as flusher:
        flusher.execute(RECORDS, {"run": new_run(flow, 1).id})
        removing = asyncio.create_task(store.remove_sink("audit"))
        await until(lambda: observer.execute(WAITS).fetchall())
        flusher.commit()

    assert await removing
    assert observer.execute(LEFT).fetchall() == []
