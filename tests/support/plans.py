"""What PostgreSQL's planner makes of a statement of the adapter's, and how many rows its scans read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import psycopg

from fairlead.adapters.postgres.database import PLAN_BY_KEY
from fairlead.adapters.postgres.statements import Statements

Plan: TypeAlias = dict[str, Any]
"""A node of a plan, with those below it under `Plans`."""


def plan_of(
    connection: psycopg.Connection[Any], name: str, parameters: Mapping[str, object], *, by_key: bool = False
) -> Plan:
    """The plan of a statement file as it was carried out; what it changed is undone.

    Args:
        connection: that knows columns (`adapt`).
        name: of the file.
        parameters: by name; those that are missing are NULL.
        by_key: whether the planner is told to find every row by an index.
    """
    statement = Statements()[name]
    given = {name: parameters.get(name) for name in statement.names}
    with connection.transaction(force_rollback=True):
        if by_key:
            connection.execute(PLAN_BY_KEY.text)
        cursor = psycopg.RawCursor(connection)
        cursor.execute(b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.text, statement.arguments(given))
        plan: Plan = cursor.fetchall()[0][0][0]["Plan"]
    return plan


def nodes_of(plan: Plan) -> Iterator[Plan]:
    """A plan's node and all below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)


def rows_read(plan: Plan) -> Counter[str]:
    """How many rows of each table the scans of a plan produced or threw away; tables of which none was are left out."""
    found: Counter[str] = Counter()
    for node in nodes_of(plan):
        table = node.get("Relation Name")
        if table is not None and node["Node Type"] != "ModifyTable":
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            found[table] += round(rows * node["Actual Loops"])
    return +found
