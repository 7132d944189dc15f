"""Pydantic models as payloads, without importing pydantic: a model brings along all that is needed.

Models are validated by pydantic's own rules, which may convert more than ours do, and dumped as JSON by alias. They may
stand anywhere in a type. Of a `RootModel` nothing is known at definition time but that it is JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol, TypeGuard, cast

import msgspec
from msgspec import inspect as nodes

MODELS_CACHED_MAX: Final = 1024
"""Models whose fields are kept; more than the largest apps have."""


class Model(Protocol):
    """What is used of a pydantic model."""

    __pydantic_root_model__: bool
    model_fields: Mapping[str, Any]

    def model_dump(self, *, mode: str, by_alias: bool) -> object: ...

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> object: ...

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]: ...


def is_model(cls: type) -> TypeGuard[type[Model]]:
    """Whether a class is a pydantic model."""
    return hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_validate_json")


def dumped(value: object) -> object:
    """Return the JSON value of a model's instance; raises what pydantic raises."""
    return cast(Model, value).model_dump(mode="json", by_alias=True)


def read_model(cls: type, value: object) -> object:
    """Decode hook: return the instance of a model for a JSON value; other classes take the value as it is."""
    return cls.model_validate_json(msgspec.json.encode(value)) if is_model(cls) else value


def model_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema of a model; everything else msgspec asks for is untyped (it takes `{}` for none)."""
    return cls.model_json_schema() if is_model(cls) else {"description": "any JSON value"}


def is_written_plainly(cls: type) -> bool:
    """Whether the JSON of a model holds its fields, each with the values of its type, and nothing else.

    Not so with extra or computed fields, and where serializers write something else than what a field is annotated as.
    """
    model: Any = cls
    decorators = model.__pydantic_decorators__
    if decorators.computed_fields or decorators.field_serializers or decorators.model_serializers:
        return False
    if model.model_config.get("extra") == "allow" or model.model_config.get("json_encoders"):
        return False
    marks = (mark for field in model.model_fields.values() for mark in field.metadata)
    return not any(type(mark).__name__.endswith("Serializer") for mark in marks)


@lru_cache(maxsize=MODELS_CACHED_MAX)
def model_fields(cls: type) -> tuple[nodes.Field, ...] | None:
    """Return the fields of a model as msgspec would describe them, None for every other class."""
    if not is_model(cls) or cls.__pydantic_root_model__:
        return None
    return tuple(
        nodes.Field(
            name=name,
            encode_name=field.serialization_alias or field.alias or name,
            type=_node(field.annotation),
            required=field.is_required(),
        )
        for name, field in cls.model_fields.items()
    )


def _node(annotation: object) -> nodes.Type:
    """Describe a field's type; what pydantic knows and msgspec does not is untyped here."""
    try:
        return nodes.type_info(annotation)
    except Exception:
        return nodes.AnyType()
