"""What a type knows of itself: its name, its elements and fields, and whether null is one of its values."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import pytest

from fairlead.kernel.errors import PayloadError
from fairlead.kernel.schema import ANY, Schema
from tests.support.typed import Card, Cash, Line, Options, Order, Page, Pair, Sku, Tree


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (list[Line], "list[Line]"),
        (Order | None, "Order | None"),
        (Literal["a", 1], "Literal['a', 1]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Annotated[list[Sku], "x"], "list[Sku]"),
        (Page[int], "Page[int]"),
        (Iterable[Line | None], "list[Line | None]"),
        (Iterable[int] | None, "list[int] | None"),
        (dict[str, Any], "dict[str, Any]"),
        (None, "None"),
    ],
)
def test_names(annotation: object, name: str) -> None:
    """Types are named as a reader would write them."""
    assert name == Schema.of(annotation).name


@pytest.mark.parametrize(
    ("annotation", "element"),
    [
        (list[Line], "Line"),
        (tuple[int, ...], "int"),
        (Sequence[str], "str"),
        (Iterable[Line], "Line"),
        (Iterator[Line], "Line"),
        (list[Line] | None, "Line"),
        (frozenset[int], "int"),
        (list, "Any"),
        (Any, "Any"),
        (tuple[int, str], "int | str"),
        (tuple[datetime.date, str], "Any"),
        (tuple[()], "Any"),
        (Pair, "int | str"),
        (list[int] | str, "int"),
        (str, None),
        (Order, None),
        (dict[str, int], None),
        (None, None),
    ],
)
def test_elements(annotation: object, element: str | None) -> None:
    """Arrays know their elements, everything else has none."""
    found = Schema.of(annotation).element()

    assert element == (found and found.name)


@pytest.mark.parametrize(
    ("annotation", "field", "expected"),
    [
        (Order, "lines", "list[Line]"),
        (Order, "note", "str | None"),
        (Order, "_length", None),
        (Order, "missing", None),
        (Order | None, "customer", "str"),
        (Page[int], "items", "list[int]"),
        (Page[int], "next", "Page[int] | None"),
        (Options, "size", "int"),
        (Card, "cardNumber", "str"),
        (Card, "card_number", None),
        (Card, "type", "Literal['card']"),
        (Card | Cash, "type", "Literal['card'] | Literal['cash']"),
        (Card | Cash, "amount", "Decimal"),
        (dict[str, int], "anything", "int"),
        (dict, "anything", "Any"),
        (Any, "anything", "Any"),
        (Line, "quantity", "int"),
        (Pair, "left", None),
        (list[Order], "lines", None),
        (Tree, "children", "list[Tree]"),
    ],
)
def test_fields(annotation: object, field: str, expected: str | None) -> None:
    """Objects know what lies at their keys, through None and unions too."""
    found = Schema.of(annotation).field(field)

    assert expected == (found and found.name)


def test_constraints_hold_where_a_type_was_taken_apart() -> None:
    """The type at a key or in an array keeps its constraints."""
    quantity = Schema.of(list[Line]).element()
    assert quantity is not None
    field = quantity.field("quantity")
    assert field is not None
    with pytest.raises(PayloadError, match=">= 1"):
        field.encode(0)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, False),
        (int | None, True),
        (None, True),
        (Any, True),
        (Literal["a", None], True),
        (Literal["a"], False),
        (Order, False),
        (Order | None, True),
        (list[int | None], False),
    ],
)
def test_admits_none(annotation: object, expected: bool) -> None:
    """A type says whether null is one of its values, and is right."""
    schema = Schema.of(annotation)

    assert expected is schema.admits_none
    if expected:
        assert schema.decode(schema.encode(None)) is None
    else:
        with pytest.raises(PayloadError):
            schema.encode(None)


def test_array_of() -> None:
    """A map's output is the array of its elements."""
    lines = Schema.array_of(Schema.of(Line | None))

    assert lines.name == "list[Line | None]"
    assert [Line(Sku("a")), None] == lines.decode(lines.encode([Line(Sku("a")), None]))
    assert Schema.array_of(ANY).element() is ANY


def test_a_schema_is_built_once() -> None:
    """Equal annotations share a schema; unhashable ones work all the same."""
    unhashable = Annotated[int, {"not": "hashable"}]

    assert Schema.of(list[Order]) is Schema.of(list[Order])
    assert Schema.of(unhashable).encode(1) == b"1"
