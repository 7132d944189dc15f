"""Arrays that handlers take element by element: read page by page while they are gone through.

A stream can be gone through again and again; each time it is read anew, so it takes the memory of a page, however long
the array is. Nothing is read before the handler asks. A plain function waits in its thread while the host's event loop
reads for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Protocol

from ..kernel.amounts import counted
from ..kernel.codec import SIZE_UNLIMITED
from ..kernel.elements import Elements
from ..kernel.errors import PayloadError
from ..kernel.references import Reference, is_reference, read_reference
from ..kernel.schema import Schema
from ..ports.errors import CorruptionError
from ..ports.persistence import RunReader
from ..ports.reading import OutputPage, StepOutput
from .blob_reading import BlobReading, Part
from .trying import Ongoing, call_in_loop, try_on

PAGE_BYTES = 1024 * 1024
"""Bytes of outputs in one page: what a store sends within some milliseconds."""

PAGE_FIRST = 100
"""Outputs in the first page. Their size is not known before; where they are small, the pages grow."""

PAGE_MAX = 5_000
"""Outputs in one page."""

AHEAD_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of large outputs of a map that are read ahead, all at a time; one that is larger is read alone."""


class ElementMisfit(PayloadError):
    """An element of a stream does not fit the parameter's type."""


class ElementsMissing(CorruptionError):
    """The store no longer has what a handler is going through."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.count = count
        super().__init__(f"of {counted(count, 'element')} those from {first} on are not in the store any more")


class Pages(Protocol):
    """An array as it is read once from its beginning to its end."""

    async def read(self, first: int, /) -> Sequence[bytes]:
        """Consecutive elements from index `first` on, at least one; none behind the last.

        Raises:
            AdapterError: the store failed; the same page may be asked for again.
        """
        ...


class Stream:
    """An array for a handler that takes its elements one by one; `Streamed` for a binding.

    Args:
        pages: makes the array's pages, anew for each time it is gone through.
        count: how many elements it has.
        is_async: whether the handler awaits the elements.
    """

    def __init__(self, pages: Callable[[], Pages], count: int, *, is_async: bool) -> None:
        self._pages = pages
        self._count = count
        self._is_async = is_async
        self._attempt: Ongoing | None = None

    def read_for(self, attempt: Ongoing) -> None:
        """Say which attempt it is read for, before anything is."""
        self._attempt = attempt

    def of(self, element: Schema, what: str) -> object:
        """The typed elements."""
        kind = _AwaitedElements if self._is_async else _Elements
        return kind(self, element, what)

    def __len__(self) -> int:
        return self._count

    def pages(self) -> Pages:
        """The array from its beginning."""
        return self._pages()

    async def page(self, pages: Pages, first: int) -> Sequence[bytes]:
        """The next page, however often the store fails.

        Raises:
            ElementsMissing: there is none, though there should be.
            BlobCorrupt: a blob is missing or is not what was written.
            Abandoned: the store failed, and the attempt is over.
        """
        page = await try_on(self._reader, "read the elements of a stream", lambda: pages.read(first))
        if not page:  # recovers 37: the elements of a stream are not in the store any more
            raise ElementsMissing(first, self._count)
        return page

    def page_in_thread(self, pages: Pages, first: int) -> Sequence[bytes]:
        """The next page, for a handler in a thread."""
        return call_in_loop(self._reader, lambda: self.page(pages, first))

    @property
    def _reader(self) -> Ongoing:
        assert self._attempt is not None, "a stream is handed to a handler only for an attempt"
        return self._attempt


class _Sequence:
    """What is common to both kinds of elements."""

    def __init__(self, stream: Stream, element: Schema, what: str) -> None:
        self._stream = stream
        self._element = element
        self._what = what

    def __len__(self) -> int:
        return len(self._stream)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'element')} of type {self._element.name}, read as they are asked for>"

    def _decoded(self, data: bytes, index: int) -> Any:
        try:
            return self._element.decode(data, size_bytes_max=SIZE_UNLIMITED)
        except PayloadError as error:
            problems = tuple((f"$[{index}]{path[1:]}", problem) for path, problem in error.problems)
            raise ElementMisfit(problems, what=self._what) from error


class _Elements(_Sequence):
    def __iter__(self) -> Iterator[Any]:
        pages, index = self._stream.pages(), 0
        while index < len(self):
            for data in self._stream.page_in_thread(pages, index):
                yield self._decoded(data, index)
                index += 1


class _AwaitedElements(_Sequence):
    async def __aiter__(self) -> AsyncIterator[Any]:
        pages, index = self._stream.pages(), 0
        while index < len(self):
            for data in await self._stream.page(pages, index):
                yield self._decoded(data, index)
                index += 1


class TextPages:
    """The elements of an array that is here, a megabyte at a time: many would take more as objects than as text."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements

    async def read(self, first: int) -> Sequence[bytes]:
        """Some elements from `first` on."""
        if first >= len(self._elements):
            return ()
        end = first + self._elements.fitting(first, PAGE_BYTES)
        return [self._elements[index] for index in range(first, end)]


