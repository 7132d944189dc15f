"""The PostgreSQL server of a campaign: durable, on one port for ever, stopped as a power cut would stop it."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
from attrs import define

from fairlead.adapters.postgres import migrate
from fairlead.adapters.postgres.embedded import EmbeddedServer, start_server, stop_server

SETTINGS = {"max_connections": "200", "max_wal_size": "256MB"}
END_TIMEOUT_S = 30.0
DATABASE = "chaos"


@define
class Server:
    """A server that can be restarted."""

    folder: Path
    port: int
    url: str
    """Of the database, without any proxy."""

    async def restart(self, down_s: float) -> None:
        """Stop it immediately, without a checkpoint or a farewell; start it again, which recovers from its log."""
        os.kill(self._postmaster(), signal.SIGQUIT)
        await asyncio.to_thread(self._until_ended)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(start_server, self.folder, port=self.port, settings=SETTINGS)

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
        return int((self.folder / "cluster" / "data" / "postmaster.pid").read_text().splitlines()[0])

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
    folder = Path(tempfile.mkdtemp(prefix="fairlead-chaos-"))
    try:
        with EmbeddedServer.open(folder, discard=False, stay=True, settings=SETTINGS) as server:
            url, port = server.ensure_database(DATABASE), server.port
        await migrate(url)
        yield Server(folder, port, url)
    finally:
        with suppress(Exception):
            await asyncio.to_thread(stop_server, folder)
        shutil.rmtree(folder, ignore_errors=True)
