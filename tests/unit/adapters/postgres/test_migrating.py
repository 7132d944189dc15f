"""Migrations run once, whoever starts them and however often, or leave no trace."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fairlead.adapters.postgres import (
    DatabaseRefused,
    SchemaMismatch,
    SchemaMissing,
    migrate,
    migrating,
    migration_sql,
    postgres_ports,
)
from fairlead.adapters.postgres.migrating import LATEST, Migration, migrations
from fairlead.ports.errors import AdapterError, Unavailable

STEP = """
INSERT INTO fairlead.steps (run_id, slug, generation, status, remaining_dependencies, elements, failed_tasks, cursor)
VALUES ('0197f000-0000-7000-8000-000000000001', 'pack', 1, 'running', 0, 3, 0, 3)
"""
ODD = 'shop\'s "own" 100% schema'


def _tables(url: str, schema: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name"
            " FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
            [schema],
        ).fetchall()


@pytest.mark.fault(14)
async def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    """The second time there is nothing to do."""
    first = await migrate(empty_database_url)
    tables = _tables(empty_database_url, "fairlead")
    second = await migrate(empty_database_url)

    assert (first, second) == ([migration.name for migration in migrations()], [])
    assert tables
    assert _tables(empty_database_url, "fairlead") == tables


@pytest.mark.fault(14, 69)
async def test_concurrent_migrators_apply_each_migration_once(empty_database_url: str) -> None:
    """One does the work; the others wait for it and find it done."""
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(6)))

    assert sorted(map(len, applied)) == [0] * 5 + [len(migrations())]


async def test_two_schemas_share_a_database(empty_database_url: str) -> None:
    """Each has its own tables, whatever its name."""
    await migrate(empty_database_url)
    await migrate(empty_database_url, schema=ODD)
    ports = postgres_ports(empty_database_url, schema=ODD)
    page = await ports.persistence.read_run("0197f000-0000-7000-8000-000000000001")
    await ports.aclose()

    assert page is None
    assert [row[:2] for row in _tables(empty_database_url, ODD)] == [
        row[:2] for row in _tables(empty_database_url, "fairlead")
    ]


@pytest.mark.parametrize("schema", ["fairlead", ODD])
async def test_the_printed_script_does_the_same(empty_database_url: str, schema: str) -> None:
    """What `--sql` prints creates what `migrate` creates, version included."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(migration_sql(schema=schema).encode())
    printed = _tables(empty_database_url, schema)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA "{schema.replace(chr(34), chr(34) * 2)}" CASCADE'.encode())
    await migrate(empty_database_url, schema=schema)

    assert printed == _tables(empty_database_url, schema)
    assert await migrate(empty_database_url, schema=schema) == []


def _run(url: str, *scripts: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for script in scripts:
            connection.execute(script.encode())


async def test_the_printed_script_may_be_run_again_and_by_several(empty_database_url: str) -> None:
    """Whoever waited finds nothing left to do."""
    script = migration_sql()
    await asyncio.gather(*(asyncio.to_thread(_run, empty_database_url, script, script) for _ in range(4)))

    assert await migrate(empty_database_url) == []


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("version", [migration.version for migration in migrations()][:-1])
async def test_every_earlier_version_is_upgraded(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, version: int, printed: bool
) -> None:
    """Tables that an earlier installation made become those of this one, rows and all."""
    known = tuple(migration for migration in migrations() if migration.version <= version)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrating, "migrations", lambda: known)
        earlier.setattr(migrating, "LATEST", version)
        await migrate(empty_database_url)
    _run(empty_database_url, STEP)
    if printed:
        _run(empty_database_url, migration_sql())
    else:
        assert await migrate(empty_database_url) == [migration.name for migration in migrations()[len(known) :]]
    upgraded = _tables(empty_database_url, "fairlead")
    ports = postgres_ports(empty_database_url)
    (step,) = await ports.persistence.read_steps("0197f000-0000-7000-8000-000000000001")
    await ports.aclose()
    _run(empty_database_url, "DROP SCHEMA fairlead CASCADE", migration_sql())

    assert (step.slug, step.elements, step.gaps) == ("pack", 3, 0)
    assert upgraded == _tables(empty_database_url, "fairlead")


@pytest.mark.fault(14)
async def test_a_migration_that_fails_leaves_nothing(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All migrations are one transaction."""
    broken = (*migrations(), Migration(LATEST + 1, "broken", "CREATE TABLE fairlead.extra (); SELECT 1 / 0;"))
    monkeypatch.setattr(migrating, "migrations", lambda: broken)

    with pytest.raises(AdapterError, match="division by zero"):
        await migrate(empty_database_url)

    assert _tables(empty_database_url, "fairlead") == []


@pytest.mark.fault(14)
async def test_a_migration_that_dies_in_the_middle_is_repeated(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever migrates goes away with some of it done: nothing is left of it, and the next one does all."""
    dying = "CREATE TABLE fairlead.extra (); SELECT pg_terminate_backend(pg_backend_pid());"
    with monkeypatch.context() as patched:
        patched.setattr(migrating, "migrations", lambda: (*migrations(), Migration(LATEST + 1, "dying", dying)))
        with pytest.raises(AdapterError, match=r"terminat|closed|lost"):
            await migrate(empty_database_url)
    assert _tables(empty_database_url, "fairlead") == []

    assert await migrate(empty_database_url) == [migration.name for migration in migrations()]
    assert "extra" not in {row[0] for row in _tables(empty_database_url, "fairlead")}


async def test_a_database_without_tables_says_what_to_do(empty_database_url: str) -> None:
    """One sentence."""
    ports = postgres_ports(empty_database_url)
    with pytest.raises(SchemaMissing, match="run `fairlead migrate`"):
        await ports.persistence.read_steps("0197f000-0000-7000-8000-000000000001")
    await ports.aclose()


@pytest.mark.parametrize(("version", "advice"), [(0, "run `fairlead migrate`"), (LATEST + 1, "upgrade fairlead")])
async def test_tables_of_another_version_are_refused(
    url: str, observer: psycopg.Connection[tuple[object, ...]], version: int, advice: str
) -> None:
    """Older tables want migrating, newer ones a newer installation."""
    observer.execute("DELETE FROM fairlead.migrations")
    observer.execute("INSERT INTO fairlead.migrations (version, name) VALUES (%s, 'other')", [version])
    ports = postgres_ports(url)
    with pytest.raises(SchemaMismatch, match=advice):
        await ports.persistence.read_steps("0197f000-0000-7000-8000-000000000001")
    await ports.aclose()


async def test_newer_tables_are_not_migrated(url: str, observer: psycopg.Connection[tuple[object, ...]]) -> None:
    """An old installation touches nothing."""
    observer.execute("INSERT INTO fairlead.migrations (version, name) VALUES (%s, 'newer')", [LATEST + 1])

    with pytest.raises(SchemaMismatch, match="upgrade fairlead"):
        await migrate(url)


async def test_a_role_that_may_not_create_is_told_so(
    empty_database_url: str,
) -> None:
    """Permission is the database's to give."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader_of_nothing LOGIN PASSWORD 'secret'")
    try:
        with pytest.raises(DatabaseRefused, match="permission denied"):
            await migrate(make_conninfo(empty_database_url, user="reader_of_nothing", password="secret"))
    finally:
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute("DROP ROLE reader_of_nothing")


async def test_an_unreachable_server_is_unavailable() -> None:
    """Nobody listens there."""
    with pytest.raises(Unavailable, match="check the URL"):
        await migrate("postgresql://127.0.0.1:1/nothing")
