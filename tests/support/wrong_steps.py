"""A flow in which steps are written down wrongly, and what is to be said then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from attrs import frozen

from fairlead.kernel.definition import Flow
from fairlead.kernel.errors import FlowDefinitionError


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


Case = tuple[Callable[[Any], None], str]
"""What defines a wrong step, and what is said of it."""


def named(case: object) -> str:
    return getattr(case, "__name__", "")


def refused(define: Callable[[Any], None]) -> tuple[FlowDefinitionError, list[str]]:
    """The error of a wrong step, and the steps that its flow has then."""
    flow = new_flow()
    with pytest.raises(FlowDefinitionError) as raised:
        define(flow)
    return raised.value, list(flow.steps)


def assert_refused_at_ship(define: Callable[[Any], None], message: str) -> None:
    """The definition of a step `ship` is refused with this message, and leaves no step behind."""
    error, steps = refused(define)

    assert f"flow 'fulfil', step 'ship': {message}" == str(error)
    assert (error.flow, error.step) == ("fulfil", "ship")
    assert "ship" not in steps
