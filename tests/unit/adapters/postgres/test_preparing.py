"""Prepared statements: psycopg and the server never differ about which there are, whatever fails between them."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator

import psycopg
import pytest
from attrs import evolve

from fairlead.adapters.postgres import PostgresPersistence
from fairlead.adapters.postgres.database import BEGIN, NONE, Database, DatabaseSettings
from fairlead.adapters.postgres.statements import Statement, numbered
from fairlead.ports.errors import AdapterError, Contention
from tests.support.records import load_request, new_flow, new_run, run_id

Observer = psycopg.Connection[tuple[object, ...]]

FAILING = numbered("SELECT 1 / 0")


def ordinary(number: int) -> Statement:
    """One of many statements that succeed."""
    return numbered(f"SELECT {number} AS ordinary")


@pytest.fixture
async def preparing(settings: DatabaseSettings) -> AsyncGenerator[Database]:
    """A database whose only connection prepares statements."""
    made = Database(evolve(settings, prepare=True, pool_size=1, pool_wait_s=10.0, lock_wait_s=0.02))
    yield made
    await made.aclose()


async def _answers(database: Database, numbers: list[int], *, fails_at: int | None = None) -> list[int]:
    """What a transaction answers that is sent as one pipeline, and fails at one place where it is told to."""
    sent = [(ordinary(number), NONE) for number in numbers]
    if fails_at is not None:
        sent.insert(fails_at, (FAILING, NONE))
    async with database.connection() as connection:
        try:
            answers = await database.exchange(connection, [(BEGIN, NONE), *sent])
            found = [(await answer.fetchall())[0][0] for answer in answers[1:]]
            await database.commit(connection)
        except AdapterError:
            await database.roll_back(connection)
            raise
    return found


@pytest.mark.fault(23, 24)
async def test_a_locked_run_costs_no_connection_for_ever(
    preparing: Database, store: PostgresPersistence, observer: Observer
) -> None:
    """Runs are loaded as signals load them. Where one is locked, what was to be prepared behind its lock is skipped."""
    flow = await store.register_flow(new_flow(), replace=False)
    await store.insert_runs([new_run(flow, 1), new_run(flow, 2)])
    held, free = run_id(1), run_id(2)

    async def load(run: str) -> int:
        async with PostgresPersistence(preparing).transaction() as transaction:
            snapshot = await transaction.load(load_request(run, steps=[(run, "pack")], wait=True))
        return len(snapshot.runs)

    for _ in range(4):
        observer.execute("BEGIN")
        observer.execute("SELECT FROM fairlead.runs WHERE id = %s FOR UPDATE", [held])
        with pytest.raises(Contention):
            await load(held)
        observer.execute("ROLLBACK")

        assert await load(free) == 1

    assert await load(held) == 1


@pytest.mark.fault(29)
@pytest.mark.parametrize("seed", range(5))
async def test_statements_are_found_after_any_failure(preparing: Database, seed: int) -> None:
    """Wherever a pipeline fails, and however often its statements were used before."""
    chance = random.Random(seed)
    failed = 0
    for _ in range(60):
        numbers = [chance.randrange(6) for _ in range(chance.randrange(5))]
        if chance.random() < 0.4:
            failed += 1
            with pytest.raises(AdapterError, match="division by zero"):
                await _answers(preparing, numbers, fails_at=chance.randint(0, len(numbers)))
        else:
            assert await _answers(preparing, numbers) == numbers

    assert failed > 10


@pytest.mark.fault(29)
async def test_a_swallowed_error_is_not_taken_for_a_commit(preparing: Database) -> None:
    """Also where the connection was closed for it."""

    async def swallow() -> None:
        async with preparing.transaction() as connection:
            with pytest.raises(AdapterError, match="division by zero"):
                await preparing.exchange(connection, [(FAILING, NONE)])

    with pytest.raises(AdapterError, match="rolled back") as caught:
        await swallow()

    assert caught.value.retryable


@pytest.mark.fault(33)
@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a pipeline"])
async def test_statements_that_the_server_forgot_are_prepared_anew(preparing: Database, together: bool) -> None:
    """As behind a pooler that gave the session to another: the statement is worth another attempt, which succeeds."""

    async def read() -> int:
        if together:
            return (await _answers(preparing, [7]))[0]
        return len(await preparing.read("schema_version"))

    expected = [await read() for _ in range(3)]
    async with preparing.connection() as connection:
        connection.pgconn.exec_(b"DEALLOCATE ALL")
    with pytest.raises(AdapterError, match="does not exist") as caught:
        await read()

    assert caught.value.retryable
    assert [await read() for _ in range(3)] == expected


async def test_one_connection_serves_while_nothing_fails(preparing: Database, observer: Observer) -> None:
    """A transaction that is given up by its block is rolled back, and costs no connection."""
    ours = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fairlead'"

    async def give_up() -> None:
        async with preparing.transaction() as connection:
            await preparing.exchange(connection, [(ordinary(0), NONE)])
            raise LookupError

    await _answers(preparing, [0])
    before = observer.execute(ours).fetchall()
    for _ in range(4):
        with pytest.raises(LookupError):
            await give_up()
        assert await _answers(preparing, [0, 1]) == [0, 1]

    assert len(before) == 1
    assert observer.execute(ours).fetchall() == before
