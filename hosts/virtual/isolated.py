"""What an event loop in virtual time has not: the world outside, whose time cannot be told to jump."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, TypeVarTuple

Ts = TypeVarTuple("Ts")


class NoWorld(RuntimeError):
    """Something in virtual time wants to reach the world."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, and in virtual time no network, process or signal is there. Give the flow a resource that the "
            "test controls, or stub the step that uses it"
        )


class Isolated(asyncio.AbstractEventLoop):
    """The methods of an event loop that reach the world; each of them refuses."""

    def set_default_executor(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("other threads were to be used")

    async def getaddrinfo(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a host name was to be looked up")

    async def getnameinfo(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("an address was to be looked up")

    async def create_connection(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a connection was to be opened")

    async def create_server(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a server was to be opened")

    async def sendfile(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a file was to be sent")

    async def start_tls(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a connection was to be encrypted")

    async def create_unix_connection(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a connection was to be opened")

    async def create_unix_server(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a server was to be opened")

    async def connect_accepted_socket(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a connection was to be accepted")

    async def create_datagram_endpoint(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a datagram socket was to be opened")

    async def connect_read_pipe(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a pipe was to be read")

    async def connect_write_pipe(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a pipe was to be written")

    async def subprocess_shell(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a process was to be started")

    async def subprocess_exec(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a process was to be started")

    def add_reader(self, fd: Any, callback: Callable[[*Ts], object], *args: *Ts) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be watched")

    def remove_reader(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be watched")

    def add_writer(self, fd: Any, callback: Callable[[*Ts], object], *args: *Ts) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be watched")

    def remove_writer(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be watched")

    async def sock_recv(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be read")

    async def sock_recv_into(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be read")

    async def sock_recvfrom(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be read")

    async def sock_recvfrom_into(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be read")

    async def sock_sendall(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be written")

    async def sock_sendto(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a socket was to be written")

    async def sock_connect(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a connection was to be opened")

    async def sock_accept(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a connection was to be accepted")

    async def sock_sendfile(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a file was to be sent")

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> NoReturn:
        """Refuse."""
        raise NoWorld("a signal was to be handled")

    def remove_signal_handler(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NoWorld("a signal was to be handled")
