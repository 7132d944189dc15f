"""Typed JSON: what fits a type survives the round trip, what does not is refused with all its problems."""

from __future__ import annotations

import datetime
import decimal
import enum
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import (
    Any,
    Literal,
)

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel import codec
from fairlead.kernel.errors import PayloadError, UnsupportedType
from fairlead.kernel.schema import ANY, Schema
from tests.support.typed import (
    Card,
    Cash,
    Coordinates,
    Level,
    Line,
    Options,
    Order,
    Page,
    Pair,
    Patch,
    Positive,
    Sku,
    Status,
    Strict,
    Times,
    Tree,
)


def even(instance: object, attribute: object, value: int) -> None:
    if value % 2:
        raise ValueError("must be even")


@attrs.frozen
class Even:
    number: int = attrs.field(validator=even)


@attrs.frozen
class Moody:
    number: int

    def __attrs_post_init__(self) -> None:
        if self.number:
            raise KeyError("not today")


def problems(error: pytest.ExceptionInfo[PayloadError]) -> list[str]:
    return [path for path, _ in error.value.problems]


def of(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*strategies)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LINES = st.builds(Line, sku=TEXT, quantity=st.integers(1))
ORDERS = st.builds(
    Order, customer=TEXT, lines=st.lists(LINES), note=st.none() | TEXT, risk=st.sampled_from(["low", "high"])
)
TIMES = st.builds(
    Times,
    at=st.datetimes(timezones=st.none() | st.just(datetime.UTC)),
    on=st.dates(),
    during=st.timedeltas(),
    clock=st.times(),
    key=st.uuids(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    raw=st.binary(),
    status=st.sampled_from(Status),
    level=st.sampled_from(Level),
)
TREES = st.recursive(
    st.builds(Tree, st.integers()), lambda inner: st.builds(Tree, st.integers(), st.lists(inner)), max_leaves=5
)

TYPED: list[tuple[object, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, FLOATS),
    (bool, st.booleans()),
    (str, TEXT),
    (None, st.none()),
    (Any, st.none() | st.integers() | TEXT | st.lists(st.integers())),
    (list[int], st.lists(st.integers())),
    (tuple[int, ...], st.lists(st.integers()).map(tuple)),
    (tuple[int, str], st.tuples(st.integers(), TEXT)),
    (dict[str, list[bool]], st.dictionaries(TEXT, st.lists(st.booleans()))),
    (Mapping[str, int], st.dictionaries(TEXT, st.integers())),
    (Sequence[Line], st.lists(LINES)),
    (set[int], st.sets(st.integers())),
    (frozenset[str], st.frozensets(TEXT)),
    (int | str | None, st.none() | st.integers() | TEXT),
    (Literal[1, "a", None], st.sampled_from([1, "a", None])),
    (Status, st.sampled_from(Status)),
    (Order, ORDERS),
    (Order | None, st.none() | ORDERS),
    (Page[int], st.builds(Page, st.lists(st.integers()), st.none() | st.builds(Page, st.lists(st.integers())))),
    (Options, st.fixed_dictionaries({"name": TEXT}, optional={"size": st.integers()})),
    (Patch, st.fixed_dictionaries({}, optional={"name": TEXT})),
    (Card | Cash, of(st.builds(Card, TEXT), st.builds(Cash, st.decimals(allow_nan=False, allow_infinity=False)))),
    (Pair, st.builds(Pair, st.integers(), TEXT)),
    (Coordinates, st.builds(Coordinates, FLOATS, FLOATS)),
    (Tree, TREES),
    (Times, TIMES),
]


@pytest.mark.parametrize(("annotation", "values"), TYPED)
@given(data=st.data())
def test_typed_values_survive(annotation: object, values: st.SearchStrategy[Any], data: st.DataObject) -> None:
    """What a type holds is stored canonically and read back equal, in its own class."""
    schema = Schema.of(annotation)
    value = data.draw(values)

    stored = schema.encode(value)

    read = schema.decode(stored)
    assert (type(value), value) == (type(read), read)
    assert stored == schema.encode(read) == codec.encode(codec.decode(stored))


@pytest.mark.parametrize("value", [0, False, "", [], {}, None, 0.0, [0], [None], {"a": False}])
def test_empty_values_stay_themselves(value: object) -> None:
    """`0`, `False`, `""`, `[]`, `{}` and `None` keep value and type, typed and untyped."""
    for annotation in (type(value), type(value) | None, Any, object):
        schema = Schema.of(annotation)
        read = schema.decode(schema.encode(value))

        assert (type(value), repr(value)) == (type(read), repr(read))


def test_untyped_schemas_agree_with_the_codec() -> None:
    """No annotation, `Any` and `object` are all untyped JSON."""
    value = {"b": [1, 1.0, None], "a": (True,)}

    assert Schema.of(inspect.Parameter.empty) is ANY
    assert Schema.of(object).encode(value) == ANY.encode(value) == codec.encode(value)
    assert ANY.name == "Any"


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (
            Order,
            {"customer": "c", "lines": [], "extra": 1},
            b'{"customer":"c","lines":[],"note":null,"risk":"low"}',
        ),
        (Line, Options(name="x") | {"sku": "s"}, b'{"quantity":1,"sku":"s"}'),
        (Options, Card("1"), None),
        (float, 1, b"1.0"),
        (list[int], (1, 2), b"[1,2]"),
        (list[int], {2, 1}, b"[1,2]"),
        (Status, "paid", b'"paid"'),
        (datetime.date, "2026-01-01", b'"2026-01-01"'),
        (decimal.Decimal, 1, b'"1"'),
        (Iterable[int], [1], b"[1]"),
    ],
)
def test_other_classes_are_accepted_if_their_json_fits(
    annotation: object, value: object, expected: bytes | None
) -> None:
    """Stored is what the declared type makes of a value: defaults filled in, unknown fields left out."""
    schema = Schema.of(annotation)
    if expected is None:
        with pytest.raises(PayloadError):
            schema.encode(value)
    else:
        assert expected == schema.encode(value)


