"""Finding runs by their annotations reads those that have them, however many others there are."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import psycopg
import pytest

from tests.support.plans import Plan, nodes_of, plan_of, rows_read

from .conftest import Filled

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


@pytest.fixture
def filled(filled_database: Filled) -> Generator[psycopg.Connection[Any]]:
    """A connection to a database with 100,000 annotated runs."""
    with filled_database("annotated", FILL) as connection:
        yield connection


def _plan(connection: psycopg.Connection[Any], annotations: dict[str, object]) -> Plan:
    """The plan of a search as it was carried out."""
    return plan_of(connection, "list_annotated_runs", {"annotations": json.dumps(annotations), "limit": 101})


@pytest.mark.parametrize(
    ("annotations", "runs"),
    [({"order": 4711}, 1), ({"customer": "c17"}, 20), ({"customer": "c17", "tier": 2}, 7), ({"customer": "nobody"}, 0)],
)
def test_runs_are_found_by_the_index(
    filled: psycopg.Connection[Any], annotations: dict[str, object], runs: int
) -> None:
    """Its entries, and then the rows of the runs that it found."""
    plan = _plan(filled, annotations)

    assert plan["Actual Rows"] == pytest.approx(runs, abs=1)
    assert "run_annotations_searched" in {node.get("Index Name") for node in nodes_of(plan)}
    assert max(rows_read(plan).values(), default=0) <= 21


def test_a_page_of_what_a_third_of_all_runs_have_is_found_soon(filled: psycopg.Connection[Any]) -> None:
    """Where nearly any run will do, the newest are looked at one by one, or all sorted: a page either way."""
    assert _plan(filled, {"tier": 2})["Actual Rows"] == 101
