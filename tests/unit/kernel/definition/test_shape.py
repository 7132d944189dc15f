"""Shape and fingerprint: what changes them, what does not, and how two shapes are told apart."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Literal

import attrs
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel.context import Context
from fairlead.kernel.definition import Flow, Resource, Shape, differences


@frozen
class Line:
    sku: str
    quantity: int


@frozen
class SmallLine:
    sku: str


@frozen
class Order:
    lines: list[Line]
    boxes: list[Line]


@frozen
class Payment:
    status: Literal["paid", "declined"]
    cents: int


@frozen
class RenamedPayment:
    status: Literal["declined", "paid"]
    cents: int


@frozen
class LongerPayment:
    status: Literal["paid", "declined"]
    cents: int
    note: str = ""


@frozen
class Settings:
    dpi: int = 300


@frozen
class OtherDefaults:
    dpi: int = 72


@frozen
class MoreSettings:
    dpi: int = 300
    colour: bool = False


class Warehouse: ...


def build(
    *,
    version: int | Literal["dev"] = 1,
    input_name: str = "order",
    input: Any = Order,
    over: str | None = None,
    after: Sequence[str] = (),
    charge_as: str = "charge",
    output: Any = Payment,
    read_as: Any = Payment,
    item: Any = Line,
    settings: Any = Settings,
    kind: Literal["step", "map"] = "step",
    extra: bool = False,
    flow_options: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    map_options: dict[str, Any] | None = None,
) -> Shape:
    """Return the shape of a flow of three steps in which one thing can be changed at a time."""
    make: Any = Flow
    flow: Any = make("fulfil", version=version, input=input, input_name=input_name, **(flow_options or {}))

    def reserve(item: object, config: object) -> str:
        return ""

    reserve.__annotations__ |= {"item": item, "config": settings}
    flow.map(reserve, over=over or f"{input_name}.lines", **(map_options or {}))

    def charge() -> object: ...

    charge.__annotations__["return"] = output
    flow.step(charge, slug=charge_as, **(options or {}))
    namespace: dict[str, Any] = {}
    exec(f"def ship({charge_as}, reserve, ctx): ...", namespace)
    ship = namespace["ship"]
    ship.__annotations__ = {charge_as: read_as, "reserve": list[str]}
    if kind == "step":
        flow.step(ship, after=after)
    else:
        flow.map(ship, over="reserve", after=after)
    if extra:
        flow.step(lambda: 1, slug="extra")
    flow.seal()
    shape: Shape = flow.shape
    return shape


UNCHANGED: list[dict[str, Any]] = [
    {"version": 2},
    {"input_name": "purchase"},
    {"input_name": "input"},
    {"after": ["charge"]},
    {"output": RenamedPayment},
    {"read_as": RenamedPayment},
    {"read_as": Any},
    {"item": Any},
    {"settings": OtherDefaults},
    {"flow_options": {"max_attempts": 9, "base_delay": 9, "max_delay": 99, "jitter": 0, "timeout": 9, "queue": "q"}},
    {"options": {"max_attempts": 9, "timeout": timedelta(hours=1), "start_delay": 5, "non_retryable": (ValueError,)}},
    {"map_options": {"max_concurrency": 3, "queue": "other"}},
]

CHANGED: list[tuple[dict[str, Any], list[str]]] = [
    ({"extra": True}, ["step 'extra' is new"]),
    (
        {"charge_as": "bill"},
        [
            "step 'charge' is gone",
            "step 'bill' is new",
            "step 'ship': depended on 'charge', does no longer",
            "step 'ship': depends on 'bill', did not",
        ],
    ),
    ({"kind": "map"}, ["step 'ship': was a step, is a map"]),
    ({"over": "order.boxes"}, ["step 'reserve': mapped over input.lines, maps over input.boxes"]),
    ({"settings": MoreSettings}, ["step 'reserve': config.colour is new, is boolean"]),
    (
        {"read_as": LongerPayment},
        ["step 'ship': charge was read as it is produced, is read as object(cents, note, status)"],
    ),
    ({"item": SmallLine}, ["step 'reserve': item was read as it is produced, is read as object(sku)"]),
]


@pytest.mark.parametrize("change", UNCHANGED, ids=str)
def test_what_leaves_the_fingerprint_alone(change: dict[str, Any]) -> None:
    """Names of classes and of the input, defaults, order without effect, and every option."""
    assert build(**change).fingerprint == build().fingerprint
    assert differences(build(), build(**change)) == ()


def test_a_longer_output() -> None:
    """A changed output is a difference of its step, and of the reader that still reads the old type."""
    found = differences(build(), build(output=LongerPayment))

    assert found == (
        "step 'charge': output.note is new, is string",
        "step 'ship': charge was read as it is produced, is read as object(cents, status)",
    )


@pytest.mark.parametrize(("change", "lines"), CHANGED, ids=str)
def test_what_changes_the_fingerprint(change: dict[str, Any], lines: list[str]) -> None:
    """Steps, dependencies, sources of maps, declared types and settings; each told in a line."""
    assert build(**change).fingerprint != build().fingerprint
    assert list(differences(build(), build(**change))) == lines


def types_differ(before: object, after: object) -> list[str]:
    """Return the differences between two flows that differ in the type of their input alone."""
    shapes: list[Shape] = []
    for annotation in (before, after):
        flow: Flow[Any] = Flow("fulfil", version=1, input=annotation)
        flow.step(lambda: 1, slug="one")
        flow.seal()
        shapes.append(flow.shape)
    return list(differences(*shapes))


def record(**fields: Any) -> type:
    """Return a new attrs class with such fields; a pair is a type and a default."""
    made: dict[str, Any] = {}
    each: Any
    for name, each in fields.items():
        made[name] = _field(*each) if type(each) is tuple else _field(each)
    return attrs.make_class("Made", made, kw_only=True)


def _field(annotation: Any, default: Any = attrs.NOTHING) -> Any:
    return attrs.field(type=annotation, default=default)


def list_of(element: Any) -> Any:
    return list[element]


@frozen
class Tree:
    children: list[Tree]


@frozen
class Leaf:
    children: list[str]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (int, str, ["input was integer, is string"]),
        (int, int | None, ["input was integer, is integer or null"]),
        (int | str, int | bool, ["input was integer or string, is boolean or integer"]),
        (int | str | None, bool | bytes | None, ["input was integer or null or string, is boolean or bytes or null"]),
        (list[int], list[str], ["input[] was integer, is string"]),
        (list[int], dict[str, int], ["input was array of integer, is object of integer"]),
        (dict[str, int], dict[str, str], ["input.* was integer, is string"]),
        (tuple[int, str], tuple[int, int], ["input was tuple(integer, string), is tuple(integer, integer)"]),
        (Colour, Literal["red"], ['input was one of "blue", "red", is one of "red"']),
        (Any, int, ["input was any, is integer"]),
        (record(a=int), record(a=str), ["input.a was integer, is string"]),
        (record(a=int), record(a=(int, 1)), ["input.a was required, is optional"]),
        (record(a=(int, 1)), record(a=int), ["input.a was optional, is required"]),
        (
            record(a=int, b=int),
            record(a=int, c=(str, "")),
            ["input.b is gone, was integer", "input.c is new, is string"],
        ),
        (record(a=list_of(record(b=int))), record(a=list_of(record(b=str))), ["input.a[].b was integer, is string"]),
        (record(a=int) | None, record(a=str) | None, ["input.a was integer, is string"]),
        (list[Tree], list[Leaf], ["input[].children[] was the object it stands in, is string"]),
        (record(a=int), int, ["input was object(a), is integer"]),
    ],
)
def test_differences_of_types(before: Any, after: Any, lines: list[str]) -> None:
    """Each line gives the path and both types; nothing is told twice."""
    assert types_differ(before, after) == lines
    assert types_differ(before, before) == []


def test_settings_that_come_and_go() -> None:
    """A step that takes settings for the first time, or no longer, is told in one line."""

    def shape(annotation: type | None) -> Shape:
        flow: Flow[Any] = Flow("fulfil", version=1)

        def with_settings(config: object) -> None: ...

        def without() -> None: ...

        if annotation is not None:
            with_settings.__annotations__["config"] = annotation
        flow.step(without if annotation is None else with_settings, slug="read")
        flow.seal()
        return flow.shape

    assert differences(shape(None), shape(Settings)) == ("step 'read': takes settings (config), did not",)
    assert differences(shape(Settings), shape(None)) == ("step 'read': took settings (config), does no longer",)


def test_a_parameter_with_a_type_of_its_own() -> None:
    """It may change, or go back to what is produced."""
    own = build(item=SmallLine)
    other = build(item=record(sku=str, weight=(float, 0.0)))

    assert differences(own, other) == ("step 'reserve': item as read.weight is new, is number",)
    assert differences(own, build()) == ("step 'reserve': item was read as object(sku), is read as it is produced",)


def test_all_differences_are_listed() -> None:
    """Not only the first."""
    found = differences(build(), build(over="order.boxes", settings=MoreSettings, extra=True, kind="map"))

    assert list(found) == [
        "step 'extra' is new",
        "step 'reserve': mapped over input.lines, maps over input.boxes",
        "step 'reserve': config.colour is new, is boolean",
        "step 'ship': was a step, is a map",
    ]


def test_differences_are_found_in_what_was_stored() -> None:
    """The stored document is all that is needed; a format of another time is told too."""
    stored = Shape(build().document)
    older = Shape(build().document.replace(b'"format":1', b'"format":0'))

    assert differences(stored, build()) == ()
    assert differences(older, build()) == ("the shape was written in format 0, now it is format 1",)


def test_code_does_not_matter() -> None:
    """Another body, an async handler, resources and the context leave the fingerprint alone."""

    def shape(handler: Callable[..., object]) -> str:
        flow = Flow("fulfil", version=1, input=Order)
        flow.step(handler, slug="one")
        flow.seal()
        return flow.shape.fingerprint

    def plain() -> int:
        return 1

    async def asynchronous(warehouse: Resource[Warehouse], ctx: Context, input: Order) -> int:
        return 2

    assert shape(plain) == shape(asynchronous)


def test_the_order_of_independent_steps_does_not_matter() -> None:
    """Steps are compared by slug; the order of definition is kept beside, for people who look at runs."""

    def shape(*slugs: str) -> Shape:
        flow: Flow[Any] = Flow("fulfil", version=1)
        for slug in slugs:
            flow.step(lambda: 1, slug=slug)
        flow.seal()
        return flow.shape

    one, other = shape("a", "b"), shape("b", "a")

    assert one.fingerprint == other.fingerprint
    assert (one.order, other.order) == (("a", "b"), ("b", "a"))


PARAMETERS = {"first": "int", "second": "str", "third": "list[int]", "order": "Order"}


def fingerprint_of(names: Sequence[str], context_name: str, resource_name: str, input_name: str) -> str:
    """Return the fingerprint of a flow whose last step has these parameters in this order."""
    flow = Flow("fulfil", version=1, input=Order, input_name=input_name)

    def first() -> int:
        return 1

    def second() -> str:
        return ""

    def third(item: Line) -> int:
        return 1

    flow.step(first)
    flow.step(second)
    flow.map(third, over=f"{input_name}.lines")
    listed = [f"{input_name if name == 'order' else name}: {PARAMETERS[name]}" for name in names]
    listed += [f"{context_name}: Context", f"{resource_name}: Resource[Warehouse]"]
    namespace: dict[str, Any] = dict(globals())
    exec(f"def last({', '.join(listed)}) -> None: ...", namespace)
    flow.step(namespace["last"])
    flow.seal()
    return flow.shape.fingerprint


@given(
    names=st.permutations(list(PARAMETERS)),
    context_name=st.sampled_from(["ctx", "context", "attempt_context"]),
    resource_name=st.sampled_from(["warehouse", "depot", "_w"]),
    input_name=st.sampled_from(["input", "order", "purchase"]),
)
def test_parameters_may_be_renamed_and_reordered(
    names: list[str], context_name: str, resource_name: str, input_name: str
) -> None:
    """Whatever the order of the parameters and the names that are free to choose, it is the same flow."""
    assert fingerprint_of(names, context_name, resource_name, input_name) == fingerprint_of(
        list(PARAMETERS), "ctx", "warehouse", "order"
    )


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import test_shape as flows
print(flows.build().fingerprint, flows.build().document.decode())
"""


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_another_process_finds_the_same_fingerprint(seed: str) -> None:
    """Also where strings hash otherwise, so that sets are ordered otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=os.path.dirname(__file__))],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split(" ", 1) == [build().fingerprint, build().document.decode() + "\n"]


def test_the_fingerprint_of_today() -> None:
    """Runs in flight are pinned to fingerprints, so an upgrade of Fairlead must not change them unawares."""
    assert build().fingerprint == "96f0d1e2208e1993f4b13c1f5dc422feca87d7369ff30ba48a2361e123291faf"
