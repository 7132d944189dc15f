"""A TCP proxy before PostgreSQL that is told to misbehave: to delay, stall, cut, drop, and lose answers to commits.

It forwards whole messages of the server, so as to know a commit when it sees one, and the client's bytes as they come.

- *delay*: everything takes longer, for a while.
- *stall*: nothing passes in either direction, for a while; then everything does.
- *cut*: connections are reset.
- *drop*: connections stay open on both sides, and nothing passes any more: what a host without power looks like to its
  server. Only `aclose` ends the server's side of them.
- *lose a commit*: the next COMMIT is carried out, its answer is swallowed, and the connection is reset. Likewise the
  next statement that commits by itself (*lose a write*).
"""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from tests.chaos.wire import ServerStream, begins_request, confirms_commit, is_ready, writes

CHUNK_BYTES = 1 << 16


class ProxyFault(enum.StrEnum):
    """How a proxy misbehaves."""

    DELAY = "delay"
    STALL = "stall"
    CUT = "cut"
    DROP = "drop"
    LOSE_COMMIT = "lose commit"
    LOSE_WRITE = "lose write"


class Proxy:
    """One address that leads to one server. Everything is for the connections that go through it."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._links: set[_Link] = set()
        self._dropped: list[asyncio.StreamWriter] = []
        self._losing: Counter[ProxyFault] = Counter()
        self.delay_s = 0.0
        """How much longer each piece takes."""
        self._stalled_until = 0.0
        self.lost: Counter[ProxyFault] = Counter()
        """Answers that were lost, by kind: a fault that was asked for, and happened."""

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._links)

    def stall(self, duration_s: float) -> None:
        """Let nothing pass for a while."""
        self._stalled_until = max(self._stalled_until, time.monotonic() + duration_s)

    def cut(self, share: float = 1.0) -> int:
        """Reset a share of the connections, the oldest first; how many."""
        return self._each(share, lambda link: link.reset())

    def drop(self, share: float = 1.0) -> int:
        """Let nothing pass any more on a share of the connections, which stay open; how many."""
        return self._each(share, lambda link: link.go_silent())

    def lose(self, fault: ProxyFault) -> None:
        """Swallow the answer to the next commit, or to the next write that commits by itself."""
        self._losing[fault] += 1

    def heal(self) -> None:
        """Forward everything from now on. What was dropped stays so."""
        self.delay_s = 0.0
        self._stalled_until = 0.0
        self._losing.clear()

    def loses(self, fault: ProxyFault) -> bool:
        """Whether an answer is to be lost; it is, then."""
        if not self._losing[fault]:
            return False
        self._losing[fault] -= 1
        self.lost[fault] += 1
        return True

    async def hold_back(self) -> None:
        """Wait as long as a piece of data has to."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        while (left_s := self._stalled_until - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, 0.1))

    async def aclose(self) -> None:
        """End all connections."""
        self.cut()
        while self._links:  # noqa: ASYNC110 — a link that is cut ends within a few turns of the loop
            await asyncio.sleep(0.001)
        for writer in self._dropped:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it."""
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, writer, server_writer)
        self._links.add(link)
        try:
            await link.forward(reader, server_reader)
        finally:
            self._links.discard(link)
            if link.silent:
                self._dropped.append(server_writer)
            else:
                server_writer.transport.abort()
            writer.transport.abort()

    def _each(self, share: float, act: Callable[[_Link], None]) -> int:
        links = list(self._links)
        chosen = links[: max(1, round(share * len(links)))] if links else []
        for link in chosen:
            act(link)
        return len(chosen)


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._stream = ServerStream()
        self._loss: ProxyFault | None = None
        """Why the answers are swallowed, if they are."""
        self._writing = False
        """Whether the client's last statement writes."""
        self.silent = False

    async def forward(self, client: asyncio.StreamReader, server: asyncio.StreamReader) -> None:
        """Forward both ways; returns when one has ended."""
        ways = [asyncio.create_task(self._requests(client)), asyncio.create_task(self._answers(server))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def reset(self) -> None:
        """Cut both sides at once: a reset, not an orderly end."""
        for writer in (self._client, self._server):
            sock: socket.socket | None = writer.get_extra_info("socket")
            if sock is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def go_silent(self) -> None:
        """Swallow everything from now on."""
        self.silent = True

    async def _requests(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                self._writing = writes(data) or (self._writing and not begins_request(data))
                await self._proxy.hold_back()
                if not self.silent:
                    self._server.write(data)
                    await self._server.drain()

    async def _answers(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                passing = bytearray()
                for message in self._stream.feed(data):
                    self._loss = self._loss or self._loss_at(message)
                    if self._loss is None:
                        passing += message
                    elif self._loss is ProxyFault.LOSE_COMMIT or is_ready(message):
                        self.reset()
                        return
                await self._proxy.hold_back()
                if not self.silent:
                    self._client.write(passing)
                    await self._client.drain()
        if self.silent:  # nobody hears of it that the server has ended the connection
            await asyncio.Event().wait()

    def _loss_at(self, message: bytes) -> ProxyFault | None:
        """Whether this message and all after it are lost: at once, or when the server has really committed."""
        if confirms_commit(message) and self._proxy.loses(ProxyFault.LOSE_COMMIT):
            return ProxyFault.LOSE_COMMIT
        alone = message[:1] == b"C" and self._writing and not self._stream.in_transaction
        if alone and self._proxy.loses(ProxyFault.LOSE_WRITE):
            return ProxyFault.LOSE_WRITE
        return None


@asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[tuple[str, Proxy]]:
    """A URL that leads to the same database through a proxy, and the proxy."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        login = parts.netloc.rpartition("@")[0]
        yield urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}")), proxy
    finally:
        server.close()
        await proxy.aclose()
