"""Steps written down wrongly, with the whole message that each gets: handlers, slugs and options."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from fairlead.kernel import Flow, FlowDefinitionError
from tests.support.wrong_steps import Case, Invoice, Order, Warehouse, assert_refused_at_ship, assess, named, refused


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


GENERATOR = (
    "the handler is a generator (it contains `yield`), which runs only while somebody goes through it; put the `yield` "
    "into an inner function, return what calling that gives, and annotate {}[…]"
)

AT_SHIP: list[Case] = [
    (a_generator, GENERATOR.format("Iterable")),
    (an_async_generator, GENERATOR.format("AsyncIterable")),
    (a_partial_of_a_generator, GENERATOR.format("Iterable")),
    (
        a_builtin_without_signature,
        "its signature cannot be read (no signature found for builtin type <class 'int'>); wrap it in a function",
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


def test_a_refused_step_leaves_nothing_behind() -> None:
    """After an error the flow is as before: the same slug can be defined properly, and the input is not decided."""
    flow: Any = Flow("fulfil", version=1)

    def broken(input: Order, missing: int) -> None: ...

    def proper(input: Invoice) -> None: ...

    with pytest.raises(FlowDefinitionError):
        flow.step(broken, slug="charge")
    flow.step(proper, slug="charge")

    assert flow.input_schema.name == "Invoice"
