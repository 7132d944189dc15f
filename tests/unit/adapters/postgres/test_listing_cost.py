"""Runs of one flow are found without reading those of others, whatever the planner takes them for."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.arrays import texts
from tests.support.plans import plan_of, rows_read

from .conftest import Filled

BEGAN = datetime(2036, 2, 27, 12, tzinfo=UTC)

OLD_FROM, YOUNG_FROM = BEGAN, BEGAN + timedelta(seconds=40_000)

LOOKED_UNTIL = YOUNG_FROM + timedelta(seconds=3_000)
"""Up to there somebody has looked at all runs, and has passed them over."""

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
NOBODY = "00000000-0000-0000-0000-000000000000"

Rows = Mapping[str, object]


@pytest.fixture
def filled(filled_database: Filled) -> Generator[psycopg.Connection[Any]]:
    """A connection to a database with runs of three flows, one after the other."""
    with filled_database("three_flows", FILL) as connection:
        yield connection


@pytest.mark.parametrize(
    ("name", "wanted", "found", "read_most"),
    [
        ("find_prunable_of_flow", {"flow": "young"}, PAGE, PAGE),
        ("find_prunable_of_flow", {"flow": "young", "ended_before": YOUNG_FROM}, 0, 0),
        ("find_prunable_of_flow", {"flow": "young", "after_created_at": YOUNG_FROM + timedelta(hours=1)}, PAGE, PAGE),
        (
            "find_prunable_of_flow",
            {"flow": "young", "ended_before": LOOKED_UNTIL, "after_created_at": LOOKED_UNTIL},
            0,
            0,
        ),
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
    place = {"after_id": NOBODY} if "after_created_at" in wanted else {}
    plan = plan_of(filled, name, {"ended_before": BEGAN + timedelta(days=9), "limit": PAGE, **wanted, **place})

    assert plan["Actual Rows"] == found
    assert rows_read(plan)["runs"] <= read_most
