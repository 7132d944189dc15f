"""BlobStore: where payloads live that are too large for a row. Keys are written once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from attrs import frozen

from .errors import AdapterError


class BlobExists(AdapterError):
    """`put(…, if_absent=True)` met a blob under that key; it was left as it is."""


class BlobNotFound(AdapterError):
    """There is no blob under that key."""


@frozen
class BlobInfo:
    """What a listing tells of one blob."""

    key: str
    size_bytes: int
    modified_at: datetime


class BlobStore(Protocol):
    """The port. Keys are non-empty text of `[A-Za-z0-9._/-]`, at most 512 characters, without `..` segments."""

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store `data` durably under `key`; atomic: readers see all of it or nothing.

        Raises:
            BlobExists: `if_absent` and the key is taken.
        """
        ...

    async def get(self, key: str) -> bytes:
        """The blob's bytes.

        Raises:
            BlobNotFound: there is none.
        """
        ...

    async def has(self, key: str) -> bool:
        """Whether there is a blob under `key`."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the blob, if there is one."""
        ...

    def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
        """The blobs whose key begins with `prefix`, by key; with `older_than`, only those last modified before it."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
