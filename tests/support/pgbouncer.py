"""PgBouncer in transaction mode: each transaction may be given another session of the server.

It is a program of its own, found on the PATH (Debian's package is `pgbouncer`). No database has to be told to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from attrs import frozen
from psycopg import sql

from .servers import free_port, running

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
"""Where it is, if it is here; Debian puts it where an ordinary user's PATH does not lead."""

START_TIMEOUT_S = 20.0
LEAVING_TIMEOUT_S = 5.0
"""A client that closed its connection is forgotten a moment later."""

SETTINGS = """
[databases]
* = host={server.hostname} port={server.port} user={server.username} password={server.password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
admin_users = admin
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
"""
"""Taking turns makes what depends on a session fail soon: the session of the last transaction is the last to be given
to the next one."""

UNPRIVILEGED = "nobody"
"""As whom root runs it, since it refuses to run as root."""


@frozen
class Bouncer:
    """A pooler that runs before a server."""

    port: int

    def url(self, database: str) -> str:
        """The way to a database through it."""
        return f"postgresql://anybody@127.0.0.1:{self.port}/{database}"

    def forget(self, database: str) -> None:
        """Close its connections to a database, which clients must have left.

        Raises:
            AssertionError: somebody has left a connection open.
        """
        with self.console() as console:
            deadline = time.monotonic() + LEAVING_TIMEOUT_S
            while self._clients_of(console, database):
                assert time.monotonic() < deadline, "connections to PgBouncer were left open"
                time.sleep(0.002)
            if any(row[0] == database for row in console.execute("SHOW DATABASES").fetchall()):
                console.execute(sql.SQL("KILL {}").format(sql.Identifier(database)))

    @staticmethod
    def _clients_of(console: psycopg.Connection[tuple[object, ...]], database: str) -> int:
        rows = console.execute("SHOW CLIENTS")
        assert rows.description is not None
        column = [described.name for described in rows.description].index("database")
        return [row[column] for row in rows.fetchall()].count(database)

    def console(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection to the pooler itself."""
        url = f"postgresql://admin@127.0.0.1:{self.port}/pgbouncer"
        return psycopg.connect(url, autocommit=True, client_encoding="utf8")


def database_of(url: str) -> str:
    """The name of the database that a URL leads to."""
    return urlsplit(url).path.removeprefix("/")


@contextmanager
def pgbouncer(server_url: str, *, sessions: int = 20) -> Generator[Bouncer]:
    """PgBouncer before a server, for the block.

    Args:
        server_url: of any database of it.
        sessions: of the server, for each database; whoever finds none free waits.
    """
    assert PROGRAM is not None, "PgBouncer is not installed"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fairlead-pgbouncer-") as folder:
        settings = Path(folder, "pgbouncer.ini")
        settings.write_text(SETTINGS.format(server=urlsplit(server_url), port=port, sessions=sessions))
        become: tuple[str, ...] = ()
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
            shutil.chown(settings, UNPRIVILEGED)
            become = ("-u", UNPRIVILEGED)
        with running([PROGRAM, *become, str(settings)], {}) as process:
            bouncer = Bouncer(port)
            _wait_for(process, bouncer)
            yield bouncer


def _wait_for(process: subprocess.Popen[bytes], bouncer: Bouncer) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            bouncer.console().close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, f"PgBouncer ended with {process.returncode}"
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.02)
