"""Reading annotations: what JSON a type stands for, and which types JSON cannot carry.

msgspec describes a type as a tree of nodes (`msgspec.inspect`); everything here works on that tree, so that attrs
classes, dataclasses, TypedDicts and structs are one thing. A node of a class holds its fields, a recursive class
holds itself.
"""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import inspect
import types
import typing
import uuid
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, cast

import attrs
import msgspec
from msgspec import inspect as nodes

from .errors import UnsupportedType
from .payload_faults import key_path
from .pydantic_models import is_model, model_fields

Record: TypeAlias = nodes.StructType | nodes.DataclassType | nodes.TypedDictType
"""Nodes of classes that are carried as objects (a struct with `array_like=True` is an array)."""

RECORDS: Final = (nodes.StructType, nodes.DataclassType, nodes.TypedDictType)
COLLECTIONS: Final = (nodes.ListType, nodes.VarTupleType, nodes.SetType, nodes.FrozenSetType)

_STREAMS: Final[tuple[object, ...]] = (collections.abc.Iterable, collections.abc.Iterator)


def carried(annotation: object) -> object:
    """Return the annotation whose values are carried for a parameter's or result's annotation.

    `Iterable[X]` becomes `list[X]`; no annotation at all and `object` become `Any`.
    """
    if annotation is object or annotation is inspect.Parameter.empty:
        return Any
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if (origin or annotation) in _STREAMS:
        return list[arguments[0]] if arguments else list[Any]  # type: ignore[valid-type]
    if origin in (Union, types.UnionType):
        return union(carried(argument) for argument in arguments)
    if origin is Annotated:
        return Annotated[(carried(arguments[0]), *arguments[1:])]
    return annotation


def described(annotation: object) -> nodes.Type:
    """Return the node of an annotation.

    Raises:
        UnsupportedType: Some part of it is a type whose values JSON cannot carry.
    """
    name = type_name(annotation)
    try:
        node = bare(nodes.type_info(annotation))
    except Exception as error:
        raise UnsupportedType(f"{name}: {_explained(error)}") from error
    for path, problem in _unsupported(node, "$", set()):
        raise UnsupportedType(f"{name}: at {path}: {problem}")
    return node


def bare(node: nodes.Type) -> nodes.Type:
    """Return a node without the titles and descriptions that wrap it."""
    return bare(node.type) if isinstance(node, nodes.Metadata) else node


def alternatives(node: nodes.Type) -> list[nodes.Type]:
    """Return the members of a union, or the node alone; `None` in a Literal is a member of its own."""
    node = bare(node)
    if isinstance(node, nodes.UnionType):
        return [member for part in node.types for member in alternatives(part)]
    if isinstance(node, nodes.LiteralType) and None in node.values and len(node.values) > 1:
        rest = tuple(value for value in node.values if value is not None)
        return [nodes.LiteralType(rest), nodes.NoneType()]
    return [node]


def is_any(node: nodes.Type) -> bool:
    """Whether the node says nothing about its values, or only pydantic knows what it says."""
    if isinstance(node, nodes.CustomType):
        return model_fields(node.cls) is None
    return isinstance(node, nodes.AnyType)


def is_none(node: nodes.Type) -> bool:
    """Whether null is the only value."""
    return isinstance(node, nodes.NoneType) or (isinstance(node, nodes.LiteralType) and node.values == (None,))


def choices(node: nodes.Type) -> tuple[str | int, ...] | None:
    """Return the values of a Literal or Enum, None for every other node."""
    if isinstance(node, nodes.LiteralType):
        return cast(tuple[str | int, ...], node.values)
    if isinstance(node, nodes.EnumType):
        return tuple(cast("str | int", member.value) for member in node.cls)
    return None


def object_fields(node: nodes.Type) -> tuple[nodes.Field, ...] | None:
    """Return the fields of a record that is carried as an object, its tag included; None for every other node."""
    if isinstance(node, nodes.CustomType):
        return model_fields(node.cls)
    if not isinstance(node, RECORDS):
        return None
    if isinstance(node, nodes.StructType):
        if node.array_like:
            return None
        if node.tag_field is not None:
            tag = nodes.Field(node.tag_field, node.tag_field, nodes.LiteralType((node.tag,)))
            return (tag, *node.fields)
    if isinstance(node, nodes.DataclassType) and attrs.has(_class_of(node)):
        return tuple(field for field in node.fields if not field.name.startswith("_"))
    return node.fields


