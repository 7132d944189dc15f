"""Driver errors become the families of the ports, and say what to do."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg import errors as pg
from psycopg.conninfo import make_conninfo

from fairlead.adapters.postgres import DatabaseRefused, SchemaMissing, postgres_ports
from fairlead.adapters.postgres.database import ROLLBACK, Database
from fairlead.adapters.postgres.errors import translate, translated
from fairlead.adapters.postgres.statements import numbered
from fairlead.ports.errors import (
    AdapterError,
    CommitUnknown,
    Contention,
    CorruptionError,
    FairleadError,
    Unavailable,
    UnstorableValue,
)
from tests.support.waiting import until

RUN = "0197f000-0000-7000-8000-000000000001"


@pytest.mark.fault(23, 24, 35)
@pytest.mark.parametrize(
    ("state", "family", "while_committing"),
    [
        ("40001", Contention, Contention),
        ("40P01", Contention, Contention),
        ("55P03", Contention, Contention),
        ("57P01", Unavailable, CommitUnknown),
        ("57P02", Unavailable, CommitUnknown),
        ("57P03", Unavailable, CommitUnknown),
        ("08006", Unavailable, CommitUnknown),
        ("25P03", Unavailable, CommitUnknown),
        ("53300", Unavailable, Unavailable),
        ("53100", Unavailable, Unavailable),
        ("25006", Unavailable, Unavailable),
        ("22021", UnstorableValue, UnstorableValue),
        ("22P02", UnstorableValue, UnstorableValue),
        ("22003", UnstorableValue, UnstorableValue),
        ("54000", UnstorableValue, UnstorableValue),
        ("23505", CorruptionError, CorruptionError),
        ("42P01", SchemaMissing, SchemaMissing),
        ("42501", DatabaseRefused, DatabaseRefused),
        ("42601", AdapterError, AdapterError),
        ("57014", AdapterError, AdapterError),
    ],
)
def test_states_have_their_families(
    state: str, family: type[FairleadError], while_committing: type[FairleadError]
) -> None:
    """Each SQLSTATE that the adapter knows, on its own and while a commit is in flight."""
    error = pg.lookup(state)("said the server")

    assert type(translate(error)) is family
    assert type(translate(error, committing=True)) is while_committing


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    ("error", "family", "while_committing"),
    [
        (psycopg.OperationalError("the connection is closed"), Unavailable, CommitUnknown),
        (psycopg.InterfaceError("the connection is closed"), Unavailable, CommitUnknown),
        (TimeoutError(), Unavailable, CommitUnknown),
        (ConnectionResetError("reset by peer"), Unavailable, CommitUnknown),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), UnstorableValue, UnstorableValue),
        (psycopg.DataError("text fields cannot contain NUL"), UnstorableValue, UnstorableValue),
        (psycopg.ProgrammingError("cannot adapt"), AdapterError, AdapterError),
    ],
)
def test_errors_without_a_state_have_their_families(
    error: Exception, family: type[FairleadError], while_committing: type[FairleadError]
) -> None:
    """What the driver raises by itself, and what the operating system does."""
    assert type(translate(error)) is family
    assert type(translate(error, committing=True)) is while_committing


def test_the_original_is_chained() -> None:
    """Whoever debugs sees what the driver said."""
    original = pg.DeadlockDetected("deadlock detected\nDETAIL: much more")
    with pytest.raises(Contention, match=r"^deadlock detected$") as caught, translated():
        raise original

    assert caught.value.__cause__ is original
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"dbname": "nothing_of_that_name"}, "create the database"),
        ({"password": "wrong"}, "check the user and the password"),
        ({"user": "nobody_of_that_name"}, "check the user"),
    ],
)
async def test_a_refused_connection_says_what_to_do(
    empty_database_url: str, change: dict[str, str], advice: str
) -> None:
    """One sentence, and no second attempt."""
    ports = postgres_ports(make_conninfo(empty_database_url, **change))
    with pytest.raises(DatabaseRefused, match=advice) as caught:
        await ports.persistence.read_run(RUN)
    await ports.aclose()

    assert not caught.value.retryable
    assert "\n" not in str(caught.value)


async def test_an_unreachable_server_is_worth_another_attempt() -> None:
    """Nobody listens there, yet."""
    ports = postgres_ports("postgresql://127.0.0.1:1/nothing")
    with pytest.raises(Unavailable) as caught:
        await ports.persistence.read_run(RUN)
    await ports.aclose()

    assert caught.value.retryable


@pytest.mark.fault(21)
async def test_a_connection_that_dies_before_the_commit_left_no_trace(
    database: Database, observer: psycopg.Connection[tuple[object, ...]]
) -> None:
    """The transaction's fate is known: it has none."""

    async def work() -> None:
        async with database.transaction() as connection:
            observer.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
            await database.exchange(connection, [(numbered("SELECT 1"), {})])

    with pytest.raises(Unavailable) as caught:
        await work()

    assert not isinstance(caught.value, CommitUnknown)


@pytest.mark.fault(22)
async def test_a_connection_that_dies_in_the_commit_leaves_it_unknown(
    database: Database, observer: psycopg.Connection[tuple[object, ...]]
) -> None:
    """COMMIT was sent and waits for a deferred trigger when the server ends the session."""
    observer.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON fairlead.blobs DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    observer.execute("SELECT pg_advisory_lock(1)")
    insert = numbered("INSERT INTO fairlead.blobs VALUES ('a', 1, now())")

    async def write() -> None:
        async with database.transaction() as connection:
            await database.exchange(connection, [(insert, {})])

    writing = asyncio.create_task(write())
    await _end_the_one_that_waits(observer)
    with pytest.raises(CommitUnknown):
        await writing


async def test_a_statement_that_commits_by_itself_is_as_unknown(
    database: Database, observer: psycopg.Connection[tuple[object, ...]]
) -> None:
    """Sent and not answered: it may have happened."""
    observer.execute("BEGIN; LOCK TABLE fairlead.scheduled")
    writing = asyncio.create_task(database.write("cancel_scheduled", {"name": "a"}))
    await _end_the_one_that_waits(observer)
    observer.execute("ROLLBACK")
    with pytest.raises(CommitUnknown):
        await writing


@pytest.mark.fault(29)
async def test_a_transaction_that_failed_is_not_taken_for_committed(database: Database) -> None:
    """COMMIT after a swallowed error is a rollback, and the server says so only in passing."""

    async def swallow() -> None:
        async with database.transaction() as connection:
            with pytest.raises(AdapterError):
                await database.exchange(connection, [(numbered("SELECT 1 / 0"), {})])

    with pytest.raises(AdapterError, match="rolled back"):
        await swallow()


async def test_a_block_may_roll_back_early(database: Database) -> None:
    """Then there is nothing to commit, and nothing to complain about."""
    async with database.transaction() as connection:
        await database.exchange(connection, [(numbered("DELETE FROM fairlead.outbox_shards"), {})])
        await database.exchange(connection, [(ROLLBACK, {})])
    rows = await database.read("schema_version")

    assert rows != []
    async with database.transaction() as connection:
        (answer,) = await database.exchange(connection, [(numbered("SELECT count(*) FROM fairlead.outbox_shards"), {})])
        assert (await answer.fetchall())[0][0] == 15 * 64


async def _end_the_one_that_waits(observer: psycopg.Connection[tuple[object, ...]]) -> None:
    """Terminate the session that waits for a lock, once there is one."""

    def end() -> object:
        observer.execute("SELECT pg_stat_clear_snapshot()")
        return observer.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchall()

    await until(end)
