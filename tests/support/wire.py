"""Counts what crosses the wire to PostgreSQL: a proxy that reads the client's side of the protocol."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from attrs import define

_REQUESTS_BEFORE_STARTUP = frozenset({80877103, 80877104})
"""Codes of the first messages that are no startup yet: SSLRequest and GSSENCRequest."""

CHUNK_BYTES = 1 << 16


@define
class Traffic:
    """What clients sent since the counters were last reset."""

    statements: int = 0
    round_trips: int = 0
    """How often a client asked for answers: with Sync, or with a simple query."""

    def reset(self) -> None:
        """Begin anew."""
        self.statements = self.round_trips = 0


class ClientStream:
    """One client's half of a connection, message by message as it arrives in pieces."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._buffer = bytearray()
        self._started = False

    def feed(self, data: bytes) -> None:
        """Count the messages that `data` completes."""
        self._buffer += data
        while self._take_message():
            pass

    def _take_message(self) -> bool:
        head = 1 if self._started else 0
        if len(self._buffer) < head + 4:
            return False
        (length,) = struct.unpack_from("!i", self._buffer, head)
        if len(self._buffer) < head + length:
            return False
        message = bytes(self._buffer[: head + length])
        del self._buffer[: head + length]
        if self._started:
            self._count(message[:1])
        else:
            self._started = struct.unpack_from("!i", message, 4)[0] not in _REQUESTS_BEFORE_STARTUP
        return True

    def _count(self, kind: bytes) -> None:
        self._traffic.statements += kind in (b"Q", b"E")
        self._traffic.round_trips += kind in (b"Q", b"S")


@asynccontextmanager
async def counted(url: str) -> AsyncGenerator[tuple[str, Traffic]]:
    """A URL that leads to the same database, and the traffic of whoever uses it."""
    parts = urlsplit(url)
    traffic = Traffic()
    served: set[asyncio.Task[None]] = set()

    async def serve(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        served.add(_this_task())
        server_in, server_out = await asyncio.open_connection(parts.hostname, parts.port)
        stream = ClientStream(traffic)
        await asyncio.gather(_copy(client_in, server_out, stream), _copy(server_in, client_out, None))

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        user, _, _ = parts.netloc.rpartition("@")
        yield urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}")), traffic
    await asyncio.gather(*served)


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, stream: ClientStream | None) -> None:
    """Hand everything on until the source ends, then end the target."""
    try:
        while data := await source.read(CHUNK_BYTES):
            if stream is not None:
                stream.feed(data)
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass  # one side broke off, which the other is about to hear
    finally:
        target.close()
