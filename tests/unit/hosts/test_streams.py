"""Streams: pages by page, of rows, of segments and of text that is here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, cast

import pytest

from fairlead.adapters.memory import ManualClock, MemoryBlobs
from fairlead.hosts.backoff import Backoff
from fairlead.hosts.blob_reading import BlobReading
from fairlead.hosts.errands import Errands
from fairlead.hosts.kept import Kept
from fairlead.hosts.streams import (
    AHEAD_BYTES_MAX,
    PAGE_BYTES,
    PAGE_MAX,
    ElementMisfit,
    ElementsMissing,
    OutputPages,
    Pages,
    SegmentPages,
    Stream,
    TextPages,
    read_head,
)
from fairlead.hosts.threads import HandlerThreads
from fairlead.kernel.codec import encode
from fairlead.kernel.elements import Elements
from fairlead.kernel.plan import ValuePath
from fairlead.kernel.references import read_reference
from fairlead.kernel.schema import ANY, Schema
from fairlead.kernel.spilling import Spill, put_blob
from fairlead.ports.persistence import RunReader
from fairlead.ports.reading import OutputPage, StepOutput
from fairlead.ports.statuses import StepStatus


class Attempt:
    """An attempt that goes on."""

    over = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.errands = Errands()
        self.threads = HandlerThreads("test")

    def new_backoff(self) -> Backoff:
        return Backoff(Random(1), first_s=0.001)


class Rows:
    """A store that has the outputs of one map."""

    def __init__(self, outputs: Sequence[bytes | None]) -> None:
        self.outputs = outputs
        self.asked: list[tuple[int, int]] = []

    async def read_output_page(self, page: OutputPage) -> StepOutput | None:
        self.asked.append((page.first, page.limit))
        outputs: list[bytes | None] = []
        for output in self.outputs[page.first : page.first + page.limit]:
            if outputs and sum(len(each or b"") for each in (*outputs, output)) > page.size_bytes_max:
                break
            outputs.append(output)
        return StepOutput(generation=1, status=StepStatus.COMPLETED, elements=len(self.outputs), outputs=outputs)


def reading(store: MemoryBlobs) -> BlobReading:
    return BlobReading(store, Kept())


async def every(pages: Pages, count: int, element: Schema = ANY) -> list[Any]:
    """All elements, as a handler in the loop takes them."""
    stream = Stream(lambda: pages, count, is_async=True)
    stream.read_for(Attempt())
    elements: Any = stream.of(element, "step 's', parameter 'p'")

    assert len(elements) == len(stream) == count
    return [value async for value in elements]


async def paged(rows: Rows, store: MemoryBlobs | None = None) -> list[Any]:
    """All elements of a map."""
    reader = cast(RunReader, rows)
    head = await read_head(reader, "r", "s")
    assert head is not None
    blobs = reading(store or MemoryBlobs(ManualClock()))
    return await every(OutputPages(reader, blobs, "r", "s", head.outputs), len(rows.outputs))


async def test_pages_grow_where_outputs_are_small() -> None:
    """A long map of small outputs is read in few pages; those without an output are null."""
    rows = Rows([None if index % 7 == 0 else encode(index) for index in range(20_000)])

    assert await paged(rows) == [None if index % 7 == 0 else index for index in range(20_000)]
    limits = [limit for _, limit in rows.asked]
    assert limits[:4] == [100, 100, 200, 400]
    assert max(limits) == PAGE_MAX


async def test_pages_shrink_where_outputs_are_large() -> None:
    """A page that was cut short is followed by one that asks for less."""
    rows = Rows([encode(index) for index in range(1_000)] + [encode("x" * 60_000)] * 60)

    assert len(await paged(rows)) == 1_060
    assert rows.asked[-1][1] == 100


async def test_outputs_in_blobs_are_read_ahead_in_order() -> None:
    """As many as fit, and one that is larger alone; between them stand those in rows."""
    store = MemoryBlobs(ManualClock())
    values = ["a" * 3_000_000, 1, "b" * 3_000_000, "c" * 3_000_000, 2, "d" * (AHEAD_BYTES_MAX + 1), "e" * 100_000]
    stored: list[bytes] = []
    for number, value in enumerate(values):
        if isinstance(value, int):
            stored.append(encode(value))
            continue
        spill = Spill(encode(value), (), f"p{number}")
        for blob in spill.blobs():
            await put_blob(store, blob)
        stored.append(spill.reference())
    rows = Rows(stored)
    pages = OutputPages(cast(RunReader, rows), reading(store), "r", "s", ())

    lengths: list[int] = []
    first = 0
    while page := await pages.read(first):
        lengths.append(len(page))
        first += len(page)

    assert lengths == [3, 2, 1, 1]
    assert await paged(rows, store) == values
    assert rows.asked[0] == (0, 100)


async def test_segments_are_pages() -> None:
    """From anywhere in the array to the end of the segment that this is in."""
    store = MemoryBlobs(ManualClock())
    values = [letter * 400_000 for letter in "abcde"]
    spill = Spill(encode(values), [ValuePath(name="made")], "p")
    for blob in spill.blobs():
        await put_blob(store, blob)
    pages = SegmentPages(reading(store), read_reference(spill.reference()), "made")

    assert await every(pages, 5) == values
    assert [len(await pages.read(first)) for first in range(6)] == [2, 1, 2, 1, 1, 0]


async def test_text_that_is_here_is_paged_too() -> None:
    """No more of its elements exist as objects at a time than fit a page; one that is larger is a page of its own."""
    values = ["x" * 300_000] * 7 + ["y" * (PAGE_BYTES + 1), "z"]
    pages = TextPages(Elements(encode(values)))

    assert await every(pages, 9) == values
    assert [len(await pages.read(first)) for first in (0, 3, 6, 7, 8, 9)] == [3, 3, 1, 1, 1, 0]


async def test_an_element_that_does_not_fit_has_a_place() -> None:
    """The error names parameter, index and path."""
    pages = TextPages(Elements(b'[{"a":1},{"a":"x"}]'))

    with pytest.raises(ElementMisfit, match=r"step 's', parameter 'p': \$\[1\]\.a: ") as raised:
        await every(pages, 2, Schema.of(dict[str, int]))
    assert raised.value.problems[0][0] == "$[1].a"


async def test_what_is_gone_is_an_error() -> None:
    """A store that no longer has the elements must not end the list early, nor be asked for ever."""
    with pytest.raises(ElementsMissing, match="of 5 elements those from 2 on"):
        await every(TextPages(Elements(b"[1,2]")), 5)
