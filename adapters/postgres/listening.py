"""A connection that listens to one channel and is opened again whenever it ends.

It is not the pool's: it stays open, and behind a transaction pooler it needs a URL of its own. While it is down
nothing is heard and nothing is wrong; hosts poll.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import psycopg
from psycopg import sql

from ...ports.errors import AdapterError
from .background import runs_here
from .connecting import Connection, close_now, connect

RECONNECT_S_MIN = 0.5
RECONNECT_S_MAX = 30.0
"""Between these, doubling, lie the pauses between attempts to connect."""

_log = logging.getLogger(__name__)


class Listener:
    """Hears the notifications of a channel while it runs.

    Args:
        conninfo: libpq connection string of the connection to listen on.
        channel: its name.
        hear: called with each notification's payload, and with None when some may have been missed.
    """

    def __init__(self, conninfo: str, channel: str, hear: Callable[[str | None], None]) -> None:
        self._conninfo = conninfo
        self._channel = channel
        self._hear = hear
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self.listening = asyncio.Event()
        """Set while a connection listens."""

    def start(self) -> None:
        """Run in the background, unless it does already."""
        if not runs_here(self._task):
            self._close_stranded()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="fairlead listener")

    async def aclose(self) -> None:
        """Stop, and close the connection."""
        task, self._task = self._task, None
        if runs_here(task):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._close_stranded()

    def _close_stranded(self) -> None:
        """Close the connection of a task whose event loop was closed under it."""
        connection, self._connection = self._connection, None
        if connection is not None:  # recovers 77: a connection listens in a loop that was closed
            self.listening.clear()
            close_now(connection)

    async def _run(self) -> None:
        pause_s = RECONNECT_S_MIN
        while True:
            try:
                connection = await connect(self._conninfo)
            except AdapterError as error:  # recovers 32: nothing can listen
                _log.info("not listening on channel %s, polling instead: %s", self._channel, error)
            else:
                self._connection = connection
                try:
                    await self._listen(connection)
                    pause_s = RECONNECT_S_MIN
                except (psycopg.Error, OSError) as error:  # recovers 32: the connection that listens is lost
                    _log.info("stopped listening on channel %s, will reconnect: %s", self._channel, error)
                finally:
                    heard = self.listening.is_set()
                    if self._connection is connection:
                        self._close_stranded()
                pause_s = RECONNECT_S_MIN if heard else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RECONNECT_S_MAX)

    async def _listen(self, connection: Connection) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        self.listening.set()
        self._hear(None)
        async for notification in connection.notifies():
            self._hear(notification.payload)
