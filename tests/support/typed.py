"""Types of every kind that JSON can carry."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from typing import Annotated, Generic, Literal, NamedTuple, NewType, NotRequired, Required, TypedDict, TypeVar

import attrs
import msgspec

T = TypeVar("T")
Sku = NewType("Sku", str)
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Status(enum.Enum):
    PAID = "paid"
    DECLINED = "declined"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Line:
    sku: Sku
    quantity: Positive = 1


@attrs.frozen
class Order:
    customer: str
    lines: list[Line]
    note: str | None = None
    risk: Literal["low", "high"] = "low"
    _length: int | None = attrs.field(default=None, init=False)


@dataclasses.dataclass
class Page(Generic[T]):
    items: list[T]
    next: Page[T] | None = None


class Options(TypedDict, total=False):
    name: Required[str]
    size: int


class Patch(TypedDict):
    name: NotRequired[str]


class Card(msgspec.Struct, tag="card", rename="camel"):
    card_number: str


class Cash(msgspec.Struct, tag="cash"):
    amount: decimal.Decimal


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    a: int = 0


class Pair(NamedTuple):
    left: int
    right: str = ""


class Coordinates(msgspec.Struct, array_like=True):
    x: float
    y: float


@attrs.frozen
class Tree:
    value: int
    children: list[Tree] = attrs.field(factory=list["Tree"])


@attrs.frozen
class Times:
    at: datetime.datetime
    on: datetime.date
    during: datetime.timedelta
    clock: datetime.time
    key: uuid.UUID
    price: decimal.Decimal
    raw: bytes
    status: Status
    level: Level
