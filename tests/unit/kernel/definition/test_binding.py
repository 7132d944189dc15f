"""Binding: what each parameter of a handler receives, and how hosts call it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import pytest
from attrs import frozen

from fairlead.kernel.context import Context
from fairlead.kernel.definition import CONFIG, ITEM, Binding, Flow, Resource
from fairlead.kernel.errors import FlowDefinitionError, PayloadError
from fairlead.kernel.plan import INPUT
from tests.support.bindings import binding_of


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


class Warehouse: ...


def context(index: int | None = None) -> Context:
    return Context(run_id="r1", flow="fulfil", step="s", index=index, idempotency_key="r1/s/1/0")


def bound(flow: Flow[Any], handler: Callable[..., object], **arguments: Any) -> Binding:
    flow.step(handler, **arguments)
    return binding_of(flow)


def new_flow() -> Flow[Order]:
    return Flow("fulfil", version=1, input=Order, input_name="order")


def test_everything_a_map_may_ask_for() -> None:
    """Input, dependencies, item, index, settings, context and resources arrive typed, under the handler's names."""
    flow = new_flow()
    warehouse = Warehouse()

    @flow.map(over="order.lines")
    def reserve(item: Line) -> str:
        return item.sku

    @flow.map(over="order.lines")
    async def ship(
        order: Order,
        item: Line,
        index: int,
        reserve: list[str],
        config: Settings,
        warehouse: Resource[Warehouse],
        ctx: Context,
        again: Context,
    ) -> None: ...

    binding = binding_of(flow, "ship")
    this = context(index=3)
    values = {
        INPUT: b'{"lines":[{"sku":"a"}]}',
        "reserve": b'["x","y"]',
        ITEM: b'{"quantity":2,"sku":"a"}',
        CONFIG: b'{"dpi":200}',
    }

    assert binding.sources == frozenset(values)
    assert binding.resources == {"warehouse": Warehouse}
    assert binding.is_async
    assert binding.arguments(values, this, {"warehouse": warehouse, "other": 1}) == {
        "order": Order([Line("a")]),
        "item": Line("a", 2),
        "index": 3,
        "reserve": ["x", "y"],
        "config": Settings(200),
        "warehouse": warehouse,
        "ctx": this,
        "again": this,
    }


@pytest.mark.parametrize("raw", [b"0", b"false", b'""', b"[]", b"{}", b"null"])
def test_falsy_values_arrive_as_they_are(raw: bytes) -> None:
    """Nothing is turned into None on the way to an unannotated parameter."""
    flow: Flow[Any] = Flow("fulfil", version=1)
    namespace: dict[str, Any] = {}
    exec("def step(input): ...", namespace)
    found = bound(flow, namespace["step"]).arguments({INPUT: raw}, context())

    falsy: dict[bytes, object] = {b"0": 0, b"false": False, b'""': "", b"[]": [], b"{}": {}, b"null": None}
    assert found["input"] == falsy[raw]
    assert type(found["input"]) is type(falsy[raw])


def test_a_step_that_was_skipped_leaves_the_default_or_none() -> None:
    """A default wins over None; a parameter without one becomes None."""
    flow = new_flow()
    flow.step(lambda: 1, slug="pack")
    flow.step(lambda: 1, slug="wrap")

    def ship(pack: Any, wrap: Any = "paper") -> None: ...

    binding = bound(flow, ship)

    assert binding.arguments({"pack": None, "wrap": None}, context()) == {"pack": None}
    assert binding.arguments({"pack": b"1", "wrap": b"null"}, context()) == {"pack": 1, "wrap": None}


def test_a_value_that_does_not_fit_names_the_parameter() -> None:
    """All problems of the value are listed with their paths, after step and parameter."""

    def ship(order: Order) -> None: ...

    binding = bound(new_flow(), ship)

    with pytest.raises(PayloadError) as raised:
        binding.arguments({INPUT: b'{"lines":[{"sku":1},{"quantity":"x","sku":"b"}]}'}, context())

    assert raised.value.what == "step 'ship', parameter 'order'"
    assert [path for path, _ in raised.value.problems] == ["$.lines[0].sku", "$.lines[1].quantity"]


def test_outputs_of_a_map_may_be_larger_together_than_one_payload() -> None:
    """The limit holds for each recorded value, not for the list that a dependent receives."""
    flow = new_flow()
    flow.map(lambda: "", over="order.lines", slug="read")

    def join(read: list[str]) -> None: ...

    page = b'"' + b"x" * 2_000_000 + b'"'
    found = bound(flow, join).arguments({"read": b"[" + b",".join([page] * 10) + b"]"}, context())

    assert [len(text) for text in found["read"]] == [2_000_000] * 10  # type: ignore[attr-defined]  # pyright: ignore


def test_a_handler_that_asks_for_nothing() -> None:
    """It is called with nothing, whatever is there."""
    binding = bound(new_flow(), lambda: 1, slug="one")

    assert binding.arguments({}, context(), {"warehouse": Warehouse()}) == {}
    assert not binding.is_async


def test_local_classes_under_postponed_annotations() -> None:
    """Names are looked up where the handler is defined: in its function, in those around it, then in the module."""

    class Parcel: ...

    flow = new_flow()

    def inner() -> None:
        @frozen
        class Item:
            sku: str

        @frozen
        class Box:
            items: list[Item]

        class Line: ...  # Hides the module's.

        @flow.step
        def pack(order: Order, parcel: Resource[Parcel], line: Resource[Line]) -> Box:
            return Box([])

        @flow.step
        def send(pack: Box) -> None: ...

        assert binding_of(flow, "pack").resources == {"parcel": Parcel, "line": Line}
        assert binding_of(flow, "send").arguments({"pack": b'{"items":[{"sku":"a"}]}'}, context()) == {
            "pack": Box([Item("a")])
        }

    inner()


