"""Blobs as objects of a bucket, through obstore."""

from __future__ import annotations

import asyncio
import io
import itertools
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from ...ports.blobs import BlobExists, BlobInfo, BlobNotFound, check_blob_key, is_blob_key
from ...ports.errors import AdapterError, Contention, Unavailable
from .errors import ListingDisordered, translated

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

OpenStore: TypeAlias = "Callable[[float], ObjectStore]"
"""Makes a store of obstore's whose requests may each take so many seconds."""

Pages: TypeAlias = "AsyncIterator[Sequence[ObjectMeta]]"

MARK = "fairleadput"
"""The metadata in which an object tells which put stored it. Letters alone: stores and proxies differ in the rest."""

USUAL_BYTES_MAX = 32 << 20
"""What one request's usual time is enough for, from about 1 MB/s on; each doubling is given twice the time."""

PIECE_BYTES = 1 << 20
"""How much of a large blob is handed over at a time, so that it is never in memory twice."""

WRITE_TRIES_MAX = 3
"""How often a write is tried, each time as often as obstore thinks right."""

PAUSE_S = 0.1
"""The pause before the second try; about twice as long before each further one."""

PAGE = 1000
"""How many blobs one request lists: what the stores give at most."""


class ObjectBlobs:
    """`BlobStore` in a bucket of S3, Google Cloud Storage or Azure, or of a store that speaks like one of them.

    A put with `if_absent` is one request that the store itself refuses where the key is taken. If its answer is lost
    and it is repeated, it meets its own object, and knows it by a mark: random, drawn by this put, stored as the
    object's metadata. So neither somebody else's blob of the same content is taken for ours, nor ours for another's.

    Args:
        place: the address, for messages.
        open_store: makes the stores; it is called anew for blobs so large that a request may take longer.
        request_timeout_s: how long one request may take, for a blob of up to 32 MiB.
        retry_for_s: how long what can be repeated is repeated.
    """

    def __init__(self, place: str, open_store: OpenStore, *, request_timeout_s: float, retry_for_s: float) -> None:
        self._place = place
        self._open_store = open_store
        self._request_timeout_s = request_timeout_s
        self._retry_for_s = retry_for_s
        self._stores = {0: open_store(request_timeout_s)}

    def __str__(self) -> str:
        return self._place

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store `data` under `key`, in one request."""
        check_blob_key(key)
        mark = secrets.token_hex(16)
        await self._insistently(lambda: self._put_once(key, data, mark, if_absent=if_absent))

    async def get(self, key: str) -> bytes:
        """The blob's bytes, in one piece of memory."""
        check_blob_key(key)
        with translated(self._place, key):
            found = await self._store().get_async(key)
            size_bytes = found.meta["size"]
            if size_bytes > USUAL_BYTES_MAX:
                found = await self._store(size_bytes).get_async(key)
                size_bytes = found.meta["size"]
            if size_bytes <= PIECE_BYTES:
                data = bytes(await found.bytes_async())
            else:
                buffer = _buffer(size_bytes)
                async for piece in found.stream(min_chunk_size=PIECE_BYTES):
                    buffer.write(piece)
                data = buffer.getvalue()[: buffer.tell()]
        if len(data) != size_bytes:
            # recovers 60: an object arrives cut off
            raise Unavailable(f"{self._place}: blob {key!r} has {size_bytes:,} bytes, {len(data):,} arrived")
        return data

    async def has(self, key: str) -> bool:
        """Whether there is a blob under `key`."""
        check_blob_key(key)
        store = self._store()
        # Where there is none, the answer to the first request has no body, which would tell a bucket that is missing.
        return await self._is_found(key, store.head_async) or await self._is_found(key, store.get_async)

    async def delete(self, key: str) -> None:
        """Remove the blob, if there is one."""
        check_blob_key(key)
        await self._insistently(lambda: self._is_found(key, self._store().delete_async))

    async def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
        """The blobs whose key begins with `prefix`, by key, a page at a time; by the store's times, of whole seconds.

        The store is asked for the folder that `prefix` ends in: `runs/7/` is cheap, `runs/7` asks for all of `runs/`.
        Objects in it whose names are no keys are left out.

        Raises:
            ListingDisordered: the store does not list by key.
        """
        folder = prefix.rpartition("/")[0]
        if folder and not is_blob_key(folder):
            return
        pages: Pages = aiter(self._store().list_async(folder or None, chunk_size=PAGE))  # pyright: ignore[reportUnknownMemberType]
        last = ""
        while page := await self._next_page(pages):
            for found in page:
                key = found["path"]
                if key <= last:
                    raise ListingDisordered(self._place, last, key)
                last = key
                older = older_than is None or found["last_modified"] < older_than
                if older and key.startswith(prefix) and is_blob_key(key):
                    yield BlobInfo(key, found["size"], found["last_modified"])

    async def aclose(self) -> None:
        """Let go of all connections. Whoever goes on using the store opens new ones."""
        self._stores.clear()

    def _store(self, size_bytes: int = 0) -> ObjectStore:
        """The store whose requests may take as long as a blob of that size needs."""
        doublings = (max(0, size_bytes - 1) // USUAL_BYTES_MAX).bit_length()
        if doublings not in self._stores:
            self._stores[doublings] = self._open_store(self._request_timeout_s * 2**doublings)
        return self._stores[doublings]

    async def _insistently(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write, and again where that was given up: obstore does not repeat a write that got no answer at all."""
        give_up_at = time.monotonic() + self._retry_for_s
        for tries in itertools.count(1):
            try:
                await write()
                return
            except AdapterError as error:  # recovers 61: an object cannot be written or deleted for now
                if not error.retryable or tries == WRITE_TRIES_MAX or time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(PAUSE_S * 2 ** (tries - 1) * random.uniform(0.5, 1.5))

    async def _put_once(self, key: str, data: bytes, mark: str, *, if_absent: bool) -> None:
        """Put, as often as obstore thinks right.

        Raises:
            Contention: the store refused the write because of another one, which left no blob.
        """
        mode: Literal["create", "overwrite"] = "create" if if_absent else "overwrite"
        try:
            with translated(self._place, key):
                store = self._store(len(data))
                await store.put_async(key, data, mode=mode, attributes={MARK: mark}, use_multipart=False)
        except BlobExists as error:
            found = await self._mark_of(key) if if_absent else None
            if found == mark:  # recovers 61: a put whose answer was lost meets its own object
                return
            if found is not None:
                raise
            # recovers 61: an object is written or deleted by another
            raise Contention(f"{self._place}: {key!r} is being written or deleted by another") from error

    async def _mark_of(self, key: str) -> str | None:
        """Which put the blob is from: empty if no put of ours, None if there is no blob."""
        try:
            with translated(self._place, key):
                found = await self._store().get_async(key, options={"head": True})
        except BlobNotFound:
            return None
        return found.attributes.get(MARK, "")

    async def _is_found(self, key: str, ask: Callable[[str], Awaitable[object]]) -> bool:
        try:
            with translated(self._place, key):
                await ask(key)
        except BlobNotFound:
            return False
        return True

    async def _next_page(self, pages: Pages) -> Sequence[ObjectMeta]:
        """The next objects; none at the end. (`anext` with a default does not get along with obstore's awaitables.)"""
        with translated(self._place):
            try:
                return await anext(pages)
            except StopAsyncIteration:
                return ()


def _buffer(size_bytes: int) -> io.BytesIO:
    """A buffer that is as large as it will be, so that what is written into it is never moved."""
    buffer = io.BytesIO()
    buffer.seek(size_bytes - 1)
    buffer.write(b"\0")
    buffer.seek(0)
    return buffer
