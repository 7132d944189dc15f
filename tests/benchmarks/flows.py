"""What the workloads run: trivial handlers over payloads of about 200 bytes."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from fairlead.kernel import Flow

TEXT = "x" * 170

PAYLOAD = f'{{"text":"{TEXT}","handled":0}}'
"""An order as JSON, before anybody has handled it."""


@frozen
class Order:
    """The payload: text that makes it long enough, and how many steps it went through."""

    text: str
    handled: int


@frozen
class Batch:
    """The input of the fan-out."""

    orders: list[Order]


def _handled(order: Order) -> Order:
    return Order(order.text, order.handled + 1)


one_step = Flow("one_step", version=1, input=Order, input_name="order")


@one_step.step
async def handle(order: Order) -> Order:
    """The only step."""
    return _handled(order)


five_steps = Flow("five_steps", version=1, input=Order, input_name="order")


@five_steps.step
async def first(order: Order) -> Order:
    """Takes the input."""
    return _handled(order)


@five_steps.step
async def second(first: Order) -> Order:
    """Takes what the step before returned, as do all that follow."""
    return _handled(first)


@five_steps.step
async def third(second: Order) -> Order:
    """The third step."""
    return _handled(second)


@five_steps.step
async def fourth(third: Order) -> Order:
    """The fourth step."""
    return _handled(third)


@five_steps.step
async def fifth(fourth: Order) -> Order:
    """The last step."""
    return _handled(fourth)


fan_out = Flow("fan_out", version=1, input=Batch, input_name="batch")


@fan_out.map(over="batch.orders")
async def each(item: Order) -> Order:
    """One task per order."""
    return _handled(item)


@fan_out.step
async def total(each: list[Order]) -> int:
    """How many orders were handled, by what their tasks returned."""
    return sum(order.handled for order in each)


FLOWS: tuple[Flow[Any], ...] = (one_step, five_steps, fan_out)
