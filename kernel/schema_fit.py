"""Whether what one type produces can fit another: the check of an edge between two steps.

Only what can never work is a misfit: another kind of JSON (object, array, string, number, boolean, null), a required
field that is missing, literals with nothing in common, text of two different formats. Where some values fit and others
do not, running decides. Classes never matter, nor that a value may be None: whether it may is a matter of the flow.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import inspect as nodes

from .amounts import counted
from .payload_faults import key_path
from .schema_problems import refusal
from .schema_types import (
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

Pairs: TypeAlias = frozenset[tuple[int, int]]
"""Pairs of nodes that are being compared further up: recursive types fit unless something else keeps them apart."""

_NUMBERS: Final = (nodes.IntType, nodes.FloatType)
_FORMATS: Final = (
    nodes.DateTimeType,
    nodes.DateType,
    nodes.TimeType,
    nodes.TimeDeltaType,
    nodes.UUIDType,
    nodes.DecimalType,
)
"""Types carried as text of which no value is text of another one of them."""


def misfit(wanted: nodes.Type, produced: nodes.Type) -> str | None:
    """Return why no value of `produced` can be of the type `wanted`, with the path; None if some can."""
    return _misfit(wanted, produced, "$", frozenset())


def _misfit(wanted: nodes.Type, produced: nodes.Type, path: str, above: Pairs) -> str | None:
    pair = (id(wanted), id(produced))
    targets, sources = alternatives(wanted), alternatives(produced)
    if pair in above or any(is_any(member) for member in (*targets, *sources)):
        return None
    some = [source for source in sources if not is_none(source)]
    reasons: list[str] = []
    for source in some or sources:
        for target in targets:
            reason = _pair_misfit(target, source, path, above | {pair})
            if reason is None:
                return None
            if not is_none(target):
                reasons.append(reason)
    return reasons[0] if len(reasons) == 1 else _not(wanted, produced, path)


def _pair_misfit(wanted: nodes.Type, produced: nodes.Type, path: str, above: Pairs) -> str | None:
    """Compare two types neither of which is a union or untyped."""
    values = choices(produced)
    if values is not None:
        fits = any(refusal(wanted, value) is None for value in values)
    else:
        fits = bool(_kinds_wanted(wanted) & _kinds_produced(produced)) and not _other_format(wanted, produced)
    if not fits:
        return _not(wanted, produced, path)
    if "object" in _kinds_produced(produced):
        return _object_misfit(wanted, produced, path, above)
    if "array" in _kinds_produced(produced):
        return _array_misfit(wanted, produced, path, above)
    return None


def _object_misfit(wanted: nodes.Type, produced: nodes.Type, path: str, above: Pairs) -> str | None:
    targets, sources = _fields(wanted), _fields(produced)
    for name in dict.fromkeys((*targets, *sources)):
        target = targets[name].type if name in targets else _values(wanted)
        source = sources[name].type if name in sources else _values(produced)
        # An optional field need not be there in a mapping.
        surely = name in sources or targets[name].required
        if target is not None and source is not None and surely:
            reason = _misfit(target, source, key_path(path, name), above)
            if reason is not None:
                return reason
    if isinstance(wanted, nodes.DictType) and isinstance(produced, nodes.DictType):
        return _misfit(wanted.value_type, produced.value_type, f"{path}.*", above)
    return _missing_or_forbidden(wanted, produced, path)


def _missing_or_forbidden(wanted: nodes.Type, produced: nodes.Type, path: str) -> str | None:
    targets, sources = _fields(wanted), _fields(produced)
    for name, field in targets.items():
        if field.required and name not in sources and not isinstance(produced, nodes.DictType):
            return f"{key_path(path, name)}: the required field is missing in {_name(produced)}"
    if isinstance(wanted, nodes.StructType) and wanted.forbid_unknown_fields:
        for name, field in sources.items():
            if field.required and name not in targets:
                return f"{key_path(path, name)}: {_name(wanted)} forbids the field"
    return None


def _array_misfit(wanted: nodes.Type, produced: nodes.Type, path: str, above: Pairs) -> str | None:
    targets, sources = tuple_items(wanted), tuple_items(produced)
    if isinstance(wanted, COLLECTIONS) and isinstance(produced, COLLECTIONS):
        return _misfit(wanted.item_type, produced.item_type, f"{path}[]", above)
    if isinstance(wanted, COLLECTIONS):
        targets = tuple(wanted.item_type for _ in sources or ())
    if isinstance(produced, COLLECTIONS):
        sources = tuple(produced.item_type for _ in targets or ())
    if isinstance(wanted, nodes.TupleType) and len(targets or ()) != len(sources or ()):
        wants = counted(len(targets or ()), "element")
        return f"{path}: {_name(wanted)} has {wants}, {_name(produced)} {len(sources or ())}"
    for index, (target, source) in enumerate(zip(targets or (), sources or (), strict=False)):
        reason = _misfit(target, source, f"{path}[{index}]", above)
        if reason is not None:
            return reason
    return None


def _kinds_produced(node: nodes.Type) -> frozenset[str]:
    """Return the kinds of JSON value that a type is written as."""
    if is_none(node):
        return frozenset({"null"})
    values = choices(node)
    if values is not None:
        return frozenset(_kind_of(value) for value in values)
    if isinstance(node, nodes.BoolType):
        return frozenset({"boolean"})
    if isinstance(node, _NUMBERS):
        return frozenset({"number"})
    if isinstance(node, nodes.DictType) or object_fields(node) is not None:
        return frozenset({"object"})
    if isinstance(node, COLLECTIONS) or tuple_items(node) is not None:
        return frozenset({"array"})
    return frozenset({"string"})


def _kinds_wanted(node: nodes.Type) -> frozenset[str]:
    """Return the kinds of JSON value that a type is read from: a Decimal is also read from a number."""
    kinds = _kinds_produced(node)
    return kinds | {"number"} if isinstance(node, nodes.DecimalType) else kinds


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _other_format(wanted: nodes.Type, produced: nodes.Type) -> bool:
    return isinstance(wanted, _FORMATS) and isinstance(produced, _FORMATS) and type(wanted) is not type(produced)


def _fields(node: nodes.Type) -> dict[str, nodes.Field]:
    return {field.encode_name: field for field in object_fields(node) or ()}


def _values(node: nodes.Type) -> nodes.Type | None:
    return node.value_type if isinstance(node, nodes.DictType) else None


def _not(wanted: nodes.Type, produced: nodes.Type, path: str) -> str:
    return f"{path}: {_name(wanted)} is wanted, {_name(produced)} is produced"


def _name(node: nodes.Type) -> str:
    return type_name(annotation_of(node))
