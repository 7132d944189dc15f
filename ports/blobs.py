"""BlobStore: where payloads live that are too large for a row. Keys are written once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from .errors import AdapterError, UsageError
from .record import Record

KEY_LENGTH_MAX = 512
"""Characters of a key: within what file systems and object stores accept once an adapter has put its prefix before."""

_KEY = re.compile(r"[A-Za-z0-9._/-]+")


class InvalidBlobKey(UsageError):
    """A key breaks the rule that all adapters share."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key[:KEY_LENGTH_MAX]!r} is no key for a blob: {problem}")


class BlobExists(AdapterError):
    """`put(…, if_absent=True)` met a blob under that key; it was left as it is."""


class BlobNotFound(AdapterError):
    """There is no blob under that key."""


class BlobInfo(Record, frozen=True):
    """What a listing tells of one blob."""

    key: str
    size_bytes: int
    modified_at: datetime


def check_blob_key(key: str) -> None:
    """Refuse what is no key: every adapter asks this before it does anything with one.

    Raises:
        InvalidBlobKey: it is empty or too long, has other characters than allowed, or a segment `..`.
    """
    if not key:
        raise InvalidBlobKey(key, "it is empty")
    if len(key) > KEY_LENGTH_MAX:
        raise InvalidBlobKey(key, f"it has {len(key)} characters, at most {KEY_LENGTH_MAX} are allowed")
    if not _KEY.fullmatch(key):
        raise InvalidBlobKey(key, "only A-Z, a-z, 0-9 and . _ / - are allowed")
    if ".." in key.split("/"):
        raise InvalidBlobKey(key, "the segment '..' is not allowed")


class BlobStore(Protocol):
    """The port. Keys are non-empty text of `[A-Za-z0-9._/-]`, at most 512 characters, without `..` segments.

    Any other key is refused with `InvalidBlobKey`, by every method that takes one (`check_blob_key`).
    """

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
