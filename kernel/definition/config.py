"""The settings of steps: which classes can hold them, and how those of one run are merged over the defaults."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from ..errors import PayloadError
from ..hints import nearest
from ..payload_faults import key_text
from ..schema import ANY, Schema
from ..schema_types import type_name
from ..shown import shown
from .handler import Unannotated
from .step import Step
from .unknown_fields import unknown_fields

Problem: typing.TypeAlias = tuple[str, str]
"""A path and what is wrong there, as `PayloadError` lists them."""

_FIELD_MARKS = ("__attrs_attrs__", "__dataclass_fields__", "__struct_fields__", "model_fields")


def config_problem(annotation: object) -> str | None:
    """Return what keeps an annotation from being a class of settings, as the end of a sentence, or None."""
    if annotation is Unannotated:
        return "must be annotated with the class of the step's settings"
    fields = any(hasattr(annotation, mark) for mark in _FIELD_MARKS) or typing.is_typeddict(annotation)
    if isinstance(annotation, type) and fields:
        return None
    wanted = "must be annotated with a class of named fields (attrs, dataclass, TypedDict, msgspec, pydantic)"
    return f"{wanted}, not {type_name(annotation)}"


def merge_config(flow: str, steps: Mapping[str, Step[typing.Any]], given: object) -> dict[str, bytes]:
    """Merge settings over the defaults of their classes, field by field.

    A given field replaces its default; what an object in it leaves out comes from that object's class. Every step
    with a `config` parameter is in the result, so that the run keeps the values it started with when defaults change.

    Args:
        flow: slug, for the message.
        steps: all steps of the flow.
        given: a mapping from step slugs to mappings of fields (or instances of the class), or None.

    Returns:
        Canonical JSON of the complete settings, by step.

    Raises:
        PayloadError: with every problem: unknown steps and fields, missing fields without a default, wrong values.
    """
    problems: list[Problem] = []
    merged: dict[str, bytes] = {}
    settings: object = given
    if not isinstance(given, Mapping | None):
        problems.append(("$", f"must map step slugs to their settings, not be {type(given).__name__}"))
    wanted = {slug if isinstance(slug, str) else shown(slug): each for slug, each in _items(settings)}
    schemas = {slug: step.config for slug, step in steps.items() if step.config is not None}
    others = [slug for slug in wanted if slug not in schemas]
    problems += [(f"${key_text(slug)}", _not_configurable(slug, steps, schemas)) for slug in others]
    for slug, schema in schemas.items():
        try:
            merged[slug] = _merged(schema, wanted.get(slug, {}))
        except PayloadError as error:
            problems += [(f"$.{slug}{path.removeprefix('$')}", problem) for path, problem in error.problems]
    if problems:
        raise PayloadError(tuple(problems), what=f"config of flow {flow!r}")
    return merged


def join_config(settings: Mapping[str, bytes]) -> bytes | None:
    """Return the settings of all steps as one JSON object, as a run stores them; None where no step takes any."""
    if not settings:
        return None
    return msgspec.json.encode({slug: msgspec.Raw(settings[slug]) for slug in sorted(settings)})


def split_config(stored: bytes | None) -> dict[str, bytes]:
    """Return the settings by step from what `join_config` made."""
    if stored is None:
        return {}
    parts = msgspec.json.decode(stored, type=dict[str, msgspec.Raw])
    return {slug: bytes(raw) for slug, raw in parts.items()}


def _merged(schema: Schema, given: object) -> bytes:
    if not isinstance(given, Mapping):
        return schema.encode(given)  # An instance of the class, which has its defaults already.
    unknown = tuple(unknown_fields(schema, cast(object, given)))
    try:
        merged = schema.encode(schema.decode(ANY.encode(cast(object, given))))
    except PayloadError as error:
        raise PayloadError(unknown + error.problems) from error
    if unknown:
        raise PayloadError(unknown)
    return merged


def _items(given: object) -> Iterator[tuple[object, object]]:
    if isinstance(given, Mapping):
        yield from cast(Mapping[object, object], given).items()


def _not_configurable(slug: str, steps: Mapping[str, Step[typing.Any]], schemas: Mapping[str, Schema]) -> str:
    if slug in steps:
        return "this step takes no settings (it has no parameter `config`)"
    if not schemas:
        return "no step of this flow takes settings"
    return f"there is no such step; {nearest(slug, schemas)}"
