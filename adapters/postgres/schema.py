"""The tables as SQLAlchemy metadata, for an application's own migrations and queries.

The migrations in `migrations/` are what creates the tables; a test compares the two. Nothing on a hot path comes by
here, and nothing imports this module unless the application does.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from .statements import DEFAULT_SCHEMA

NAME = Text(collation="C")
"""Text that sorts by its bytes."""
TIME = DateTime(timezone=True)
ID = Uuid(as_uuid=False)


def fairlead_metadata(schema: str = DEFAULT_SCHEMA) -> MetaData:
    """All tables, in `schema`. Include it in the metadata that Alembic compares, or select from its tables."""
    metadata = MetaData(schema=schema)
    areas = (_flows, _runs, _steps, _tasks, _history, _outbox, _sinks, _waiting, _blobs, _notes, _workers, _migrations)
    for define in areas:
        define(metadata)
    return metadata


def _required(name: str, kind: Any, *more: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, *more, nullable=False, **options)


def _flows(metadata: MetaData) -> None:
    flows = Table(
        "flows",
        metadata,
        Column("id", Integer, Identity(always=True), primary_key=True),
        _required("slug", NAME),
        _required("version", NAME),
        _required("fingerprint", Text),
        _required("shape", JSON),
        _required("current", Boolean),
        _required("registered_at", TIME),
    )
    Index("flows_current", flows.c.slug, flows.c.version, unique=True, postgresql_where=flows.c.current)
    Index("flows_shape", flows.c.slug, flows.c.version, flows.c.fingerprint, unique=True)


def _runs(metadata: MetaData) -> None:
    runs = Table(
        "runs",
        metadata,
        Column("id", ID, primary_key=True),
        _required("flow_id", Integer),
        _required("flow", NAME),
        _required("version", Text),
        _required("fingerprint", Text),
        Column("key", NAME),
        _required("request_digest", Text),
        _required("status", Text, server_default=text("'pending'")),
        _required("pending", Boolean, Computed("status = 'pending'", persisted=True)),
        _required("checked", Boolean, server_default=text("true")),
        _required("priority", Integer, server_default=text("0")),
        _required("generation", Integer, server_default=text("1")),
        _required("next_sequence", Integer, server_default=text("1")),
        _required("remaining_steps", Integer, server_default=text("0")),
        _required("created_at", TIME),
        Column("started_at", TIME),
        Column("ended_at", TIME),
        Column("deadline_at", TIME),
        Column("reason", Text),
        _required("input", JSON),
        Column("config", JSON),
        Column("facts", JSON),
        Column("error", JSON),
        _required("signals", Integer, server_default=text("0")),
        postgresql_with={"fillfactor": 50},
    )
    Index("runs_key", runs.c.flow, runs.c.key, unique=True, postgresql_where=runs.c.key.is_not(None))
    Index(
        "runs_pending",
        runs.c.flow_id,
        runs.c.priority.desc(),
        runs.c.created_at,
        runs.c.id,
        postgresql_where=runs.c.pending,
    )
    Index("runs_listed", runs.c.created_at, runs.c.id)
    Index("runs_of_flow", runs.c.flow, runs.c.created_at, runs.c.id)
    Index("runs_deadline", runs.c.deadline_at, runs.c.id, postgresql_where=runs.c.deadline_at.is_not(None))


def _steps(metadata: MetaData) -> None:
    Table(
        "steps",
        metadata,
        _required("run_id", ID),
        _required("generation", Integer),
        _required("remaining_dependencies", Integer),
        Column("elements", Integer),
        Column("remaining_tasks", Integer),
        _required("failed_tasks", Integer),
        _required("cursor", Integer),
        _required("slug", NAME),
        _required("status", Text),
        Column("started_at", TIME),
        Column("ended_at", TIME),
        Column("reason", Text),
        Column("facts", JSON),
        Column("error", JSON),
        _required("gaps", Integer, server_default=text("0")),
        Column("retry_of", Integer),
        _required("kept", Integer, server_default=text("0")),
        PrimaryKeyConstraint("run_id", "slug", "generation"),
        postgresql_with={"fillfactor": 45},
    )


def _tasks(metadata: MetaData) -> None:
    tasks = Table(
        "tasks",
        metadata,
        _required("run_id", ID),
        _required("generation", Integer),
        _required("element", Integer),
        _required("step", NAME),
        _required("flow_id", Integer),
        _required("priority", Integer),
        *(_required(name, Integer, server_default=text("0")) for name in _TASK_COUNTERS),
        _required("status", Text),
        _required("queued", Boolean, Computed("status = 'queued'", persisted=True)),
        _required("running", Boolean, Computed("status = 'running'", persisted=True)),
        _required("lost", Boolean, Computed("losses > 0", persisted=True)),
        _required("phase", Text, server_default=text("'run'")),
        _required("queue", NAME),
        _required("created_at", TIME),
        _required("ready_at", TIME),
        *(Column(name, TIME) for name in ("started_at", "lease_until", "ended_at", "wake_at", "give_up_at")),
        Column("worker", Text),
        Column("waits_for", Text),
        Column("reason", Text),
        Column("state", JSON),
        Column("output", JSON),
        Column("error", JSON),
        PrimaryKeyConstraint("run_id", "step", "generation", "element"),
        postgresql_with={"fillfactor": 50},
    )
    Index(
        "tasks_queued",
        tasks.c.queue,
        tasks.c.flow_id,
        tasks.c.lost,
        tasks.c.priority.desc(),
        tasks.c.ready_at,
        tasks.c.run_id,
        tasks.c.step,
        tasks.c.generation,
        tasks.c.element,
        postgresql_where=tasks.c.queued,
    )
    Index("tasks_leased", tasks.c.lease_until, postgresql_where=tasks.c.running)
    Index(
        "tasks_waiting",
        tasks.c.flow_id,
        tasks.c.wake_at,
        tasks.c.run_id,
        tasks.c.step,
        tasks.c.generation,
        tasks.c.element,
        postgresql_where=tasks.c.wake_at.is_not(None),
    )


_TASK_COUNTERS = ("token", "settled_token", "attempts", "losses", "checks")


def _history(metadata: MetaData) -> None:
    Table(
        "run_generations",
        metadata,
        _required("run_id", ID),
        _required("generation", Integer),
        _required("status", Text),
        Column("started_at", TIME),
        _required("ended_at", TIME),
        Column("reason", Text),
        Column("error", JSON),
        PrimaryKeyConstraint("run_id", "generation"),
    )
    Table(
        "attempts",
        metadata,
        _required("run_id", ID),
        _required("step", NAME),
        _required("generation", Integer),
        _required("element", Integer),
        _required("token", Integer),
        _required("attempt", Integer),
        Column("worker", Text),
        _required("ended_at", TIME),
        _required("reason", Text),
        Column("error", JSON),
        PrimaryKeyConstraint("run_id", "step", "generation", "element", "token"),
    )


def _outbox(metadata: MetaData) -> None:
    outbox = Table(
        "outbox",
        metadata,
        _required("run_id", ID),
        _required("first_sequence", Integer),
        _required("count", Integer),
        _required("generation", Integer),
        _required("shard", SmallInteger),
        _required("published", Boolean),
        _required("at", TIME),
        _required("flow", NAME),
        _required("events", JSON),
        _required("delivered", SmallInteger, server_default=text("0")),
        _required("held", SmallInteger, server_default=text("0")),
        _required("passed", SmallInteger, Computed("delivered | held", persisted=True)),
        PrimaryKeyConstraint("run_id", "first_sequence"),
    )
    Index(
        "outbox_unpublished",
        outbox.c.passed,
        outbox.c.shard,
        outbox.c.run_id,
        outbox.c.first_sequence,
        postgresql_where=~outbox.c.published,
    )
    Table(
        "outbox_shards",
        metadata,
        _required("sink", SmallInteger),
        _required("shard", SmallInteger),
        _required("token", BigInteger, Identity(always=False)),
        Column("worker", Text),
        Column("lease_until", TIME),
        PrimaryKeyConstraint("sink", "shard"),
        postgresql_with={"fillfactor": 50},
    )


def _sinks(metadata: MetaData) -> None:
    sinks = Table(
        "sinks",
        metadata,
        Column("id", SmallInteger, CheckConstraint("id BETWEEN 0 AND 14"), primary_key=True, autoincrement=False),
        _required("name", NAME),
        _required("registered_at", TIME),
        _required("removed", Boolean, server_default=text("false")),
        _required("pauses", Integer, server_default=text("0")),
        Column("not_before", TIME),
        Column("problem", Text),
    )
    Index("sinks_name", sinks.c.name, unique=True)
    held = Table(
        "held_runs",
        metadata,
        _required("sink", SmallInteger),
        _required("run_id", ID),
        _required("shard", SmallInteger),
        _required("next_sequence", Integer),
        _required("lost", Boolean),
        _required("attempts", Integer),
        _required("not_before", TIME),
        _required("problem", Text),
        PrimaryKeyConstraint("sink", "run_id"),
    )
    Index("held_runs_due", held.c.sink, held.c.not_before)
    Index("held_runs_due_in_shard", held.c.sink, held.c.shard, held.c.not_before)
    letters = Table(
        "dead_letters",
        metadata,
        _required("sink", SmallInteger),
        _required("run_id", ID),
        _required("sequence", Integer),
        _required("shard", SmallInteger),
        _required("generation", Integer),
        _required("flow", NAME),
        _required("type", NAME),
        Column("step", NAME),
        _required("at", TIME),
        _required("attempts", Integer),
        _required("problem", Text),
        _required("died_at", TIME),
        Column("asked_at", TIME),
        _required("event", JSON),
        PrimaryKeyConstraint("sink", "run_id", "sequence"),
    )
    Index(
        "dead_letters_asked",
        letters.c.sink,
        letters.c.shard,
        letters.c.run_id,
        letters.c.sequence,
        postgresql_where=letters.c.asked_at.is_not(None),
    )


def _waiting(metadata: MetaData) -> None:
    Table(
        "signals",
        metadata,
        _required("run_id", ID),
        _required("step", NAME),
        _required("key", NAME),
        _required("request_digest", Text),
        _required("sent_at", TIME),
        Column("consumed_at", TIME),
        _required("payload", JSON),
        Column("facts", JSON),
        PrimaryKeyConstraint("run_id", "step", "key"),
    )
    tokens = Table(
        "resume_tokens",
        metadata,
        Column("digest", NAME, primary_key=True),
        _required("run_id", ID),
        _required("step", NAME),
        _required("created_at", TIME),
        _required("expires_at", TIME),
    )
    Index("resume_tokens_run", tokens.c.run_id)
    scheduled = Table(
        "scheduled",
        metadata,
        Column("name", NAME, primary_key=True),
        Column("due_at", TIME),
        _required("token", BigInteger, Identity(always=False)),
        Column("claimed_until", TIME),
        _required("command", JSON),
        _required("flow", NAME, server_default=text("''")),
        _required("failures", Integer, server_default=text("0")),
        Column("problem", Text),
        Column("ready_at", TIME, Computed(_READY_AT, persisted=True)),
    )
    Index(
        "scheduled_ready",
        scheduled.c.flow,
        scheduled.c.ready_at,
        scheduled.c.name,
        postgresql_where=scheduled.c.ready_at.is_not(None),
    )


_READY_AT = "CASE WHEN due_at IS NOT NULL THEN GREATEST(due_at, claimed_until) END"


def _blobs(metadata: MetaData) -> None:
    Table(
        "blobs",
        metadata,
        Column("key", NAME, primary_key=True),
        _required("size_bytes", BigInteger),
        _required("modified_at", TIME),
    )
    Table(
        "blob_chunks",
        metadata,
        _required("key", NAME),
        _required("number", Integer),
        _required("data", LargeBinary),
        PrimaryKeyConstraint("key", "number"),
    )


def _notes(metadata: MetaData) -> None:
    Table(
        "log_counters",
        metadata,
        Column("run_id", ID, primary_key=True),
        _required("last", BigInteger),
        postgresql_with={"fillfactor": 50},
    )
    logs = Table(
        "logs",
        metadata,
        _required("run_id", ID),
        _required("number", BigInteger),
        *(_required(name, Integer) for name in ("generation", "element", "token", "attempt", "sequence")),
        _required("at", TIME),
        _required("step", NAME),
        _required("level", Text),
        _required("message", Text),
        Column("fields", JSON),
        PrimaryKeyConstraint("run_id", "number"),
    )
    Index(
        "logs_noted",
        logs.c.run_id,
        logs.c.step,
        logs.c.generation,
        logs.c.element,
        logs.c.token,
        logs.c.sequence,
        unique=True,
    )
    Table(
        "progress",
        metadata,
        _required("run_id", ID),
        *(_required(name, Integer) for name in ("generation", "element", "token", "attempt")),
        _required("at", TIME),
        _required("done", Double),
        Column("total", Double),
        _required("step", NAME),
        Column("message", Text),
        PrimaryKeyConstraint("run_id", "step", "generation", "element"),
        postgresql_with={"fillfactor": 50},
    )
    annotations = Table(
        "run_annotations",
        metadata,
        Column("run_id", ID, primary_key=True),
        _required("annotations", JSON),
        _required("searched", JSONB),
    )
    Index(
        "run_annotations_searched",
        annotations.c.searched,
        postgresql_using="gin",
        postgresql_ops={"searched": "jsonb_path_ops"},
    )


def _workers(metadata: MetaData) -> None:
    Table(
        "workers",
        metadata,
        Column("worker", NAME, primary_key=True),
        _required("kind", Text),
        _required("host", Text),
        _required("pid", Integer),
        *(_required(name, ARRAY(NAME)) for name in ("flows", "versions", "queues")),
        _required("slots", Integer),
        _required("started_at", TIME),
        _required("seen_at", TIME),
        Column("ended_at", TIME),
        Column("sinks", ARRAY(NAME)),
        postgresql_with={"fillfactor": 50},
    )


def _migrations(metadata: MetaData) -> None:
    Table(
        "migrations",
        metadata,
        Column("version", Integer, primary_key=True, autoincrement=False),
        _required("name", Text),
        _required("applied_at", TIME, server_default=text("clock_timestamp()")),
    )
