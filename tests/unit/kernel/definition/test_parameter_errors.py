"""Steps written down wrongly, with the whole message that each gets: parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead.kernel.context import Context
from fairlead.kernel.definition import Resource
from tests.support.wrong_steps import (
    Case,
    Line,
    Order,
    Payment,
    Service,
    Warehouse,
    assert_refused_at_ship,
    named,
    refused,
)


def misspelt_dependency(flow: Any) -> None:
    def ship(chrage: Payment) -> None: ...

    flow.step(ship)


def misspelt_dependency_with_a_default(flow: Any) -> None:
    def ship(chrage: Payment | None = None) -> None: ...

    flow.step(ship)


def nothing_near(flow: Any) -> None:
    def ship(zzz: int) -> None: ...

    flow.step(ship)


def input_by_the_wrong_name(flow: Any) -> None:
    def ship(input: Order) -> None: ...

    flow.step(ship)


def itself_as_parameter(flow: Any) -> None:
    def ship(ship: str) -> None: ...

    flow.step(ship)


def unbound_method(flow: Any) -> None:
    flow.step(Service.charge, slug="bill")


def item_outside_maps(flow: Any) -> None:
    def ship(item: Line) -> None: ...

    flow.step(ship)


def index_outside_maps(flow: Any) -> None:
    def ship(index: int) -> None: ...

    flow.step(ship)


def index_that_is_no_int(flow: Any) -> None:
    def ship(index: str) -> None: ...

    flow.map(ship, over="order.lines")


def star_arguments(flow: Any) -> None:
    def ship(*args: object) -> None: ...

    flow.step(ship)


def wrapper_without_wraps(flow: Any) -> None:
    def traced(function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(**kwargs: object) -> object:
            return function(**kwargs)

        return wrapper

    flow.step(traced(lambda: None))


def positional_only(flow: Any) -> None:
    def ship(charge: Payment, /) -> None: ...

    flow.step(ship)


def an_optional_resource(flow: Any) -> None:
    def ship(warehouse: Resource[Warehouse] | None) -> None: ...

    flow.step(ship)


def a_list_of_resources(flow: Any) -> None:
    def ship(warehouse: list[Resource[Warehouse]]) -> None: ...

    flow.step(ship)


def a_resource_of_no_class(flow: Any) -> None:
    def ship(warehouse: Resource[Warehouse | None]) -> None: ...

    flow.step(ship)


def a_resource_named_like_a_step(flow: Any) -> None:
    def ship(charge: Resource[Warehouse]) -> None: ...

    flow.step(ship)


def a_context_named_like_the_input(flow: Any) -> None:
    def ship(order: Context) -> None: ...

    flow.step(ship)


def a_ctx_of_another_class(flow: Any) -> None:
    def ship(ctx: Warehouse) -> None: ...

    flow.step(ship)


def settings_without_a_class(flow: Any) -> None:
    namespace: dict[str, Any] = {}
    exec("def ship(config): ...", namespace)
    flow.step(namespace["ship"])


def settings_that_are_a_dict(flow: Any) -> None:
    def ship(config: dict[str, int]) -> None: ...

    flow.step(ship)


AT_SHIP: list[Case] = [
    (
        misspelt_dependency,
        "parameter 'chrage' names neither an earlier step nor anything else that a step can ask for; did "
        "you mean 'charge'? (what the app provides is marked Resource[…])",
    ),
    (
        misspelt_dependency_with_a_default,
        "parameter 'chrage' names neither an earlier step nor anything else that a step can ask for; did "
        "you mean 'charge'? (what the app provides is marked Resource[…])",
    ),
    (
        nothing_near,
        "parameter 'zzz' names neither an earlier step nor anything else that a step can ask for; known: "
        "'order', 'assess', 'charge', 'reserve', 'config', 'ctx' (what the app provides is marked "
        "Resource[…])",
    ),
    (input_by_the_wrong_name, "parameter 'input': the input of this flow is called 'order'"),
    (itself_as_parameter, "parameter 'ship' names the step itself; a step may only refer to earlier ones"),
    (item_outside_maps, "parameter 'item' belongs to maps: use @flow.map(over=…), or rename it"),
    (index_outside_maps, "parameter 'index' belongs to maps: use @flow.map(over=…), or rename it"),
    (index_that_is_no_int, "parameter 'index' receives the element's index, an int, not str"),
    (
        star_arguments,
        "parameter '*args' cannot be bound by name; name every parameter (a decorator without functools.wraps?)",
    ),
    (positional_only, "parameter 'charge' is positional-only; parameters are passed by name"),
    (
        an_optional_resource,
        "parameter 'warehouse': a resource is always there, so Resource[…] cannot be one side of a union;"
        " write Resource[T] alone",
    ),
    (a_list_of_resources, "parameter 'warehouse': Resource[…] must be the whole annotation, not a part of it"),
    (
        a_resource_of_no_class,
        "parameter 'warehouse': Resource[…] must hold one class, so that the host can check what it is "
        "given, not Warehouse | None",
    ),
    (
        a_resource_named_like_a_step,
        "parameter 'charge' is annotated as a Resource but names an earlier step; rename it",
    ),
    (
        a_context_named_like_the_input,
        "parameter 'order' is annotated as the Context but names something that a step can ask for; rename it",
    ),
    (a_ctx_of_another_class, "parameter 'ctx' receives the Context; annotate it so, or rename it (now: Warehouse)"),
    (settings_without_a_class, "parameter 'config' must be annotated with the class of the step's settings"),
    (
        settings_that_are_a_dict,
        "parameter 'config' must be annotated with a class of named fields (attrs, dataclass, TypedDict, "
        "msgspec, pydantic), not dict[str, int]",
    ),
]
"""What is wrong with the step `ship`, and what is said after its name."""

ELSEWHERE: list[Case] = [
    (
        unbound_method,
        "flow 'fulfil', step 'bill': parameter 'self' is never filled; decorate a function, or pass a bound method "
        "(service.charge)",
    ),
    (
        wrapper_without_wraps,
        "flow 'fulfil', step 'wrapper': parameter '**kwargs' cannot be bound by name; name every parameter (a "
        "decorator without functools.wraps?)",
    ),
]
"""The whole message."""


@pytest.mark.parametrize(("define", "message"), AT_SHIP, ids=named)
def test_a_wrong_step(define: Callable[[Any], None], message: str) -> None:
    """The message names flow, step and place, says what is wrong there, and what to write instead."""
    assert_refused_at_ship(define, message)


@pytest.mark.parametrize(("define", "message"), ELSEWHERE, ids=named)
def test_a_wrong_step_without_a_proper_name(define: Callable[[Any], None], message: str) -> None:
    """The message names the step as far as it has a name."""
    error, steps = refused(define)

    assert message == str(error)
    assert steps == ["assess", "charge", "reserve"]
