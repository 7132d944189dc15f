"""Fields of given JSON that its type does not have: a misspelt one must not fall back to its default in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from ..payload_faults import DEPTH_MAX, key_text
from ..schema import Schema
from ..schema_types import SCALARS, alternatives, is_any
from .sources import fields_hint


def unknown_fields(schema: Schema, given: object, path: str = "$", level: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the path of every key that no field has, and what is wrong with it.

    Args:
        schema: the type that `given` is meant for; an untyped one has every field.
        given: JSON as Python values. Instances of classes are taken as they are: their fields were checked.
        path: where `given` stands.
        level: how deep that is; nothing is looked for where no payload may be.
    """
    if level > DEPTH_MAX or not _may_have_fields(schema):
        return
    if isinstance(given, Mapping):
        for key, value in cast("Mapping[object, object]", given).items():
            if not isinstance(key, str):
                continue  # no key of JSON, which whoever encodes it says
            inner = schema.field(key)
            if inner is None:
                yield f"{path}{key_text(key)}", f"there is no such field in {schema.name}{fields_hint(key, schema)}"
            else:
                yield from unknown_fields(inner, value, f"{path}.{key}", level + 1)
    elif isinstance(given, list | tuple):
        element = schema.element()
        if element is not None and _may_have_fields(element):
            for index, value in enumerate(cast("list[object]", given)):
                yield from unknown_fields(element, value, f"{path}[{index}]", level + 1)


def _may_have_fields(schema: Schema) -> bool:
    """Whether a key in a value of the type may be unknown, so that millions of plain elements are not looked at."""
    return not all(is_any(member) or isinstance(member, SCALARS) for member in alternatives(schema.node))
