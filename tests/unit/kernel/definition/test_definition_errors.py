"""Every way to write a flow down wrongly, with the whole message that it gets."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest
from attrs import frozen

from fairlead.kernel.context import Context
from fairlead.kernel.definition import Flow, Resource
from fairlead.kernel.errors import FlowDefinitionError

if TYPE_CHECKING:
    from decimal import Decimal


@frozen
class Line:
    sku: str
    quantity: int


@frozen
class Order:
    customer: str
    lines: list[Line]


@frozen
class Invoice:
    number: int


@frozen
class Payment:
    status: Literal["paid", "declined"]
    reference: str


@frozen
class Settled:
    status: Literal["settled"]


class Warehouse: ...


class Service:
    def charge(self, order: Order) -> str:
        return ""


def assess(order: Order) -> str:
    return "low"


def charge(order: Order) -> Payment:
    return Payment("paid", "")


def reserve(item: Line) -> str:
    return ""


def new_flow() -> Any:
    """Return a flow with the steps `assess`, `charge` and the map `reserve`, untyped, so that anything can be tried."""
    flow: Any = Flow("fulfil", version=1, input=Order, input_name="order")
    flow.step(assess)
    flow.step(charge)
    flow.map(reserve, over="order.lines")
    return flow


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


def a_class(flow: Any) -> None:
    flow.step(Warehouse)


def a_generator(flow: Any) -> None:
    def ship() -> Iterator[int]:
        yield 1

    flow.step(ship)


def an_async_generator(flow: Any) -> None:
    async def ship() -> AsyncIterator[int]:
        yield 1

    flow.step(ship)


def a_partial_of_a_generator(flow: Any) -> None:
    def ship(count: int) -> Iterator[int]:
        yield count

    flow.step(functools.partial(ship, count=1), slug="ship")


def a_number(flow: Any) -> None:
    flow.step(5)


def a_slug_instead_of_a_function(flow: Any) -> None:
    flow.step("ship")


def a_partial_without_slug(flow: Any) -> None:
    flow.step(functools.partial(assess))


def a_builtin_without_signature(flow: Any) -> None:
    flow.step(functools.partial(int, 5), slug="ship")


def a_lambda_without_slug(flow: Any) -> None:
    flow.step(lambda: 1)


def a_bare_map(flow: Any) -> None:
    def ship(item: Line) -> None: ...

    flow.map(ship)


def unknown_after(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after=["chrage"])


def itself_in_after(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after=["ship"])


def its_function_in_after(flow: Any) -> None:
    def ship() -> None: ...

    flow.step(ship, after=[ship])


def input_in_after(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after=["order"])


def after_that_is_no_list(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after=charge)


def after_that_is_a_slug(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after="charge")


def a_number_in_after(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after=[3])


def a_function_that_is_no_step(flow: Any) -> None:
    def bill() -> None: ...

    flow.step(lambda: 1, slug="ship", after=[bill])


def a_step_of_another_flow(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", after=[new_flow().steps["charge"]])


def a_function_that_is_two_steps(flow: Any) -> None:
    flow.step(charge, slug="charge_again")
    flow.step(lambda: 1, slug="ship", after=[charge])


def unknown_over(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="ordr.lines")


def itself_in_over(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="ship")


def over_by_the_wrong_name_of_the_input(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="input.lines")


def over_a_broken_path(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="order..lines")


def over_a_missing_field(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="order.line")


def over_a_field_of_a_list(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="order.lines.sku")


def over_something_that_is_no_array(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="order.customer")


def over_a_step_that_gives_no_array(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over=charge)


def over_a_number(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over=3)


def an_item_that_does_not_fit(flow: Any) -> None:
    def ship(item: int) -> None: ...

    flow.map(ship, over="order.lines")


def an_item_that_does_not_fit_the_output_of_a_map(flow: Any) -> None:
    def ship(item: int) -> None: ...

    flow.map(ship, over=reserve)


def an_output_of_another_kind(flow: Any) -> None:
    def ship(assess: int) -> None: ...

    flow.step(ship)


def an_output_without_a_required_field(flow: Any) -> None:
    def ship(charge: Invoice) -> None: ...

    flow.step(ship)


def an_output_with_other_literals(flow: Any) -> None:
    def ship(charge: Settled) -> None: ...

    flow.step(ship)


def one_output_of_a_map(flow: Any) -> None:
    def ship(reserve: str) -> None: ...

    flow.step(ship)


def another_input_than_the_flow_says(flow: Any) -> None:
    def ship(order: Invoice) -> None: ...

    flow.step(ship)


def an_annotation_unknown_at_run_time(flow: Any) -> None:
    def ship(charge: Decimal) -> None: ...

    flow.step(ship)


def a_return_annotation_unknown_at_run_time(flow: Any) -> None:
    def ship() -> Decimal:
        raise NotImplementedError

    flow.step(ship)


def an_annotation_that_cannot_be_evaluated(flow: Any) -> None:
    def ship(charge: Payment.nothing) -> None: ...  # type: ignore[name-defined]  # pyright: ignore

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


def a_parameter_json_cannot_carry(flow: Any) -> None:
    def ship(charge: Warehouse) -> None: ...

    flow.step(ship)


def an_output_json_cannot_carry(flow: Any) -> None:
    def ship() -> Warehouse:
        return Warehouse()

    flow.step(ship)


def a_duplicate_slug(flow: Any) -> None:
    flow.step(lambda: 1, slug="charge")


def a_sealed_flow(flow: Any) -> None:
    flow.seal()
    flow.step(lambda: 1, slug="ship")


def an_option_that_belongs_to_maps(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", max_concurrency=3)


def a_misspelt_option(flow: Any) -> None:
    flow.step(lambda: 1, slug="ship", max_attempt=3)


def a_misspelt_argument(flow: Any) -> None:
    flow.map(lambda: 1, slug="ship", over="order.lines", afer=[])


Case = tuple[Callable[[Any], None], str]

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
    (a_generator, "the handler is a generator (it contains `yield`); return the whole value instead"),
    (an_async_generator, "the handler is a generator (it contains `yield`); return the whole value instead"),
    (a_partial_of_a_generator, "the handler is a generator (it contains `yield`); return the whole value instead"),
    (
        a_builtin_without_signature,
        "its signature cannot be read (no signature found for builtin type <class 'int'>); wrap it in a function",
    ),
    (a_bare_map, "a map needs its array: write @flow.map(over=…)"),
    (unknown_after, "after: there is no earlier step 'chrage'; did you mean 'charge'?"),
    (itself_in_after, "after: 'ship' is the step itself; a step may only refer to earlier ones"),
    (its_function_in_after, "after: 'ship' is the step itself; a step may only refer to earlier ones"),
    (input_in_after, "after: 'order' is the input, not a step; it is there from the beginning"),
    (after_that_is_no_list, "after: takes a list of steps, as in after=[reserve]"),
    (after_that_is_a_slug, "after: takes a list of steps, as in after=[reserve]"),
    (a_number_in_after, "after: name a step by its function or slug, not by 3"),
    (
        a_function_that_is_no_step,
        "after: function 'bill' is no step of this flow; decorate it first, or name another step (known: "
        "'assess', 'charge', 'reserve')",
    ),
    (a_step_of_another_flow, "after: step 'charge' belongs to another flow"),
    (
        a_function_that_is_two_steps,
        "after: function 'charge' is the steps 'charge' and 'charge_again'; name the one by its slug",
    ),
    (unknown_over, "over: 'ordr' is neither the input nor an earlier step; did you mean 'order'?"),
    (itself_in_over, "over: 'ship' is the step itself; a step may only refer to earlier ones"),
    (over_by_the_wrong_name_of_the_input, "over: the input of this flow is called 'order'"),
    (over_a_broken_path, "over: 'order..lines' is no dotted path; write it like 'fetch.pages'"),
    (over_a_missing_field, "over: order is Order, which has no 'line'; did you mean 'lines'?"),
    (over_a_field_of_a_list, "over: order.lines is list[Line], which has no 'sku'"),
    (over_something_that_is_no_array, "over: order.customer is str, not an array"),
    (over_a_step_that_gives_no_array, "over: charge is Payment, not an array"),
    (over_a_number, "over: name a step by its function or slug, not by 3"),
    (
        an_item_that_does_not_fit,
        "parameter 'item' is int, but an element of order.lines is Line: $: int is wanted, Line is produced",
    ),
    (
        an_item_that_does_not_fit_the_output_of_a_map,
        "parameter 'item' is int, but an element of reserve is str: $: int is wanted, str is produced",
    ),
    (
        an_output_of_another_kind,
        "parameter 'assess' is int, but step 'assess' gives str: $: int is wanted, str is produced",
    ),
    (
        an_output_without_a_required_field,
        "parameter 'charge' is Invoice, but step 'charge' gives Payment: $.number: the required field is "
        "missing in Payment",
    ),
    (
        an_output_with_other_literals,
        "parameter 'charge' is Settled, but step 'charge' gives Payment: $.status: Literal['settled'] is "
        "wanted, Literal['declined', 'paid'] is produced",
    ),
    (
        one_output_of_a_map,
        "parameter 'reserve' is str, but step 'reserve' gives list[str]: $: str is wanted, list[str] is produced",
    ),
    (
        another_input_than_the_flow_says,
        "parameter 'order' is Invoice, but the flow's input is Order: $.number: the required field is missing in Order",
    ),
    (
        an_annotation_unknown_at_run_time,
        "the annotation of parameter 'charge' names 'Decimal', which is unknown at run time; define it "
        "before the step, or import it outside `if TYPE_CHECKING`",
    ),
    (
        a_return_annotation_unknown_at_run_time,
        "the annotation of the return value names 'Decimal', which is unknown at run time; define it "
        "before the step, or import it outside `if TYPE_CHECKING`",
    ),
    (
        an_annotation_that_cannot_be_evaluated,
        "the annotation of parameter 'charge', 'Payment.nothing', cannot be evaluated: AttributeError: "
        "type object 'Payment' has no attribute 'nothing'",
    ),
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
    (
        a_parameter_json_cannot_carry,
        "parameter 'charge': Warehouse: at $: JSON cannot carry Warehouse; use an attrs class, a "
        "dataclass, a TypedDict or a msgspec.Struct, or Resource[...] for a service",
    ),
    (
        an_output_json_cannot_carry,
        "the return value: Warehouse: at $: JSON cannot carry Warehouse; use an attrs class, a dataclass,"
        " a TypedDict or a msgspec.Struct, or Resource[...] for a service",
    ),
    (a_sealed_flow, "the flow is sealed: a kernel has taken it; define all steps before the kernel is made"),
    (
        an_option_that_belongs_to_maps,
        "option 'max_concurrency' belongs to maps: use @flow.map(over=…, max_concurrency=…), or leave it out",
    ),
    (a_misspelt_option, "unknown option 'max_attempt'; did you mean 'max_attempts'?"),
    (a_misspelt_argument, "unknown option 'afer'; did you mean 'after'?"),
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
    (
        a_class,
        "flow 'fulfil', step 'Warehouse': Warehouse is a class; decorate a function, or pass an instance's method",
    ),
    (a_number, "flow 'fulfil': a handler must be a function, not int"),
    (a_slug_instead_of_a_function, "flow 'fulfil': a handler must be a function, not a str; write slug='ship'"),
    (
        a_partial_without_slug,
        "flow 'fulfil': a handler that is a partial has no name that could be the step's; pass slug=…",
    ),
    (
        a_lambda_without_slug,
        "flow 'fulfil': a handler that is a <lambda> has no name that could be the step's; pass slug=…",
    ),
    (
        a_duplicate_slug,
        "flow 'fulfil', step 'charge': there are two steps 'charge'; rename the function or pass slug=…",
    ),
]
"""The whole message."""


def named(case: object) -> str:
    return getattr(case, "__name__", "")


@pytest.mark.parametrize(("define", "message"), AT_SHIP, ids=named)
def test_a_wrong_step(define: Callable[[Any], None], message: str) -> None:
    """The message names flow, step and place, says what is wrong there, and what to write instead."""
    flow = new_flow()

    with pytest.raises(FlowDefinitionError) as raised:
        define(flow)

    assert f"flow 'fulfil', step 'ship': {message}" == str(raised.value)
    assert (raised.value.flow, raised.value.step) == ("fulfil", "ship")
    assert "ship" not in flow.steps


@pytest.mark.parametrize(("define", "message"), ELSEWHERE, ids=named)
def test_a_wrong_step_without_a_proper_name(define: Callable[[Any], None], message: str) -> None:
    """The message names the step as far as it has a name."""
    flow = new_flow()

    with pytest.raises(FlowDefinitionError) as raised:
        define(flow)

    assert message == str(raised.value)
    assert list(flow.steps) == ["assess", "charge", "reserve"]


def test_a_refused_step_leaves_nothing_behind() -> None:
    """After an error the flow is as before: the same slug can be defined properly, and the input is not decided."""
    flow: Any = Flow("fulfil", version=1)

    def broken(input: Order, missing: int) -> None: ...

    def proper(input: Invoice) -> None: ...

    with pytest.raises(FlowDefinitionError):
        flow.step(broken, slug="charge")
    flow.step(proper, slug="charge")

    assert flow.input_schema.name == "Invoice"


WRONG_FLOWS: list[tuple[dict[str, Any], str]] = [
    ({"slug": "1st"}, "flow slug '1st' must consist of letters, digits and underscores, not beginning with a digit"),
    (
        {"slug": "fulfil\n"},
        "flow slug 'fulfil\\n' must consist of letters, digits and underscores, not beginning with a digit",
    ),
    ({"slug": ""}, "flow slug '' must not be empty"),
    ({"slug": "f" * 129}, f"flow slug '{'f' * 129}' has 129 characters; at most 128 are allowed"),
    ({"version": 0}, "version must be an int from 1 to 2147483647, or 'dev', not 0"),
    ({"version": True}, "version must be an int from 1 to 2147483647, or 'dev', not True"),
    ({"version": "2"}, "version must be an int from 1 to 2147483647, or 'dev', not '2'"),
    ({"version": 2**31}, "version must be an int from 1 to 2147483647, or 'dev', not 2147483648"),
    ({"input_name": "config"}, "input_name 'config' is reserved for something else"),
    ({"input_name": "class"}, "input_name 'class' is a Python keyword, so no parameter could be named like it"),
    (
        {"input_name": "an order"},
        "input_name 'an order' must consist of letters, digits and underscores, not beginning with a digit",
    ),
    ({"input_name": 3}, "input_name 3 must be a str, not int"),
    ({"input": "Order"}, "input: pass the type itself, not its name 'Order'"),
    (
        {"input": Warehouse},
        "input: Warehouse: at $: JSON cannot carry Warehouse; use an attrs class, a dataclass, "
        "a TypedDict or a msgspec.Struct, or Resource[...] for a service",
    ),
    ({"time_out": 3}, "unknown option 'time_out'; did you mean 'timeout'?"),
    ({"inptu": Order}, "unknown option 'inptu'; did you mean 'input'?"),
    (
        {"non_retryable": (ValueError,)},
        "option 'non_retryable' belongs to single steps, not to a flow: pass it to @flow.step or @flow.map",
    ),
    (
        {"max_concurrency": 3},
        "option 'max_concurrency' belongs to maps: use @flow.map(over=…, max_concurrency=…), or leave it out",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_FLOWS)
def test_a_wrong_flow(arguments: dict[str, Any], message: str) -> None:
    """Everything that is wrong with a flow itself is said when it is made."""
    make: Any = Flow

    with pytest.raises(FlowDefinitionError) as raised:
        make(**{"slug": "fulfil", "version": 1, **arguments})

    slug = arguments.get("slug", "fulfil")

    assert f"flow {slug!r}: {message}" == str(raised.value)