def tuple_items(node: nodes.Type) -> tuple[nodes.Type, ...] | None:
    """Return the nodes of a type carried as an array of fixed places, None for every other node."""
    if isinstance(node, nodes.TupleType):
        return node.item_types
    if isinstance(node, nodes.NamedTupleType):
        return tuple(field.type for field in node.fields)
    if isinstance(node, nodes.StructType) and node.array_like:
        places = tuple(field.type for field in node.fields)
        return (nodes.LiteralType((node.tag,)), *places) if node.tag is not None else places
    return None


def annotation_of(node: nodes.Type) -> object:
    """Return an annotation that is described by the node."""
    node = bare(node)
    if isinstance(node, nodes.UnionType):
        return union(annotation_of(member) for member in node.types)
    if isinstance(node, nodes.LiteralType):
        return Literal[node.values]
    if isinstance(node, nodes.TupleType):
        return tuple[tuple(annotation_of(item) for item in node.item_types)]  # type: ignore[misc]
    return _constrained(node, _plain_annotation(node))


_LEAVES: Final[dict[type[nodes.Type], object]] = {
    nodes.AnyType: Any,
    nodes.NoneType: None,
    nodes.BoolType: bool,
    nodes.IntType: int,
    nodes.FloatType: float,
    nodes.StrType: str,
    nodes.BytesType: bytes,
    nodes.ByteArrayType: bytearray,
    nodes.MemoryViewType: memoryview,
    nodes.DateTimeType: datetime.datetime,
    nodes.DateType: datetime.date,
    nodes.TimeType: datetime.time,
    nodes.TimeDeltaType: datetime.timedelta,
    nodes.UUIDType: uuid.UUID,
    nodes.DecimalType: decimal.Decimal,
}

SCALARS: Final[tuple[type[nodes.Type], ...]] = (*_LEAVES, nodes.LiteralType, nodes.EnumType)
"""Nodes of types that are carried as neither arrays nor objects, and of those that say nothing."""

_CONSTRAINTS: Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")

_ORDERED: Final = (
    nodes.AnyType,
    nodes.BoolType,
    nodes.IntType,
    nodes.FloatType,
    nodes.StrType,
    nodes.BytesType,
    nodes.DateTimeType,
    nodes.DateType,
    nodes.TimeType,
    nodes.TimeDeltaType,
    nodes.UUIDType,
    nodes.DecimalType,
)


def _plain_annotation(node: nodes.Type) -> Any:
    if isinstance(node, nodes.ListType):
        return list[annotation_of(node.item_type)]  # type: ignore[misc]
    if isinstance(node, nodes.VarTupleType):
        return tuple[annotation_of(node.item_type), ...]  # type: ignore[misc]
    if isinstance(node, nodes.SetType):
        return set[annotation_of(node.item_type)]  # type: ignore[misc]
    if isinstance(node, nodes.FrozenSetType):
        return frozenset[annotation_of(node.item_type)]  # type: ignore[misc]
    if isinstance(node, nodes.DictType):
        return dict[annotation_of(node.key_type), annotation_of(node.value_type)]  # type: ignore[misc]
    if type(node) in _LEAVES:
        return _LEAVES[type(node)]
    return getattr(node, "cls")  # noqa: B009 - every other node has a class


def _constrained(node: nodes.Type, annotation: Any) -> object:
    bounds = {name: getattr(node, name, None) for name in _CONSTRAINTS}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    return Annotated[annotation, msgspec.Meta(**bounds)] if bounds else annotation


def union(members: Iterable[object]) -> object:
    """Return the union of some types."""
    return Union[tuple(members)]  # noqa: UP007 - the operator takes types only, not every annotation


