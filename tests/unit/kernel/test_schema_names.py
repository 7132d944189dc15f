"""Classes written inside a function, whose annotations are text that only that function can resolve."""

from __future__ import annotations

import dataclasses
from typing import Generic, NotRequired, TypedDict, TypeVar

import attrs
import pytest

from fairlead.kernel.errors import UnsupportedType
from fairlead.kernel.schema import Schema

T = TypeVar("T")


@attrs.frozen
class Outer:
    text: str


def test_local_classes_are_completed_with_what_is_in_sight() -> None:
    """attrs classes, dataclasses, TypedDicts, generic and recursive ones find their neighbours."""

    @attrs.frozen
    class Line:
        sku: str
        outer: Outer

    @attrs.frozen
    class Order:
        lines: list[Line]
        parent: Order | None = None

    class Cart(TypedDict):
        orders: list[Order]
        note: NotRequired[Line]

    @dataclasses.dataclass
    class Page(Generic[T]):
        items: list[T]
        cart: Cart

    with pytest.raises(UnsupportedType, match="'Line' is not defined; an annotation must be known at run time"):
        Schema.of(Order)
    page = Page([1], {"orders": [Order([Line("a", Outer("b"))])]})
    schema = Schema.of(Page[int], names=locals())

    assert page == schema.decode(schema.encode(page))
    assert Schema.of(list[Order]).name == "list[Order]"


def test_names_that_nobody_knows_stay_an_error() -> None:
    """A name that is in sight nowhere is named in the error, and the class is left as it was."""

    @attrs.frozen
    class Order:
        lines: list[Missing]  # type: ignore[name-defined] # noqa: F821 # pyright: ignore

    with pytest.raises(UnsupportedType, match="'Missing' is not defined"):
        Schema.of(Order, names={"Other": int})
    assert Order.__annotations__ == {"lines": "list[Missing]"}


def test_classes_that_are_complete_are_left_alone() -> None:
    """Names in sight never override what a class's own module says."""

    assert Schema.of(Outer, names={"str": int}).normal == {"object": {"text": "string"}}
    assert Outer.__annotations__ == {"text": "str"}
