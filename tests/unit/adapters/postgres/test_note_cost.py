"""Writing notes looks at the tasks that noted something, however many others there are."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.arrays import documents, doubles, ints, texts, times, uuids
from tests.support.plans import plan_of, rows_read
from tests.support.records import run_id

from .conftest import Filled

TASKS = 40_000
TASKS_OF_RUN = 100

FILL = f"""
INSERT INTO fairlead.runs
    (id, flow_id, flow, version, fingerprint, request_digest, status, created_at, started_at, input)
SELECT
    ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1, 'orders', '1', 'shape', 'digest', 'running',
    now(), now(), '1'
FROM generate_series(1, {TASKS // TASKS_OF_RUN}) AS n;
INSERT INTO fairlead.tasks
    (run_id, generation, element, step, flow_id, priority, token, attempts, status, queue, created_at, ready_at)
SELECT r.id, 1, n, 'pack', 1, 0, 2, 2, 'running', 'default', now(), now()
FROM fairlead.runs AS r CROSS JOIN generate_series(0, {TASKS_OF_RUN - 1}) AS n;
INSERT INTO fairlead.attempts (run_id, step, generation, element, token, attempt, ended_at, reason)
SELECT t.run_id, t.step, t.generation, t.element, 1, 1, now(), 'worker_lost' FROM fairlead.tasks AS t;
"""

LEASES = 50
ENTRIES_OF_LEASE = 20


@pytest.fixture(params=["", "ANALYZE"], ids=["without statistics", "with statistics"])
def filled(filled_database: Filled, request: pytest.FixtureRequest) -> Generator[psycopg.Connection[Any]]:
    """A connection to a database in which many tasks run."""
    with filled_database(f"noting{request.param.lower()}", f"{FILL}{request.param}") as connection:
        yield connection


@pytest.mark.parametrize("token", [2, 1], ids=["running", "lost"])
def test_a_write_reads_a_row_for_each_attempt(filled: psycopg.Connection[Any], token: int) -> None:
    """Its task's, by key, and where the lease is not its task's the attempt's."""
    at = datetime(2036, 2, 27, 12, tzinfo=UTC)
    runs, elements = [run_id(1 + number % 10) for number in range(LEASES)], list(range(LEASES))

    def columns(kind: str, times_each: int) -> dict[str, object]:
        many = LEASES * times_each
        return {
            f"{kind}_runs": uuids(runs * times_each),
            f"{kind}_steps": texts(["pack"] * many),
            f"{kind}_generations": ints([1] * many),
            f"{kind}_elements": ints(elements * times_each),
            f"{kind}_tokens": ints([token] * many),
            f"{kind}_attempts": ints([1] * many),
            f"{kind}_ats": times([at] * many),
            f"{kind}_messages": texts(["hello"] * many),
        }

    entries = {
        **columns("log", ENTRIES_OF_LEASE),
        "log_sequences": ints([1 + number for number in range(ENTRIES_OF_LEASE) for _ in range(LEASES)]),
        "log_levels": texts(["info"] * LEASES * ENTRIES_OF_LEASE),
        "log_fields": documents([None] * LEASES * ENTRIES_OF_LEASE),
    }
    progress = {
        **columns("progress", 1),
        "progress_dones": doubles([1.0] * LEASES),
        "progress_totals": doubles([None] * LEASES),
    }
    read = rows_read(plan_of(filled, "write_notes", {**entries, **progress}))

    assert {table: read[table] for table in ("runs", "tasks", "attempts")} == {
        "runs": 10,
        "tasks": LEASES,
        "attempts": LEASES if token == 1 else 0,
    }
