"""Spilling: a payload that is too large for its row is written into blobs, before the transaction that refers to it.

Blobs are written once, under keys that belong to one attempt (or to one run that is being started). A write whose
answer was lost therefore meets its own blob when it is repeated, which is success. Blobs whose transaction never came
are orphans: nobody refers to them, and nothing removes them. What is below `runs/<run id>/` belongs to that run, so all
of it may be deleted once the run is no longer in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from ..ports.blobs import BlobExists, BlobStore
from ..ports.clock import Clock
from ..ports.errors import AdapterError
from .elements import Elements, NoArray, array_at
from .plan import ValuePath
from .references import (
    SEGMENT_BYTES_MAX,
    Reference,
    Segment,
    digest_of,
    segment_key,
    whole_key,
    write_reference,
)

WRITE_TRIES_MAX = 6
"""How often a blob is tried to write where nobody else would try again."""

WRITE_DELAY_S = 0.05
"""The pause before the second try; it doubles with each further one."""


class NewBlob(NamedTuple):
    """A blob to write."""

    key: str
    data: bytes


class Spill:
    """A payload on its way into blobs.

    Making one looks at every byte of the payload; its blobs are made one by one, as they are asked for.

    Args:
        data: the payload, canonical JSON.
        arrays: the arrays in it that are read in parts. What is no array is left out.
        prefix: what all keys begin with; nobody else may write below it.
    """

    def __init__(self, data: bytes, arrays: Sequence[ValuePath], prefix: str) -> None:
        self._data = data
        self._prefix = prefix
        self._arrays: dict[str, Elements] = {}
        whole = True
        for source in arrays:
            with suppress(NoArray):
                self._arrays[source.dotted] = array_at(source.path, data)
                whole = whole and bool(source.path)
        self._sha256 = digest_of(data) if whole else None
        self._segments: dict[str, list[Segment]] = {name: [] for name in sorted(self._arrays)}

    def blobs(self) -> Iterator[NewBlob]:
        """What has to be written, each blob once."""
        if self._sha256 is not None:
            yield NewBlob(whole_key(self._prefix), self._data)
        for number, (name, segments) in enumerate(self._segments.items()):
            elements = self._arrays[name]
            first = 0
            while first < len(elements):
                count = elements.fitting(first, SEGMENT_BYTES_MAX)
                text = elements.slice(first, count)
                key = segment_key(self._prefix, number, len(segments))
                segments.append(Segment(first, count, len(text), digest_of(text)))
                yield NewBlob(key, text)
                first += count

    def reference(self) -> bytes:
        """What is stored in place of the payload, once all of its blobs are written."""
        arrays = {name: tuple(segments) for name, segments in self._segments.items()}
        return write_reference(
            Reference(prefix=self._prefix, size_bytes=len(self._data), sha256=self._sha256, arrays=arrays)
        )


async def put_blob(blobs: BlobStore, blob: NewBlob) -> None:
    """Write one blob; one that is there already is this one, written by a try whose answer was lost.

    Raises:
        AdapterError: the store failed; the same call may be repeated where that is retryable.
    """
    with suppress(BlobExists):  # recovers 61: the blob is there, written by a try whose answer was lost
        await blobs.put(blob.key, blob.data)


async def write_blob(blobs: BlobStore, clock: Clock, blob: NewBlob) -> None:
    """Write one blob, trying a few times.

    Raises:
        AdapterError: the store failed for good, or every time.
    """
    for tries in range(1, WRITE_TRIES_MAX):
        try:
            return await put_blob(blobs, blob)
        except AdapterError as error:  # recovers 61: a client cannot write a blob
            if not error.retryable:
                raise
        await clock.sleep(WRITE_DELAY_S * 2 ** (tries - 1))
    return await put_blob(blobs, blob)
