"""All ports in PostgreSQL 14 to 18, through psycopg.

Overview. `postgres_ports(source)` gives one adapter for each port over one database and one schema; `migrate(source)`
creates the schema's tables and upgrades them. The statements are files in `sql/`; the tables are described once more
as SQLAlchemy metadata in `schema`, for an application's own migrations and queries.

Settling. A transaction of the kernel takes two round trips: BEGIN with all locks and reads; all writes as one
statement of arrays, COMMIT. Locks are taken first, in order of run id, skipping what others hold; what they protect is
read by later statements, whose snapshots are younger. Guards count the rows they let pass, in the statement itself:
nothing is committed unless all do.

Claiming. Candidates are ranked along an index without locks, and locked one by one in that order with SKIP LOCKED.
Nothing that cannot be claimed (another flow's tasks, tasks that wait for their time) is ever scanned.

Connections. A pool of our own opens connections when they are needed and closes every one that does not come back
idle. No state of a session is relied upon: no prepared statements unless asked for, no SET that outlives its
transaction, no session locks. So everything but LISTEN works behind a transaction pooler. Where statements are
prepared, a connection on which a pipeline failed is closed as well. Each exchange has a deadline on the wall clock.

Errors. `errors.translated` turns every driver error into one of the ports' families. A lost answer to a commit, or to
a statement that commits by itself, is `CommitUnknown`; every command recognises its own effect when it is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...ports import BlobStore, EventSink, Ports
from ..calling import PatientCaller
from ..system import new_run_id, new_secret
from .blobs import PostgresBlobs
from .callers import PostgresCallers
from .clock import PostgresClock
from .database import Database, DatabaseSettings
from .errors import DatabaseRefused, PoolExhausted, SchemaMismatch, SchemaMissing
from .migrating import migrate, migration_sql
from .persistence import PostgresPersistence
from .scheduler import PostgresScheduler
from .source import InvalidSource, Source, conninfo_of
from .statements import DEFAULT_SCHEMA
from .transport import PostgresTransport

POOL_SIZE = 10


def postgres_ports(
    source: Source,
    *,
    schema: str = DEFAULT_SCHEMA,
    sink: EventSink | Mapping[str, EventSink] | None = None,
    blobs: BlobStore | None = None,
    pool_size: int = POOL_SIZE,
    pool_wait_s: float = 10.0,
    deadline_s: float = 30.0,
    lock_wait_s: float = 5.0,
    listen: bool = True,
    listen_url: str | None = None,
    prepare: bool = False,
) -> Ports:
    """One PostgreSQL adapter for each port. Nothing is connected before something is asked of them.

    Args:
        source: `postgresql://…`, or the application's SQLAlchemy engine, whose URL is used and not its connections.
        schema: where the tables are.
        sink: where events are published: one sink, or several by name; nowhere where None.
        blobs: where payloads are that are too large for a row, and closed with the rest; where None, in the database.
            Every host and client of one database needs the same.
        pool_size: most connections at a time, not counting those that listen (for work where a host runs, for the ends
            of runs where somebody waits for one), the heartbeats' own, and the one that a host's notes are written on.
        pool_wait_s: how long a caller waits for a connection before `PoolExhausted`.
        deadline_s: how long one exchange with the server may take before its connection is given up. From PostgreSQL 17
            on, a process that falls silent inside a transaction keeps its locks for twice as long at most.
        lock_wait_s: how long a transaction waits for another's lock where it waits at all.
        listen: whether to hear other processes' wake-ups and the ends of runs; without, hosts poll, and so does whoever
            waits for a run.
        listen_url: where to listen, if not at `source`: a pooler in transaction mode passes no LISTEN.
        prepare: let psycopg prepare statements on the server; faster, and wrong behind an old pooler.

    Raises:
        InvalidSource: `source` or `listen_url` is no PostgreSQL URL.
    """
    if pool_size < 1:
        raise ValueError(f"pool_size must be at least 1, not {pool_size}")
    settings = DatabaseSettings(
        conninfo=conninfo_of(source),
        schema=schema,
        pool_size=pool_size,
        pool_wait_s=pool_wait_s,
        deadline_s=deadline_s,
        lock_wait_s=lock_wait_s,
        prepare=prepare,
    )
    listen_conninfo = settings.conninfo if listen_url is None else conninfo_of(listen_url)
    database = Database(settings)
    clock = PostgresClock(database)
    return Ports(
        persistence=PostgresPersistence(database),
        transport=PostgresTransport(database, listen_conninfo=listen_conninfo if listen else None),
        blobs=PostgresBlobs(database, clock) if blobs is None else blobs,
        scheduler=PostgresScheduler(database),
        clock=clock,
        new_id=new_run_id,
        new_secret=new_secret,
        new_caller=PatientCaller,
        sink=sink,
        callers=PostgresCallers(
            database, clock, blobs_over=lambda other: PostgresBlobs(other, clock) if blobs is None else blobs
        ),
    )


__all__ = [
    "DEFAULT_SCHEMA",
    "DatabaseRefused",
    "InvalidSource",
    "PoolExhausted",
    "PostgresBlobs",
    "PostgresCallers",
    "PostgresClock",
    "PostgresPersistence",
    "PostgresScheduler",
    "PostgresTransport",
    "SchemaMismatch",
    "SchemaMissing",
    "Source",
    "migrate",
    "migration_sql",
    "postgres_ports",
]