@pytest.mark.parametrize(
    ("annotation", "value", "paths"),
    [
        (int, "1", ["$"]),
        (int, 1.0, ["$"]),
        (int, True, ["$"]),
        (bool, 1, ["$"]),
        (str, 1, ["$"]),
        (str, None, ["$"]),
        (Literal["a"], "b", ["$"]),
        (Positive, 0, ["$"]),
        (
            Order,
            {"lines": [{"sku": 1, "quantity": 0}, 3], "risk": "medium"},
            ["$.customer", "$.lines[0].sku", "$.lines[0].quantity", "$.lines[1]", "$.risk"],
        ),
        (Order, [], ["$"]),
        (list[Line], [{"sku": "a"}, {}, {"sku": None}], ["$[1].sku", "$[2].sku"]),
        (dict[str, list[int]], {"a b": [1, "x"], "c": None}, ['$["a b"][1]', "$.c"]),
        (tuple[int, str], [1, 2], ["$[1]"]),
        (tuple[int, str], [1], ["$"]),
        (Pair, ["x", 1], ["$[0]", "$[1]"]),
        (Options, {"size": "x"}, ["$.name", "$.size"]),
        (Strict, {"b": 1, "a": "x"}, ["$.a", "$.b"]),
        (Card | Cash, {"type": "card"}, ["$.cardNumber"]),
        (Card | Cash, {"type": "cheque"}, ["$"]),
        (Card | Cash | None, {"type": "cash", "amount": "much"}, ["$.amount"]),
        (Page[int], {"items": [1], "next": {"items": ["x"]}}, ["$.next.items[0]"]),
        (list[Even], [{"number": 2}, {"number": 3}], ["$[1]"]),
        (list[Moody], [{"number": 0}, {"number": 1}], ["$[1]"]),
        (datetime.date, "yesterday", ["$"]),
        (list[float], [10**400], ["$[0]"]),
    ],
)
def test_all_problems_are_reported(annotation: object, value: object, paths: list[str]) -> None:
    """A value that does not fit is refused with every problem, alike when written and when read."""
    schema = Schema.of(annotation)
    with pytest.raises(PayloadError) as written:
        schema.encode(value)
    with pytest.raises(PayloadError) as read:
        schema.decode(codec.encode(value))

    assert sorted(paths) == sorted(problems(written)) == sorted(problems(read))


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Line, Line(Sku("a\0")), "$.sku"),
        (float | None, float("nan"), "$"),
        (list[float], [1.0, float("inf")], "$[1]"),
        (dict[str, Any], {"a": [float("nan"), None]}, "$.a[0]"),
        (Order, Order("\ud800", []), "$.customer"),
        (dict, {"a": {1: 2}}, "$.a[1]"),
        (list[int], [10**5000], "$[0]"),
        (Tree, lambda: None, "$"),
    ],
)
def test_typed_values_are_no_less_screened(annotation: object, value: object, path: str) -> None:
    """Faults of data have the same verdict under a type as without one."""
    with pytest.raises(PayloadError) as refused:
        Schema.of(annotation).encode(value)

    assert [path] == problems(refused)


