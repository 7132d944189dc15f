"""Blobs are read once for all who ask at the same time, and kept for those who come next."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.adapters.memory import ManualClock, MemoryBlobs
from fairlead.hosts.blob_reading import READS_AT_A_TIME, BlobReading, Part
from fairlead.hosts.kept import Kept
from fairlead.kernel.codec import encode
from fairlead.kernel.elements import Elements
from fairlead.kernel.plan import ValuePath
from fairlead.kernel.references import Reference, read_reference
from fairlead.kernel.spilling import Spill, put_blob
from fairlead.ports.errors import Unavailable


class SlowBlobs(MemoryBlobs):
    """Blobs that are handed out when the test says so."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.failing = False

    async def get(self, key: str) -> bytes:
        self.asked.append(key)
        await self.go.wait()
        if self.failing:
            raise Unavailable("503")
        return await super().get(key)


async def spilled(store: MemoryBlobs, prefix: str = "p", *, array: bool = True) -> Reference:
    """An array of three elements of half a megabyte, in two segments, or whole."""
    data = encode([letter * 500_000 for letter in "abc"])
    spill = Spill(data, [ValuePath(name="made")] if array else [], prefix)
    for blob in spill.blobs():
        await put_blob(store, blob)
    return read_reference(spill.reference())


def reading(store: MemoryBlobs, size_bytes_max: int = 10_000_000) -> BlobReading:
    return BlobReading(store, Kept(size_bytes_max))


async def test_those_who_ask_at_the_same_time_share_a_read() -> None:
    """Ten ask for one segment, one blob is read; who comes later finds it kept."""
    store = SlowBlobs()
    blobs, part = reading(store), Part(await spilled(store), "made", 1)
    asking = [asyncio.ensure_future(blobs.read(part)) for _ in range(10)]
    await asyncio.sleep(0)
    store.go.set()
    found = await asyncio.gather(*asking)

    assert {id(each) for each in found} == {id(found[0])}
    assert isinstance(found[0], Elements)
    assert found[0][0] == encode("c" * 500_000)
    assert blobs.find(part) is await blobs.read(part) is found[0]
    assert store.asked == ["p/0/1"]


async def test_what_is_not_to_be_kept_is_not() -> None:
    """A stream that goes through an array must not push out what others need."""
    store = SlowBlobs()
    store.go.set()
    blobs, part = reading(store), Part(await spilled(store), "made", 0)

    await blobs.read(part, keep=False)

    assert blobs.find(part) is None


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    """A cancelled reader leaves the read to those who wait for it too."""
    store = SlowBlobs()
    blobs, part = reading(store), Part(await spilled(store, array=False))
    first, second = (asyncio.ensure_future(blobs.read(part)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    store.go.set()

    assert len(bytes(await second)) == 1_500_010  # type: ignore[arg-type]
    assert first.cancelled()
    assert store.asked == ["p/whole"]


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    """The next one who asks reads anew."""
    store = SlowBlobs()
    store.failing = True
    store.go.set()
    blobs, part = reading(store), Part(await spilled(store))
    asking = [asyncio.ensure_future(blobs.read(part)) for _ in range(2)]
    failures = await asyncio.gather(*asking, return_exceptions=True)
    store.failing = False

    assert [type(each) for each in failures] == [Unavailable, Unavailable]
    assert bytes(await blobs.read(part)) == encode([letter * 500_000 for letter in "abc"])  # type: ignore[arg-type]


async def test_a_host_does_not_flood_its_store() -> None:
    """So many blobs at a time, and no more."""
    store = SlowBlobs()
    parts = [Part(await spilled(store, f"p{number}"), "made", 0) for number in range(READS_AT_A_TIME + 5)]
    blobs = reading(store)
    asking = asyncio.ensure_future(blobs.read_all(parts))
    for _ in range(5):
        await asyncio.sleep(0)
    at_first = len(store.asked)
    store.go.set()
    await asking

    assert at_first == READS_AT_A_TIME
    assert len(store.asked) == len(parts)


async def test_closing_ends_what_is_under_way() -> None:
    """Nobody is left waiting for a store that does not answer."""
    store = SlowBlobs()
    blobs = reading(store)
    asking = asyncio.ensure_future(blobs.read(Part(await spilled(store))))
    await asyncio.sleep(0)

    await blobs.close()

    with pytest.raises(asyncio.CancelledError):
        await asking
