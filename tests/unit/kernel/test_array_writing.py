"""Arrays that are written element by element are what they would be if written whole."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.memory import ManualClock, MemoryBlobs
from fairlead.kernel import array_writing
from fairlead.kernel.array_writing import ArrayWriter, InvalidElement
from fairlead.kernel.codec import JsonValue, encode
from fairlead.kernel.facts import ArrayFacts, facts_of
from fairlead.kernel.fetching import fetch_payload
from fairlead.kernel.plan import NO_QUESTIONS, Questions, ValuePath
from fairlead.kernel.references import is_reference, read_reference
from fairlead.kernel.schema import ANY, Schema
from fairlead.kernel.spilling import put_blob


def writer(element: Schema = ANY, inline_bytes_max: int = 64) -> ArrayWriter:
    """A writer of the output of a step `made`."""
    return ArrayWriter(element, name="made", prefix="p", questions=NO_QUESTIONS, inline_bytes_max=inline_bytes_max)


async def written(values: list[Any], inline_bytes_max: int = 64) -> tuple[bytes, MemoryBlobs]:
    """What is stored of an array, and where its segments are."""
    blobs, array = MemoryBlobs(ManualClock()), writer(inline_bytes_max=inline_bytes_max)
    for value in values:
        full = array.add(value)
        if full is not None:
            await put_blob(blobs, full)
    last, output, _ = array.finish()
    if last is not None:
        await put_blob(blobs, last)
    return output, blobs


@given(values=st.lists(st.integers() | st.text('ab"', max_size=20), max_size=30), segment=st.integers(20, 60))
async def test_an_array_reads_back_as_it_was_written(values: list[Any], segment: int) -> None:
    """Inline or in segments: the same bytes as if it had been one value, and its size is known."""
    data = encode(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_writing, "SEGMENT_BYTES_MAX", segment)
        output, blobs = await written(values, inline_bytes_max=20)

    assert is_reference(output) is (len(data) > 20)
    assert await fetch_payload(blobs, output) == data
    if is_reference(output):
        reference = read_reference(output)
        assert reference.size_bytes == len(data)
        assert reference.count("made") == len(values)
        assert [blob.key async for blob in blobs.list()] == sorted(blob.key for blob in reference.blobs())
        assert all(each.size_bytes <= segment or each.count == 1 for each in reference.arrays["made"])


@pytest.mark.parametrize("over", [0, 1])
async def test_the_threshold_is_exact(over: int) -> None:
    """An array of the limit stays inline."""
    output, _ = await written(["x" * (60 + over)])

    assert is_reference(output) is bool(over)


def test_an_element_is_refused_with_its_place() -> None:
    """All of its problems, each under the element's index."""

    @frozen
    class Line:
        sku: str
        quantity: int

    lines = writer(Schema.of(Line))
    lines.add(Line("a", 1))

    with pytest.raises(InvalidElement) as raised:
        lines.add({"sku": 1, "quantity": "x"})

    assert raised.value.what == "output of step 'made'"
    assert [path for path, _ in raised.value.problems] == ["$[1].sku", "$[1].quantity"]


def test_an_array_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 54: with the limit, at the element that passes it."""
    monkeypatch.setattr(array_writing, "STREAM_SIZE_BYTES_MAX", 10)
    array = writer()
    array.add("ab")
    array.add("c")

    with pytest.raises(InvalidElement, match="more than the 10 bytes of JSON that are allowed"):
        array.add(1)


PATTERNS = [b'[{"a":1},{"b":2}]', b"[1]", b"[1,2]", b"[[1]]", b"[]", b'{"a":1}', b"1", b"null"]


@given(
    values=st.lists(
        st.integers(0, 3)
        | st.lists(st.integers(0, 2), max_size=2)
        | st.dictionaries(st.sampled_from("ab"), st.integers(0, 2)),
        max_size=5,
    )
)
def test_facts_of_elements_are_facts_of_their_array(values: list[JsonValue]) -> None:
    """Lengths and verdicts are the same whether the array is seen whole or element by element."""
    arrays = (ValuePath(name="made"), ValuePath(name="made", path=("inner",)))
    questions = Questions(arrays=arrays, patterns=tuple(sorted(PATTERNS)))
    facts = ArrayFacts(questions)
    for value in values:
        facts.add(encode(value))

    assert facts.encoded() == facts_of(questions, encode(values))
    assert ArrayFacts(NO_QUESTIONS).encoded() is None
