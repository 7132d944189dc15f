"""Starts of several runs while those that hold their keys come and go."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.database import Database, DatabaseSettings
from fairlead.adapters.postgres.persistence import PostgresPersistence
from fairlead.ports.errors import Contention
from tests.support.records import new_run, run_id
from tests.support.scenes import register

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
