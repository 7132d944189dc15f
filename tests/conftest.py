"""Fixtures for everybody: one PostgreSQL server per test run, and a database of its own for every test.

The server is shared by all workers of a run and gone when the last of them is, Ctrl-C and SIGKILL included; its
folder goes with it. A database is copied from a template, which takes some milliseconds however long the
template's preparation took. A test that leaves a connection open fails.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from fairlead.adapters.postgres.embedded import EmbeddedServer
from tests.support import pgbouncer, s3_servers
from tests.support.pgbouncer import Bouncer
from tests.support.s3_servers import S3Server

LEAVING_TIMEOUT_S = 5.0
"""A closed connection's process ends a moment later; one that is there after this time was never closed."""

SETTINGS = {"max_connections": "200", "max_wal_size": "256MB"}
"""Enough connections for several workers' pools; old log files are given back early."""

MEMORY_BYTES_MIN = 4 << 30
"""Free room in the memory file system from which on the server is put there; it needs a tenth of that."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take from the command line how thoroughly races and crashes are played."""
    parser.addoption(
        "--every-point",
        action="store_true",
        help="stop and kill at every statement and commit, instead of at chosen ones (make races, make crashes)",
    )


@pytest.fixture(scope="session")
def every_point(request: pytest.FixtureRequest) -> bool:
    """Whether commands are stopped, and processes killed, at every point."""
    return bool(request.config.getoption("--every-point"))


def pytest_configure() -> None:
    """Hear Ctrl-C and Ctrl-\\, as the processes that tests start then do, too.

    A shell without job control has what it starts in the background ignore both, and that is inherited. A handler is
    not: a new program begins with the default in its place.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


class Databases:
    """Makes and drops databases through one connection. Names carry the worker, so workers never meet."""

    def __init__(self, server: EmbeddedServer, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._server = server
        self._connection = connection
        self._worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self._numbers = itertools.count()
        self._templates: dict[str, str] = {}

    @contextmanager
    def database(self, template: str = "template1") -> Generator[str]:
        """A copy of a template for the time of the context; its URL."""
        name = f"test_{self._worker}_{next(self._numbers)}"
        self._create(name, template)
        try:
            yield self._server.database_url(name)
            self._refuse_connections_to(name)
        finally:
            self._connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def template(self, label: str, prepare: Callable[[str], None]) -> str:
        """The name of the template of that label, prepared when it is asked for the first time."""
        if label not in self._templates:
            name = f"template_{self._worker}_{label}"
            self._create(name, "template1")
            prepare(self._server.database_url(name))
            self._refuse_connections_to(name)
            self._templates[label] = name
        return self._templates[label]

    def _create(self, name: str, template: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        if self._connection.info.server_version >= 150_000:
            # Copying files beats logging every page six to one where nothing is synced to disk.
            statement += sql.SQL(" STRATEGY FILE_COPY")
        self._connection.execute(statement)

    def _refuse_connections_to(self, name: str) -> None:
        deadline = time.monotonic() + LEAVING_TIMEOUT_S
        while left_open := self._statements_on(name):
            assert time.monotonic() < deadline, f"connections left open; their last statements: {left_open}"
            time.sleep(0.002)

    def _statements_on(self, name: str) -> list[object]:
        found = self._connection.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
            [name],
        )
        return [query for (query,) in found.fetchall()]


@pytest.fixture(scope="session")
def fast_place() -> Path:
    """A folder in memory where that is roomy: making a database there takes 7 ms, on some disks 300."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES_MIN:
        return memory
    return Path(tempfile.gettempdir())


@pytest.fixture(scope="session")
def postgres_server(fast_place: Path) -> Generator[EmbeddedServer]:
    """A server for the whole run, without durability; benchmarks and chaos tests open their own."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = fast_place / f"fairlead-tests-{os.geteuid()}-{run}"
    with EmbeddedServer.open(folder, durable=False, discard=True, settings=SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedServer) -> Generator[Databases]:
    """Makes databases and templates on the run's server."""
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        yield Databases(postgres_server, connection)


@pytest.fixture(scope="session")
def database_factory(databases: Databases) -> Callable[[str], AbstractContextManager[str]]:
    """Makes databases from templates: `with database_factory("template1") as url`."""
    return databases.database


@pytest.fixture(scope="session")
def template_factory(databases: Databases) -> Callable[[str, Callable[[str], None]], str]:
    """Makes templates: `template_factory("migrated", prepare)` gives a name for `database_factory`.

    `prepare` gets the new template's URL, the first time a label is asked for in this process, and leaves no
    connection open: nobody can copy a database that somebody uses.
    """
    return databases.template


@pytest.fixture(scope="session")
def bouncer(postgres_server: EmbeddedServer) -> Generator[Bouncer]:
    """PgBouncer in transaction mode before the run's server."""
    if pgbouncer.PROGRAM is None:
        pytest.skip("PgBouncer is not installed here")
    with pgbouncer.pgbouncer(postgres_server.url) as made:
        yield made


@pytest.fixture(scope="session")
def ministack() -> Generator[S3Server]:
    """A server that speaks S3, for as long as the worker runs."""
    with s3_servers.ministack() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Generator[S3Server]:
    """Another one."""
    with s3_servers.moto() as server:
        yield server


@pytest.fixture
def empty_database_url(databases: Databases) -> Generator[str]:
    """The URL of a fresh, empty database for one test."""
    with databases.database() as url:
        yield url
