"""Canonical JSON: equal values have equal bytes, and what is stored reads back as it was."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import cast

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel import codec
from fairlead.kernel.codec import JsonValue
from fairlead.kernel.errors import PayloadError
from fairlead.kernel.payload_faults import DEPTH_MAX, depth

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES: st.SearchStrategy[object] = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)


def exactly(value: object) -> object:
    """A value in which 1, 1.0, True and -0.0 are told apart, for comparing."""
    if isinstance(value, dict):
        return {key: exactly(element) for key, element in cast(dict[str, object], value).items()}
    if isinstance(value, list):
        return [exactly(element) for element in cast(list[object], value)]
    return type(value), repr(value)


def reversed_keys(value: object) -> object:
    """The same value with the keys of all its objects inserted the other way round."""
    if isinstance(value, dict):
        entries = reversed(cast(dict[str, object], value).items())
        return {key: reversed_keys(element) for key, element in entries}
    if isinstance(value, list):
        return [reversed_keys(element) for element in cast(list[object], value)]
    return value


@given(VALUES)
def test_a_value_reads_back_as_it_was(value: object) -> None:
    """Values survive the round trip with their exact types, `0`, `False`, `""`, `[]`, `{}` and `None` among them."""
    assert exactly(value) == exactly(codec.decode(codec.encode(value)))


@given(VALUES)
def test_the_order_of_insertion_leaves_no_trace(value: object) -> None:
    """Equal values give equal bytes, and canonical bytes are a fixed point."""
    data = codec.encode(value)

    assert data == codec.encode(reversed_keys(value))
    assert data == codec.encode(codec.decode(data))


@given(VALUES)
def test_other_texts_of_a_value_read_as_that_value(value: object) -> None:
    """White space, escapes and key order of incoming text do not matter."""
    text = json.dumps(reversed_keys(value), indent=1).encode()

    assert exactly(value) == exactly(codec.decode(text))


@given(VALUES)
def test_depth_is_counted_outside_of_strings(value: object) -> None:
    """Brackets in text do not count; nesting does."""

    def deep(part: object) -> int:
        if isinstance(part, dict):
            return 1 + max(map(deep, cast(dict[str, object], part).values()), default=0)
        if isinstance(part, list):
            return 1 + max(map(deep, cast(list[object], part)), default=0)
        return 0

    assert deep(value) == depth(codec.encode(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [('"[["', 0), (r'"\"[\\"', 0), (r'["\\",[]]', 2), ('["]",["]",["]"]]]', 3), ('{"{":{"}":[]}}', 3)],
)
def test_depth_of_text_with_quotes_and_escapes(text: str, expected: int) -> None:
    """Escaped quotes and backslashes do not end a string early or late."""
    assert expected == depth(text.encode())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [1.0, -0.0, 1]}, b'{"a":[1.0,-0.0,1],"b":1}'),
        ({"é": "ü\n", "z": "\\u0000"}, '{"z":"\\\\u0000","é":"ü\\n"}'.encode()),
        ((1, (2,)), b"[1,[2]]"),
        ({3, 1, 2}, b"[1,2,3]"),
        (10**40, b"1" + b"0" * 40),
    ],
)
def test_the_canonical_form(value: object, expected: bytes) -> None:
    """Sorted keys, no white space, UTF-8, numbers as given, tuples and sets as arrays."""
    assert expected == codec.encode(value)


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


class Number(float):
    pass


@attrs.frozen
class Point:
    y: int
    x: int


@dataclasses.dataclass
class Box:
    corner: Point


class Label(msgspec.Struct):
    text: str


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC), "2026-11-01T12:00:00Z"),
        (datetime.date(2026, 11, 1), "2026-11-01"),
        (datetime.timedelta(days=1), "P1D"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), "1.50"),
        (b"abc", "YWJj"),
        (Colour.RED, "red"),
        (Text("x"), "x"),
        (Number(1.5), 1.5),
        (Box(Point(2, 1)), {"corner": {"x": 1, "y": 2}}),
        ([Label("a")], [{"text": "a"}]),
    ],
)
def test_richer_values_are_stored_as_their_json(value: object, expected: JsonValue) -> None:
    """Records become objects, scalars with a standard text form that text, subclasses what they are."""
    assert exactly(expected) == exactly(codec.decode(codec.encode(value)))


def test_a_null_that_was_none_is_no_nan() -> None:
    """Nulls from None are fine wherever they stand, in records and tuples too."""
    assert codec.encode((None, {"a": None})) == b'[null,{"a":null}]'


def test_the_size_limit_is_inclusive_and_named() -> None:
    """One byte over the limit is refused, both ways, with both sizes in the message."""
    assert codec.encode("abc", size_bytes_max=5) == b'"abc"'
    assert codec.decode(b'"abc"', size_bytes_max=5) == "abc"
    with pytest.raises(PayloadError, match="6 bytes of JSON are more than the 5 allowed"):
        codec.encode("abcd", size_bytes_max=5)
    with pytest.raises(PayloadError, match="6 bytes of JSON are more than the 5 allowed"):
        codec.decode(b'"abcd"', size_bytes_max=5)


def test_the_deepest_value_allowed() -> None:
    """Exactly `DEPTH_MAX` levels are stored and read."""
    data = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX

    assert data == codec.encode(codec.decode(data))
