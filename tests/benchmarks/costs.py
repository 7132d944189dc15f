"""What a measurement cost, beside its time: CPU seconds, statements, transactions, row writes, WAL.

CPU seconds are read from `/proc`, so benchmarks run on Linux.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psycopg
from attrs import frozen
from psycopg.pq import PipelineStatus, TransactionStatus

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

LEAVING_S_MAX = 15.0
"""How long closed connections may take to be gone from the server, counters reported."""


@frozen(kw_only=True)
class Costs:
    """What some work cost, or a reading of the counters before and after it."""

    worker_cpu_s: float
    postgres_cpu_s: float
    wal_bytes: int
    statements: int
    transactions: int
    row_writes: int

    def since(self, before: Costs) -> Costs:
        """The difference of two readings."""
        return Costs(
            worker_cpu_s=self.worker_cpu_s - before.worker_cpu_s,
            postgres_cpu_s=self.postgres_cpu_s - before.postgres_cpu_s,
            wal_bytes=self.wal_bytes - before.wal_bytes,
            statements=self.statements - before.statements,
            transactions=self.transactions - before.transactions,
            row_writes=self.row_writes - before.row_writes,
        )


class StatementCounter:
    """Counts what this process sends to PostgreSQL through asynchronous psycopg cursors."""

    def __init__(self) -> None:
        self.statements = 0
        self.transactions = 0

    def install(self) -> None:
        """Begin to count. It costs well under a microsecond per statement, and a statement serves a whole batch."""
        execute: Any = psycopg.AsyncCursor.execute

        async def counted(cursor: psycopg.AsyncCursor[Any], query: Any, *arguments: Any, **named: Any) -> Any:
            self._count(cursor.connection.pgconn, query)
            return await execute(cursor, query, *arguments, **named)

        setattr(psycopg.AsyncCursor, "execute", counted)  # noqa: B010 (type checkers refuse the assignment)

    def _count(self, connection: Any, query: object) -> None:
        self.statements += 1
        text = query if isinstance(query, bytes) else str(query).encode()
        alone = (
            connection.transaction_status == TransactionStatus.IDLE and connection.pipeline_status == PipelineStatus.OFF
        )
        if alone or text.startswith(b"BEGIN"):
            self.transactions += 1


class ServerProcesses:
    """The processes of a PostgreSQL server, found through one of its backends."""

    def __init__(self, backend_pid: int) -> None:
        self._postmaster = _parent(backend_pid)

    def cpu_s(self) -> float:
        """CPU seconds of all its processes so far, those that have ended included."""
        total = _cpu_s(self._postmaster, with_ended_children=True)
        for child in _children(self._postmaster):
            total += _cpu_s(child, with_ended_children=False)
        return total


def process_cpu_s(pid: int) -> float:
    """CPU seconds of one process so far."""
    return _cpu_s(pid, with_ended_children=False)


def process_peak_mib(pid: int) -> float:
    """The most memory that one process has had so far, in MiB; Linux alone tells, elsewhere it is 0."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def wal_position(connection: psycopg.Connection[Any]) -> int:
    """Bytes of WAL written so far."""
    return int(_value(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def row_writes(connection: psycopg.Connection[Any], schema: str) -> int:
    """Rows inserted, updated and deleted in a schema so far.

    A backend reports its counters at the latest when it ends, so this waits until all others have left.
    """
    deadline = time.monotonic() + LEAVING_S_MAX
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    while _value(connection, others):
        if time.monotonic() > deadline:
            raise RuntimeError("connections were left open, so row writes cannot be counted")
        time.sleep(0.01)
    return int(
        _value(
            connection,
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables WHERE schemaname = %s",
            schema,
        )
    )


def _value(connection: psycopg.Connection[Any], query: str, *parameters: object) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` after the process's name, the state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int, *, with_ended_children: bool) -> float:
    try:
        fields = _stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it ended meanwhile, and its parent has its time now
    return sum(int(field) for field in fields[11 : 15 if with_ended_children else 13]) / _TICKS_PER_S


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
