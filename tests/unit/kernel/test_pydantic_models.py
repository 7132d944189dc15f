"""Pydantic models as payloads; they work wherever pydantic is installed, and nothing imports it."""

# Pydantic is no dependency, so checkers know nothing of it here.
# mypy: disable-error-code="misc"
# pyright: basic, reportGeneralTypeIssues=false

from __future__ import annotations

import subprocess
import sys
from typing import Any

import attrs
import pytest

from fairlead.kernel import codec
from fairlead.kernel.errors import PayloadError, UnsupportedType
from fairlead.kernel.schema import Schema

pydantic: Any = pytest.importorskip("pydantic")

BaseModel: Any = pydantic.BaseModel


class Line(BaseModel):
    sku: str
    quantity: int = pydantic.Field(default=1, gt=0)


class Order(BaseModel):
    lines: list[Line]
    total: float | None = pydantic.Field(default=None, alias="totalPrice")
    parent: Order | None = None


class Numbers(pydantic.RootModel[list[int]]):
    pass


@attrs.frozen
class Parcel:
    order: Order
    weight: float


@attrs.frozen
class PlainLine:
    sku: str
    colour: str


def test_models_survive() -> None:
    """A model alone, in an attrs class, in a list and optional reads back equal, by alias."""
    order = Order(lines=[Line(sku="a")], totalPrice=1.5)
    for annotation, value in [
        (Order, order),
        (Parcel, Parcel(order, 2.0)),
        (list[Order], [order]),
        (Order | None, None),
        (Numbers, Numbers([1, 2])),
    ]:
        schema = Schema.of(annotation)

        assert value == schema.decode(schema.encode(value))
    assert Schema.of(Line).encode({"sku": "a"}) == b'{"quantity":1,"sku":"a"}'
    assert b'"totalPrice":1.5' in codec.encode(order)


def test_all_problems_of_a_model_are_reported() -> None:
    """Pydantic's own report, with our paths."""
    with pytest.raises(PayloadError) as refused:
        Schema.of(list[Parcel]).encode(
            [{"order": {"lines": [{"sku": 1, "quantity": 0}], "totalPrice": "much"}, "weight": "x"}]
        )

    assert {path for path, _ in refused.value.problems} == {
        "$[0].order.lines[0].sku",
        "$[0].order.lines[0].quantity",
        "$[0].order.totalPrice",
        "$[0].weight",
    }


def test_models_are_screened() -> None:
    """NaN in a model is refused as anywhere else."""
    with pytest.raises(PayloadError, match=r"\$\.order\.totalPrice: NaN"):
        Schema.of(Parcel).encode(Parcel(Order(lines=[], totalPrice=float("nan")), 1.0))


def test_models_are_seen_into() -> None:
    """Fields, normal forms, edges and JSON Schema work as for other records."""
    order = Schema.of(Order)
    line = {"object": {"quantity": "integer", "sku": "string"}, "optional": ["quantity"]}
    lines = order.field("lines")

    assert lines is not None
    assert lines.name == "list[Line]"
    assert order.normal == {
        "object": {
            "lines": {"array": line},
            "parent": {"union": ["null", {"recursive": 1}]},
            "totalPrice": {"union": ["null", "number"]},
        },
        "optional": ["parent", "totalPrice"],
    }
    assert Schema.of(PlainLine).misfit(Schema.of(Line)) == "$.colour: the required field is missing in Line"
    assert Schema.of(Order).misfit(Schema.of(Order)) is None
    assert Schema.of(Numbers).normal == "any"
    assert "lines" in str(order.json_schema)


def test_nothing_imports_pydantic() -> None:
    """The kernel's payloads work without pydantic and never load it."""
    program = "import sys, fairlead.kernel.schema; assert 'pydantic' not in sys.modules"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("annotation", [Line | Order, list[Line | PlainLine], Line | int], ids=str)
def test_models_in_unions(annotation: object) -> None:
    """Only None may stand beside a model; the way out is a model with the union in a field."""
    with pytest.raises(UnsupportedType, match="a pydantic model can only be in a union with None; put"):
        Schema.of(annotation)

    assert Schema.of(Line | None).admits_none
