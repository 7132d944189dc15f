"""Worker processes as their parent sees them, and the server they work on."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
from attrs import frozen

from fairlead.adapters.postgres import migrate
from fairlead.adapters.postgres.embedded import EmbeddedServer
from fairlead.kernel import Flow

from .costs import Costs, ServerProcesses, process_cpu_s, process_peak_mib, row_writes, wal_position

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = {
    "shared_buffers": "1GB",
    "max_connections": "1000",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
}
"""Durable as PostgreSQL is by default. Checkpoints are farther apart than any measurement is long, and a crowd of hosts
finds its connections."""

BATCH = 1_000
"""Runs started, listed or checked at a time."""


class ToldProcess:
    """A worker in a process of its own, which is told by lines what to do next; leaving the block drains it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> Self:
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._tell("stop")
            self._process.wait(timeout=60)
        finally:
            self._process.kill()
            self._process.wait()

    def go(self) -> None:
        """Let it begin."""
        self.ask("go")

    def report(self) -> tuple[float, int, int]:
        """CPU seconds, statements and transactions so far; where it does not count them, 0."""
        said = self.ask("report")
        return process_cpu_s(self._process.pid), said.get("statements", 0), said.get("transactions", 0)

    def peak_mib(self) -> float:
        """The most memory it has had so far."""
        return process_peak_mib(self._process.pid)

    def ask(self, line: str) -> dict[str, Any]:
        """Tell it something; its answer."""
        self._tell(line)
        return self._answer()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended by itself, with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class WorkerProcess(ToldProcess):
    """One worker of Fairlead.

    Args:
        url: the database.
        slots: its concurrency.
        options: of `postgres_ports`.
    """

    def __init__(self, url: str, slots: int, options: Mapping[str, object]) -> None:
        super().__init__([sys.executable, "-m", "tests.benchmarks.worker", url, str(slots), json.dumps(options)])


@frozen(kw_only=True)
class Started:
    """Runs that were started by a process of its own, and what that cost it."""

    run_ids: list[str]
    took_s: float
    cpu_s: float
    statements: int
    transactions: int
    peak_mib: float


def start_apart(url: str, flow: Flow[Any], runs: int, *, elements: int = 0, at_a_time: int = BATCH) -> Started:
    """Start runs in a process of its own.

    Args:
        url: the database.
        flow: what is started.
        runs: how many.
        elements: of their maps.
        at_a_time: how many with one call.
    """
    command = [sys.executable, "-m", "tests.benchmarks.starter", url, flow.slug, str(elements), str(runs)]
    with tempfile.TemporaryFile() as said:  # a pipe may take only a part of a long line
        subprocess.run([*command, str(at_a_time)], cwd=ROOT, stdout=said, check=True)
        said.seek(0)
        return Started(**json.load(said))


class Server:
    """The server of a benchmark: durable, with nobody else on it."""

    def __init__(self, embedded: EmbeddedServer) -> None:
        self._embedded = embedded
        self._admin = psycopg.connect(embedded.url, autocommit=True)
        self._processes = ServerProcesses(self._admin.info.backend_pid)
        self._numbers = itertools.count()

    @classmethod
    @contextmanager
    def opened(cls, binaries: Path | None) -> Generator[Server]:
        """Start a server for the block; its data folder goes with it."""
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fairlead-bench-"))
            embedded = stack.enter_context(
                EmbeddedServer.open(Path(folder) / "data", durable=True, settings=SETTINGS, binaries=binaries)
            )
            server = cls(embedded)
            stack.callback(server._admin.close)
            yield server

    @property
    def version(self) -> str:
        """PostgreSQL's version."""
        return str(self._show("server_version"))

    @property
    def durability(self) -> dict[str, str]:
        """The settings that durability depends on."""
        names = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        return {name: self._show(name) for name in names}

    @contextmanager
    def database(self, *, migrated: bool = True) -> Generator[str]:
        """A new database for the block; its URL."""
        name = f"bench_{next(self._numbers)}"
        url = self._embedded.ensure_database(name)
        try:
            if migrated:
                asyncio.run(migrate(url))
            self._admin.execute("CHECKPOINT")
            yield url
        finally:
            self._embedded.drop_database(name)

    def read(self, workers: Sequence[ToldProcess] = ()) -> Costs:
        """The counters as they stand, but for row writes."""
        reports = [worker.report() for worker in workers]
        return Costs(
            worker_cpu_s=sum(cpu_s for cpu_s, _, _ in reports),
            postgres_cpu_s=self._processes.cpu_s(),
            wal_bytes=wal_position(self._admin),
            statements=sum(statements for _, statements, _ in reports),
            transactions=sum(transactions for _, _, transactions in reports),
            row_writes=0,
        )

    def _show(self, name: str) -> str:
        row = self._admin.execute(f"SHOW {name}".encode()).fetchone()
        assert row is not None
        return str(row[0])


def count_row_writes(url: str, schema: str) -> int:
    """Rows written in a schema so far, by connections that are closed by now."""
    with psycopg.connect(url, autocommit=True) as connection:
        return row_writes(connection, schema)


def count_deadlocks(url: str) -> int:
    """How often transactions of this database had to be broken up, by connections that are closed by now."""
    with psycopg.connect(url, autocommit=True) as connection:
        query = b"SELECT deadlocks::integer FROM pg_stat_database WHERE datname = current_database()"
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])
