"""Fetching: the payloads that references stand for, for those who ask for a value whole.

Every blob is checked against the length and the digest that its reference promises, whoever stored it.
"""

from __future__ import annotations

from ..ports.blobs import BlobCorrupt, BlobNotFound, BlobStore
from ..ports.errors import CorruptionError
from .references import Blob, Reference, damage_of, is_reference, joined, read_reference

MISSING = "it is missing; do all processes have the same --blobs (or blobs=)?"
"""Most often nothing is lost, and one process looks where no other has written."""


async def fetch_payload(blobs: BlobStore, stored: bytes) -> bytes:
    """The payload that is stored, or that a stored reference stands for, as canonical JSON.

    Raises:
        BlobCorrupt: a blob is missing or not what was written.
        AdapterError: the store failed.
    """
    if not is_reference(stored):
        return stored
    reference = read_reference(stored)
    parts = [await fetch_blob(blobs, blob) for blob in blobs_of_whole(reference)]
    return whole_of(reference, parts)


def blobs_of_whole(reference: Reference) -> list[Blob]:
    """The blobs that a payload is put together from."""
    if reference.whole is not None:
        return [reference.whole]
    return [reference.segment(reference.top, number) for number in range(len(reference.arrays[reference.top]))]


def whole_of(reference: Reference, parts: list[bytes]) -> bytes:
    """The payload, put together from the data of `blobs_of_whole`."""
    return parts[0] if reference.whole is not None else joined(parts)


async def fetch_blob(blobs: BlobStore, blob: Blob) -> bytes:
    """One blob, checked.

    Raises:
        BlobCorrupt: it is missing or not what was written, also when it is read again at once: what was damaged may
            have been the answer.
        AdapterError: the store failed.
    """
    try:
        return await _checked(blobs, blob)
    except BlobCorrupt:  # recovers 60: a blob is read again, since the answer may be what was damaged
        return await _checked(blobs, blob)


async def _checked(blobs: BlobStore, blob: Blob) -> bytes:
    try:
        data = await blobs.get(blob.key)
    except BlobNotFound as error:  # recovers 37, 60: a blob is missing
        raise BlobCorrupt(blob.key, MISSING, store=str(blobs)) from error
    except CorruptionError as error:  # recovers 60: the store itself finds a blob damaged
        raise BlobCorrupt(blob.key, str(error), store=str(blobs)) from error
    damage = damage_of(blob, data)
    if damage is not None:  # recovers 60: a blob is not what was written
        raise BlobCorrupt(blob.key, damage, store=str(blobs))
    return data
