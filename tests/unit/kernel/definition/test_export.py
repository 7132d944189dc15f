"""The types of a flow as JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen

from fairlead.kernel import Suspend
from fairlead.kernel.definition import Flow
from fairlead.kernel.definition.export import DIALECT
from fairlead.kernel.errors import FlowDefinitionError

NO_JSON = object()


@frozen
class Line:
    sku: str
    quantity: int = 1


@frozen
class Order:
    lines: list[Line]


@frozen
class Settings:
    dpi: int = 300


def test_the_schemas_of_a_flow() -> None:
    """The input, and every step's output and settings, each with all that it refers to; as JSON, always the same."""
    flow = Flow("fulfil", version=3, input=Order, input_name="order")

    @flow.map(over="order.lines")
    def reserve(item: Line, config: Settings) -> str:
        return item.sku

    @flow.step
    def ship(reserve: list[str]) -> Line | None: ...

    @flow.step
    def anything(ship: Any): ...  # type: ignore[no-untyped-def]

    line: Any = {
        "title": "Line",
        "type": "object",
        "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "default": 1}},
        "required": ["sku"],
    }
    order = {
        "title": "Order",
        "type": "object",
        "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}}},
        "required": ["lines"],
    }
    settings: Any = {
        "title": "Settings",
        "type": "object",
        "properties": {"dpi": {"type": "integer", "default": 300}},
        "required": [],
    }
    expected: Any = {
        "flow": "fulfil",
        "version": "3",
        "input": {"$schema": DIALECT, "$ref": "#/$defs/Order", "$defs": {"Order": order, "Line": line}},
        "steps": {
            "reserve": {
                "kind": "map",
                "output": {"$schema": DIALECT, "type": "string"},
                "config": {"$schema": DIALECT, "$ref": "#/$defs/Settings", "$defs": {"Settings": settings}},
            },
            "ship": {
                "kind": "step",
                "output": {
                    "$schema": DIALECT,
                    "anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}],
                    "$defs": {"Line": line},
                },
            },
            "anything": {"kind": "step", "output": {"$schema": DIALECT}},
        },
    }

    assert flow.json_schema() == expected
    assert json.dumps(flow.json_schema()) == json.dumps(flow.json_schema())


def test_the_schemas_of_what_waits() -> None:
    """What a signal must carry is its output, a sleep gives null, and what a step keeps meanwhile is its own affair."""
    flow = Flow("send", version=1, input=str)
    flow.signal("approval", bool)
    flow.sleep("nap", 1)

    @flow.step
    def compute(approval: bool) -> int | Suspend[Line]:
        return 1

    @flow.check(compute)
    def is_ready(state: Line, config: Settings) -> int:
        return state.quantity

    steps = flow.json_schema()["steps"]
    assert {slug: (step["kind"], step["output"]) for slug, step in steps.items()} == {
        "approval": ("signal", {"$schema": DIALECT, "type": "boolean"}),
        "nap": ("sleep", {"$schema": DIALECT, "type": "null"}),
        "compute": ("step", {"$schema": DIALECT, "type": "integer"}),
    }
    assert steps["compute"]["config"]["$ref"] == "#/$defs/Settings"


def test_a_type_that_json_schema_cannot_say() -> None:
    """The error names flow, step and place."""

    @frozen
    class Odd:
        value: Any = NO_JSON

    flow: Flow[Any] = Flow("fulfil", version=1)
    flow.step(lambda: 1, slug="first")

    def odd() -> Odd:
        return Odd()

    flow.step(odd)

    with pytest.raises(FlowDefinitionError, match=r"^flow 'fulfil', step 'odd': the output: Odd has no JSON Schema"):
        flow.json_schema()
