"""Patterns against types: what can never be contained is found before any run, and nothing else is refused."""

from __future__ import annotations

import datetime
import enum
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from attrs import field, frozen
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PlainSerializer, computed_field

from fairlead.kernel import codec
from fairlead.kernel.codec import JsonValue
from fairlead.kernel.containment import contains
from fairlead.kernel.definition import Flow
from fairlead.kernel.definition.matching import mismatch
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.schema import Schema


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@frozen
class Payment:
    status: Literal["paid", "declined"]
    cents: int = 0
    rate: float = 0.0
    due: datetime.date | None = None
    at: datetime.datetime | None = None
    pause: datetime.timedelta | None = None
    price: Decimal | None = None
    tags: list[str] = field(factory=list[str])
    notes: dict[str, int] = field(factory=dict[str, int])
    origin: tuple[int, str] = (0, "")
    before: Payment | None = None
    anything: Any = None
    colour: Colour = Colour.RED
    level: Level = Level.LOW


class Settings(TypedDict, total=False):
    dpi: int


class Card(msgspec.Struct, tag=True, rename="camel"):
    last_digits: str


class Cash(msgspec.Struct, tag=True):
    amount: int


class Plain(BaseModel):
    size: int
    wait: datetime.timedelta = datetime.timedelta(0)
    kind: Literal["a", "b"] = "a"


class Open(Plain, extra="allow"): ...


class Computed(Plain):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.size**2


class Serialised(BaseModel):
    size: Annotated[int, PlainSerializer(str)]


POSSIBLE: list[tuple[Any, JsonValue]] = [
    (Any, {"a": [1]}),
    (Payment, {}),
    (Payment, {"status": "paid"}),
    (Payment, {"cents": 1.0, "rate": 1}),
    (Payment, {"due": "2026-11-26", "at": "2026-11-26T20:00:00Z", "pause": "PT3600S", "price": "1.50"}),
    (Payment, {"due": None, "before": None}),
    (Payment, {"tags": []}),
    (Payment, {"tags": ["a", "b"], "origin": ["x", 1], "notes": {"any": 1}}),
    (Payment, {"before": {"before": {"status": "declined"}}}),
    (Payment, {"anything": {"x": [{"y": None}]}}),
    (Payment, {"colour": "red", "level": 1}),
    (Payment | None, None),
    (Payment | None, {"status": "paid"}),
    (list[Payment], [{"status": "paid"}, {}]),
    (set[int], [1]),
    (int | str, "x"),
    (Settings, {"dpi": 300}),
    (dict[Literal["a", "b"], int], {"a": 1}),
    (Card | Cash, {"type": "Cash", "amount": 1}),
    (Card | Cash, {"lastDigits": "1234"}),
    (Plain, {"size": 1, "kind": "b"}),
    (Plain, {"wait": "PT1H"}),
    (Plain, {"wait": 3600}),
    (Open, {"other": 1}),
    (Computed, {"area": 4}),
    (Serialised, {"size": "1"}),
]

DIGITS = '"12" is never found in int'

IMPOSSIBLE: list[tuple[Any, JsonValue, str]] = [
    (Payment, {"sttus": "paid"}, "$.sttus: Payment has no 'sttus'; did you mean 'status'?"),
    (Payment, {"status": "payed"}, "$.status: \"payed\" is never found in Literal['declined', 'paid']"),
    (Payment, {"status": {"code": 1}}, "$.status: {\"code\":1} is never found in Literal['declined', 'paid']"),
    (Payment, {"cents": "12"}, f"$.cents: {DIGITS}"),
    (Payment, {"cents": 1.5}, "$.cents: 1.5 is never found in int"),
    (Payment, {"cents": True}, "$.cents: true is never found in int"),
    (Payment, {"cents": None}, "$.cents: null is never found in int"),
    (Payment, {"due": "26.11.2026"}, '$.due: "26.11.2026" is never found in date'),
    (
        datetime.datetime,
        "2026-11-26T20:00:00+00:00",
        '$: "2026-11-26T20:00:00+00:00" is never found in datetime; its values are stored like "2026-11-26T20:00:00Z"',
    ),
    (datetime.timedelta, "PT1H", '$: "PT1H" is never found in timedelta; its values are stored like "PT3600S"'),
    (Decimal, 1, '$: 1 is never found in Decimal; its values are stored like "1"'),
    (Payment, {"tags": "a"}, '$.tags: "a" is never found in list[str]'),
    (Payment, {"tags": ["a", 12]}, "$.tags[]: 12 is never found in str"),
    (Payment, {"origin": [1.5]}, "$.origin: [1.5] is never found in tuple[int, str]"),
    (Payment, {"notes": {"x": "12"}}, f"$.notes.x: {DIGITS}"),
    (Payment, {"before": {"before": {"cents": "12"}}}, f"$.before.before.cents: {DIGITS}"),
    (Payment, {"colour": "blue"}, '$.colour: "blue" is never found in Colour'),
    (Payment, {"level": 2}, "$.level: 2 is never found in Level"),
    (Payment, "paid", '$: "paid" is never found in Payment'),
    (Payment, [], "$: [] is never found in Payment"),
    (list[Payment], {}, "$: {} is never found in list[Payment]"),
    (list[Payment], [{"status": 1}], "$[].status: 1 is never found in Literal['declined', 'paid']"),
    (int | str, 1.5, "$: 1.5 is never found in int | str"),
    (int | str, {}, "$: {} is never found in int | str"),
    (Settings, {"dip": 300}, "$.dip: Settings has no 'dip'; did you mean 'dpi'?"),
    (dict[Literal["a", "b"], int], {"c": 1}, "$.c: dict[Literal['a', 'b'], int] never has this key"),
    (
        Card | Cash,
        {"type": "Cash", "lastDigits": "1"},
        '$: {"lastDigits":"1","type":"Cash"} is never found in Card | Cash',
    ),
    (Plain, {"colour": 1}, "$.colour: Plain has no 'colour'; known: 'size', 'wait', 'kind'"),
    (Plain, {"size": "12"}, f"$.size: {DIGITS}"),
    (Plain, {"kind": "c"}, "$.kind: \"c\" is never found in Literal['a', 'b']"),
    (Annotated[int, msgspec.Meta(ge=0)], -1, "$: -1 is never found in int"),
    (None, "a" * 100, f'$: "{"a" * 79}… is never found in None'),
]


