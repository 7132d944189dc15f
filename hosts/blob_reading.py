"""The blobs that a host reads: each checked, read once for all who ask at the same time, and kept for those to come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from attrs import frozen

from ..kernel.elements import Elements
from ..kernel.fetching import blobs_of_whole, fetch_blob, whole_of
from ..kernel.references import Reference
from ..ports.blobs import BlobStore
from .kept import Kept

READS_AT_A_TIME = 8
"""Blobs that a host reads at a time: enough to hide the latency of a store far away, few enough not to flood it."""


@frozen
class Part:
    """What somebody needs of a payload that is in blobs."""

    reference: Reference
    array: str | None = None
    """The array of which one segment is needed; None where all of the payload is."""
    segment: int = 0

    @property
    def key(self) -> tuple[str, str | None, int]:
        """What it is kept under."""
        return (self.reference.prefix, self.array, self.segment)


class BlobReading:
    """Reads parts of payloads. Belongs to one event loop."""

    def __init__(self, store: BlobStore, kept: Kept) -> None:
        self._store = store
        self._kept = kept
        self._under_way: dict[object, asyncio.Task[bytes | Elements]] = {}
        self._turns = asyncio.Semaphore(READS_AT_A_TIME)

    def find(self, part: Part) -> bytes | Elements | None:
        """A part that is kept: a payload as its bytes, a segment as its elements."""
        found = self._kept.get(part.key)
        return found if isinstance(found, bytes | Elements) else None

    async def read(self, part: Part, *, keep: bool = True) -> bytes | Elements:
        """A part, whether it is kept or not.

        Args:
            part: what is needed.
            keep: whether others are likely to ask for it soon.

        Raises:
            BlobCorrupt: a blob is missing or is not what was written.
            AdapterError: the store failed.
        """
        found = self.find(part)
        if found is not None:
            return found
        task = self._under_way.get(part.key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._read(part, keep=keep))
            self._under_way[part.key] = task
            task.add_done_callback(lambda done: self._ended(part, done))
        return await asyncio.shield(task)  # whoever else waits for it must not lose it with this one

    async def read_all(self, parts: Iterable[Part], *, keep: bool = True) -> Sequence[bytes | Elements]:
        """Several parts; errors as for `read`, of the first that fails."""
        return await asyncio.gather(*(self.read(part, keep=keep) for part in parts))

    async def close(self) -> None:
        """Stop reading."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _read(self, part: Part, *, keep: bool) -> bytes | Elements:
        read = await (self._read_whole(part.reference) if part.array is None else self._read_segment(part, part.array))
        if keep:
            self._kept.put(part.key, read, len(read) if isinstance(read, bytes) else read.size_bytes)
        return read

    async def _read_segment(self, part: Part, array: str) -> Elements:
        async with self._turns:
            return Elements(await fetch_blob(self._store, part.reference.segment(array, part.segment)))

    async def _read_whole(self, reference: Reference) -> bytes:
        parts: list[bytes] = []
        for blob in blobs_of_whole(reference):
            async with self._turns:
                parts.append(await fetch_blob(self._store, blob))
        return whole_of(reference, parts)

    def _ended(self, part: Part, task: asyncio.Task[bytes | Elements]) -> None:
        del self._under_way[part.key]
        if not task.cancelled():
            task.exception()  # all who waited have it; nobody may have