class SegmentPages:
    """The elements of an array in blobs, a segment at a time."""

    def __init__(self, blobs: BlobReading, reference: Reference, array: str) -> None:
        self._blobs = blobs
        self._reference = reference
        self._array = array

    async def read(self, first: int) -> Sequence[bytes]:
        """The rest of the segment that `first` is in."""
        place = self._reference.place(self._array, first)
        if place is None:
            return ()
        elements = await self._blobs.read(Part(self._reference, self._array, place.segment), keep=False)
        assert isinstance(elements, Elements)
        return [elements[offset] for offset in range(place.offset, len(elements))]


class OutputPages:
    """The outputs of a map, one after the other; null where an element has none.

    Args:
        reader: of the store.
        blobs: for outputs that are not in their rows.
        run_id: of the run.
        step: the map.
        head: its first outputs, as `read_head` found them.
    """

    def __init__(
        self, reader: RunReader, blobs: BlobReading, run_id: str, step: str, head: Sequence[bytes | None]
    ) -> None:
        self._reader = reader
        self._blobs = blobs
        self._run_id = run_id
        self._step = step
        self._limit = PAGE_FIRST
        self._first = 0
        self._stored = head
        """The outputs from index `_first` on that were read last."""

    async def read(self, first: int) -> Sequence[bytes]:
        """The outputs from `first` on that are here, with those that are in blobs, as far as they are read ahead."""
        if not self._first <= first < self._first + len(self._stored):
            self._stored = await self._next(first)
            self._first = first
        taken: list[bytes] = []
        parts: list[Part] = []
        size_bytes = 0
        for output in self._stored[first - self._first :]:
            if output is not None and is_reference(output):
                part = Part(read_reference(output))
                size_bytes += part.reference.size_bytes
                if parts and size_bytes > AHEAD_BYTES_MAX:
                    break
                parts.append(part)
            taken.append(output or b"null")
        if parts:
            whole = iter(await self._blobs.read_all(parts, keep=False))
            taken = [_bytes(next(whole)) if is_reference(each) else each for each in taken]
        return taken

    async def _next(self, first: int) -> Sequence[bytes | None]:
        answer = await self._reader.read_output_page(_page(self._run_id, self._step, first, self._limit))
        outputs = () if answer is None else answer.outputs
        self._limit = min(max(2 * len(outputs), PAGE_FIRST), PAGE_MAX)
        return outputs


async def read_head(reader: RunReader, run_id: str, step: str) -> StepOutput | None:
    """The first outputs of a map, how many there are, and whether it is completed at all.

    Raises:
        AdapterError: the store failed.
    """
    return await reader.read_output_page(_page(run_id, step, 0, PAGE_FIRST))


def _page(run_id: str, step: str, first: int, limit: int) -> OutputPage:
    return OutputPage(run_id=run_id, step=step, first=first, limit=limit, size_bytes_max=PAGE_BYTES)


def _bytes(value: bytes | Elements) -> bytes:
    assert isinstance(value, bytes)
    return value
