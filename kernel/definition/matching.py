"""Whether any value of a type can contain a pattern: the check of conditions before any run.

Only what can never be contained is told: keys that the type lacks, literals that are none of its values, another kind
of JSON. Where some values contain the pattern and others do not, running decides; of untyped JSON nothing is known.
"""

from __future__ import annotations

from typing import Final

from msgspec import inspect as nodes

from .. import codec
from ..codec import JsonValue
from ..containment import contains
from ..hints import nearest
from ..payload_faults import key_path
from ..pydantic_models import is_written_plainly
from ..schema import Schema
from ..schema_problems import refusal
from ..schema_types import (
    COLLECTIONS,
    alternatives,
    annotation_of,
    choices,
    is_any,
    is_none,
    object_fields,
    tuple_items,
    type_name,
)

_SHOWN_MAX: Final = 80
"""Characters of a pattern in a message."""

_PLAIN: Final = (nodes.NoneType, nodes.BoolType, nodes.IntType, nodes.FloatType, nodes.StrType)
"""Scalars that pydantic and msgspec write alike."""


def mismatch(node: nodes.Type, pattern: JsonValue, path: str = "$", *, by_pydantic: bool = False) -> str | None:
    """Return why no value of a type contains a pattern, with the path; None where some may.

    Args:
        node: the type.
        pattern: as JSON.
        path: where the pattern stands.
        by_pydantic: whether the value is a part of a pydantic model, which writes dates and the like in its own way.
    """
    reasons: list[str] = []
    for member in alternatives(node):
        reason = None if is_any(member) else _mismatch(member, pattern, path, by_pydantic)
        if reason is None:
            return None
        if not is_none(member):
            reasons.append(reason)
    return reasons[0] if len(reasons) == 1 else _never(node, pattern, path)


def _mismatch(node: nodes.Type, pattern: JsonValue, path: str, by_pydantic: bool) -> str | None:
    """Compare a type that is neither a union nor untyped."""
    if isinstance(node, nodes.CustomType):
        if not is_written_plainly(node.cls):
            return None
        by_pydantic = True
    if isinstance(pattern, dict):
        return _object_mismatch(node, pattern, path, by_pydantic)
    if isinstance(pattern, list):
        return _array_mismatch(node, pattern, path, by_pydantic)
    if by_pydantic and not isinstance(node, _PLAIN) and choices(node) is None and object_fields(node) is None:
        return None
    return _scalar_mismatch(node, pattern, path)


def _object_mismatch(node: nodes.Type, pattern: dict[str, JsonValue], path: str, by_pydantic: bool) -> str | None:
    places = object_fields(node)
    if places is None and not isinstance(node, nodes.DictType):
        return _never(node, pattern, path)
    fields = {place.encode_name: place.type for place in places or ()}
    for key, wanted in pattern.items():
        inner = key_path(path, key)
        if isinstance(node, nodes.DictType):
            if refusal(node.key_type, key) is not None:
                return f"{inner}: {_name(node)} never has this key"
            fields[key] = node.value_type
        if key not in fields:
            return f"{inner}: {_name(node)} has no {key!r}; {nearest(key, fields)}"
        reason = mismatch(fields[key], wanted, inner, by_pydantic=by_pydantic)
        if reason is not None:
            return reason
    return None


def _array_mismatch(node: nodes.Type, pattern: list[JsonValue], path: str, by_pydantic: bool) -> str | None:
    places = (node.item_type,) if isinstance(node, COLLECTIONS) else tuple_items(node)
    if places is None:
        return _never(node, pattern, path)
    for wanted in pattern:
        reasons = [mismatch(place, wanted, f"{path}[]", by_pydantic=by_pydantic) for place in places]
        if all(reason is not None for reason in reasons):
            return reasons[0] if len(reasons) == 1 else _never(node, pattern, path)
    return None


def _scalar_mismatch(node: nodes.Type, pattern: JsonValue, path: str) -> str | None:
    """Compare with the values of a type as they are stored: a moment in another spelling is not found there."""
    if object_fields(node) is not None or isinstance(node, COLLECTIONS) or tuple_items(node) is not None:
        return _never(node, pattern, path)
    value = pattern
    if isinstance(pattern, float) and pattern.is_integer() and refusal(node, pattern) is not None:
        value = int(pattern)  # 1 contains 1.0, which is no int.
    if refusal(node, value) is not None:
        return _never(node, pattern, path)
    stored = Schema.of(annotation_of(node)).encode(value)
    if contains(codec.decode(stored), pattern):
        return None
    return f"{_never(node, pattern, path)}; its values are stored like {_shown(codec.decode(stored))}"


def _never(node: nodes.Type, pattern: JsonValue, path: str) -> str:
    return f"{path}: {_shown(pattern)} is never found in {_name(node)}"


def _shown(pattern: JsonValue) -> str:
    text = codec.encode(pattern).decode()
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _name(node: nodes.Type) -> str:
    return type_name(annotation_of(node))
