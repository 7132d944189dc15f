"""Everything that keeps a JSON value from being of a type, with paths.

msgspec stops at the first problem; here the value is taken apart along its type, so that a caller who sent five wrong
fields learns of five. Only for values that were refused already.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, cast

import msgspec
from msgspec import inspect as nodes

from .codec import JsonValue
from .payload_faults import FAULTS_MAX, Faults, key_path
from .pydantic_models import read_model
from .schema_types import COLLECTIONS, alternatives, annotation_of, object_fields, tuple_items

PROBLEM_LENGTH_MAX: Final = 500
"""Longest text of one problem, in characters; validators of users may quote whole values."""


def problems(node: nodes.Type, value: JsonValue) -> Faults:
    """Return (path, what is wrong) for every part of `value` that does not fit; empty if all of it does."""
    return tuple(islice(_problems(node, value, "$"), FAULTS_MAX))


def refusal(node: nodes.Type, value: JsonValue) -> str | None:
    """Return the first reason why a value is not of a type, None if it is."""
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=annotation_of(node), dec_hook=read_model)
    except msgspec.ValidationError as error:
        return str(error)[:PROBLEM_LENGTH_MAX]
    except Exception as error:
        # Validators and __post_init__ of users may raise anything.
        return f"{type(error).__name__}: {error}"[:PROBLEM_LENGTH_MAX]
    return None


def _problems(node: nodes.Type, value: JsonValue, path: str) -> Iterator[tuple[str, str]]:
    whole = refusal(node, value)
    if whole is None:
        return
    found = False
    for problem in _inner_problems(node, value, path):
        found = True
        yield problem
    if not found:
        yield path, whole


def _inner_problems(node: nodes.Type, value: JsonValue, path: str) -> Iterator[tuple[str, str]]:
    """Yield the problems of the parts of an array or object, as far as the type says what they must be."""
    if isinstance(value, list):
        for index, (place, element) in enumerate(zip(_places(node, len(value)), value, strict=False)):
            yield from _problems(place, element, f"{path}[{index}]")
    for member in alternatives(node):
        if isinstance(member, nodes.CustomType):
            yield from _model_problems(member.cls, value, path)
            return
    if isinstance(value, dict):
        record = _record(node, value)
        if record is not None:
            yield from _field_problems(record, value, path)
        for member in alternatives(node):
            if isinstance(member, nodes.DictType):
                for key, element in value.items():
                    yield from _problems(member.value_type, element, key_path(path, key))


def _field_problems(record: nodes.Type, value: dict[str, JsonValue], path: str) -> Iterator[tuple[str, str]]:
    fields = {field.encode_name: field for field in object_fields(record) or ()}
    for name, field in fields.items():
        if name in value:
            yield from _problems(field.type, value[name], key_path(path, name))
        elif field.required:
            yield key_path(path, name), "the required field is missing"
    if isinstance(record, nodes.StructType) and record.forbid_unknown_fields:
        for name in value.keys() - fields.keys():
            yield key_path(path, name), "there is no such field"


def _places(node: nodes.Type, length: int) -> Iterator[nodes.Type]:
    """Yield the type of each place of an array of that length; nothing where its length is what is wrong."""
    for member in alternatives(node):
        places = tuple_items(member)
        if places is not None:
            yield from places[:length]
        elif isinstance(member, COLLECTIONS):
            yield from (member.item_type for _ in range(length))


def _record(node: nodes.Type, value: dict[str, JsonValue]) -> nodes.Type | None:
    """Return the record that a value means to be: the only one of its type, or the one with its tag."""
    records = [member for member in alternatives(node) if object_fields(member) is not None]
    if len(records) == 1:
        return records[0]
    for record in records:
        if isinstance(record, nodes.StructType) and value.get(record.tag_field or "") == record.tag:
            return record
    return None


def _model_problems(cls: type, value: JsonValue, path: str) -> Iterator[tuple[str, str]]:
    """Yield what pydantic has to say about a value that is no instance of a model."""
    try:
        read_model(cls, value)
    except ValueError as error:
        errors = getattr(error, "errors", None)
        for detail in cast(list[dict[str, Any]], errors()) if callable(errors) else ():
            place = path
            for part in detail["loc"]:
                place = f"{place}[{part}]" if isinstance(part, int) else key_path(place, part)
            yield place, str(detail["msg"])
