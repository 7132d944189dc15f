"""What waiting costs those who do not wait: nothing, however much of it there is and whatever the planner believes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock, MemoryWakeups
from fairlead.adapters.postgres import postgres_ports
from fairlead.adapters.postgres.arrays import ints, texts, uuids
from fairlead.kernel import Flow, Kernel
from tests.support.hands import Hands
from tests.support.plans import plan_of, rows_read
from tests.support.records import START

from .conftest import Filled, create_tables

NOW = START + timedelta(days=3650)

FILL = """
INSERT INTO fairlead.tasks
    (run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, status, waits_for, wake_at)
SELECT
    gen_random_uuid(), 'nap', 1, 0, n % 4, 'default', 0, now(), now(), 'suspended', 'time',
    timestamptz '2036-02-27 12:00+00' + n * interval '1 s'
FROM generate_series(1, 100000) AS n;
INSERT INTO fairlead.runs
    (id, flow_id, flow, version, fingerprint, request_digest, status, created_at, started_at, deadline_at, input)
SELECT
    gen_random_uuid(), n % 4, 'naps', '1', 'shape', 'digest', 'running', now(), now(),
    timestamptz '2036-02-27 12:00+00' + n * interval '1 s', '1'
FROM generate_series(1, 100000) AS n;
INSERT INTO fairlead.scheduled (name, due_at, command)
SELECT 'command ' || n, timestamptz '2036-02-27 12:00+00' + n * interval '1 s', '{}'
FROM generate_series(1, 10000) AS n
"""
"""What waits for a time after `NOW`."""

ONE_AFTER_THE_OTHER = """
ALTER TABLE fairlead.tasks SET (autovacuum_enabled = off);
ALTER TABLE fairlead.runs SET (autovacuum_enabled = off);
ALTER TABLE fairlead.scheduled SET (autovacuum_enabled = off);
ANALYZE;
"""
"""So that the planner believes that nothing waits, until it is told otherwise."""

PARAMETERS: Mapping[str, object] = {
    "flow_ids": ints([1, 2, 3]),
    "queue": "default",
    "sinks": texts(["default"]),
    "queues": texts(["default", "other"]),
    "window": 50,
    "limit": 50,
    "lost_limit": 1,
    "worker": "worker-1",
    "now": NOW,
    "lease_until": NOW + timedelta(seconds=30),
    "expired_before": START,
    "before": NOW,
    "leave_out": uuids([]),
}

READ_MAX = 10
"""Rows that a question may read to learn that nothing is due: the first of each flow, and a look at each index."""


@pytest.fixture
def filled(filled_database: Filled) -> Generator[psycopg.Connection[Any]]:
    """A connection to a database in which much waits."""
    with filled_database("much_waits", ONE_AFTER_THE_OTHER + FILL) as connection:
        yield connection


@pytest.mark.fault(52)
@pytest.mark.parametrize("planner", ["SELECT", "ANALYZE"], ids=["analysed when nothing waited", "analysed"])
def test_what_is_not_due_is_not_read(filled: psycopg.Connection[Any], planner: str) -> None:
    """An idle host's probe, its claims and its looks at waits read a few index entries among 100,000."""
    filled.execute(planner.encode())
    asked = [("due", False), ("due", True), ("claim_tasks", False), ("find_waits", True), ("find_overdue", True)]
    read = {(name, by_key): rows_read(plan_of(filled, name, PARAMETERS, by_key=by_key)) for name, by_key in asked}

    assert {question: rows for question, rows in read.items() if rows.total() > READ_MAX} == {}
    assert read["due", True] == read["due", False] == {"tasks": 3, "runs": 1, "scheduled": 1}


def test_the_first_of_many_that_are_due_are_found_alone(filled: psycopg.Connection[Any]) -> None:
    """Of each flow as many as are asked for, in the order of the index; nothing is sorted but these."""
    late = {**PARAMETERS, "before": NOW + timedelta(days=365)}

    assert rows_read(plan_of(filled, "find_waits", late, by_key=True)) == {"tasks": 150}
    assert rows_read(plan_of(filled, "find_overdue", late, by_key=True)) == {"runs": 50}


UPDATES = """
SELECT relname, n_tup_upd, n_tup_hot_upd
FROM pg_stat_user_tables
WHERE schemaname = 'fairlead' AND relname IN ('runs', 'steps', 'tasks')
"""
INDEX_SIZES = "SELECT pg_relation_size('fairlead.tasks_waiting'), pg_relation_size('fairlead.runs_deadline')"
NOBODY_ELSE = """
SELECT count(*) = 0 FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
NO_INDEXES = "DROP INDEX fairlead.tasks_waiting; DROP INDEX fairlead.runs_deadline"


def plain() -> Flow[Any]:
    """A step and a map over it: nothing waits."""
    flow = Flow("plain", version=1)

    @flow.step
    def read(input: object) -> object:
        return input

    @flow.map(over="read")
    def weigh(item: object) -> object:
        return item

    return flow


async def _work(url: str) -> dict[str, tuple[int, int]]:
    """Do plain work; how many rows of each table were updated, and how many of these without touching an index."""
    ports = postgres_ports(url)
    ports = evolve(ports, transport=MemoryWakeups(ports.clock), clock=ManualClock())
    kernel = Kernel(flows=[plain()], ports=ports)
    for number in range(5):
        await kernel.start("plain", list(range(20)), key=str(number))
    await Hands(kernel, slots=3).drain(list(range(20)))
    await ports.aclose()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while not (await (await connection.execute(NOBODY_ELSE)).fetchall())[0][0]:
            pass
        rows = await (await connection.execute(UPDATES)).fetchall()
    return {table: (updates, hot) for table, updates, hot in rows}


async def test_what_does_not_wait_touches_no_index_of_what_waits(
    url: str,
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> None:
    """As many updates stay on their page, without a new index entry, as if these indexes were not there."""
    with database_factory(template_factory("migrated", create_tables)) as bare:
        with psycopg.connect(bare, autocommit=True) as connection:
            connection.execute(NO_INDEXES)
        without = await _work(bare)
    with_them = await _work(url)
    with psycopg.connect(url) as connection:
        sizes = connection.execute(INDEX_SIZES).fetchall()[0]

    assert with_them == without
    assert with_them["runs"][0] > 0
    assert with_them["tasks"][0] >= 100
    assert set(sizes) == {8192}, "an index that was written to has more than its first page"
