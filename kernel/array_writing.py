"""Writing an array element by element: it is validated, encoded and cut into segments as it comes into being.

The array never exists as one value. Whoever writes it stores each segment before it goes on, so that no more than one
is in memory; an array that turns out to be small stands in its row like any other payload.
"""

from __future__ import annotations

from typing import NamedTuple

from .codec import STREAM_SIZE_BYTES_MAX
from .errors import PayloadError
from .facts import ArrayFacts
from .plan import Questions
from .references import SEGMENT_BYTES_MAX, Reference, Segment, digest_of, segment_key, write_reference
from .schema import Schema
from .spilling import NewBlob


class InvalidElement(PayloadError):
    """An element is not what its array declares, or the array has become too large."""


class WrittenArray(NamedTuple):
    """An array, all of whose elements are there."""

    last: NewBlob | None
    """Its last segment, which is still to be stored."""
    output: bytes
    """The array, or the reference to it."""
    facts: bytes | None


class ArrayWriter:
    """One array on its way.

    Args:
        element: the type of its elements.
        name: the slug of the step whose output it is.
        prefix: what the keys of its segments begin with; nobody else may write below it.
        questions: what decisions ask about it.
        inline_bytes_max: the largest array that stands in its row, in bytes; never more than a segment.
    """

    def __init__(self, element: Schema, *, name: str, prefix: str, questions: Questions, inline_bytes_max: int) -> None:
        self._element = element
        self._name = name
        self._prefix = prefix
        self._inline_bytes_max = inline_bytes_max
        self._facts = ArrayFacts(questions)
        self._segments: list[Segment] = []
        self._stored_bytes = 0
        """Of the elements in segments, each with one comma."""
        self._first = 0
        """The index of the first element that is in no segment yet."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, value: object) -> NewBlob | None:
        """Append an element.

        Returns:
            A segment that is full and must be stored before anything else is added.

        Raises:
            InvalidElement: it does not fit its type or is not JSON, or the array is too large.
        """
        index = self._first + len(self._waiting)
        what = f"output of step {self._name!r}"
        try:
            data = self._element.encode(value, what=what)
        except PayloadError as error:
            problems = tuple((f"$[{index}]{path[1:]}", problem) for path, problem in error.problems)
            raise InvalidElement(problems, what=what) from error
        size_bytes = len(data) + 1
        if self._stored_bytes + self._waiting_bytes + size_bytes + 1 > STREAM_SIZE_BYTES_MAX:
            problem = f"the array has more than the {STREAM_SIZE_BYTES_MAX:,} bytes of JSON that are allowed"
            raise InvalidElement((("$", problem),), what=what)
        self._facts.add(data)
        full = self._cut() if self._waiting and self._waiting_bytes + size_bytes + 1 > SEGMENT_BYTES_MAX else None
        self._waiting.append(data)
        self._waiting_bytes += size_bytes
        return full

    def finish(self) -> WrittenArray:
        """The array as it is stored, once the last segment is."""
        size_bytes = self._stored_bytes + self._waiting_bytes + (1 if self._first or self._waiting else 2)
        if not self._segments and size_bytes <= self._inline_bytes_max:
            return WrittenArray(None, b"[%b]" % b",".join(self._waiting), self._facts.encoded())
        last = self._cut() if self._waiting else None
        reference = Reference(
            prefix=self._prefix, size_bytes=size_bytes, sha256=None, arrays={self._name: tuple(self._segments)}
        )
        return WrittenArray(last, write_reference(reference), self._facts.encoded())

    def _cut(self) -> NewBlob:
        """Make a segment of what is waiting."""
        text = b"[%b]" % b",".join(self._waiting)
        key = segment_key(self._prefix, 0, len(self._segments))
        self._segments.append(Segment(self._first, len(self._waiting), len(text), digest_of(text)))
        self._first += len(self._waiting)
        self._stored_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0
        return NewBlob(key, text)
