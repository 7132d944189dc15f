"""The PostgreSQL adapters under planners that have lost their way: no plan may change what is right (FAULTS 30).

Each is an adapter for the contract suites: with a kind of plan forbidden, with all kinds but one forbidden, or with
statistics that tell of rows long gone and of none that are there. `make planners` runs all suites under all of them,
but for tests of a size for which a plan must be good: those show that work ends in time, and not that it is right.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from psycopg import sql

from .postgres_subject import Migrated, Place, create_tables, subject_in
from .subjects import AdapterSubject

STALE = """
ALTER TABLE fairlead.runs SET (autovacuum_enabled = off);
ALTER TABLE fairlead.steps SET (autovacuum_enabled = off);
ALTER TABLE fairlead.tasks SET (autovacuum_enabled = off);
ALTER TABLE fairlead.outbox SET (autovacuum_enabled = off);
INSERT INTO fairlead.runs
    (id, flow_id, flow, version, fingerprint, request_digest, status, created_at, started_at, ended_at, input)
SELECT gen_random_uuid(), 1, 'orders', '1', 'shape-1', 'digest', 'completed', now(), now(), now(), '1'
FROM generate_series(1, 5000);
INSERT INTO fairlead.steps
    (run_id, slug, generation, status, elements, remaining_tasks, remaining_dependencies, failed_tasks, cursor)
SELECT id, 'pack', 1, 'completed', 1, 0, 0, 0, 1 FROM fairlead.runs;
INSERT INTO fairlead.tasks
    (run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, status)
SELECT id, 'pack', 1, 0, 1, 'default', 0, now(), now(), 'completed' FROM fairlead.runs;
INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, published, at, flow, events)
SELECT id, 1, 3, 1, 7, true, now(), 'orders', '[]' FROM fairlead.runs;
ANALYZE fairlead.runs, fairlead.steps, fairlead.tasks, fairlead.outbox;
DELETE FROM fairlead.outbox;
DELETE FROM fairlead.tasks;
DELETE FROM fairlead.steps;
DELETE FROM fairlead.runs;
"""
"""Statistics of many ended runs of one flow, whose rows are dead and in the way."""


def _under(
    label: str = "migrated", script: str = "", **settings: str
) -> Callable[[pytest.FixtureRequest], AdapterSubject]:
    """An adapter over databases that a script has prepared, with these settings in every session."""

    def adapter(request: pytest.FixtureRequest) -> AdapterSubject:
        if request.node.get_closest_marker("large") is not None:
            pytest.skip("no planner that is led astray finds so many rows in time")
        databases = request.getfixturevalue("database_factory")
        template = request.getfixturevalue("template_factory")(label, partial(_prepare, script))

        @contextmanager
        def place() -> Generator[Place]:
            with databases(template) as url:
                _set(url, settings)
                yield Place(url=url, beside=url)

        return subject_in(Migrated(place))

    return adapter


def _prepare(script: str, url: str) -> None:
    create_tables(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def _set(url: str, settings: Mapping[str, str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        for name, value in settings.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(statement.format(database, sql.Identifier(name), sql.Literal(value)))


no_seqscan = _under(enable_seqscan="off")
no_indexscan = _under(enable_indexscan="off", enable_indexonlyscan="off")
only_seqscan = _under(enable_indexscan="off", enable_indexonlyscan="off", enable_bitmapscan="off")
no_hashjoin = _under(enable_hashjoin="off")
no_nestloop = _under(enable_nestloop="off")
only_nestloop = _under(enable_hashjoin="off", enable_mergejoin="off", enable_material="off", enable_memoize="off")
only_mergejoin = _under(enable_nestloop="off", enable_hashjoin="off")
no_sort = _under(enable_sort="off", enable_incremental_sort="off", enable_hashagg="off")
parallel = _under(parallel_setup_cost="0", parallel_tuple_cost="0", min_parallel_table_scan_size="0")
stale = _under("stale", STALE)