@pytest.mark.parametrize(("annotation", "pattern"), POSSIBLE, ids=str)
def test_what_some_value_contains(annotation: Any, pattern: JsonValue) -> None:
    """Is not refused, at any depth, in unions, mappings, and where nothing is known."""
    assert mismatch(Schema.of(annotation).node, pattern) is None


@pytest.mark.parametrize(("annotation", "pattern", "message"), IMPOSSIBLE, ids=str)
def test_what_no_value_contains(annotation: Any, pattern: JsonValue, message: str) -> None:
    """The message has the path, what is not found there, and how values are stored where that is the reason."""
    assert mismatch(Schema.of(annotation).node, pattern) == message


VALUES = st.builds(
    Payment,
    status=st.sampled_from(["paid", "declined"]),
    cents=st.integers(-(2**53), 2**53),
    rate=st.floats(allow_nan=False, allow_infinity=False),
    due=st.none() | st.dates(),
    at=st.none() | st.datetimes(timezones=st.just(datetime.UTC)),
    pause=st.none() | st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=1000)),
    price=st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=2),
    tags=st.lists(st.text(st.characters(codec="ascii", min_codepoint=32)), max_size=3),
    notes=st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=2),
    origin=st.tuples(st.integers(0, 9), st.just("x")),
    anything=st.none() | st.integers() | st.just({"a": [1]}),
)


def reduced(value: JsonValue, keep: Any) -> JsonValue:
    """Return a pattern that the value contains."""
    if isinstance(value, dict):
        return {key: reduced(each, keep) for key, each in value.items() if keep()}
    if isinstance(value, list):
        return [reduced(each, keep) for each in value if keep()]
    return value


@settings(deadline=None)
@given(value=VALUES, data=st.data())
def test_what_a_real_value_contains_is_never_refused(value: Payment, data: st.DataObject) -> None:
    """Whatever part of a stored value is asked for, the type admits it."""
    schema = Schema.of(Payment)
    stored = codec.decode(schema.encode(value))
    pattern = reduced(stored, lambda: data.draw(st.booleans()))
    assume(contains(stored, pattern))

    assert mismatch(schema.node, pattern) is None


# In flows


def charge() -> Payment:
    return Payment("paid")


def pages(item: str) -> Payment:
    return Payment("paid")


def nothing() -> None: ...


def new_flow(**arguments: Any) -> Any:
    flow: Any = Flow("fulfil", version=1, input_name="order", **arguments)
    flow.step(charge)
    flow.map(pages, over="order.tags")
    return flow


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"when": {"charge": {"status": "payed"}}},
        "when: the pattern for 'charge' can never be met, at $.status: \"payed\" is never found in "
        "Literal['declined', 'paid']",
    ),
    (
        {"unless": {"order": {"centz": 1}}},
        "unless: the pattern for 'order' can never be met, at $.centz: Payment has no 'centz'; did you mean 'cents'?",
    ),
    (
        {"when": {"pages": {"status": "paid"}}},
        'when: the pattern for \'pages\' can never be met, at $: {"status":"paid"} is never found in list[Payment]; '
        '\'pages\' is a map: write [{"status":"paid"}] for what some of its outputs must contain',
    ),
    (
        {"when": {"pages": [{"status": "payed"}]}},
        "when: the pattern for 'pages' can never be met, at $[].status: \"payed\" is never found in "
        "Literal['declined', 'paid']",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_condition_that_can_never_be_met(arguments: dict[str, Any], message: str) -> None:
    """It is refused where it is written, for steps, maps and branches alike."""
    flow = new_flow(input=Payment)

    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(nothing, **arguments)
    assert str(raised.value) == f"flow 'fulfil', step 'nothing': {message}"

    with pytest.raises(FlowDefinitionError) as raised:
        flow.map(nothing, over="order.tags", **arguments)
    assert str(raised.value) == f"flow 'fulfil', step 'nothing': {message}"

    with pytest.raises(FlowDefinitionError) as raised:
        flow.branch(**arguments)
    assert str(raised.value) == f"flow 'fulfil': {message}"


def test_an_input_that_is_known_later() -> None:
    """What could not be checked when it was written is checked when the flow is sealed."""

    def bill(order: Payment) -> None: ...

    for place in ("own", "branch"):
        flow = new_flow()
        condition = {"when": {"order": {"cents": "12"}}}
        if place == "own":
            flow.step(nothing, **condition)
        else:
            flow.branch(**condition).step(nothing)
        flow.step(bill)
        whose = " of its branch" if place == "branch" else ""
        with pytest.raises(FlowDefinitionError) as raised:
            flow.seal()

        assert str(raised.value) == (
            f"flow 'fulfil', step 'nothing': when{whose}: the pattern for 'order' can never be met, "
            f"at $.cents: {DIGITS}"
        )
