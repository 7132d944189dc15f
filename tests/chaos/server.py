"""The PostgreSQL server of a campaign: durable, on one port for ever, stopped as a power cut would stop it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from attrs import define

from fairlead.adapters.postgres import migrate
from fairlead.adapters.postgres.embedded import EmbeddedServer

SETTINGS = {"max_connections": "200", "max_wal_size": "256MB"}
END_TIMEOUT_S = 30.0
DATABASE = "chaos"


@define
class Server:
    """A server that can be restarted. It is gone, with its folder, when the process that has opened it is."""

    _share: EmbeddedServer
    url: str
    """Of the database, without any proxy."""

    def close(self) -> None:
        """Stop it, and forget everything."""
        self._share.close()

    async def restart(self, down_s: float) -> None:
        """Stop it immediately, without a checkpoint or a farewell; start it again, which recovers from its log."""
        os.kill(self._postmaster(), signal.SIGQUIT)
        await asyncio.to_thread(self._until_ended)
        await asyncio.sleep(down_s)
        ended, self._share = self._share, await asyncio.to_thread(_open, self._share.folder, self._share.port)
        ended.close()

    async def execute(self, statement: str) -> None:
        """Carry out a statement."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute(statement.encode())

    async def terminate_backends(self, drawn: random.Random, share: float) -> int:
        """End a share of the sessions of clients; how many."""
        try:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
                cursor = await connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend' ORDER BY pid",
                    [DATABASE],
                )
                pids = [pid for (pid,) in await cursor.fetchall() if drawn.random() < share]
                await connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [pids])
        except psycopg.OperationalError:
            return 0  # it is just being restarted
        return len(pids)

    def _postmaster(self) -> int:
        return int((self._share.folder / "cluster" / "data" / "postmaster.pid").read_text().splitlines()[0])

    def _until_ended(self) -> None:
        deadline = time.monotonic() + END_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with psycopg.connect(self.url, connect_timeout=1):
                    pass
            except psycopg.OperationalError as error:
                if "refused" in str(error):
                    return
            time.sleep(0.01)
        raise TimeoutError("the server does not stop")


@asynccontextmanager
async def opened() -> AsyncGenerator[Server]:
    """A fresh server with a migrated database, gone afterwards."""
    share = _open(Path(tempfile.mkdtemp(prefix="fairlead-chaos-")), None)
    server = Server(share, share.ensure_database(DATABASE))
    try:
        await migrate(server.url)
        yield server
    finally:
        await asyncio.to_thread(server.close)


def _open(folder: Path, port: int | None) -> EmbeddedServer:
    return EmbeddedServer.open(folder, port=port, discard=True, settings=SETTINGS)
