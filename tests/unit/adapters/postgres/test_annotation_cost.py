"""Finding runs by their annotations reads those that have them, however many others there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.adaptation import adapt
from fairlead.adapters.postgres.statements import Statements

from .conftest import create_tables

RUNS = 100_000

FILL = f"""
INSERT INTO fairlead.runs
    (id, flow_id, flow, version, fingerprint, request_digest, status, created_at, started_at, input)
SELECT
    ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, n % 4, 'orders', '1', 'shape', 'digest',
    'running', timestamptz '2036-02-27 12:00+00' + n * interval '1 s', now(), '1'
FROM generate_series(1, {RUNS}) AS n;
INSERT INTO fairlead.run_annotations (run_id, annotations, searched)
SELECT r.id, d.document, d.document::jsonb
FROM fairlead.runs AS r
CROSS JOIN LATERAL (SELECT ('x' || right(r.id::text, 8))::bit(32)::int AS n) AS i
CROSS JOIN LATERAL (
    SELECT format('{{"customer":"c%s","tier":%s,"order":%s}}', i.n % 5000, i.n % 3, i.n)::json AS document
) AS d;
ANALYZE;
"""
"""Each customer has 20 runs, each tier a third of all, and each order is one."""


def _fill(url: str) -> None:
    create_tables(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode())


@pytest.fixture
def filled(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[psycopg.Connection[Any]]:
    """A connection to a database with 100,000 annotated runs."""
    with (
        database_factory(template_factory("annotated", _fill)) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        adapt(connection)
        yield connection


def _explained(connection: psycopg.Connection[Any], annotations: dict[str, object]) -> dict[str, Any]:
    """The plan of a search as it was carried out."""
    statement = Statements()["list_annotated_runs"]
    nothing: dict[str, datetime | str | None] = dict.fromkeys(statement.names)
    parameters = {**nothing, "annotations": json.dumps(annotations), "limit": 101}
    cursor = psycopg.RawCursor(connection)
    cursor.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement.text, statement.arguments(parameters))
    found: dict[str, Any] = cursor.fetchall()[0][0][0]
    return found


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for each in plan.get("Plans", []) for node in _nodes(each))]


@pytest.mark.parametrize(
    ("annotations", "runs"),
    [({"order": 4711}, 1), ({"customer": "c17"}, 20), ({"customer": "c17", "tier": 2}, 7), ({"customer": "nobody"}, 0)],
)
def test_runs_are_found_by_the_index(
    filled: psycopg.Connection[Any], annotations: dict[str, object], runs: int
) -> None:
    """Its entries, and then the rows of the runs that it found."""
    plan = _explained(filled, annotations)["Plan"]
    nodes = _nodes(plan)
    read = [node for node in nodes if node.get("Relation Name") in ("runs", "run_annotations")]

    assert plan["Actual Rows"] == pytest.approx(runs, abs=1)
    assert "run_annotations_searched" in {node.get("Index Name") for node in nodes}
    assert all(node["Actual Rows"] * node["Actual Loops"] <= 21 for node in read)


def test_a_page_of_what_a_third_of_all_runs_have_is_found_soon(filled: psycopg.Connection[Any]) -> None:
    """Where nearly any run will do, the newest are looked at one by one, or all sorted: a page either way."""
    found = _explained(filled, {"tier": 2})

    assert found["Plan"]["Actual Rows"] == 101
