"""Containment: whether a JSON value contains a pattern.

An object contains an object that has some of its keys, each with a value that is contained in its own. An array
contains an array each of whose elements is contained in one of its own. A scalar contains what equals it: numbers by
value, so `1` contains `1.0`; `true` is no number, and `null` contains only `null`. Nothing else contains anything.
"""

from __future__ import annotations

import msgspec

from .codec import JsonValue

_raws = msgspec.json.Decoder(list[msgspec.Raw])


def contains(value: JsonValue, pattern: JsonValue) -> bool:
    """Whether `value` contains `pattern`. Both nest no deeper than payloads may (`payload_faults.DEPTH_MAX`)."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and contains(value[key], wanted) for key, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(each, wanted) for each in value) for wanted in pattern)
    if isinstance(value, dict | list):
        return False
    return isinstance(value, bool) is isinstance(pattern, bool) and value == pattern


def elements_of(pattern: bytes) -> tuple[bytes, ...]:
    """The patterns that the elements of an array must contain, one each, for the array to contain `pattern`.

    Args:
        pattern: canonical JSON.

    Returns:
        Canonical JSON; empty where `pattern` is no array, so that no array contains it.
    """
    return tuple(bytes(each) for each in _raws.decode(pattern)) if pattern[:1] == b"[" else ()
