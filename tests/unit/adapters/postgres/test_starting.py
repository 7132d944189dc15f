"""Starts of several runs while those that hold their keys come and go."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import psycopg
import pytest
from attrs import evolve

from fairlead.adapters.postgres.database import Database, DatabaseSettings
from fairlead.adapters.postgres.persistence import PostgresPersistence
from fairlead.ports.errors import Contention
from fairlead.ports.records import FlowRow
from fairlead.ports.statuses import RunStatus
from tests.support.records import at, events, new_run, run_id, run_update
from tests.support.scenes import register

Insert: TypeAlias = "Callable[[PostgresPersistence, FlowRow], Awaitable[object]]"
Observer = psycopg.Connection[tuple[object, ...]]


def _remove_holders(
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
    observer: Observer,
    *,
    come_again: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Let runs be removed between the insert that their keys refuse and the look at who has them.

    Args:
        monkeypatch: of the test.
        database: through which the runs are started.
        observer: who removes.
        come_again: how others are there again at the next try; None where they are not.
    """
    fetch, removed = database.fetch, list[int]()

    async def fetching(connection: Any, name: str, *arguments: Any) -> Any:
        if name == "find_holders" and (come_again is not None or not removed):
            removed.append(1)
            assert observer.execute("DELETE FROM fairlead.runs WHERE key = 'k'").rowcount == 1
        elif name == "insert_runs" and removed and come_again is not None:
            await come_again()
        return await fetch(connection, name, *arguments)

    monkeypatch.setattr(database, "fetch", fetching)


@pytest.mark.fault(37, 66)
async def test_who_has_a_key_is_removed_while_others_want_it(
    store: PostgresPersistence, database: Database, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is tried again, all of it: each run is there once, with one event."""
    flow = await register(store)
    await store.insert_runs([new_run(flow, 1, key="k")])
    _remove_holders(monkeypatch, database, observer)

    started = await store.insert_runs([new_run(flow, 2, key="k"), new_run(flow, 3)])

    assert [(run.id, run.created) for run in started] == [(run_id(2), True), (run_id(3), True)]
    assert await store.read_run(run_id(1)) is None
    for number in (2, 3):
        assert [row.first_sequence for row in await store.read_events(run_id(number))] == [1]


@pytest.mark.fault(66)
async def test_who_has_a_key_comes_and_goes(
    store: PostgresPersistence,
    database: Database,
    settings: DatabaseSettings,
    observer: Observer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not tried for ever: the caller may start again, and nothing of the batch is there."""
    flow, others, numbers = await register(store), Database(settings), itertools.count(10)

    async def come() -> None:
        await PostgresPersistence(others).insert_runs([new_run(flow, next(numbers), key="k")])

    await come()
    _remove_holders(monkeypatch, database, observer, come_again=come)

    with pytest.raises(Contention, match="come and go"):
        await store.insert_runs([new_run(flow, 2, key="k"), new_run(flow, 3)])
    await others.aclose()
    assert [await store.read_run(run_id(number)) for number in (2, 3)] == [None, None]


BEGIN_RUN = """
INSERT INTO fairlead.runs
    (id, flow_id, flow, version, fingerprint, key, request_digest, priority, generation, next_sequence, created_at,
    input)
SELECT %s, flow_id, flow, version, fingerprint, 'k', request_digest, priority, generation, next_sequence, created_at,
    input
FROM fairlead.runs
"""
CANCELLED = (
    run_update(run_id(2), status=RunStatus.CANCELLED, next_sequence=3, ended_at=at(7)),
    events(run_id(2), 2, ["run.cancelled"]),
)

INSERTS: Mapping[str, tuple[float, Insert]] = {
    "one": (0.1, lambda store, flow: store.insert_runs([new_run(flow, 3, key="k")])),
    "many": (0.1, lambda store, flow: store.insert_runs([new_run(flow, 3), new_run(flow, 4, key="k")])),
    "one in haste": (30, lambda store, flow: store.insert_runs([new_run(flow, 3, key="k")], patience_s=0.1)),
    "many in haste": (
        30,
        lambda store, flow: store.insert_runs([new_run(flow, 3, key="k"), new_run(flow, 4)], patience_s=0.1),
    ),
    "cancelled": (0.1, lambda store, flow: store.insert_cancelled(new_run(flow, 2), *CANCELLED)),
}
"""How long the store waits for locks otherwise, and what runs into one."""


@pytest.mark.fault(24, 66)
@pytest.mark.parametrize(("lock_wait_s", "insert"), INSERTS.values(), ids=INSERTS)
async def test_a_transaction_that_has_a_key_and_does_not_end(
    settings: DatabaseSettings,
    url: str,
    lock_wait_s: float,
    insert: Insert,
) -> None:
    """A start waits for it as long as for any lock and is told that nothing has happened; the next waits anew."""
    database = Database(evolve(settings, lock_wait_s=lock_wait_s, pool_size=1))
    store = PostgresPersistence(database)
    flow = await register(store)
    await store.insert_runs([new_run(flow, 1)])
    with psycopg.connect(url) as other:
        other.execute(BEGIN_RUN, [run_id(2)])
        with pytest.raises(Contention, match="lock timeout"):
            await asyncio.wait_for(insert(store, flow), 15)
        async with database.connection() as connection:
            assert await (await connection.execute("SHOW lock_timeout")).fetchall() == [("0",)]
        assert await store.read_run(run_id(3)) is None

    await insert(store, flow)
    await database.aclose()