def test_names_of_a_caller_are_not_seen() -> None:
    """A function that merely calls the one in which the handler is written does not lend it its names."""

    def caller() -> None:
        class Order: ...  # pyright: ignore[reportUnusedClass]

        define_step(flow)

    flow = new_flow()
    caller()

    assert binding_of(flow, "ship").payloads[0].schema.annotation is Order


def define_step(flow: Flow[Any]) -> None:
    @flow.step
    def ship(order: Order) -> None: ...


def test_a_local_class_as_the_input_of_a_flow() -> None:
    """Its postponed annotations are completed from where the flow is made."""

    @frozen
    class Part:
        sku: str

    @frozen
    class Kit:
        parts: list[Part]

    flow = Flow("fulfil", version=1, input=Kit)

    assert flow.input_schema.decode(b'{"parts":[{"sku":"a"}]}') == Kit([Part("a")])


AT_MODULE_LEVEL = Flow("fulfil", version=1, input=Order)


def test_a_flow_of_a_module() -> None:
    """The usual place of a flow."""
    assert AT_MODULE_LEVEL.input_schema.annotation is Order


class Service:
    def charge(self, order: Order) -> str:
        return f"{len(order.lines)}"

    async def refund(self, order: Order) -> str:
        return ""


class Clerk:
    __name__ = "not an identifier"

    async def __call__(self, order: Order) -> str:
        return ""


def test_bound_methods() -> None:
    """They are handlers under their own names."""
    flow = new_flow()
    service = Service()
    flow.step(service.charge)
    flow.step(service.refund)

    assert [binding_of(flow, slug).is_async for slug in flow.steps] == [False, True]
    assert flow.step_named(service.charge).slug == "charge"


def test_callable_instances() -> None:
    """They need a slug; whether they are async is told by their `__call__`."""
    binding = bound(new_flow(), Clerk(), slug="clerk")

    assert binding.is_async
    assert binding.sources == {INPUT}


def test_partials() -> None:
    """Arguments that a partial has bound are no parameters any more, however often it is nested."""

    async def charge(currency: str, order: Order, fee: int) -> str:
        return ""

    binding = bound(new_flow(), functools.partial(functools.partial(charge, "EUR"), fee=3), slug="charge")

    assert binding.sources == {INPUT}
    assert binding.is_async
    assert set(binding.arguments({INPUT: b'{"lines":[]}'}, context())) == {"order"}


def traced(function: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> str:
        return await function(*args, **kwargs)

    return wrapper


def test_a_decorator_with_wraps() -> None:
    """The signature is that of the function inside; either may stand for the step."""

    async def charge(order: Order) -> str:
        return ""

    flow = new_flow()
    wrapped = traced(charge)
    flow.step(wrapped)

    assert binding_of(flow, "charge").sources == {INPUT}
    assert flow.step_named(charge) is flow.step_named(wrapped)


def test_static_methods() -> None:
    """Inside a class body the decorator meets the staticmethod itself."""

    async def charge(order: Order) -> str:
        return ""

    assert bound(new_flow(), staticmethod(charge)).is_async


def test_an_optional_context() -> None:
    """A default for unit tests does no harm; the host always passes the context."""

    def ship(ctx: Context | None = None) -> None: ...

    this = context()

    assert bound(new_flow(), ship).arguments({}, this) == {"ctx": this}


@pytest.mark.parametrize("annotation", [object, Any])
def test_a_resource_of_any_class(annotation: Any) -> None:
    """`Resource[Any]` is checked for presence alone."""

    def ship(warehouse: object) -> None: ...

    mark: Any = Resource
    ship.__annotations__["warehouse"] = mark[annotation]

    assert bound(new_flow(), ship).resources == {"warehouse": object}


class Payments(Protocol):
    def charge(self) -> str: ...


@runtime_checkable
class Sending(Protocol):
    def send(self) -> str: ...


def test_a_resource_that_is_a_protocol() -> None:
    """It is checked where Python can: only protocols marked so admit `isinstance`."""

    def ship(payments: Resource[Payments], sending: Resource[Sending]) -> None: ...

    assert bound(new_flow(), ship).resources == {"payments": object, "sending": Sending}


def test_a_generic_resource_is_checked_by_its_class() -> None:
    """`isinstance` knows no type arguments."""

    def ship(cache: Resource[dict[str, int]]) -> None: ...

    assert bound(new_flow(), ship).resources == {"cache": dict}


def test_a_bare_resource_mark() -> None:
    """`Resource` without a class says too little."""

    def ship(warehouse: object) -> None: ...

    ship.__annotations__["warehouse"] = Resource

    with pytest.raises(FlowDefinitionError, match=r"Resource\[…\] must hold one class"):
        new_flow().step(ship)


def test_outputs_are_validated() -> None:
    """A host records what the declared type makes of the output, or learns what is wrong with it."""
    flow = new_flow()

    @flow.map(over="order.lines")
    def reserve(item: Line) -> Line:
        return item

    step = flow.steps["reserve"]
    assert step.encode_output(Line("a")) == b'{"quantity":1,"sku":"a"}'
    assert step.produced.decode(b'[{"quantity":1,"sku":"a"}]') == [Line("a")]
    with pytest.raises(PayloadError) as raised:
        step.encode_output({"sku": 3})
    assert raised.value.what == "output of step 'reserve'"
    assert [path for path, _ in raised.value.problems] == ["$.sku"]
