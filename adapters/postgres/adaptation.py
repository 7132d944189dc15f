"""What a connection of ours sends and receives differently from psycopg's defaults.

All results are read in binary. Payloads are the bytes the server sent, never parsed. Times are read in UTC whatever
the session's time zone is, since a session's settings are not ours behind a pooler.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from .arrays import register_columns

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_microseconds = struct.Struct("!q").unpack


class _DocumentLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _UtcLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> datetime:
        return _EPOCH + timedelta(microseconds=_microseconds(data)[0])


def adapt(context: AdaptContext) -> None:
    """Teach a connection our columns, payloads and times."""
    adapters = context.adapters
    register_columns(context)
    adapters.register_loader("json", _DocumentLoader)
    adapters.register_loader("timestamptz", _UtcLoader)
