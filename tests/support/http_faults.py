"""A proxy before an HTTP server that does to requests what networks and busy servers do."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from attrs import define, field, frozen

HEAD_END = b"\r\n\r\n"


@frozen(kw_only=True)
class Fault:
    """What happens to one request."""

    method: str = ""
    """Only to one of this method; to any where empty."""
    reaches: bool = False
    """Whether the server is asked all the same."""
    status: int | None = None
    """What is answered; where None, nothing is, or what the server says if the fault passes on some of it."""
    code: str = ""
    """The code in the answer's body."""
    passes_bytes: int | None = None
    """How much of the body of the server's answer arrives."""
    hangs: bool = False
    """Whether the connection then stays open and silent, instead of being closed."""

    @property
    def answer(self) -> bytes:
        """A complete answer."""
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code></Error>'.encode()
        return f"HTTP/1.1 {self.status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


UNHARMED = Fault(reaches=True, passes_bytes=sys.maxsize)
SLOW_DOWN = Fault(status=503, code="SlowDown")
REFUSED_AFTER = Fault(reaches=True, status=500, code="InternalError")
LOST_BEFORE = Fault()
LOST_AFTER = Fault(reaches=True)
SILENT_BEFORE = Fault(hangs=True)
SILENT_AFTER = Fault(reaches=True, hangs=True)


@define
class FaultyProxy:
    """Leads to a server, through whatever is planned."""

    server: str
    endpoint: str = ""
    requests: list[str] = field(factory=list[str])
    """The method of every request, in the order in which they came."""
    heads: list[str] = field(factory=list[str])
    """What stands above the body of every request."""
    _faults: deque[Fault] = field(factory=deque[Fault])
    _end: asyncio.Event = field(factory=asyncio.Event)

    def plan(self, faults: Iterable[Fault]) -> None:
        """Do this to the next requests, one fault each, and forget which requests there were."""
        self._faults = deque(faults)
        self.requests.clear()
        self.heads.clear()

    @property
    def left(self) -> int:
        """How many planned faults no request has met."""
        return len(self._faults)

    async def serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        """Serve one connection, for one request."""
        try:
            request = await _read_request(client_in)
            if request:
                await self._answer(request, client_out)
                await client_out.drain()
        except ConnectionError:
            pass  # the client gave up, which is what some tests are about
        finally:
            client_out.close()

    async def _answer(self, request: bytes, client_out: asyncio.StreamWriter) -> None:
        method = request.partition(b" ")[0].decode()
        self.requests.append(method)
        self.heads.append(request.partition(HEAD_END)[0].decode("latin-1"))
        fault = self._next_fault(method)
        answer = await self._ask(request) if fault is None or fault.reaches else b""
        if fault is None:
            client_out.write(answer)
            return
        if fault.status is not None:
            client_out.write(fault.answer)
        elif fault.passes_bytes is not None:
            client_out.write(answer[: answer.index(HEAD_END) + len(HEAD_END) + fault.passes_bytes])
        if fault.hangs:
            await client_out.drain()
            await self._end.wait()

    def _next_fault(self, method: str) -> Fault | None:
        if self._faults and self._faults[0].method in ("", method):
            return self._faults.popleft()
        return None

    async def _ask(self, request: bytes) -> bytes:
        """The server's whole answer."""
        parts = urlsplit(self.server)
        server_in, server_out = await asyncio.open_connection(parts.hostname, parts.port)
        head, _, body = request.partition(HEAD_END)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        server_out.write(b"\r\n".join([*lines, b"Connection: close"]) + HEAD_END + body)
        answer = await server_in.read()
        server_out.close()
        return answer

    def end(self) -> None:
        """Let go of the connections that were kept silent."""
        self._end.set()


@asynccontextmanager
async def faulty(server: str) -> AsyncGenerator[FaultyProxy]:
    """A proxy before a server, both given as `http://host:port`."""
    proxy = FaultyProxy(server)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as listening:
        proxy.endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield proxy
        proxy.end()


async def _read_request(client_in: asyncio.StreamReader) -> bytes:
    """One request with its body; empty where the client has nothing to ask."""
    try:
        head = await client_in.readuntil(HEAD_END)
        sizes = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return head + await client_in.readexactly(int(sizes[0]) if sizes else 0)
    except asyncio.IncompleteReadError:
        return b""
