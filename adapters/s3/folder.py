"""Blobs as files of a folder: for one machine, or for several that share a file system with hard links.

A blob is written to a file of its own, brought to the disk and only then given its name, by a hard link that fails
where the name is taken. So nobody ever sees half of it, and neither a crash nor a power failure leaves half of it. The
files of writers that crashed lie in `~new` and are removed when they are a day old.

obstore has a store for folders too. It gives a file its name before the data is on the disk, so that a power failure
can leave an empty blob of which a committed row tells; and `a` beside `a/b`, or `Key` beside `key`, would depend on the
file system.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ...ports.blobs import BlobExists, BlobInfo, BlobNotFound, check_blob_key
from ...ports.errors import AdapterError, Unavailable
from .errors import BlobsRefused
from .folder_names import path_of, segment_of

STAGING = "~new"
"""Where blobs are before they have their names. No key is a file there: `~` is in no key."""

STAGED_FOR_MAX_S = 86_400.0
"""A file that was not written to for so long has lost its writer."""

PAGE = 1000
"""How many blobs one turn in a thread lists."""

NAMING_TRIES_MAX = 10
"""How often a folder that was just made may vanish, because another's last blob in it was deleted."""

_TEMPORARY = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTSUP})

Answer = TypeVar("Answer")


class FolderBlobs:
    """`BlobStore` in a folder, which is made with its first blob.

    Args:
        folder: where; nothing else may be kept in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    def __str__(self) -> str:
        return f"folder {self._folder}"

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store `data` under `key`."""
        check_blob_key(key)
        await self._in_thread(lambda: self._put(key, data, if_absent=if_absent))

    async def get(self, key: str) -> bytes:
        """The blob's bytes."""
        check_blob_key(key)
        return await self._in_thread(lambda: self._get(key))

    async def has(self, key: str) -> bool:
        """Whether there is a blob under `key`."""
        check_blob_key(key)
        return await self._in_thread(self._path(key).is_file)

    async def delete(self, key: str) -> None:
        """Remove the blob, if there is one, and the folders that it leaves empty."""
        check_blob_key(key)
        await self._in_thread(lambda: self._delete(self._path(key)))

    async def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
        """The blobs whose key begins with `prefix`, by key, a folder at a time; by the file system's times."""
        found = (info for info in self._walk(self._folder, "", prefix) if _is_older(info, older_than))
        while page := await self._in_thread(lambda: [*islice(found, PAGE)]):
            for info in page:
                yield info

    async def aclose(self) -> None:
        """Nothing is kept open."""

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        with _translated(self._folder):
            return await asyncio.to_thread(work)

    def _path(self, key: str) -> Path:
        return self._folder / path_of(key)

    def _put(self, key: str, data: bytes, *, if_absent: bool) -> None:
        staging = self._folder / STAGING
        _make_folder(staging)
        self._sweep(staging)
        staged = staging / secrets.token_hex(16)
        try:
            _write(staged, data)
            self._name(staged, key, os.link if if_absent else os.replace)
        finally:
            staged.unlink(missing_ok=True)

    def _name(self, staged: Path, key: str, appear: Callable[[Path, Path], None]) -> None:
        """Let a file that is complete appear under its name."""
        path = self._path(key)
        for tries in range(1, NAMING_TRIES_MAX + 1):
            try:
                _make_folder(path.parent)
                appear(staged, path)
                _sync(path.parent)
                return
            except FileExistsError:
                raise BlobExists(f"there is a blob under {key!r} already") from None
            except FileNotFoundError:  # recovers 61: a folder vanishes under a new name
                if tries == NAMING_TRIES_MAX:
                    raise

    def _get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise BlobNotFound(f"there is no blob under {key!r}") from None

    def _sweep(self, staging: Path) -> None:
        """Remove what crashed writers left behind, once in this store's life."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - STAGED_FOR_MAX_S
        for entry in os.scandir(staging):
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < oldest:  # recovers 10: a writer crashed before its file had a name
                    os.unlink(entry)

    def _delete(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # a folder that is not empty, or gone
            for folder in path.relative_to(self._folder).parents[:-1]:
                (self._folder / folder).rmdir()

    def _walk(self, folder: Path, above: str, prefix: str) -> Iterator[BlobInfo]:
        """The blobs of a folder in the order of their keys: a folder's name compares with the slash behind it."""
        try:
            names = {segment: entry for entry in os.scandir(folder) if (segment := segment_of(entry.name)) is not None}
        except FileNotFoundError:
            return
        for segment in sorted(names):
            key = above + segment
            if not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if segment.endswith("/"):
                yield from self._walk(folder / names[segment].name, key, prefix)
            elif key.startswith(prefix):
                with suppress(FileNotFoundError):
                    found = names[segment].stat()
                    if stat.S_ISREG(found.st_mode):
                        yield BlobInfo(key, found.st_size, _moment(found.st_mtime_ns))


@contextmanager
def _translated(folder: Path) -> Generator[None]:
    """Translate what the operating system raises."""
    try:
        yield
    except OSError as error:
        text = f"the folder of blobs {folder}: {error.strerror or error}"
        if error.errno in _TEMPORARY:  # recovers 35, 61: the disk is full, or fails
            raise Unavailable(text) from error
        if error.errno in _REFUSED:  # recovers 61: the folder may not be written to
            advice = "let this user write there; the file system must be writable and have hard links"
            raise BlobsRefused(f"{text}; {advice}") from error
        raise AdapterError(text) from error


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, such that they outlive a power failure."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    _sync(folder.parent)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Bring a folder's names to the disk, where the operating system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_older(info: BlobInfo, moment: datetime | None) -> bool:
    return moment is None or info.modified_at < moment


def _moment(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
