"""What networks and busy servers do to requests, and what becomes of the blobs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from fairlead.adapters.s3 import ObjectBlobs
from fairlead.ports.blobs import BlobExists, BlobNotFound
from fairlead.ports.errors import Contention, Unavailable
from tests.support.blob_subjects import ASKED, Ask
from tests.support.http_faults import (
    LOST_AFTER,
    LOST_BEFORE,
    REFUSED_AFTER,
    SILENT_AFTER,
    SILENT_BEFORE,
    SLOW_DOWN,
    Fault,
    FaultyProxy,
)

LARGE = bytes(range(256)) * 8000

CONFLICT = Fault(status=409, code="ConditionalRequestConflict")

PASSING = {
    "busy": [SLOW_DOWN, SLOW_DOWN],
    "took too long to send": [Fault(status=400, code="RequestTimeout")],
    "conflict": [CONFLICT],
    "lost before it arrived": [LOST_BEFORE],
    "lost after it arrived": [LOST_AFTER],
    "refused after it was done": [REFUSED_AFTER],
    "silent before it arrived": [SILENT_BEFORE],
    "silent and lost": [SILENT_AFTER, LOST_BEFORE],
}

Reached = Callable[[float, float], ObjectBlobs]


@pytest.mark.fault(61)
@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING)
async def test_a_put_goes_through_what_passes(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs, faults: list[Fault]
) -> None:
    """Its blob is stored, and no put takes its own blob for another's, whichever answer was lost."""
    blobs = reached(0.25, 20.0)
    proxy.plan(faults)

    await blobs.put("key", b"data")

    assert await direct.get("key") == b"data"


@pytest.mark.parametrize("if_absent", [True, False], ids=["create", "overwrite"])
async def test_a_put_is_one_request(behind: ObjectBlobs, proxy: FaultyProxy, if_absent: bool) -> None:
    """However large: one that is made of several could leave parts behind, for which somebody pays."""
    await behind.put("key", bytes(10_000_000), if_absent=if_absent)

    assert proxy.requests == ["PUT"]


async def test_a_put_is_signed_with_its_content(behind: ObjectBlobs, proxy: FaultyProxy) -> None:
    """So that the store itself refuses what was damaged on the way, and refuses a key that is taken."""
    await behind.put("key", b"data")

    (head,) = proxy.heads
    lines = head.lower().split("\r\n")
    assert f"x-amz-content-sha256: {hashlib.sha256(b'data').hexdigest()}" in lines
    assert "if-none-match: *" in lines


@pytest.mark.parametrize("name", ["busy", "conflict", "lost after it arrived", "silent before it arrived"])
async def test_a_put_that_overwrites_goes_through_it_too(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs, name: str
) -> None:
    """What is there is what was put last."""
    blobs = reached(0.25, 20.0)
    await direct.put("key", b"before")
    proxy.plan(PASSING[name])

    await blobs.put("key", b"data", if_absent=False)

    assert await direct.get("key") == b"data"


@pytest.mark.parametrize("name", ["busy", "conflict", "lost after it arrived", "silent before it arrived"])
async def test_a_taken_key_stays_taken_whatever_happens(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs, name: str
) -> None:
    """Also where the blob that is there has the same content."""
    blobs = reached(0.25, 20.0)
    await direct.put("key", b"data")
    proxy.plan(PASSING[name])

    with pytest.raises(BlobExists):
        await blobs.put("key", b"data")


async def test_a_lost_answer_lets_one_of_two_win(reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs) -> None:
    """Of two puts of one key, both of which lose their answers, one is told that it succeeded."""
    blobs = reached(20.0, 20.0)
    proxy.plan([LOST_AFTER, LOST_AFTER])

    answers = await asyncio.gather(*(blobs.put("key", data) for data in (b"a", b"b")), return_exceptions=True)

    assert [type(answer) for answer in answers if answer is not None] == [BlobExists]
    assert await direct.get("key") == (b"a", b"b")[answers.index(None)]


