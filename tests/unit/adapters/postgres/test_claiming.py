"""Claims of several statements: what some have taken is not forgotten where a later one fails."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.database import Database
from fairlead.adapters.postgres.persistence import PostgresPersistence
from fairlead.ports.errors import AdapterError, CommitUnknown, Contention, Unavailable
from tests.support.records import keys, task_claim
from tests.support.scenes import register, run_with_tasks

Observer = psycopg.Connection[tuple[object, ...]]


def _hold(observer: Observer, element: int) -> None:
    """Somebody holds one of the tasks, so that a claim has to look at more of them."""
    observer.execute("BEGIN")
    observer.execute("SELECT FROM fairlead.tasks WHERE element = %s FOR UPDATE", [element])


def _break_second(monkeypatch: pytest.MonkeyPatch, database: Database, error: AdapterError) -> None:
    """Let the second statement of a claim fail."""
    write, claims = database.write, list[str]()

    async def failing(name: str, *arguments: Any, **named: Any) -> Any:
        claims.append(name)
        if claims.count("claim_tasks") == 2:
            raise error
        return await write(name, *arguments, **named)

    monkeypatch.setattr(database, "write", failing)


@pytest.mark.fault(21)
@pytest.mark.parametrize("error", [Unavailable("it goes down"), Contention("deadlock")], ids=["down", "contended"])
async def test_what_a_claim_has_taken_is_answered_though_the_rest_fails(
    store: PostgresPersistence,
    database: Database,
    observer: Observer,
    monkeypatch: pytest.MonkeyPatch,
    error: AdapterError,
) -> None:
    """It is leased: were it not told, nobody would run it until its lease ends."""
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 4})
    _hold(observer, 0)
    _break_second(monkeypatch, database, error)

    claimed = await store.claim_tasks(task_claim(flow, limit=2))

    assert [task.key for task in claimed] == keys(run, "pack", [1])
    assert [task.key for task in await store.find_leased("worker-1")] == keys(run, "pack", [1])


@pytest.mark.fault(21)
async def test_a_claim_that_has_taken_nothing_fails_as_it_does(
    store: PostgresPersistence, database: Database, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That there is no work is something else."""
    flow = await register(store)
    await run_with_tasks(store, flow, steps={"pack": 2})
    _hold(observer, 0)
    _break_second(monkeypatch, database, Unavailable("it goes down"))

    with pytest.raises(Unavailable, match="it goes down"):
        await store.claim_tasks(task_claim(flow, limit=1))
    assert list(await store.find_leased("worker-1")) == []


@pytest.mark.fault(22)
async def test_a_claim_of_which_part_is_unknown_is_unknown(
    store: PostgresPersistence, database: Database, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever claims has to ask for what it has been leased; an answer without some of it would hide that."""
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 4})
    _hold(observer, 0)
    _break_second(monkeypatch, database, CommitUnknown("cut"))

    with pytest.raises(CommitUnknown, match="cut"):
        await store.claim_tasks(task_claim(flow, limit=2))
    assert [task.key for task in await store.find_leased("worker-1")] == keys(run, "pack", [1])
