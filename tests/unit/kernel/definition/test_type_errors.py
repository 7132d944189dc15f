"""Steps written down wrongly, with the whole message that each gets: types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.wrong_steps import Case, Invoice, Payment, Settled, Warehouse, assert_refused_at_ship, named, reserve

if TYPE_CHECKING:
    from decimal import Decimal


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


def a_parameter_json_cannot_carry(flow: Any) -> None:
    def ship(charge: Warehouse) -> None: ...

    flow.step(ship)


def an_output_json_cannot_carry(flow: Any) -> None:
    def ship() -> Warehouse:
        return Warehouse()

    flow.step(ship)


AT_SHIP: list[Case] = [
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
        a_parameter_json_cannot_carry,
        "parameter 'charge': Warehouse: at $: JSON cannot carry Warehouse; use an attrs class, a "
        "dataclass, a TypedDict or a msgspec.Struct, or Resource[...] for a service",
    ),
    (
        an_output_json_cannot_carry,
        "the return value: Warehouse: at $: JSON cannot carry Warehouse; use an attrs class, a dataclass,"
        " a TypedDict or a msgspec.Struct, or Resource[...] for a service",
    ),
]
"""What is wrong with the step `ship`, and what is said after its name."""


@pytest.mark.parametrize(("define", "message"), AT_SHIP, ids=named)
def test_a_wrong_step(define: Callable[[Any], None], message: str) -> None:
    """The message names flow, step and place, says what is wrong there, and what to write instead."""
    assert_refused_at_ship(define, message)
