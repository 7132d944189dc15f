"""Arrays as JSON text: where their elements are, without decoding them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["nothing", "null", "an object", "a string", "a number", "a boolean"]
"""What stands where an array should be."""

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NoArray(Exception):
    """Where an array was looked for there is something else, or nothing."""

    def __init__(self, found: Kind) -> None:
        self.found: Kind = found
        super().__init__(f"there is {found} where an array should be")


class Elements:
    """An array as JSON text, with the places where its elements end: any of them is found at once.

    Millions of elements cost four bytes each beside the text, where a list of them would cost a hundred.

    Args:
        text: a JSON array without space before it, below 4 GiB.

    Raises:
        NoArray: it is none.
    """

    __slots__ = ("_ends", "_text")

    def __init__(self, text: bytes | msgspec.Raw) -> None:
        elements = _array.decode(_required_array(text))
        self._text = bytes(text)
        lengths = [len(memoryview(element)) for element in elements]
        if len(self._text) != sum(lengths) + max(len(lengths) - 1, 0) + 2:
            self._text = msgspec.json.encode(elements)  # white space between elements would shift their places
        self._ends = array("I")
        end = 0
        for length in lengths:
            end += 1 + length
            self._ends.append(end)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        start = self._ends[index - 1] + 1 if index else 1
        return self._text[start : self._ends[index]]

    def slice(self, first: int, count: int) -> bytes:
        """The array of `count` elements from `first` on, at least one."""
        start = self._ends[first - 1] + 1 if first else 1
        return b"".join((b"[", memoryview(self._text)[start : self._ends[first + count - 1]], b"]"))

    def fitting(self, first: int, size_bytes_max: int) -> int:
        """How many elements from `first` on have no more text than so many bytes as an array; at least one."""
        start = self._ends[first - 1] + 1 if first else 1
        last = bisect_right(self._ends, start + size_bytes_max - 2, lo=first)
        return max(last - first, 1)

    @property
    def size_bytes(self) -> int:
        """The memory it takes."""
        return len(self._text) + self._ends.itemsize * len(self._ends)


def array_at(path: Sequence[str], data: bytes) -> Elements:
    """The array that a path of object keys leads to, in canonical JSON.

    Raises:
        NoArray: it leads to none.
    """
    return Elements(_array_text_at(path, data))


def length_at(path: Sequence[str], data: bytes) -> int:
    """How many elements that array has, which takes less time and memory than to know where each is.

    Raises:
        NoArray: the path leads to none.
    """
    return len(_array.decode(_required_array(_array_text_at(path, data))))


def text_at(path: Sequence[str], data: bytes | msgspec.Raw) -> bytes | msgspec.Raw | None:
    """The text of what a path of object keys leads to, in canonical JSON; None where that is nothing."""
    for name in path:
        members = _object.decode(data) if kind_of(data) == "an object" else {}
        if name not in members:
            return None
        data = members[name]
    return data


def _array_text_at(path: Sequence[str], data: bytes) -> bytes | msgspec.Raw:
    text = text_at(path, data)
    if text is None:
        raise NoArray("nothing")
    return text


def _required_array(text: bytes | msgspec.Raw) -> bytes | msgspec.Raw:
    kind = kind_of(text)
    if kind is not None:
        raise NoArray(kind)
    return text


def kind_of(data: bytes | msgspec.Raw) -> Kind | None:
    """What JSON text is, None for an array; canonical text tells by its first character."""
    first = bytes(memoryview(data)[:1])
    if first == b"[":
        return None
    if first == b"{":
        return "an object"
    if first == b'"':
        return "a string"
    if first == b"n":
        return "null"
    return "a boolean" if first in (b"t", b"f") else "a number"
