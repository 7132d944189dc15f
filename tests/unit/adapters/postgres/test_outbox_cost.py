"""What a flush reads: probes, however much is published, waits for other sinks, or is held."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.adaptation import adapt
from fairlead.adapters.postgres.arrays import ints, texts
from tests.support.plans import plan_of, rows_read
from tests.support.records import START

AUDIT, MAIL = 0, 1
"""The numbers of two sinks. One is quick, the other has been down for long."""

FILL = """
INSERT INTO fairlead.sinks (id, name, registered_at) VALUES (0, 'audit', now()), (1, 'mail', now());
INSERT INTO fairlead.outbox
    (run_id, first_sequence, count, generation, shard, published, at, flow, events, delivered, held)
SELECT gen_random_uuid(), 1, 1, 1, n % 64, true, now(), 'orders', '[]'::json, 3, 0 FROM generate_series(1, 40000) AS n
UNION ALL
SELECT gen_random_uuid(), 1, 1, 1, n % 64, false, now(), 'orders', '[]'::json, 1, 0 FROM generate_series(1, 20000) AS n
UNION ALL
SELECT gen_random_uuid(), 1, 1, 1, n % 64, false, now(), 'orders', '[]'::json, 1, 2 FROM generate_series(1, 20000) AS n;
INSERT INTO fairlead.held_runs (sink, run_id, shard, next_sequence, lost, attempts, not_before, problem)
SELECT 1, run_id, shard, 1, false, 3, now() + interval '1 day', 'down' FROM fairlead.outbox WHERE held = 2;
UPDATE fairlead.outbox_shards SET worker = 'flusher', lease_until = now() + interval '30 s' WHERE shard = 7;
"""
"""40,000 rows are published, 20,000 wait for mail, 20,000 are held for it; audit has them all."""

FRESH = """
INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, published, at, flow, events)
SELECT gen_random_uuid(), 1, 1, 1, 7, false, now(), 'orders', '[]'::json FROM generate_series(1, 30) AS n
"""
"""30 rows of one shard that nobody has yet."""

PLANNERS = {"as it is": "SELECT", "with statistics": "ANALYZE"}


@pytest.fixture(params=PLANNERS)
def filled(request: pytest.FixtureRequest, observer: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection to a database with a long outbox, with statistics and without."""
    for table in ("outbox", "held_runs", "outbox_shards"):
        observer.execute(f"ALTER TABLE fairlead.{table} SET (autovacuum_enabled = off)".encode())
    observer.execute(FILL.encode())
    observer.execute(FRESH.encode())
    observer.execute(PLANNERS[request.param].encode())
    adapt(observer)
    return observer


def parameters(connection: psycopg.Connection[Any], sink: int) -> dict[str, object]:
    """Of every statement of a flush."""
    query = b"SELECT token FROM fairlead.outbox_shards WHERE sink = %s AND shard = 7"
    ((token,),) = connection.execute(query, [sink]).fetchall()
    return {
        "shard": 7,
        "token": token,
        "after_run": "00000000-0000-0000-0000-000000000000",
        "after_sequence": 0,
        "limit": 50,
        "worker": "flusher",
        "now": START,
        "until": START,
        "queues": texts(["default"]),
        "flow_ids": ints([1]),
        "expired_before": START,
    }


@pytest.mark.parametrize("sink", [AUDIT, MAIL], ids=["audit", "mail"])
@pytest.mark.parametrize("name", ["lease_shards", "read_fresh", "due"])
def test_a_flush_reads_what_it_needs(filled: psycopg.Connection[Any], name: str, sink: int) -> None:
    """Some rows for each shard, and the rows of its page for each mask; never the backlog of others."""
    named = {**parameters(filled, sink), "sink": sink if name == "read_fresh" else ("audit", "mail")[sink]}
    read = rows_read(plan_of(filled, name, {**named, "sinks": texts([("audit", "mail")[sink]])}))

    assert 0 < read["outbox"] + read["held_runs"] <= 64 * 4 + 2 * 50
