"""Fields of given JSON that its type does not have: a misspelt one must not fall back to its default in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from ..schema import Schema
from .sources import fields_hint


def unknown_fields(schema: Schema, given: object, path: str = "$") -> Iterator[tuple[str, str]]:
    """Yield the path of every key that no field has, and what is wrong with it.

    Args:
        schema: the type that `given` is meant for; an untyped one has every field.
        given: JSON as Python values. Instances of classes are taken as they are: their fields were checked.
        path: where `given` stands.
    """
    if isinstance(given, Mapping):
        for key, value in cast("Mapping[object, object]", given).items():
            inner = schema.field(str(key))
            if inner is None:
                yield f"{path}.{key}", f"there is no such field in {schema.name}{fields_hint(str(key), schema)}"
            else:
                yield from unknown_fields(inner, value, f"{path}.{key}")
    elif isinstance(given, list | tuple):
        element = schema.element()
        if element is not None:
            for index, value in enumerate(cast("list[object]", given)):
                yield from unknown_fields(element, value, f"{path}[{index}]")
