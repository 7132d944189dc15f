"""What one step produces and another wants: refused is only what can never work."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import attrs
import msgspec
import pytest

from fairlead.kernel.errors import PayloadError
from fairlead.kernel.schema import Schema


@attrs.frozen
class Line:
    sku: str
    quantity: int = 1


@dataclasses.dataclass
class OtherLine:
    sku: str
    quantity: float
    colour: str


@attrs.frozen
class Bare:
    quantity: int


class Wanted(TypedDict):
    sku: str
    note: NotRequired[int]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    sku: str


class Card(msgspec.Struct, tag="card"):
    number: str


class Cash(msgspec.Struct, tag="cash"):
    amount: int


class Cheque(msgspec.Struct, tag="cheque"):
    number: str


@attrs.frozen
class Payment:
    status: Literal["paid", "declined"]


@attrs.frozen
class Refund:
    status: Literal["refunded"]


class Status(enum.Enum):
    PAID = "paid"
    OPEN = "open"


class Pair(NamedTuple):
    left: int
    right: str


@attrs.frozen
class Tree:
    value: int
    children: list[Tree]


@attrs.frozen
class Bush:
    value: float
    children: list[Bush]


@attrs.frozen
class Thicket:
    value: str
    children: list[Thicket]


@attrs.frozen
class Nested:
    order: dict[str, list[Line]]


@attrs.frozen
class NestedBare:
    order: dict[str, list[Bare]]


@pytest.mark.parametrize(
    ("wanted", "produced"),
    [
        (int, int),
        (float, int),
        (int, float),
        (int, bool | int),
        (Any, Line),
        (Line, Any),
        (list[Line], list[Any]),
        (Line, OtherLine),
        (OtherLine, dict[str, Any]),
        (Line, dict[str, str]),
        (Wanted, Line),
        (Wanted, OtherLine),
        (dict[str, str | int], Line),
        (dict, Line),
        (Iterable[int], list[int]),
        (list[int], tuple[int, ...]),
        (tuple[int, str], Pair),
        (Pair, tuple[int, str]),
        (tuple[int, str], list[int | str]),
        (list[int | str], Pair),
        (set[int], list[int]),
        (list[int | None], list[int]),
        (list[int], list[int | None]),
        (int, int | None),
        (int | None, None),
        (None, None),
        (int | str, str | None),
        (Literal["a", "b"], Literal["b", "c"]),
        (Literal["a"], str),
        (str, Literal["a"]),
        (Status, Literal["paid"]),
        (Literal["paid"], Status),
        (Payment, dict[str, Status]),
        (datetime.datetime, str),
        (str, datetime.datetime),
        (datetime.date, Literal["2026-01-01", "never"]),
        (decimal.Decimal, float),
        (decimal.Decimal, str),
        (bytes, str),
        (Card | Cash, Cash),
        (Cash, Card | Cash),
        (Strict, Wanted),
        (Strict, Line),
        (Tree, Bush),
        (Tree, Tree),
        (Line | None, Line),
    ],
)
def test_what_can_fit_is_accepted(wanted: object, produced: object) -> None:
    """Another class, a wider type, fewer or more values: running decides."""
    assert Schema.of(wanted).misfit(Schema.of(produced)) is None


@pytest.mark.parametrize(
    ("wanted", "produced", "reason", "example"),
    [
        (int, str, "$: int is wanted, str is produced", "1"),
        (str, int, "$: str is wanted, int is produced", 1),
        (bool, int, "$: bool is wanted, int is produced", 1),
        (int, bool, "$: int is wanted, bool is produced", True),
        (Line, list[Line], "$: Line is wanted, list[Line] is produced", []),
        (list[Line], Line, "$: list[Line] is wanted, Line is produced", Line("a")),
        (Line, None, "$: Line is wanted, None is produced", None),
        (None, int, "$: None is wanted, int is produced", 1),
        (int, str | None, "$: int is wanted, str is produced", "1"),
        (int | None, str | None, "$: int is wanted, str is produced", "x"),
        (int | bool, str, "$: int | bool is wanted, str is produced", "x"),
        (Line, Bare, "$.sku: the required field is missing in Bare", Bare(1)),
        (OtherLine, Line, "$.colour: the required field is missing in Line", Line("a")),
        (Strict, OtherLine, "$.quantity: Strict forbids the field", OtherLine("a", 1, "b")),
        (Bare, dict[str, str], "$.quantity: int is wanted, str is produced", {"quantity": "1"}),
        (dict[str, int], Line, "$.sku: int is wanted, str is produced", Line("a")),
        (dict[str, int], dict[str, str], "$.*: int is wanted, str is produced", {"a": "b"}),
        (list[int], list[str], "$[]: int is wanted, str is produced", ["a"]),
        (list[int], Pair, "$[1]: int is wanted, str is produced", Pair(1, "a")),
        (tuple[int, int], list[str], "$[0]: int is wanted, str is produced", ["a", "b"]),
        (tuple[int, int], tuple[int], "$: tuple[int, int] has 2 elements, tuple[int] 1", (1,)),
        (Nested, NestedBare, "$.order.*[].sku: the required field is missing in Bare", NestedBare({"a": [Bare(1)]})),
        (Literal["a"], Literal["b"], "$: Literal['a'] is wanted, Literal['b'] is produced", "b"),
        (Literal[1], Literal[True], "$: Literal[1] is wanted, Literal[True] is produced", True),
        (Literal["a"], int, "$: Literal['a'] is wanted, int is produced", 1),
        (int, Literal["a"], "$: int is wanted, Literal['a'] is produced", "a"),
        (Payment, Refund, "$.status:", Refund("refunded")),
        (Literal["void"], Status, "$: Literal['void'] is wanted, Status is produced", Status.PAID),
        (datetime.date, Literal["never"], "$: date is wanted, Literal['never'] is produced", "never"),
        (datetime.date, datetime.datetime, "$: date is wanted, datetime is produced", datetime.datetime(2026, 1, 1)),
        (uuid.UUID, datetime.date, "$: UUID is wanted, date is produced", datetime.date(2026, 1, 1)),
        (float, decimal.Decimal, "$: float is wanted, Decimal is produced", decimal.Decimal(1)),
        (Card | Cash, Cheque, "$: Card | Cash is wanted, Cheque is produced", Cheque("1")),
        (Cash, Cheque, "$.type: Literal['cash'] is wanted, Literal['cheque'] is produced", Cheque("1")),
        (Tree, Thicket, "$.value: int is wanted, str is produced", Thicket("a", [])),
    ],
)
def test_what_can_never_fit_is_refused(wanted: object, produced: object, reason: str, example: object) -> None:
    """The reason names the place; and running such an edge fails indeed."""
    found = Schema.of(wanted).misfit(Schema.of(produced))

    assert found is not None
    assert found.startswith(reason)
    with pytest.raises(PayloadError):
        Schema.of(wanted).decode(Schema.of(produced).encode(example))


FORMATS: list[tuple[object, object]] = [
    (datetime.datetime, datetime.datetime(2026, 1, 1)),
    (datetime.date, datetime.date(2026, 1, 1)),
    (datetime.time, datetime.time(12)),
    (datetime.timedelta, datetime.timedelta(hours=1)),
    (uuid.UUID, uuid.UUID(int=1)),
    (decimal.Decimal, decimal.Decimal("1.5")),
]


@pytest.mark.parametrize(("produced", "value"), FORMATS)
@pytest.mark.parametrize(("wanted", "own"), FORMATS)
def test_texts_of_two_formats_never_fit(wanted: object, own: object, produced: object, value: object) -> None:
    """The judgement on formats is what reading says."""
    misfit = Schema.of(wanted).misfit(Schema.of(produced))
    stored = Schema.of(produced).encode(value)

    if wanted is produced:
        assert misfit is None
        assert own == Schema.of(wanted).decode(stored)
    else:
        assert misfit is not None
        with pytest.raises(PayloadError):
            Schema.of(wanted).decode(stored)
