"""Odd values, and the one verdict on each that holds whichever way it comes and whichever adapter stores it."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterator, Mapping
from typing import Any


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _generator() -> Iterator[int]:
    yield 1


class Unspeakable:
    """It cannot even be shown in a message."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


STORED: Mapping[str, tuple[Any, bytes]] = {
    "minus zero": (-0.0, b"-0.0"),
    "one as a float": (1.0, b"1.0"),
    "one": (1, b"1"),
    "true": (True, b"true"),
    "a long integer": (10**4_299, b"1" + b"0" * 4_299),
    "the smallest float": (5e-324, b"5e-324"),
    "a large float": (1e308, b"1e308"),
    "a tuple": ((1, (2,)), b"[1,[2]]"),
    "a set": ({3, 1, 2}, b"[1,2,3]"),
    "keys out of order": ({"b": 1, "a": 2, "": 3}, b'{"":3,"a":2,"b":1}'),
    "unicode": ("é\U0001f680\u2028\u200b", '"é\U0001f680\u2028\u200b"'.encode()),
    "control characters": ("\x01\t\x7f", b'"\\u0001\\t\x7f"'),
    "a datetime": (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), b'"2026-01-01T00:00:00Z"'),
    "bytes": (b"\x00\xff", b'"AP8="'),
    "a Decimal": (decimal.Decimal("1.10"), b'"1.10"'),
    "depth 199": (_nested(199), b"[" * 199 + b"]" * 199),
    "nothing": (None, b"null"),
    "empty": ([{}, "", [0][1:]], b'[{},"",[]]'),
}
"""Values that are stored, and the text that they are stored as."""

REFUSED: Mapping[str, tuple[Any, str]] = {
    "NUL": ({"a": ["x\0y"]}, "$.a[0]"),
    "NUL in a key": ({"a\0": 1}, '$["a\\u0000"]'),
    "a lone surrogate": (["\ud800"], "$[0]"),
    "NaN": ([1, math.nan], "$[1]"),
    "infinity": ({"a": -math.inf}, "$.a"),
    "an integer of 5,000 digits": ([10**5_000], "$[0]"),
    "depth 100,000": (_nested(100_000), "…"),
    "a cycle": (_cycle(), "$[0]"),
    "a key that is no string": ({"a": {1: 2}}, "$.a[1]"),
    "a generator": ([_generator()], "$[0]"),
    "a function": ({"f": print}, "$.f"),
    "an object": ([object()], "$[0]"),
    "a complex number": ([1j], "$[0]"),
    "a long integer as a key": ({"a": {10**5_000: 1}}, "$.a[an int that cannot be shown]"),
    "a key that cannot be shown": ([{Unspeakable(): 1}], "$[0][an Unspeakable]"),
}
"""Values that are refused, and the path at which."""
