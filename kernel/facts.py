"""Facts: the little that decisions need to know of a payload.

A decision never sees a payload. Whoever holds one computes its facts before the transaction, and they are stored
with the row that the payload belongs to. Today's facts are the lengths of the arrays that maps work over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from .plan import MapSource

Kind: TypeAlias = Literal["nothing", "null", "an object", "a string", "a number", "a boolean"]
"""What stands where an array should be."""


class Facts(msgspec.Struct, frozen=True):
    """The facts of one payload. An array's length, or what is there instead, by `MapSource.dotted`."""

    lengths: dict[str, int | Kind] = {}


NO_FACTS = Facts()

_decoder = msgspec.json.Decoder(Facts)
_encoder = msgspec.json.Encoder(order="deterministic")
_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def facts_of(sources: Sequence[MapSource], data: bytes) -> bytes | None:
    """The facts of a payload, as they are stored.

    Args:
        sources: the arrays in it that maps work over (`Plan.mapped_paths`).
        data: the payload, canonical JSON.

    Returns:
        Canonical JSON; None where there is nothing to know.
    """
    if not sources:
        return None
    return _encoder.encode(Facts(lengths={source.dotted: _length(source.path, data) for source in sources}))


def read_facts(stored: bytes | None) -> Facts:
    """The facts that `facts_of` computed."""
    return NO_FACTS if stored is None else _decoder.decode(stored)


def _length(path: Sequence[str], data: bytes | msgspec.Raw) -> int | Kind:
    for name in path:
        if _kind(data) != "an object":
            return "nothing"
        members = _object.decode(data)
        if name not in members:
            return "nothing"
        data = members[name]
    kind = _kind(data)
    return len(_array.decode(data)) if kind is None else kind


def _kind(data: bytes | msgspec.Raw) -> Kind | None:
    """What the JSON text is, None for an array; canonical text tells by its first character."""
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
