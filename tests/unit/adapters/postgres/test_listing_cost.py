"""Runs of one flow are found without reading those of others, whatever the planner takes them for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.adaptation import adapt
from fairlead.adapters.postgres.arrays import texts
from fairlead.adapters.postgres.statements import Statements

from .conftest import create_tables

BEGAN = datetime(2036, 2, 27, 12, tzinfo=UTC)

OLD_FROM, YOUNG_FROM = BEGAN, BEGAN + timedelta(seconds=40_000)

FILL = """
INSERT INTO fairlead.runs
    (id, flow_id, flow, version, fingerprint, request_digest, status, created_at, ended_at, input)
SELECT
    gen_random_uuid(), 1, CASE WHEN n <= 4000 THEN 'old' WHEN n <= 40000 THEN 'kept' ELSE 'young' END, '1', 'shape',
    'digest', 'completed', timestamptz '2036-02-27 12:00+00' + n * interval '1 s', now(), '1'
FROM generate_series(1, 44000) AS n;
ANALYZE;
"""
"""A tenth of the runs is of a flow that nobody starts any more, a tenth of one that is new, the rest lies between."""

PAGE = 50

Rows = Mapping[str, object]


def _fill(url: str) -> None:
    create_tables(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode())


@pytest.fixture
def filled(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[psycopg.Connection[Any]]:
    """A connection to a database with runs of three flows, one after the other."""
    with (
        database_factory(template_factory("three_flows", _fill)) as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        adapt(connection)
        yield connection


@pytest.mark.parametrize(
    ("name", "wanted", "found", "read_most"),
    [
        ("find_prunable_of_flow", {"flow": "young"}, PAGE, PAGE),
        ("find_prunable_of_flow", {"flow": "young", "ended_before": YOUNG_FROM}, 0, 0),
        ("find_prunable_of_flow", {"flow": "young", "after_created_at": YOUNG_FROM + timedelta(hours=1)}, PAGE, PAGE),
        ("list_runs_of_flow", {"flow": "old"}, PAGE, PAGE),
        ("list_runs_of_flow", {"flow": "old", "created_before": OLD_FROM + timedelta(minutes=30)}, PAGE, PAGE),
        ("list_runs_of_flow", {"flow": "old", "created_from": YOUNG_FROM}, 0, 0),
        ("list_runs_of_flow", {"flow": "old", "statuses": texts(["failed"])}, 0, 4_000),
        (
            "list_runs_of_flow",
            {"flow": "young", "created_before": BEGAN + timedelta(days=9), "after_created_at": YOUNG_FROM},
            0,
            0,
        ),
    ],
)
def test_no_run_of_another_flow_is_read(
    filled: psycopg.Connection[Any], name: str, wanted: Rows, found: int, read_most: int
) -> None:
    """A page is as many rows of the index as it has, wherever in time the flow's runs are."""
    statement = Statements()[name]
    nothing: dict[str, object | None] = dict.fromkeys(statement.names)
    named: dict[str, object] = {**nothing, "ended_before": BEGAN + timedelta(days=9), "limit": PAGE, **wanted}
    if named.get("after_created_at") is not None:
        named["after_id"] = "00000000-0000-0000-0000-000000000000"
    cursor = psycopg.RawCursor(filled)
    cursor.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement.text, statement.arguments(named))
    plan: dict[str, Any] = cursor.fetchall()[0][0][0]["Plan"]
    (scan,) = (node for node in _nodes(plan) if node.get("Relation Name") == "runs")

    assert plan["Actual Rows"] == found
    assert scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) <= read_most


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for each in plan.get("Plans", []) for node in _nodes(each))]