@pytest.mark.fault(61)
async def test_a_conflict_that_lasts_is_retryable(behind: ObjectBlobs, proxy: FaultyProxy) -> None:
    """409 is not 412: nothing is there, and nothing is said of a blob."""
    proxy.plan(3 * [Fault(method="PUT", status=409, code="ConditionalRequestConflict")])

    with pytest.raises(Contention) as caught:
        await behind.put("key", b"data")

    assert caught.value.retryable
    assert not await behind.has("key")


@pytest.mark.fault(61)
@pytest.mark.parametrize("faults", [[SLOW_DOWN], [LOST_AFTER], [SILENT_AFTER]], ids=["busy", "lost", "silent"])
async def test_reading_goes_through_what_passes(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs, faults: list[Fault]
) -> None:
    """Every other method, too."""
    blobs = reached(0.25, 20.0)
    await direct.put("key", b"data")

    proxy.plan(faults)
    data = await blobs.get("key")
    proxy.plan(faults)
    there = await blobs.has("key")
    proxy.plan(faults)
    keys = [info.key async for info in blobs.list()]
    proxy.plan(faults)
    await blobs.delete("key")

    assert (data, there, keys) == (b"data", True, ["key"])
    assert not await direct.has("key")


@pytest.mark.fault(60)
@pytest.mark.parametrize("hangs", [False, True], ids=["cut", "silent"])
@pytest.mark.parametrize("size_bytes", [100_000, len(LARGE)])
async def test_a_blob_that_arrives_in_part_is_fetched_on(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs, size_bytes: int, hangs: bool
) -> None:
    """What is returned is whole."""
    data = LARGE[:size_bytes]
    blobs = reached(0.5, 20.0)
    await direct.put("key", data)
    proxy.plan([Fault(reaches=True, passes_bytes=50_000, hangs=hangs)])

    assert await blobs.get("key") == data
    assert proxy.requests == ["GET"] * 2


async def test_a_blob_that_never_arrives_whole_is_unavailable(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs
) -> None:
    """Half of it is nobody's answer."""
    blobs = reached(20.0, 0.3)
    await direct.put("key", LARGE)
    proxy.plan([Fault(reaches=True, passes_bytes=1000)] * 100)

    with pytest.raises(Unavailable):
        await blobs.get("key")

    assert len(proxy.requests) > 1
    proxy.plan([])


@pytest.mark.fault(61)
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
async def test_a_store_that_stays_busy_is_unavailable(reached: Reached, proxy: FaultyProxy, ask: Ask) -> None:
    """After trying again for as long as was said; with a message that names the store and its answer."""
    blobs = reached(20.0, 0.3)
    proxy.plan([SLOW_DOWN] * 100)

    with pytest.raises(Unavailable) as caught:
        await ask(blobs)

    assert caught.value.retryable
    assert caught.value.__cause__ is not None
    assert str(caught.value).startswith("s3://blobs/unit/")
    assert "503 Service Unavailable" in str(caught.value)
    assert len(proxy.requests) > 1
    proxy.plan([])


async def test_a_listing_that_breaks_off_is_no_end(
    behind: ObjectBlobs, proxy: FaultyProxy, direct: ObjectBlobs
) -> None:
    """Whoever deletes what is not listed must never see a part of it."""
    for key in ("a", "b"):
        await direct.put(key, b"")
    proxy.plan([Fault(reaches=True, passes_bytes=200)])

    with pytest.raises(Unavailable):
        [info async for info in behind.list()]


async def test_a_put_that_was_given_up_leaves_nothing_half(
    reached: Reached, proxy: FaultyProxy, direct: ObjectBlobs
) -> None:
    """A retryable error says that the blob may be there; if it is, it is whole."""
    blobs = reached(0.3, 0.2)
    proxy.plan([SILENT_BEFORE])
    with pytest.raises(Unavailable):
        await blobs.put("never", LARGE)
    proxy.plan([SILENT_AFTER])
    with pytest.raises(Unavailable):
        await blobs.put("there", LARGE)

    with pytest.raises(BlobNotFound):
        await direct.get("never")
    assert await direct.get("there") == LARGE
