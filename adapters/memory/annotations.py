"""Annotations compared as a database compares them: by value, numbers as decimals, truth values apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias, cast

from ...ports.notes import AnnotationValue

Comparable: TypeAlias = "tuple[type, object]"

CACHED_MAX = 10_000
"""Documents that are remembered as read: a search looks at those of all runs, and invariants after every commit."""


@lru_cache(CACHED_MAX)
def searched(document: bytes) -> Mapping[str, Comparable]:
    """What stands in a JSON object; nothing where it is none."""
    try:
        values: Any = json.loads(document, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {key: comparable(value) for key, value in cast("dict[str, object]", values).items()}


def comparable(value: object) -> Comparable:
    """A value that is equal to another exactly where a database finds them so."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = Decimal(repr(value))
    return type(value), value


def admits(wanted: Mapping[str, AnnotationValue], document: bytes | None) -> bool:
    """Whether a run's annotations have all the wanted values."""
    if document is None:
        return False
    found = searched(document)
    return all(found.get(key) == comparable(value) for key, value in wanted.items())


def come_to(documents: Iterable[Mapping[str, Comparable]]) -> Mapping[str, Comparable]:
    """What a sequence of changes comes to; a null takes an annotation away."""
    merged: dict[str, Comparable] = {}
    for document in documents:
        merged.update(document)
    nothing = comparable(None)
    return {key: value for key, value in merged.items() if value != nothing}