def _unsupported(node: nodes.Type, path: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Yield the places of a type whose values JSON cannot carry, and why."""
    node = bare(node)
    if id(node) in seen:
        return
    seen.add(id(node))
    problem = _problem(node)
    if problem is not None:
        yield path, problem
        return
    for suffix, part in _inner(node):
        yield from _unsupported(part, path + suffix, seen)


def _inner(node: nodes.Type) -> Iterator[tuple[str, nodes.Type]]:
    """Yield the nodes inside a node and how a path leads to them."""
    if isinstance(node, nodes.UnionType):
        yield from (("", member) for member in node.types)
    elif isinstance(node, COLLECTIONS):
        yield "[]", node.item_type
    elif isinstance(node, nodes.DictType):
        yield ".*", node.value_type
    elif isinstance(node, nodes.TupleType):
        yield from ((f"[{index}]", item) for index, item in enumerate(node.item_types))
    elif isinstance(node, (*RECORDS, nodes.NamedTupleType)):
        yield from ((key_path("", field.encode_name), field.type) for field in node.fields)


def _problem(node: nodes.Type) -> str | None:
    """Why JSON cannot carry a type, its parts aside."""
    if isinstance(node, nodes.CustomType) and node.cls is not object and not is_model(node.cls):
        return f"JSON cannot carry {type_name(node.cls)}; {_advice(node.cls)}"
    if isinstance(node, nodes.RawType | nodes.ExtType):
        return "JSON that was encoded already cannot be checked; annotate the type of its value"
    if isinstance(node, nodes.DictType) and not _is_text(node.key_type):
        return f"keys of JSON objects are strings, not {type_name(annotation_of(node.key_type))}; use dict[str, ...]"
    if isinstance(node, nodes.SetType | nodes.FrozenSetType) and not _is_ordered(node.item_type):
        return f"a set is stored sorted, and {type_name(annotation_of(node.item_type))} has no order; use a list"
    lost = _lost_fields(_class_of(node)) if isinstance(node, nodes.DataclassType) else ()
    if lost:
        return f"private fields are not stored ({', '.join(lost)}); rename them, or make them init=False"
    return None


def _lost_fields(cls: type) -> list[str]:
    """Return the private fields of an attrs class that its maker passes in: msgspec would lose their values."""
    fields = attrs.fields(cls) if attrs.has(cls) else ()
    return [field.name for field in fields if field.name.startswith("_") and field.init]


def _class_of(node: nodes.DataclassType) -> type:
    """Return a record's class without the arguments of a generic one."""
    return typing.get_origin(node.cls) or node.cls


def _is_text(node: nodes.Type) -> bool:
    node = bare(node)
    if isinstance(node, nodes.EnumType):
        return issubclass(node.cls, str)
    if isinstance(node, nodes.LiteralType):
        return all(isinstance(value, str) for value in node.values)
    return isinstance(node, nodes.StrType | nodes.AnyType)


def _is_ordered(node: nodes.Type) -> bool:
    node = bare(node)
    if isinstance(node, nodes.EnumType):
        return issubclass(node.cls, str | int)
    if isinstance(node, nodes.LiteralType):
        return len({type(value) for value in node.values}) == 1
    return isinstance(node, _ORDERED)


def _advice(cls: type) -> str:
    if issubclass(cls, collections.abc.Callable):  # type: ignore[arg-type]
        return "pass data, not code"
    if issubclass(cls, collections.abc.Iterable | collections.abc.AsyncIterable):
        return "use list, tuple, Sequence or dict"
    return "use an attrs class, a dataclass, a TypedDict or a msgspec.Struct, or Resource[...] for a service"


def _explained(error: Exception) -> str:
    """Say in our words why msgspec refuses a type."""
    text = str(error)
    if isinstance(error, NameError):
        return (
            f"{text}; an annotation must be known at run time: define it before it is used, "
            "and import it outside `if TYPE_CHECKING`"
        )
    if "custom type" in text:
        return "a pydantic model can only be in a union with None; put the alternatives into one model's field"
    if "more than one" in text:
        return (
            "JSON cannot tell the members of the union apart; use msgspec.Struct classes with tag=True, "
            f"or one class with a Literal field ({text})"
        )
    return text


def type_name(annotation: object) -> str:
    """Return a readable name of an annotation: `list[Line] | None`."""
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation is ...:
        return "..."
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return f"Literal[{', '.join(repr(value) for value in arguments)}]"
    if origin is Annotated:
        return type_name(arguments[0])
    if origin in (Union, types.UnionType):
        return " | ".join(type_name(argument) for argument in arguments)
    if origin is not None and arguments:
        return f"{type_name(origin)}[{', '.join(_argument_name(argument) for argument in arguments)}]"
    return str(getattr(annotation, "__name__", None) or annotation).replace("typing.", "")


def _argument_name(argument: object) -> str:
    if isinstance(argument, list):
        return f"[{', '.join(type_name(part) for part in cast(list[object], argument))}]"
    return type_name(argument)
