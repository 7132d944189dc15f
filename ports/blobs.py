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

SEGMENT_LENGTH_MAX = 200
"""Characters of a key between two slashes: a name in a file system has 255 bytes, of which an adapter needs a few."""

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


class BlobCorrupt(AdapterError):
    """A blob that is referred to is missing, or is not what was written. Nothing else is taken in its place.

    The same read gives the same again, so it is not `retryable`; an attempt that needs the blob is tried again all the
    same, up to its `max_attempts`, since another host may have the right store.
    """

    def __init__(self, key: str, problem: str, *, store: str) -> None:
        self.key = key
        self.problem = problem
        self.store = store
        super().__init__(f"blob {key!r} cannot be read from {store}: {problem}")


class BlobInfo(Record, frozen=True):
    """What a listing tells of one blob."""

    key: str
    size_bytes: int
    modified_at: datetime


def check_blob_key(key: str) -> None:
    """Refuse what is no key: every adapter asks this before it does anything with one.

    Raises:
        InvalidBlobKey: it is empty or too long, has other characters than allowed, or a segment that is empty, too
            long, `.` or `..`.
    """
    problem = _problem_of(key)
    if problem is not None:
        raise InvalidBlobKey(key, problem)


def is_blob_key(text: str) -> bool:
    """Whether it is a key: for adapters that meet what others have stored."""
    return _problem_of(text) is None


def _problem_of(key: str) -> str | None:
    if not key:
        return "it is empty"
    if len(key) > KEY_LENGTH_MAX:
        return f"it has {len(key)} characters, at most {KEY_LENGTH_MAX} are allowed"
    if not _KEY.fullmatch(key):
        return "only A-Z, a-z, 0-9 and . _ / - are allowed"
    for segment in key.split("/"):
        if not segment:
            return "it begins or ends with '/', or has two of them side by side"
        if segment in (".", ".."):
            return f"the segment {segment!r} is not allowed"
        if len(segment) > SEGMENT_LENGTH_MAX:
            return f"a segment has {len(segment)} characters, at most {SEGMENT_LENGTH_MAX} are allowed"
    return None


class BlobStore(Protocol):
    """The port. A key is at most 512 characters of `[A-Za-z0-9._/-]`: segments of 1 to 200 characters between slashes.

    No segment is `.` or `..`. Any other key is refused with `InvalidBlobKey`, by every method that takes one
    (`check_blob_key`). Keys differ by case, and one may be the beginning of another: `a`, `A` and `a/b` are three.

    `str(store)` says for messages where it is: an address, without secrets.

    Whoever needs a key for one writer only makes it unique. A put that raises something retryable may have stored its
    blob all the same, and then a repetition meets it: `BlobExists`.
    """

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store `data` durably under `key`; atomic: readers see all of it or nothing, whatever crashes.

        Raises:
            BlobExists: `if_absent` and the key is taken. Of many who put at once exactly one succeeds, and a put does
                not take for another's what it has stored itself.
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
        """The blobs whose key begins with `prefix`, by key; with `older_than`, only those last modified before it.

        Keys are ordered by their characters. `modified_at` is the store's own time where the store has one, which no
        clock of ours is compared with; whoever goes by age adds a grace that is generous beside any difference.
        """
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
