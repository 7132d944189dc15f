"""Typed JSON: what an annotation says about the payloads of a step, an input or an element.

A `Schema` validates and converts between typed values and canonical bytes, and tells the definition of a flow what
lies at a key or in an array. It knows nothing of flows. How annotations are read is in `schema_types`, the form that
enters fingerprints in `schema_normal`, the one for people and tools in `schema_export`, the comparison of two types in
`schema_fit`, the report on a value that does not fit in `schema_problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, Final, NoReturn

import attrs
import msgspec
from msgspec import inspect as nodes

from . import codec
from .codec import PAYLOAD_SIZE_BYTES_MAX, JsonValue
from .errors import PayloadError, UnsupportedType
from .pydantic_models import read_model
from .schema_export import json_schema
from .schema_fit import misfit
from .schema_names import complete
from .schema_normal import normal_form
from .schema_problems import problems
from .schema_types import (
    COLLECTIONS,
    alternatives,
    annotation_of,
    carried,
    described,
    is_any,
    is_none,
    object_fields,
    tuple_items,
    type_name,
    union,
)

SCHEMAS_CACHED_MAX: Final = 4096
"""Schemas kept for reuse. A large app has some hundreds; classes made in a loop must not be kept for ever."""


@attrs.frozen(eq=False)
class Schema:
    """The type of a payload. Made by `Schema.of`, once per annotation."""

    annotation: object
    """The type whose values are carried: `Any` where nothing was annotated, a list for an `Iterable`."""

    name: str
    """The type as a reader would write it: `list[Line]`."""

    node: nodes.Type = attrs.field(repr=False)
    """The type as msgspec describes it."""

    _decoder: msgspec.json.Decoder[Any] = attrs.field(repr=False, alias="decoder")

    @classmethod
    def of(cls, annotation: object, names: Mapping[str, object] | None = None) -> Schema:
        """Return the schema of an annotation.

        Args:
            annotation: A type, resolved (no text). `inspect.Parameter.empty`, `Any` and `object` mean untyped JSON.
            names: What is in sight where the annotation was written. Needed only for classes that were written
                inside a function under postponed annotations and name a neighbour there; see `schema_names`.

        Raises:
            UnsupportedType: JSON cannot carry values of some part of the type, which the message names.
        """
        if names:
            try:
                return cls.of(annotation)
            except UnsupportedType:
                complete(annotation, names)
        annotation = carried(annotation)
        try:
            hash(annotation)
        except TypeError:
            return _made(annotation, type_name(annotation))
        return _cached(annotation, type_name(annotation))

    @classmethod
    def array_of(cls, element: Schema, *, gaps: bool = False) -> Schema:
        """Return the schema of a list of such elements.

        Args:
            element: the type of each.
            gaps: whether null may stand in the place of some.
        """
        annotation: Any = element.annotation if element.admits_none or not gaps else union((element.annotation, None))
        return cls.of(list[annotation])

    def encode(self, value: object, *, size_bytes_max: int = PAYLOAD_SIZE_BYTES_MAX, what: str = "value") -> bytes:
        """Return the canonical bytes of a value after checking that it fits.

        The value may be of another class, or a dict, as long as its JSON fits: what is stored is what the declared
        type makes of it, with defaults filled in and unknown fields left out.

        Raises:
            PayloadError: The value is not JSON, does not fit, or is too large; all problems are listed.
        """
        raw = codec.encode_raw(value, what=what)
        codec.screen(raw, value, size_bytes_max=size_bytes_max, what=what)
        try:
            typed = self._decoder.decode(raw)
        except Exception as error:
            self._refuse(raw, error, size_bytes_max, what)
        data = codec.encode_raw(typed, what=what)
        if data != raw:
            # Defaults and validators of the type's classes have had their say; what they make must be JSON too.
            codec.screen(data, typed, size_bytes_max=size_bytes_max, what=what)
        return data

    def decode(self, data: bytes, *, size_bytes_max: int = PAYLOAD_SIZE_BYTES_MAX, what: str = "value") -> Any:
        """Return the typed value of JSON text.

        Raises:
            PayloadError: The text is not JSON, or its value does not fit; all problems are listed.
        """
        codec.require_size(data, size_bytes_max, what)
        try:
            value = self._decoder.decode(data)
        except Exception as error:
            self._refuse(data, error, size_bytes_max, what)
        codec.screen_text(data, value, what=what)
        return value

    def _refuse(self, data: bytes, error: Exception, size_bytes_max: int, what: str) -> NoReturn:
        """Raise a PayloadError with everything that keeps text from being of this type."""
        if isinstance(error, MemoryError):
            raise error
        value = codec.decode(data, size_bytes_max=size_bytes_max, what=what)
        found = problems(self.node, value) or (("$", f"does not fit {self.name}: {error}"),)
        raise PayloadError(found, what=what) from error

    @cached_property
    def normal(self) -> JsonValue:
        """The type's field names and kinds in a form that depends on no class name, library or order."""
        return normal_form(self.node)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """The type as JSON Schema; see `schema_export`.

        Raises:
            UnsupportedType: it cannot be said so.
        """
        return json_schema(self.annotation)

    @property
    def admits_none(self) -> bool:
        """Whether null is a value of the type."""
        return any(is_any(member) or is_none(member) for member in alternatives(self.node))

    def element(self) -> Schema | None:
        """Return the type of the elements, None if values are never arrays. Untyped JSON has untyped elements."""
        found: list[nodes.Type] = []
        for member in alternatives(self.node):
            if is_any(member):
                return ANY
            if isinstance(member, COLLECTIONS):
                found.append(member.item_type)
            places = tuple_items(member)
            if places is not None:
                found.extend(places or (nodes.AnyType(),))
        return _either(found)

    def field(self, name: str) -> Schema | None:
        """Return the type at an object's key, None if values never have it. Untyped JSON is untyped at every key."""
        found: list[nodes.Type] = []
        for member in alternatives(self.node):
            if is_any(member):
                return ANY
            if isinstance(member, nodes.DictType):
                found.append(member.value_type)
            for place in object_fields(member) or ():
                if place.encode_name == name:
                    found.append(place.type)
        return _either(found)

    def misfit(self, produced: Schema) -> str | None:
        """Return why no value of `produced` can fit this type, None if some can.

        Judged are kinds, required fields and literals, never classes. That a value may be None is not judged here,
        unless it can be nothing else.
        """
        return misfit(self.node, produced.node)


def _either(found: list[nodes.Type]) -> Schema | None:
    """Return the schema of a value that is described by one of the nodes; untyped where no type can say that."""
    if not found:
        return None
    try:
        return Schema.of(union(annotation_of(node) for node in found))
    except UnsupportedType:
        return ANY


def _made(annotation: object, name: str) -> Schema:
    node = described(annotation)
    try:
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotation, dec_hook=read_model)
    except Exception as error:
        raise UnsupportedType(f"{name}: {error}") from error
    return Schema(annotation=annotation, name=name, node=node, decoder=decoder)


# The name is part of the key because `int | str` equals `str | int`, and errors should not depend on who came first.
_cached = lru_cache(maxsize=SCHEMAS_CACHED_MAX)(_made)

ANY: Final = Schema.of(Any)
"""Untyped JSON."""
