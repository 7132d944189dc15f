"""References: what stands in a row in place of a payload that is too large for it.

A payload of more than `INLINE_BYTES_MAX` bytes lives in the BlobStore, written before the transaction that refers to
it. Stored in its place is text that begins with a space, which canonical JSON never does, so nothing else can be taken
for a reference, and adapters store one as they store any payload. After the space comes a JSON object:

    {"prefix": "runs/<run id>/fetch/1/0/1",       all keys begin with it; nobody else ever writes below it
     "size_bytes": 209715200,                     of the payload
     "sha256": "5f70…",                           of the blob <prefix>/whole that holds it; null where there is none
     "arrays": {"fetch": [[first, count, size_bytes, sha256], …]}}

`arrays` holds the arrays in the payload that are read in parts, by `ValuePath.dotted`: those that maps work over, and
the payload itself where handlers take it element by element. Array number a (in the order of their names) is cut into
segments <prefix>/<a>/0, <prefix>/<a>/1, …, each a JSON array of the `count` elements from `first` on, so that one
element is read with one small blob. A payload that is such an array itself is not stored whole besides: it is put
together from its segments.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from ..ports.errors import CorruptionError
from ..ports.records import TaskKey

INLINE_BYTES_MAX: Final = 64 * 1024
"""Largest payload in bytes that stands in its row. A row that is claimed, settled or listed is read whole: a batch of
500 of them is 32 MiB at most. Smaller payloads cost less in the database than in any blob store."""

SEGMENT_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a segment, unless it is a single element that is larger: enough that reading one costs a fraction of a
millisecond per element, little enough to keep dozens in memory."""

_MARK: Final = b" "
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,17}")


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive elements of an array, stored as an array of their own."""

    first: int
    count: int
    size_bytes: int
    sha256: str


class Blob(NamedTuple):
    """A blob as a reference promises it."""

    key: str
    size_bytes: int
    sha256: str


class Place(NamedTuple):
    """Where an element is: in which segment of its array, and how many stand before it there."""

    segment: int
    offset: int


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Where a payload is."""

    prefix: str
    size_bytes: int
    sha256: str | None = None
    arrays: dict[str, tuple[Segment, ...]] = {}

    @property
    def whole(self) -> Blob | None:
        """The blob that holds all of it; None where it is put together from the segments of `top`."""
        return None if self.sha256 is None else Blob(whole_key(self.prefix), self.size_bytes, self.sha256)

    @property
    def top(self) -> str:
        """The name of the only array, which is the payload itself. Only where there is no `whole`."""
        (name,) = self.arrays
        return name

    def count(self, array: str) -> int:
        """How many elements an array has."""
        segments = self.arrays[array]
        return segments[-1].first + segments[-1].count if segments else 0

    def place(self, array: str, index: int) -> Place | None:
        """Where an element of an array is; None beyond its end."""
        segments = self.arrays[array]
        number = bisect_right(segments, index, key=_first) - 1
        if number < 0 or index >= segments[number].first + segments[number].count:
            return None
        return Place(number, index - segments[number].first)

    def segment(self, array: str, number: int) -> Blob:
        """One segment of an array."""
        found = self.arrays[array][number]
        key = segment_key(self.prefix, sorted(self.arrays).index(array), number)
        return Blob(key, found.size_bytes, found.sha256)

    def blobs(self) -> Iterable[Blob]:
        """Every blob that it needs."""
        if self.whole is not None:
            yield self.whole
        for array, segments in self.arrays.items():
            yield from (self.segment(array, number) for number in range(len(segments)))


def is_reference(stored: bytes) -> bool:
    """Whether a reference stands there instead of a payload."""
    return stored[:1] == _MARK


def write_reference(reference: Reference) -> bytes:
    """A reference as it is stored."""
    return _MARK + _encoder.encode(reference)


def read_reference(stored: bytes) -> Reference:
    """The reference that `write_reference` wrote.

    Raises:
        CorruptionError: it is none.
    """
    try:
        return _decoder.decode(stored)
    except msgspec.DecodeError as error:
        raise CorruptionError(f"a reference to a payload cannot be read: {error}") from error


class BlobOwner(NamedTuple):
    """Whose a blob is, told by its key."""

    run_id: str
    task: TaskKey | None
    """The task whose attempt wrote it; None where it belongs to the run itself."""
    token: int
    """Under which that attempt ran; 0 where it is the run's."""


RUNS: Final = "runs/"
"""What the keys of all blobs begin with."""


def run_prefix(run_id: str) -> str:
    """What the keys of all blobs of a run begin with."""
    return f"{RUNS}{run_id}/"


def owner_of(key: str) -> BlobOwner | None:
    """Whose a blob is; None where its key is none of ours."""
    segments = key.split("/")
    if len(segments) < 4 or f"{segments[0]}/" != RUNS:
        return None
    run_id, of_run = segments[1], segments[2:]
    if len(of_run) > 4 and all(_NUMBER.fullmatch(each) for each in of_run[1:4]):
        generation, element, token = map(int, of_run[1:4])
        return BlobOwner(run_id, TaskKey(run_id, of_run[0], generation, element), token)
    return BlobOwner(run_id, None, 0)


def input_prefix(run_id: str, unique: str | None = None) -> str:
    """Where the blobs of a run's input are, for one of several who may start it. No step has this name."""
    prefix = f"{run_prefix(run_id)}input"
    return prefix if unique is None else f"{prefix}/{unique}"


def output_prefix(key: TaskKey, token: int) -> str:
    """Where the blobs are that one attempt writes, and nobody else."""
    return f"{run_prefix(key.run_id)}{key.step}/{key.generation}/{key.element}/{token}"


def signal_prefix(run_id: str, step: str, unique: str) -> str:
    """Where the blobs of a signal's payload are. No generation of the step has this name."""
    return f"runs/{run_id}/{step}/signal/{unique}"


def whole_key(prefix: str) -> str:
    """The key of a whole payload."""
    return f"{prefix}/whole"


def segment_key(prefix: str, array: int, number: int) -> str:
    """The key of a segment of an array."""
    return f"{prefix}/{array}/{number}"


def digest_of(data: bytes | memoryview) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def damage_of(blob: Blob, data: bytes) -> str | None:
    """How data differs from the blob that a reference promises; None where it does not."""
    if len(data) != blob.size_bytes:
        return f"it should have {blob.size_bytes:,} bytes and has {len(data):,}"
    if digest_of(data) != blob.sha256:
        return f"its {len(data):,} bytes are not those that were written (SHA-256 differs)"
    return None


def joined(arrays: Sequence[bytes]) -> bytes:
    """One array of the elements of several, as canonical JSON."""
    parts: list[bytes | memoryview] = [b"["]
    for array in arrays:
        if len(array) > len(b"[]"):
            parts += (memoryview(array)[1:-1], b",")
    parts[max(len(parts) - 1, 1) :] = [b"]"]
    return b"".join(parts)


_first = attrgetter("first")
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Reference)
