"""A type as JSON Schema, draft 2020-12, for people and tools; its text may change with the library that writes it.

Every schema stands alone: whatever it refers to lies in its own `$defs`. Pydantic writes the schema of a model with
definitions inside, to which references from elsewhere do not lead; here they are moved to the root, under other names
where a name is taken by something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

import msgspec

from .errors import UnsupportedType
from .pydantic_models import model_schema
from .schema_types import type_name

Part: TypeAlias = object
"""A part of a JSON Schema."""
Keywords: TypeAlias = dict[str, Part]
"""A JSON Schema, or the definitions in one."""

_DEFS: Final = "$defs"
_POINTER: Final = "#/$defs/"
_NAMED: Final = ("properties", "patternProperties", "dependentSchemas")
"""Keywords whose keys are names of the user, not keywords."""
_DATA: Final = ("default", "const", "enum", "examples")
"""Keywords that hold values, not schemas."""


def json_schema(annotation: object) -> dict[str, Any]:
    """Return the JSON Schema of a type.

    Raises:
        UnsupportedType: the type cannot be said in JSON Schema, for instance since a default is no JSON.
    """
    try:
        written = msgspec.json.schema(annotation, schema_hook=model_schema)
    except KeyError as error:
        name = type_name(error.args[0])
        raise UnsupportedType(f"{type_name(annotation)}: two classes in it are called {name}; rename one") from error
    except Exception as error:
        raise UnsupportedType(f"{type_name(annotation)} has no JSON Schema: {error}") from error
    return _Hoisting(written).result()


class _Hoisting:
    """Moves the definitions that lie inside a schema to its root."""

    def __init__(self, written: Keywords) -> None:
        self._root: Final = {key: value for key, value in written.items() if key != _DEFS}
        self._written: Final[Keywords] = cast(Keywords, written.get(_DEFS, {}))
        self._defs: Final[Keywords] = {}
        self._moved: Final[dict[bytes, Mapping[str, str]]] = {}
        """What the definitions of a group are called at the root, by the group as JSON."""

    def result(self) -> Keywords:
        # The root's own definitions keep their names, so all of these are taken before any is moved beside them.
        self._defs.update(self._written)
        own = {name: name for name in self._written}
        self._defs.update({name: self._read(each, own) for name, each in self._written.items()})
        root = cast(Keywords, self._read(self._root, own))
        return {**root, _DEFS: self._defs} if self._defs else root

    def _read(self, part: Part, names: Mapping[str, str]) -> Part:
        """Return a part of a schema, its references leading to the root."""
        if isinstance(part, list):
            return [self._read(each, names) for each in cast(list[Part], part)]
        if isinstance(part, str):
            target = names.get(part.removeprefix(_POINTER)) if part.startswith(_POINTER) else None
            return part if target is None else _POINTER + target
        if not isinstance(part, dict):
            return part
        schema = cast(Keywords, part)
        if _DEFS in schema:
            names = self._move(cast(Keywords, schema[_DEFS]))
        return {key: self._value(key, value, names) for key, value in schema.items() if key != _DEFS}

    def _value(self, keyword: str, value: Part, names: Mapping[str, str]) -> Part:
        if keyword in _DATA:
            return value
        if keyword in _NAMED:
            return {name: self._read(each, names) for name, each in cast(Keywords, value).items()}
        return self._read(value, names)

    def _move(self, group: Keywords) -> Mapping[str, str]:
        """Move a group of definitions that refer to each other, and return what each is called now."""
        key = msgspec.json.encode(group, order="sorted")
        if key not in self._moved:
            names = {name: self._free(name) for name in group}
            self._moved[key] = names
            self._defs.update({names[name]: self._read(each, names) for name, each in group.items()})
        return self._moved[key]

    def _free(self, name: str) -> str:
        number, free = 1, name
        while free in self._defs:
            number, free = number + 1, f"{name}_{number + 1}"
        self._defs[free] = {}
        return free
