"""A removal of a sink that was interrupted leaves nothing to whoever is registered afterwards."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest

from fairlead.adapters.postgres import postgres_ports
from tests.support.records import at, new_flow, new_run

REMOVED: LiteralString = "UPDATE fairlead.sinks SET removed = true"


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
