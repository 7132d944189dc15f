"""What the workloads run: trivial handlers over payloads of about 200 bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from attrs import frozen

from fairlead.kernel import Flow

TEXT = "x" * 170

PAYLOAD = f'{{"text":"{TEXT}","handled":0}}'
"""An order as JSON, before anybody has handled it."""

LARGE_BYTES = 200_000_000
"""The array of the large fan-out."""


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


@frozen
class Pages:
    """The input of the large fan-out: how many pages there are, and how long each is as JSON."""

    count: int
    size_bytes: int


large = Flow("large", version=1, input=Pages, input_name="wanted")


@large.step(timeout=600)
def pages(wanted: Pages) -> Iterable[str]:
    """An array that never exists as one value."""
    return (str(number).ljust(wanted.size_bytes - len('""'), "x") for number in range(wanted.count))


@large.map(over=pages)
async def measure(item: str) -> int:
    """One task per page."""
    return len(item)


@large.step(timeout=600)
def measured(measure: Iterable[int], pages: Iterable[str]) -> list[int]:
    """All pages together, by what their tasks returned, and by going through them once more."""
    return [sum(measure), sum(map(len, pages))]


stream = Flow("stream", version=1, input=int, input_name="count")


@stream.step(timeout=3_600)
def orders(count: int) -> Iterable[Order]:
    """As many orders as are wanted, which never exist as one value."""
    return (order() for _ in range(count))


@stream.map(over=orders)
async def each_of_many(item: Order) -> Order:
    """One task per order."""
    return _handled(item)


@stream.step(timeout=3_600)
def total_of_many(each_of_many: Iterable[Order]) -> int:
    """How many orders were handled, read while it is gone through."""
    return sum(order.handled for order in each_of_many)


until_next_year = Flow("until_next_year", version=1, input=Order, input_name="order")
until_next_year.sleep("pause", timedelta(days=365))

until_answered = Flow("until_answered", version=1, input=Order, input_name="order")
until_answered.signal("answer", Order, timeout=timedelta(days=365))

FLOWS: tuple[Flow[Any], ...] = (one_step, five_steps, fan_out, large, stream, until_next_year, until_answered)


def order() -> Order:
    """An order that nobody has handled."""
    return Order(TEXT, 0)


def input_of(flow: Flow[Any], elements: int) -> object:
    """What a flow is started with; `elements` are those of its map, where it has one."""
    if flow is fan_out:
        return Batch([order()] * elements)
    if flow is large:
        return Pages(elements, LARGE_BYTES // elements)
    return elements if flow is stream else order()


def output_of(flow: Flow[Any], elements: int) -> object:
    """What its last step has to return then."""
    if flow is large:
        return [elements * (LARGE_BYTES // elements - len('""'))] * 2
    return elements if flow in (fan_out, stream) else Order(TEXT, len(flow.steps))