@attrs.frozen
class Gauge:
    limit: float | None = float("nan")


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Gauge, {}, "$.limit"),
        (Line, {"sku": "a", "extra": [float("nan")]}, "$.extra[0]"),
        (Line, {"sku": "a", "x": "\0"}, "$.x"),
    ],
)
def test_what_is_left_out_or_filled_in_is_screened(annotation: object, value: object, path: str) -> None:
    """A default that is no JSON is refused, and so is a value with a fault in a field that the type ignores."""
    with pytest.raises(PayloadError) as refused:
        Schema.of(annotation).encode(value)

    assert [path] == problems(refused)


@pytest.mark.parametrize(
    "text",
    [
        b'{"sku":"a","sku":"b"}',
        b'{"quantity":1,"sku":"a","x":{"y":1,"y":2}}',
        b'{"sku":"a","x":"\\u0000"}',
        b'{"sku":"a","x":1e400}',
        b'{"sku":"a","x":"\xff"}',
        b'{"sku":"a","x":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"sku":"a"',
    ],
)
def test_typed_text_is_no_less_screened(text: bytes) -> None:
    """Faults in fields that the type ignores are faults all the same."""
    with pytest.raises(PayloadError):
        Schema.of(Line).decode(text)


def test_text_that_is_merely_not_canonical_is_read() -> None:
    """White space, key order, missing defaults and unknown fields are no faults."""
    assert Line(Sku("a")) == Schema.of(Line).decode(b' {"x": [1, 2], "sku": "a"}')


def test_size_is_limited_under_a_type() -> None:
    """The limit holds for what is stored and for what is read."""
    schema = Schema.of(str)
    with pytest.raises(PayloadError, match="more than the 4 allowed"):
        schema.encode("abc", size_bytes_max=4)
    with pytest.raises(PayloadError, match="more than the 4 allowed"):
        schema.decode(b'"abc"', size_bytes_max=4)


@attrs.frozen
class Holder:
    callback: Callable[[], int]


@attrs.frozen
class Secret:
    _key: str


@attrs.frozen
class Prices:
    by_size: dict[int, float]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Callable[[int], str], r"Callable\[\[int\], str\]: at \$: JSON cannot carry Callable; pass data, not code"),
        (list[Holder], r"list\[Holder\]: at \$\[\]\.callback: JSON cannot carry Callable"),
        (Prices, r"Prices: at \$\.by_size: keys of JSON objects are strings, not int"),
        (dict[str, complex], r"\$\.\*: JSON cannot carry complex"),
        (tuple[int, object, type], r"\$\[2\]: JSON cannot carry type"),
        (list[Iterable[int]], "use list, tuple, Sequence or dict"),
        (AsyncIterator[int], "JSON cannot carry AsyncIterator"),
        (set[Line], "a set is stored sorted, and Line has no order"),
        (set[int | str], "has no order; use a list"),
        (msgspec.Raw, "annotate the type of its value"),
        (Order | Line, "cannot tell the members of the union apart; use msgspec.Struct classes with tag=True"),
        (dict[str, int] | Line, "cannot tell the members of the union apart"),
        (datetime.date | str, "cannot tell the members of the union apart"),
        (enum.Enum("Mixed", {"A": 1, "B": "b"}), "either all str or all int"),
        (list[Secret], r"\$\[\]: private fields are not stored \(_key\); rename them"),
        (RuntimeError, "JSON cannot carry RuntimeError"),
        ("Order", "Order"),
    ],
)
def test_types_json_cannot_carry(annotation: object, message: str) -> None:
    """The error names the part of the type and the way out."""
    with pytest.raises(UnsupportedType, match=message):
        Schema.of(annotation)


@pytest.mark.parametrize("annotation", [annotation for annotation, _ in TYPED])
def test_every_type_has_a_normal_form_and_a_json_schema(annotation: object) -> None:
    """Both are JSON themselves, and a type can always take its own values."""
    schema = Schema.of(annotation)

    codec.encode(schema.normal)
    codec.encode(schema.json_schema)
    assert schema.misfit(schema) is None


def test_json_schema() -> None:
    """The JSON Schema text describes the type, untyped parts included."""
    integers = Schema.of(list[int]).json_schema

    assert integers == {"type": "array", "items": {"type": "integer"}}
    assert Schema.of(Line).json_schema["$defs"]["Line"]["required"] == ["sku"]
    assert ANY.json_schema == {}
    assert Schema.of(list[object]).json_schema["type"] == "array"
