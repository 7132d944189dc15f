"""A small pool of psycopg connections, for one event loop at a time.

Connections are opened when they are needed, in the task that needs them, so that a refusal reaches its caller at
once and with its reason. They are in autocommit mode: transactions are begun and ended by explicit statements. A
connection that comes back in any state but idle is closed. One that the server ended while it lay idle is noticed
when it is taken, by a look at its socket, without a round trip.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from psycopg import Notify
from psycopg.pq import TransactionStatus

from .adaptation import adapt
from .connecting import Connection, close_now, connect
from .errors import PoolExhausted

IDLE_S_MAX = 300.0
"""A connection that nobody needed for so long is closed when another comes back."""


class ConnectionPool:
    """At most `size` connections to one database."""

    def __init__(
        self,
        conninfo: str,
        *,
        size: int,
        wait_s: float,
        prepare: bool,
        prove: Callable[[Connection], Awaitable[None]],
    ) -> None:
        """A pool that opens nothing yet.

        Args:
            conninfo: libpq connection string.
            size: most connections at a time.
            wait_s: how many seconds a caller waits for a connection before `PoolExhausted`.
            prepare: whether psycopg may prepare statements on the server.
            prove: examines the first connection, and raises where the database will not do.
        """
        self._conninfo = conninfo
        self._size = size
        self._wait_s = wait_s
        self._prepare = prepare
        self._prove = prove
        self._proven = False
        self._idle: deque[tuple[Connection, float]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """What the places belong to."""
        self._places = asyncio.Semaphore(size)
        self._open: set[Connection] = set()
        self._lent: dict[Connection, asyncio.AbstractEventLoop] = {}
        """Where the connections in use are: a loop that is closed gives none back."""

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Lend a connection for the block.

        Raises:
            PoolExhausted: none came free in time.
            Unavailable: a new one could not be opened.
        """
        places = self._places_here()
        await self._wait_for_place(places)
        try:
            connection = self._take_idle() or await self._connect()
            self._lent[connection] = asyncio.get_running_loop()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            places.release()

    async def aclose(self) -> None:
        """Close the connections that lie idle or are left in a closed loop; those in use are when they come back.

        Afterwards the pool belongs to no event loop, and to the next that uses it.
        """
        self._proven = False
        self._discard_stranded()
        self._open.clear()
        self._places = asyncio.Semaphore(self._size)
        while self._idle:
            connection, _ = self._idle.popleft()
            await connection.close()

    def _places_here(self) -> asyncio.Semaphore:
        """The running loop's places: nobody can wait for another's. Connections serve one loop after the other."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._discard_stranded()
            self._loop, self._places = loop, asyncio.Semaphore(self._size)
        return self._places

    async def _wait_for_place(self, places: asyncio.Semaphore) -> None:
        if not places.locked():
            await places.acquire()
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await places.acquire()
        except TimeoutError as error:  # recovers 25: no connection comes free in time
            raise PoolExhausted(
                f"all {self._size} connections were in use for {self._wait_s:g} s; "
                "raise pool_size, or start fewer things at once",
            ) from error

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.closed and not _has_word_from_server(connection):
                return connection
            self._discard(connection)  # recovers 21: the server ended a connection that lay idle
        return None

    async def _connect(self) -> Connection:
        connection = await connect(self._conninfo, prepare=self._prepare)
        self._open.add(connection)
        adapt(connection)
        connection.add_notify_handler(_drop)
        try:
            if not self._proven:
                await self._prove(connection)
                self._proven = True
        except BaseException:  # recovers 36: a server will not do
            self._discard(connection)
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        self._lent.pop(connection, None)
        kept = connection in self._open and not connection.closed
        if not kept or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            # recovers 26, 27: a connection comes back in use
            self._discard(connection)
            return
        now = time.monotonic()
        self._idle.append((connection, now))
        if now - self._idle[0][1] > IDLE_S_MAX:
            self._discard(self._idle.popleft()[0])

    def _discard_stranded(self) -> None:
        for connection, loop in tuple(self._lent.items()):
            if loop.is_closed():  # recovers 77: a loop was closed that had connections
                del self._lent[connection]
                self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        self._open.discard(connection)
        close_now(connection)


def _drop(_: Notify) -> None:
    """Behind a transaction pooler a LISTEN stays with a session of the server, whatever client has it next. psycopg
    would keep what such a client is told for as long as nobody asks for it."""


def _has_word_from_server(connection: Connection) -> bool:
    """Whether an idle connection's socket is readable: the server closed it, or says that it is about to."""
    descriptor = connection.fileno()
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))
