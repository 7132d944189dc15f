"""The normal form of types: the same in every process, whatever classes are called and in which order things stand."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import os
import subprocess
import sys
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import attrs
import msgspec
import pytest

from fairlead.kernel import codec
from fairlead.kernel.schema import Schema


@attrs.frozen
class Line:
    sku: str
    quantity: int = 1


@dataclasses.dataclass
class SameLine:
    quantity: int = dataclasses.field(default=7, kw_only=True)
    sku: str = dataclasses.field(kw_only=True)


class TypedLine(TypedDict):
    sku: str
    quantity: NotRequired[int]


class Coordinates(NamedTuple):
    x: float
    label: str | None


class Card(msgspec.Struct, tag="card"):
    number: str


class Cash(msgspec.Struct, tag="cash"):
    amount: int


class Status(enum.Enum):
    PAID = "paid"
    DECLINED = "declined"


@attrs.frozen
class Tree:
    children: list[Tree]
    parent: Tree | None
    line: Line


LINE = {"object": {"quantity": "integer", "sku": "string"}, "optional": ["quantity"]}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Any, "any"),
        (object, "any"),
        (None, "null"),
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (bytes, "bytes"),
        (datetime.datetime, "datetime"),
        (datetime.timedelta, "duration"),
        (Annotated[int, msgspec.Meta(ge=1, title="n")], "integer"),
        (list[int], {"array": "integer"}),
        (tuple[int, ...], {"array": "integer"}),
        (tuple[int, str], {"tuple": ["integer", "string"]}),
        (dict[str, int], {"map": "integer"}),
        (dict, {"map": "any"}),
        (Coordinates, {"tuple": ["number", {"union": ["null", "string"]}]}),
        (Literal["b", "a", 1], {"literal": ["a", "b", 1]}),
        (Status, {"literal": ["declined", "paid"]}),
        (Literal["a", None], {"union": ["null", {"literal": ["a"]}]}),
        (int | Any, "any"),
        (Line, LINE),
        (
            Card | Cash,
            {
                "union": [
                    {"object": {"amount": "integer", "type": {"literal": ["cash"]}}},
                    {"object": {"number": "string", "type": {"literal": ["card"]}}},
                ]
            },
        ),
        (
            Tree,
            {
                "object": {
                    "children": {"array": {"recursive": 1}},
                    "line": LINE,
                    "parent": {"union": ["null", {"recursive": 1}]},
                }
            },
        ),
    ],
)
def test_normal_forms(annotation: object, expected: object) -> None:
    """Names and kinds of everything in a type, and nothing else; recursive types end."""
    assert expected == Schema.of(annotation).normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Line, SameLine),
        (Line, TypedLine),
        (int | None, None | int),
        (Literal["a", "b"], Literal["b", "a"]),
        (Status, Literal["paid", "declined"]),
        (Card | Cash, Cash | Card),
        (list[Line], tuple[SameLine, ...]),
        (Annotated[int, msgspec.Meta(ge=1)], int),
    ],
)
def test_types_of_one_shape_are_one(one: object, other: object) -> None:
    """Classes, order, defaults and constraints leave no trace."""
    assert Schema.of(one).normal == Schema.of(other).normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (int, float),
        (str, datetime.date),
        (Line, Line | None),
        (Line, list[Line]),
        (Literal["a"], Literal["b"]),
        (Literal[1], Literal["1"]),
        (Literal[True], Literal[1]),
        (dict[str, int], dict[str, str]),
        (Line, attrs.make_class("Line", {"sku": attrs.field(type=str)})),
        (Line, attrs.make_class("Line", {"sku": attrs.field(type=str), "quantity": attrs.field(type=int)})),
    ],
)
def test_types_of_other_shapes_differ(one: object, other: object) -> None:
    """A change of a name, a kind, a literal or of what is required shows."""
    first, second = Schema.of(one).normal, Schema.of(other).normal

    assert codec.encode(first) != codec.encode(second)


PROGRAM = """
import attrs, enum, sys
from typing import Literal
from fairlead.kernel import codec
from fairlead.kernel.schema import Schema

class Status(enum.Enum):
    B = "b"
    A = "a"

@attrs.frozen
class Order:
    names: frozenset[str]
    risk: Literal["low", "high"] | int | None
    status: Status
    extra: dict[str, bool]

sys.stdout.buffer.write(codec.encode(Schema.of(Order).normal))
"""


def test_the_normal_form_is_stable_across_processes() -> None:
    """Another process with other hash seeds finds the same bytes, which are pinned here for all versions to come."""
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }

    assert found == {
        b'{"object":{"extra":{"map":"boolean"},"names":{"array":"string"},'
        b'"risk":{"union":["integer","null",{"literal":["high","low"]}]},"status":{"literal":["a","b"]}}}'
    }
