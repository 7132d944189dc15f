"""Asking a kernel without flows, which can read everything: no code of a flow is needed to look at its runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...kernel import Kernel
from .command import DatabaseChoice

T = TypeVar("T")


def read(choice: DatabaseChoice, ask: Callable[[Kernel], Awaitable[T]]) -> T:
    """Open the database that the command line chooses, ask, and close it."""
    from .database import open_database, opened_ports

    async def asked() -> T:
        async with opened_ports(database) as ports:
            return await ask(Kernel(flows=[], ports=ports))

    with open_database(choice) as database:
        return asyncio.run(asked())
