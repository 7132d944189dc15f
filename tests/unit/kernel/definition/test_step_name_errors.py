"""Steps written down wrongly, with the whole message that each gets: names of other steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.wrong_steps import Case, Line, assert_refused_at_ship, charge, named, new_flow


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


AT_SHIP: list[Case] = [
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
]
"""What is wrong with the step `ship`, and what is said after its name."""


@pytest.mark.parametrize(("define", "message"), AT_SHIP, ids=named)
def test_a_wrong_step(define: Callable[[Any], None], message: str) -> None:
    """The message names flow, step and place, says what is wrong there, and what to write instead."""
    assert_refused_at_ship(define, message)
