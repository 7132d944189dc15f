"""JSON Schema: every document stands alone, whoever wrote the parts of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from attrs import frozen
from pydantic import BaseModel, Field, create_model

from fairlead.kernel.errors import UnsupportedType
from fairlead.kernel.schema import Schema

NO_JSON = object()


class Colour(BaseModel):
    name: str


class Shape(BaseModel):
    colour: Colour
    parts: list[Shape] = Field(default=[], examples=["#/$defs/Colour"])


@frozen
class Node:
    children: list[Node]
    shape: Shape | None = None


@frozen
class Holder:
    first: Shape
    again: list[Shape]
    other: Any


def parts(schema: object, depth: int = 0) -> Iterator[tuple[int, str, object]]:
    """Yield every key of every object in a schema, how deep it lies, and its value."""
    keys = cast(dict[str, object], schema) if isinstance(schema, dict) else {}
    elements = cast(list[object], schema) if isinstance(schema, list) else list(keys.values())
    yield from ((depth, key, value) for key, value in keys.items())
    for each in elements:
        yield from parts(each, depth + 1)


@pytest.mark.parametrize("annotation", [Shape, Node, Holder, list[Shape | None], dict[str, Shape], list[Node]])
def test_every_reference_leads_to_the_root(annotation: Any) -> None:
    """Also where a pydantic model with definitions of its own stands inside another type."""
    schema = Schema.of(annotation).json_schema
    names = {f"#/$defs/{name}" for name in schema["$defs"]}

    assert {value for _, key, value in parts(schema) if key == "$ref"} == names
    assert [depth for depth, key, _ in parts(schema) if key == "$defs"] == [0]


def test_definitions_of_one_model_stand_there_once() -> None:
    """However often the model is mentioned."""
    schema = Schema.of(Holder).json_schema

    assert list(schema["$defs"]) == ["Holder", "Colour", "Shape"]
    assert schema["$defs"]["Holder"]["properties"]["again"]["items"] == {"$ref": "#/$defs/Shape"}
    assert schema["$defs"]["Holder"]["properties"]["other"] == {}


def test_examples_are_no_references() -> None:
    """Values in a schema stay what they are."""
    written = Schema.of(Node).json_schema["$defs"]["Shape"]["properties"]["parts"]

    assert written["examples"] == ["#/$defs/Colour"]
    assert written["items"] == {"$ref": "#/$defs/Shape"}


def test_models_of_one_name() -> None:
    """Each keeps what it says; the second is called otherwise."""
    other_colour: Any = create_model("Colour", code=(int, ...))
    several: Any = list.__class_getitem__(other_colour)
    other: Any = create_model("Shape", colour=(other_colour, ...), more=(several, ...))
    both: Any = tuple.__class_getitem__((Shape, other))
    schema = Schema.of(both).json_schema
    definitions = schema["$defs"]
    second = schema["prefixItems"][1]

    assert schema["prefixItems"][0] == {"$ref": "#/$defs/Shape"}
    assert list(definitions["Colour"]["properties"]) == ["name"]
    assert list(definitions["Colour_2"]["properties"]) == ["code"]
    assert second["properties"]["colour"] == second["properties"]["more"]["items"] == {"$ref": "#/$defs/Colour_2"}


def test_what_json_schema_cannot_say() -> None:
    """A default that is no JSON, and classes that cannot be told apart, are typed errors that name the type."""

    def made() -> Any:
        @frozen
        class Line:
            value: int

        return Line

    @frozen
    class Odd:
        value: Any = NO_JSON

    with pytest.raises(UnsupportedType, match=r"Odd has no JSON Schema: Encoding objects of type object"):
        _ = Schema.of(Odd).json_schema
    with pytest.raises(UnsupportedType, match=r"two classes in it are called Line; rename one"):
        _ = Schema.of(tuple.__class_getitem__((made(), made()))).json_schema
