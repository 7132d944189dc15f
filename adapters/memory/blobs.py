"""Blobs in a dict."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from datetime import datetime

from ...ports.blobs import BlobExists, BlobInfo, BlobNotFound, check_blob_key
from ...ports.clock import Clock


class MemoryBlobs:
    """`BlobStore` that lives as long as its process.

    Args:
        clock: says when a blob was written.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._blobs: dict[str, tuple[bytes, datetime]] = {}

    def __str__(self) -> str:
        return "the memory of this process"

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store a copy of `data` under `key`."""
        check_blob_key(key)
        modified_at = self._clock.now()
        with self._lock:
            if if_absent and key in self._blobs:
                raise BlobExists(f"there is a blob under {key!r} already")
            self._blobs[key] = (bytes(data), modified_at)

    async def get(self, key: str) -> bytes:
        """The blob's bytes."""
        check_blob_key(key)
        try:
            return self._blobs[key][0]
        except KeyError:
            raise BlobNotFound(f"there is no blob under {key!r}") from None

    async def has(self, key: str) -> bool:
        """Whether there is a blob under `key`."""
        check_blob_key(key)
        return key in self._blobs

    async def delete(self, key: str) -> None:
        """Remove the blob, if there is one."""
        check_blob_key(key)
        with self._lock:
            self._blobs.pop(key, None)

    async def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
        """The blobs that were there when the listing began, by key."""
        with self._lock:
            found = sorted((key, blob) for key, blob in self._blobs.items() if key.startswith(prefix))
        for key, (data, modified_at) in found:
            if older_than is None or modified_at < older_than:
                yield BlobInfo(key, len(data), modified_at)

    async def aclose(self) -> None:
        """Nothing was opened; the blobs stay."""
