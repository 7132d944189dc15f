"""References and spilling: a payload in blobs is the same payload, whole and by the element."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.adapters.memory import ManualClock, MemoryBlobs
from fairlead.adapters.system import SystemClock
from fairlead.kernel import references
from fairlead.kernel.codec import encode
from fairlead.kernel.elements import Elements
from fairlead.kernel.fetching import fetch_blob, fetch_payload
from fairlead.kernel.plan import ValuePath
from fairlead.kernel.references import (
    SEGMENT_BYTES_MAX,
    Blob,
    Place,
    Reference,
    digest_of,
    input_prefix,
    is_reference,
    output_prefix,
    read_reference,
    write_reference,
)
from fairlead.kernel.spilling import NewBlob, Spill, put_blob, write_blob
from fairlead.ports.blobs import KEY_LENGTH_MAX, BlobCorrupt, check_blob_key
from fairlead.ports.errors import AdapterError, CorruptionError, Unavailable
from fairlead.ports.records import TaskKey
from tests.support.watched_blobs import WatchedBlobs

PREFIX = "runs/1/fetch/1/0/1"
WHOLE = ValuePath(name="fetch")
PAGES = ValuePath(name="fetch", path=("pages",))
NOTES = ValuePath(name="fetch", path=("meta", "notes"))


async def spilled(data: bytes, *arrays: ValuePath) -> tuple[MemoryBlobs, Reference]:
    """A payload in a store, and the reference to it as it reads back."""
    blobs = MemoryBlobs(ManualClock())
    spill = Spill(data, arrays, PREFIX)
    for blob in spill.blobs():
        await put_blob(blobs, blob)
    stored = spill.reference()

    assert is_reference(stored)
    assert not is_reference(data)
    assert await fetch_payload(blobs, stored) == data
    return blobs, read_reference(stored)


async def element(blobs: MemoryBlobs, reference: Reference, array: str, index: int) -> bytes:
    """One element, read through its segment."""
    place = reference.place(array, index)
    assert place is not None
    data = await fetch_blob(blobs, reference.segment(array, place.segment))
    return Elements(data)[place.offset]


async def keys(blobs: MemoryBlobs) -> list[str]:
    """All keys."""
    return [blob.key async for blob in blobs.list()]


async def test_a_payload_without_arrays_is_one_blob() -> None:
    """Nothing is cut that no map works over."""
    data = encode({"text": "x" * 100_000, "pages": [1, 2]})
    blobs, reference = await spilled(data)

    assert await keys(blobs) == [f"{PREFIX}/whole"]
    assert reference.whole == Blob(f"{PREFIX}/whole", len(data), digest_of(data))
    assert reference.arrays == {}


async def test_an_array_is_nothing_but_segments() -> None:
    """Each of about a megabyte, an element that is larger alone; every element is found."""
    values = ["a" * 400_000, "b" * 400_000, "c" * 400_000, "d" * 3_000_000, "e", "f"]
    blobs, reference = await spilled(encode(values), WHOLE)

    assert [(each.first, each.count) for each in reference.arrays["fetch"]] == [(0, 2), (2, 1), (3, 1), (4, 2)]
    assert all(each.size_bytes <= SEGMENT_BYTES_MAX for each in reference.arrays["fetch"] if each.count > 1)
    assert await keys(blobs) == [f"{PREFIX}/0/{number}" for number in range(4)]
    assert (reference.whole, reference.top, reference.count("fetch")) == (None, "fetch", 6)
    assert [await element(blobs, reference, "fetch", n) for n in range(6)] == [encode(value) for value in values]
    places = [reference.place("fetch", n) for n in (1, 2, 5, 6, -1)]
    assert places == [Place(0, 1), Place(1, 0), Place(3, 1), None, None]


async def test_arrays_inside_a_payload_are_cut_besides() -> None:
    """The payload is there whole; what is no array, or empty, has no segments."""
    value: dict[str, Any] = {"pages": ["x" * 1_000] * 1_500, "meta": {"notes": [], "kind": "k"}}
    data = encode(value)
    blobs, reference = await spilled(data, NOTES, PAGES, ValuePath(name="fetch", path=("meta", "kind")))

    assert list(reference.arrays) == ["fetch.meta.notes", "fetch.pages"]
    assert reference.arrays["fetch.meta.notes"] == ()
    assert (reference.count("fetch.meta.notes"), reference.place("fetch.meta.notes", 0)) == (0, None)
    assert await keys(blobs) == [f"{PREFIX}/1/0", f"{PREFIX}/1/1", f"{PREFIX}/whole"]
    assert sorted(blob.key for blob in reference.blobs()) == await keys(blobs)
    assert await element(blobs, reference, "fetch.pages", 1_499) == encode("x" * 1_000)


async def test_what_should_be_an_array_and_is_none_is_kept_whole() -> None:
    """The facts say that it is none; the payload must be readable all the same."""
    _, reference = await spilled(encode("x" * 100_000), WHOLE)

    assert reference.whole is not None
    assert reference.arrays == {}


def test_references_are_small() -> None:
    """The largest payload of segments takes no more of its row than a payload that is not spilled at all."""
    segments = tuple(references.Segment(n * 10_000, 10_000, SEGMENT_BYTES_MAX, "f" * 64) for n in range(512))
    reference = Reference(prefix=output_prefix(KEY, 2**31), size_bytes=2**28, arrays={"s" * 128: segments})

    assert len(write_reference(reference)) <= references.INLINE_BYTES_MAX


KEY = TaskKey("01a2198c-98c5-754b-9d74-4e015c7adbed", "s" * 128, 2**31, 2**31)


def test_keys_belong_to_one_attempt() -> None:
    """Whatever the task, its keys are keys to every store, and no attempt's are another's."""
    longest = references.segment_key(output_prefix(KEY, 2**31), 10_000, 10_000)
    check_blob_key(longest)

    assert len(longest) < KEY_LENGTH_MAX / 2
    others = [KEY._replace(run_id="r"), KEY._replace(step="t"), KEY._replace(generation=1), KEY._replace(element=1)]
    prefixes = {output_prefix(KEY, 1), output_prefix(KEY, 2), *(output_prefix(key, 1) for key in others)}
    assert len(prefixes) == 6
    assert input_prefix("r") == "runs/r/input"


def test_what_is_no_reference_is_corruption() -> None:
    """A row that claims to be one and is not cannot be worked with."""
    for text in (b" ", b" {}", b' {"prefix":1,"size_bytes":2}', b" null"):
        assert is_reference(text)
        with pytest.raises(CorruptionError):
            read_reference(text)


@pytest.mark.parametrize("data", [b"", b"12", b"1234", b"124", None])
async def test_a_blob_is_what_was_written_or_an_error(data: bytes | None) -> None:
    """Fault 60: length and digest are checked; it is read a second time at once, and then refused."""
    blobs = WatchedBlobs(MemoryBlobs(ManualClock()))
    if data is not None:
        await blobs.put("k", data)
        with pytest.raises(BlobCorrupt) as raised:
            await fetch_blob(blobs, Blob("k", 3, digest_of(b"123")))
    else:
        with pytest.raises(
            BlobCorrupt,
            match="blob 'k' cannot be read from the memory of this process: it is missing; do all processes",
        ) as raised:
            await fetch_blob(blobs, Blob("k", 3, digest_of(b"123")))

    assert raised.value.key == "k"
    assert blobs.gets == {"k": 2}


async def test_what_a_store_finds_damaged_itself_is_a_corrupt_blob() -> None:
    """Fault 60: a store that keeps a blob in parts may miss one before anybody looks at the digest."""

    class Torn(MemoryBlobs):
        async def get(self, key: str) -> bytes:
            raise CorruptionError("blob 'k' should have 3 bytes, 2 were found")

    with pytest.raises(BlobCorrupt, match="2 were found"):
        await fetch_blob(Torn(ManualClock()), Blob("k", 3, digest_of(b"123")))


async def test_a_write_whose_answer_was_lost_meets_its_own_blob() -> None:
    """Fault 22: repeated, it is success."""
    blobs = WatchedBlobs(MemoryBlobs(ManualClock()))
    blobs.losing = lambda key: blobs.puts[key] == 1

    with pytest.raises(AdapterError):
        await put_blob(blobs, NewBlob("k", b"1"))
    await put_blob(blobs, NewBlob("k", b"1"))

    assert await blobs.get("k") == b"1"


async def test_writing_is_tried_a_few_times() -> None:
    """A store that stays away is an error, and one that refuses for good is not asked again."""
    blobs = WatchedBlobs(MemoryBlobs(ManualClock()))
    blobs.failing = lambda operation, key: blobs.puts[key] <= (2 if key == "soon" else 100)

    class Refusing(MemoryBlobs):
        async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
            refused.append(key)
            raise AdapterError("403 Forbidden")

    refused: list[str] = []
    await write_blob(blobs, SystemClock(), NewBlob("soon", b"1"))
    with pytest.raises(Unavailable):
        await write_blob(blobs, _Hasty(), NewBlob("never", b"1"))
    with pytest.raises(AdapterError, match="403"):
        await write_blob(Refusing(ManualClock()), SystemClock(), NewBlob("k", b"1"))

    assert blobs.puts == {"soon": 3, "never": 6}
    assert refused == ["k"]


class _Hasty(ManualClock):
    """A clock whose pauses are over at once."""

    async def sleep(self, duration_s: float) -> None:
        self.advance(duration_s)


def test_the_form_of_a_reference_is_fixed() -> None:
    """Rows of earlier versions must be readable: this text is what was written from the beginning."""
    text = b' {"prefix":"runs/1/input","size_bytes":9,"sha256":null,"arrays":{"input":[[0,2,5,"ab"],[2,1,4,"cd"]]}}'

    assert write_reference(read_reference(text)) == text
    assert msgspec.json.decode(text)["arrays"]["input"][1] == [2, 1, 4, "cd"]
