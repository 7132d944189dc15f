"""Blobs in chunks, in a table of the database that is there anyway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from ...ports.blobs import BlobExists, BlobInfo, BlobNotFound, check_blob_key
from ...ports.clock import Clock
from ...ports.errors import CorruptionError
from .database import SNAPSHOT, Database

CHUNK_BYTES = 1 << 20
"""What one row holds: far below the limit of a field, and small enough for neither side to notice."""

PAGE = 1000
"""How many blobs one statement lists."""


class PostgresBlobs:
    """`BlobStore` over the tables `blobs` and `blob_chunks`.

    Args:
        database: where they are.
        clock: says when a blob was written.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def __str__(self) -> str:
        return f"the database, schema {self._database.settings.schema!r}"

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store `data` under `key`."""
        check_blob_key(key)
        head: dict[str, object] = {"key": key, "size_bytes": len(data), "modified_at": self._clock.now()}
        if if_absent and len(data) <= CHUNK_BYTES:
            stored = bool(await self._database.write("put_small_blob", {**head, "data": data}))
        else:
            stored = await self._put_chunks(head, key, data, if_absent=if_absent)
        if not stored:
            raise BlobExists(f"there is a blob under {key!r} already")

    async def get(self, key: str) -> bytes:
        """The blob's bytes."""
        check_blob_key(key)
        rows = await self._database.read("get_blob", {"key": key})
        if not rows:
            raise BlobNotFound(f"there is no blob under {key!r}")
        size_bytes, first = rows[0]
        return bytes(first) if size_bytes <= CHUNK_BYTES and first is not None else await self._get_chunks(key)

    async def has(self, key: str) -> bool:
        """Whether there is a blob under `key`."""
        check_blob_key(key)
        return bool(await self._database.read("has_blob", {"key": key}))

    async def delete(self, key: str) -> None:
        """Remove the blob, if there is one."""
        check_blob_key(key)
        await self._database.write("delete_blob", {"key": key})

    async def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
        """The blobs whose key begins with `prefix`, by key, a page at a time."""
        after: str | None = None
        while True:
            parameters = {"prefix": prefix, "older_than": older_than, "after": after, "limit": PAGE}
            rows = await self._database.read("list_blobs", parameters)
            for row in rows:
                yield BlobInfo(*row)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    async def aclose(self) -> None:
        """Nothing of its own was opened: the connections are the persistence's."""

    async def _put_chunks(self, head: dict[str, object], key: str, data: bytes, *, if_absent: bool) -> bool:
        database = self._database
        async with database.transaction(bounded=False) as connection:
            stored = await database.fetch(connection, "put_blob" if if_absent else "overwrite_blob", head)
            if not stored:
                return False
            if not if_absent:
                await database.fetch(connection, "delete_blob_chunks", {"key": key})
            for number, start in enumerate(range(0, max(len(data), 1), CHUNK_BYTES)):
                chunk = {"key": key, "number": number, "data": data[start : start + CHUNK_BYTES]}
                await database.fetch(connection, "put_blob_chunk", chunk)
            return True

    async def _get_chunks(self, key: str) -> bytes:
        """All chunks as of one moment, so that a blob that is overwritten meanwhile is read whole."""
        database = self._database
        async with database.transaction(SNAPSHOT, bounded=False) as connection:
            rows = await database.fetch(connection, "get_blob", {"key": key})
            if not rows:
                raise BlobNotFound(f"there is no blob under {key!r}")
            size_bytes: int = rows[0][0]
            parts: list[bytes] = []
            for number in range(-(-size_bytes // CHUNK_BYTES) or 1):
                chunk = await database.fetch(connection, "get_blob_chunk", {"key": key, "number": number})
                parts += [bytes(row[0]) for row in chunk]
        data = b"".join(parts)
        if len(data) != size_bytes:
            raise CorruptionError(f"blob {key!r} should have {size_bytes} bytes, {len(data)} were found")
        return data
