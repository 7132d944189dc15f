"""BlobStore: blobs are written once, whole or not at all, and listed by key."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from fairlead.ports.blobs import (
    KEY_LENGTH_MAX,
    SEGMENT_LENGTH_MAX,
    BlobExists,
    BlobInfo,
    BlobNotFound,
    BlobStore,
    InvalidBlobKey,
)

CONTENTS = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "text": "caf\u00e9".encode(),
    "large": bytes(range(256)) * 24_000,
}


async def listed(blobs: BlobStore, prefix: str = "") -> list[str]:
    """The keys that a listing gives, in its order."""
    return [info.key async for info in blobs.list(prefix)]


@pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS)
async def test_a_blob_comes_back_byte_for_byte(blobs: BlobStore, data: bytes) -> None:
    """Whatever its content and length."""
    await blobs.put("runs/1/out", data)

    assert await blobs.get("runs/1/out") == data
    (info,) = [info async for info in blobs.list()]
    assert (info.key, info.size_bytes) == ("runs/1/out", len(data))


async def test_a_store_says_where_it_is(blobs: BlobStore) -> None:
    """In words for messages, and not as Python shows an object."""
    assert str(blobs) != object.__repr__(blobs)
    assert str(blobs).isprintable()


async def test_a_missing_blob_is_not_found(blobs: BlobStore) -> None:
    """`get` says so, `has` answers, `delete` does not mind."""
    with pytest.raises(BlobNotFound) as caught:
        await blobs.get("missing")

    assert not caught.value.retryable
    assert not await blobs.has("missing")
    await blobs.delete("missing")


@pytest.mark.parametrize("size_bytes", [1, 6_000_000])
async def test_a_key_is_written_once(blobs: BlobStore, size_bytes: int) -> None:
    """A second put is refused and leaves the first as it is, however large they are."""
    await blobs.put("key", b"1" * size_bytes)

    with pytest.raises(BlobExists) as caught:
        await blobs.put("key", b"2" * size_bytes)

    assert not caught.value.retryable
    assert await blobs.get("key") == b"1" * size_bytes


async def test_a_key_is_overwritten_where_that_is_asked_for(blobs: BlobStore) -> None:
    """Without `if_absent` the new content replaces the old, shorter or longer, and is listed with its size."""
    for data in (b"one", b"x" * 3_000_000, b"", b"two"):
        await blobs.put("key", data, if_absent=False)
        assert await blobs.get("key") == data
        assert [info.size_bytes async for info in blobs.list()] == [len(data)]


@pytest.mark.fault(69)
async def test_one_of_many_concurrent_puts_wins(blobs: BlobStore) -> None:
    """The others are told, and what is read is one of them, whole."""
    contents = [bytes([n]) * 1000 for n in range(50)]

    answers = await asyncio.gather(*(blobs.put("key", data) for data in contents), return_exceptions=True)

    refused = [answer for answer in answers if answer is not None]
    assert [type(answer) for answer in refused] == [BlobExists] * 49
    assert await blobs.get("key") == contents[answers.index(None)]


async def test_the_same_content_makes_no_difference_to_who_was_first(blobs: BlobStore) -> None:
    """Whoever puts what is there already is told so: a blob is recognised by who stored it, not by what it holds."""
    answers = await asyncio.gather(*(blobs.put("key", b"same") for _ in range(10)), return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["BlobExists"] * 9 + ["NoneType"]


async def test_a_deleted_blob_is_gone(blobs: BlobStore) -> None:
    """It is neither found nor listed, and its key is free."""
    await blobs.put("a", b"1")
    await blobs.put("b", b"2")

    await blobs.delete("a")
    await blobs.delete("a")

    assert not await blobs.has("a")
    assert await blobs.has("b")
    assert await listed(blobs) == ["b"]
    await blobs.put("a", b"new")
    assert await blobs.get("a") == b"new"


async def test_a_prefix_that_no_key_has_lists_nothing(blobs: BlobStore) -> None:
    """Whatever text it is."""
    await blobs.put("a/b", b"")

    assert [await listed(blobs, prefix) for prefix in ("a//", "/", "..", "caf\u00e9", "a/b/", "b/", "A")] == [[]] * 7


async def test_blobs_are_listed_by_key_and_prefix(blobs: BlobStore) -> None:
    """By their characters; a prefix is text, not a folder and not a pattern."""
    for size, key in enumerate(("b", "a/2", "a/10", "a_c", "B", "a.c", "ab", "a-1", "a", "B/b", "a/b/c", "B-")):
        await blobs.put(key, bytes(size))

    everything = ["B", "B-", "B/b", "a", "a-1", "a.c", "a/10", "a/2", "a/b/c", "a_c", "ab", "b"]
    assert await listed(blobs) == everything
    assert await listed(blobs, "a/") == ["a/10", "a/2", "a/b/c"]
    assert await listed(blobs, "a") == everything[3:-1]
    assert await listed(blobs, "a_") == ["a_c"]
    assert await listed(blobs, "a.") == ["a.c"]
    assert await listed(blobs, "a/2") == ["a/2"]
    assert await listed(blobs, "c") == []


async def test_many_blobs_are_listed_completely(blobs: BlobStore) -> None:
    """A listing is not cut where an adapter reads in pages."""
    keys = [f"runs/{n:05d}" for n in range(1100)]
    for start in range(0, len(keys), 100):
        await asyncio.gather(*(blobs.put(key, b"x") for key in keys[start : start + 100]))

    assert await listed(blobs, "runs/") == keys


async def test_a_listing_can_be_left_early(blobs: BlobStore) -> None:
    """Whoever has seen enough stops; the store goes on working."""
    for key in ("a", "b", "c"):
        await blobs.put(key, b"")

    found: list[BlobInfo] = []
    async for info in blobs.list():
        found.append(info)
        break

    assert [info.key for info in found] == ["a"]
    assert await blobs.has("c")


async def test_only_older_blobs_are_listed_where_asked(blobs: BlobStore) -> None:
    """Strictly before the moment given, by the time that a listing tells."""
    await blobs.put("old", b"")
    (info,) = [info async for info in blobs.list()]

    at_its_time = [found.key async for found in blobs.list(older_than=info.modified_at)]
    after_it = [found.key async for found in blobs.list(older_than=info.modified_at + timedelta(microseconds=1))]
    other = [found.key async for found in blobs.list("new", older_than=info.modified_at + timedelta(days=1))]

    assert info.modified_at.utcoffset() == timedelta(0)
    assert (at_its_time, after_it, other) == ([], ["old"], [])


BAD_KEYS = {
    "empty": "",
    "too long": "x" * (KEY_LENGTH_MAX + 1),
    "parent": "a/../b",
    "only parent": "..",
    "here": "a/./b",
    "leading slash": "/a",
    "trailing slash": "a/",
    "empty segment": "a//b",
    "too long a segment": "x" * (SEGMENT_LENGTH_MAX + 1),
    "space": "a b",
    "newline": "a\n",
    "nul": "a\0",
    "unicode": "caf\u00e9",
    "percent": "a%2e",
    "backslash": "a\\b",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_bad_key_is_refused_by_every_method(blobs: BlobStore, key: str) -> None:
    """The same verdict in every adapter, before anything is done."""
    with pytest.raises(InvalidBlobKey):
        await blobs.put(key, b"")
    with pytest.raises(InvalidBlobKey):
        await blobs.get(key)
    with pytest.raises(InvalidBlobKey):
        await blobs.has(key)
    with pytest.raises(InvalidBlobKey):
        await blobs.delete(key)

    assert await listed(blobs) == []


UNUSUAL_KEYS = {
    "longest": "/".join(["X" * SEGMENT_LENGTH_MAX, "y" * SEGMENT_LENGTH_MAX, "Z" * (KEY_LENGTH_MAX - 402)]),
    "deepest": "/".join("a" * (KEY_LENGTH_MAX // 2)),
    "folders": "a/b/c",
    "hidden": ".hidden",
    "dots": "a..b",
    "only dots": "...",
    "every kind": "A-Z_0.9",
}


@pytest.mark.parametrize("key", UNUSUAL_KEYS.values(), ids=UNUSUAL_KEYS)
async def test_an_unusual_key_is_a_key(blobs: BlobStore, key: str) -> None:
    """What the rule allows works in every adapter."""
    await blobs.put(key, b"1")

    assert await blobs.get(key) == b"1"
    assert await listed(blobs) == [key]


async def test_keys_differ_by_case(blobs: BlobStore) -> None:
    """Also where a file system thinks otherwise."""
    await blobs.put("Key", b"1")
    await blobs.put("key", b"2")

    assert (await blobs.get("Key"), await blobs.get("key")) == (b"1", b"2")


async def test_a_key_can_be_the_beginning_of_another(blobs: BlobStore) -> None:
    """`a` and `a/b` are two blobs, not a file and a folder."""
    await blobs.put("a/b", b"1")
    await blobs.put("a", b"2")

    assert (await blobs.get("a"), await blobs.get("a/b")) == (b"2", b"1")
    assert await listed(blobs) == ["a", "a/b"]
