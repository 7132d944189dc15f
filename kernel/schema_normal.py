"""The normal form of a type: the JSON in which declared types enter a flow's fingerprint.

Rules
-----
- `"any"`, `"null"`, `"boolean"`, `"integer"`, `"number"`, `"string"` and the kinds of text `"datetime"`, `"date"`,
  `"time"`, `"duration"`, `"uuid"`, `"decimal"`, `"bytes"` stand for themselves.
- `{"array": items}`, `{"tuple": [items, ...]}` (fixed places), `{"map": values}` (an object with any keys),
  `{"literal": [values, ...]}` (also an Enum), `{"union": [forms, ...]}`.
- `{"object": {name: form, ...}, "optional": [names, ...]}` is a record; its class's name does not matter.
- `{"recursive": n}` is the record n levels of records further up (1 is the record it stands in).

Members of unions and literals are sorted, so their order does not matter. Constraints, defaults, titles and class
names are left out: they change what a value may be, not where its parts lie.
"""

from __future__ import annotations

from typing import Final

from msgspec import inspect as nodes

from . import codec
from .codec import JsonValue
from .schema_types import COLLECTIONS, alternatives, bare, choices, is_any, is_none, object_fields, tuple_items

_KINDS: Final[dict[type[nodes.Type], str]] = {
    nodes.BoolType: "boolean",
    nodes.IntType: "integer",
    nodes.FloatType: "number",
    nodes.StrType: "string",
    nodes.DateTimeType: "datetime",
    nodes.DateType: "date",
    nodes.TimeType: "time",
    nodes.TimeDeltaType: "duration",
    nodes.UUIDType: "uuid",
    nodes.DecimalType: "decimal",
    nodes.BytesType: "bytes",
    nodes.ByteArrayType: "bytes",
    nodes.MemoryViewType: "bytes",
}


def normal_form(node: nodes.Type, records: tuple[nodes.Type, ...] = ()) -> JsonValue:
    """Return the normal form of a node that stands inside `records`, outermost first."""
    members = alternatives(node)
    if len(members) == 1:
        return _form(members[0], records)
    if any(is_any(member) for member in members):
        return "any"
    forms = {codec.encode(form): form for form in (_form(member, records) for member in members)}
    union: list[JsonValue] = [forms[key] for key in sorted(forms)]
    return {"union": union} if len(union) > 1 else union[0]


def _form(node: nodes.Type, records: tuple[nodes.Type, ...]) -> JsonValue:
    node = bare(node)
    if is_any(node):
        return "any"
    if is_none(node):
        return "null"
    if type(node) in _KINDS:
        return _KINDS[type(node)]
    values = choices(node)
    if values is not None:
        return {"literal": sorted(values, key=codec.encode)}
    if isinstance(node, COLLECTIONS):
        return {"array": normal_form(node.item_type, records)}
    if isinstance(node, nodes.DictType):
        return {"map": normal_form(node.value_type, records)}
    return _record_form(node, records)


def _record_form(node: nodes.Type, records: tuple[nodes.Type, ...]) -> JsonValue:
    for level, record in enumerate(reversed(records), start=1):
        if record is node or _same_model(record, node):
            return {"recursive": level}
    inside = (*records, node)
    places = tuple_items(node)
    if places is not None:
        return {"tuple": [normal_form(place, inside) for place in places]}
    fields = sorted(object_fields(node) or (), key=lambda field: field.encode_name)
    form: dict[str, JsonValue] = {"object": {field.encode_name: normal_form(field.type, inside) for field in fields}}
    optional: list[JsonValue] = [field.encode_name for field in fields if not field.required]
    return {**form, "optional": optional} if optional else form


def _same_model(one: nodes.Type, other: nodes.Type) -> bool:
    return isinstance(one, nodes.CustomType) and isinstance(other, nodes.CustomType) and one.cls is other.cls
