"""Creating and upgrading the tables: ordered SQL files, applied once each, all in one transaction.

A transaction-level advisory lock lets one migrator work at a time; whoever waited for it finds nothing left to do.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from attrs import frozen
from psycopg import IsolationLevel, sql

from . import migrations as folder
from .connecting import Connection, connect
from .errors import SchemaMismatch, translated
from .source import Source, conninfo_of
from .statements import DEFAULT_SCHEMA, in_schema, quoted


@frozen
class Migration:
    """One file of `migrations/`: `0001_initial.sql` has version 1 and the name `initial`."""

    version: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations, by version."""
    found: list[Migration] = []
    for file in files(folder).iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))


LATEST = max(migration.version for migration in migrations())
"""The version of the tables that this code works with."""


async def migrate(source: Source, *, schema: str = DEFAULT_SCHEMA) -> list[str]:
    """Bring the tables to this version. Safe to run again, and by several processes at once.

    Returns:
        The names of the migrations that were applied, in order; empty where there was nothing to do.

    Raises:
        SchemaMismatch: the tables are newer than this code.
        Unavailable: the database cannot be reached.
        DatabaseRefused: it can, and does not let this role in or create things.
    """
    name = quoted(schema)
    connection = await connect(conninfo_of(source))
    await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
    with translated(committing=True):
        async with connection, connection.transaction():
            return await _apply(connection, schema, name)


def migration_sql(*, schema: str = DEFAULT_SCHEMA) -> str:
    """All migrations as one script in one transaction, for those who let nobody else run DDL.

    It does what `migrate` does: it may be run on any earlier version, again, and by several at once.
    """
    lock = sql.SQL("SELECT pg_advisory_xact_lock(hashtext({}));").format(_lock_of(schema)).as_string()
    parts = ["BEGIN;", lock, f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)};", in_schema(_LEDGER, schema)]
    for migration in migrations():
        block = _UNLESS_APPLIED % {"version": migration.version, "name": migration.name, "sql": migration.sql.strip()}
        parts.append(in_schema(block, schema))
    return "\n\n".join([*parts, "COMMIT;"]) + "\n"


_LEDGER = """\
CREATE TABLE IF NOT EXISTS fairlead.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);"""

_UNLESS_APPLIED = """\
DO $migration$
BEGIN
IF NOT EXISTS (SELECT FROM fairlead.migrations WHERE version = %(version)s) THEN

%(sql)s

INSERT INTO fairlead.migrations (version, name) VALUES (%(version)s, '%(name)s');

END IF;
END
$migration$;"""


def _lock_of(schema: str) -> str:
    """What the advisory lock is taken on."""
    return f"fairlead migrations of {schema}"


async def _apply(connection: Connection, schema: str, name: str) -> list[str]:
    await connection.execute("SET LOCAL client_min_messages = warning")
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (_lock_of(schema),))
    cursor = await connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
    if await cursor.fetchone() is None:
        await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    cursor = await connection.execute("SELECT to_regclass(%s)", (f"{name}.migrations",))
    if (await cursor.fetchall())[0][0] is None:
        await connection.execute(in_schema(_LEDGER, schema).encode())
    cursor = await connection.execute(in_schema("SELECT version FROM fairlead.migrations", schema).encode())
    applied = {row[0] for row in await cursor.fetchall()}
    if applied and max(applied) > LATEST:
        raise SchemaMismatch(
            f"the database's tables have version {max(applied)}, newer than this installation's {LATEST}; "
            "upgrade fairlead",
        )
    pending = [migration for migration in migrations() if migration.version not in applied]
    record = in_schema("INSERT INTO fairlead.migrations (version, name) VALUES (%s, %s)", schema.replace("%", "%%"))
    for migration in pending:
        await connection.execute(in_schema(migration.sql, schema).encode())
        await connection.execute(record.encode(), (migration.version, migration.name))
    return [migration.name for migration in pending]
