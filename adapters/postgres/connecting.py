"""Opening one connection, within a deadline and without leaving anything behind."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any, TypeAlias

import psycopg
from psycopg import AsyncConnection

from .errors import translate_connecting

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

CONNECT_DEADLINE_S = 15.0
"""Opening a connection takes no longer, whatever the network does."""


async def connect(conninfo: str, *, prepare: bool = False) -> Connection:
    """A connection in autocommit mode.

    Args:
        conninfo: libpq connection string.
        prepare: whether psycopg may prepare statements on the server.

    Raises:
        DatabaseRefused: the server does not let us in.
        Unavailable: it could not be reached in time.
    """
    try:
        async with asyncio.timeout(CONNECT_DEADLINE_S):
            return await AsyncConnection.connect(
                conninfo,
                autocommit=True,
                # Not at the first use: after a ROLLBACK psycopg forgets all, and tells the server so behind what it
                # prepares next.
                prepare_threshold=1 if prepare else None,
            )
    except (psycopg.Error, TimeoutError, OSError) as error:  # recovers 21, 26: no connection can be opened
        raise translate_connecting(error) from error
    except asyncio.CancelledError as error:  # recovers 27: a coroutine is cancelled that opens a connection
        # psycopg's frame holds the half-open connection, in a cycle with this very error: it would stay open
        # until the garbage collector comes by.
        traceback.clear_frames(error.__traceback__)
        raise


def close_now(connection: Connection) -> None:
    """Close without waiting: also in a task that is being cancelled, or for an event loop that has ended."""
    closing = connection.close()
    try:
        closing.send(None)
    except StopIteration:
        return
    closing.close()
