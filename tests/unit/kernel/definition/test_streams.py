"""Annotations of streams: what is taken and made element by element, and what cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Any, Optional

import pytest

from fairlead.kernel.context import Context
from fairlead.kernel.definition import Flow
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.plan import INPUT
from fairlead.kernel.schema import Schema
from tests.support.bindings import binding_of


def new_flow() -> Flow[list[int]]:
    """A flow over numbers, with a step that makes some."""
    flow = Flow("streams", version=1, input=list[int], input_name="numbers")

    @flow.step
    def make() -> list[int]:
        return [1]

    return flow


def taken(handler: Any) -> dict[str, bool]:
    """Whether each parameter of a step is taken element by element."""
    flow = new_flow()
    flow.step(handler)
    binding = binding_of(flow)
    found = {each.source: each.streamed is not None for each in binding.payloads}

    assert binding.streams == {source for source, streamed in found.items() if streamed}
    assert all(each.schema is Schema.of(list[int]) for each in binding.payloads)
    return found


def test_a_plain_function_takes_an_iterable_by_the_element() -> None:
    """Of an earlier step, or of the input."""

    def use(make: Iterable[int], numbers: Iterable[int]) -> None: ...

    assert taken(use) == {"make": True, INPUT: True}


def test_an_async_handler_takes_an_async_iterable_by_the_element() -> None:
    """An Iterable it could only wait for by blocking the loop, so that is a list."""

    async def use(make: AsyncIterable[int], numbers: Iterable[int]) -> None: ...

    assert taken(use) == {"make": True, INPUT: False}


def test_a_stream_may_be_absent() -> None:
    """Of a step that may be skipped: None then, and otherwise element by element, as it is where it is made."""
    flow = Flow("streams", version=1, input=list[int])

    @flow.step(when={"input": [1]})
    def make() -> Iterable[int] | None:
        return None

    @flow.step
    def plain(make: Iterable[int] | None) -> None: ...

    @flow.step
    async def looping(make: Optional[AsyncIterable[int]]) -> None: ...  # noqa: UP045 - the older way to say it

    @flow.step
    async def whole(make: Iterable[int] | None) -> None: ...

    flow.seal()
    context = Context(run_id="r", flow="streams", step="plain", idempotency_key="k")

    assert [binding_of(flow, slug).streams for slug in ("plain", "looping", "whole")] == [{"make"}, {"make"}, set()]
    assert flow.steps["make"].streamed is Schema.of(int)
    assert flow.steps["make"].output is Schema.of(list[int] | None)
    assert binding_of(flow, "plain").arguments({"make": None}, context) == {"make": None}
    assert binding_of(flow, "plain").arguments({"make": b"null"}, context) == {"make": None}


def test_messages_name_streams_as_they_are_written() -> None:
    """Nobody looks for a list that is not there."""
    flow = Flow("streams", version=1, input=list[int])

    @flow.step(when={"input": [1]})
    def make() -> list[int]:
        return []

    @flow.map(over="input", tolerate_failures=1)
    def tolerant(item: int) -> int:
        return item

    def skipped(make: Iterable[int]) -> None: ...
    async def gaps(tolerant: AsyncIterable[int]) -> None: ...
    def misfit(make: Iterable[str]) -> None: ...

    with pytest.raises(FlowDefinitionError, match=r"is Iterable\[int\], but .* write Iterable\[int\] \| None, "):
        flow.step(skipped)
    with pytest.raises(FlowDefinitionError, match=r"is AsyncIterable\[int\], .* write AsyncIterable\[int \| None\]$"):
        flow.step(gaps)
    with pytest.raises(FlowDefinitionError, match=r"parameter 'make' is Iterable\[str\], but "):
        flow.step(misfit)


def test_the_element_of_a_map_arrives_whole() -> None:
    """Each is small against the array that it is in."""
    flow: Flow[list[list[int]]] = Flow("streams", version=1, input=list[list[int]])

    @flow.map(over="input")
    def use(item: Iterable[int]) -> int:
        return sum(item)

    assert binding_of(flow, "use").streams == frozenset()


def test_what_makes_its_array_by_the_element() -> None:
    """Its type is the list's; dependents see no difference, nor does the fingerprint."""
    shapes: set[str] = set()
    for returns in (list[int], Iterable[int], Iterator[int], AsyncIterable[int], AsyncIterator[int]):
        flow = new_flow()

        async def use() -> Any: ...

        use.__annotations__["return"] = returns
        flow.step(use)
        step = flow.steps["use"]
        flow.seal()
        shapes.add(flow.shape.fingerprint)

        assert step.output is Schema.of(list[int])
        assert step.streamed is (None if returns == list[int] else Schema.of(int))
    assert len(shapes) == 1


def test_a_stream_is_handed_on_as_it_is() -> None:
    """The binding gives it the element's type and the parameter's name; a list it decodes."""

    class Stream:
        def of(self, element: Schema, what: str) -> object:
            return (element.name, what)

    def use(make: Iterable[int]) -> None: ...

    flow = new_flow()
    flow.step(use)
    binding = binding_of(flow, "use")
    context = Context(run_id="r", flow="streams", step="use", idempotency_key="k")

    assert binding.arguments({"make": Stream()}, context) == {"make": ("int", "step 'use', parameter 'make'")}
    assert binding.arguments({"make": b"[1,2]"}, context) == {"make": [1, 2]}


def test_what_is_read_in_parts() -> None:
    """Arrays that maps work over, and whole values that are streamed, each once; the outputs of a map's tasks never."""
    flow: Flow[dict[str, list[int]]] = Flow("parts", version=1, input=dict[str, list[int]])

    @flow.step
    def listed(input: dict[str, list[int]]) -> list[int]:
        return input["a"]

    @flow.step
    def mapped(listed: Iterable[int]) -> list[int]:
        return [*listed]

    @flow.map(over=mapped)
    def each(item: int) -> int:
        return item

    @flow.map(over="input.a")
    def last(item: int, mapped: Iterable[int], each: Iterable[int], listed: list[int]) -> int:
        return item

    flow.seal()
    parts = {name: [source.dotted for source in flow.arrays_read_in_parts(name)] for name in (INPUT, *flow.steps)}

    assert parts == {"input": ["input.a"], "listed": ["listed"], "mapped": ["mapped"], "each": [], "last": []}


def plain_awaits(make: AsyncIterable[int]) -> None: ...
def once(make: Iterator[int]) -> None: ...
async def once_async(make: AsyncIterator[int]) -> None: ...
async def item_awaits(item: AsyncIterable[int]) -> None: ...
def plain_returns(make: list[int]) -> AsyncIterator[int]: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (plain_awaits, "parameter 'make': a plain function cannot await; write Iterable[…], or make the handler async"),
        (once, "parameter 'make' can be gone through again and again; write Iterable[…] instead of Iterator[…]"),
        (
            once_async,
            "parameter 'make' can be gone through again and again; write AsyncIterable[…] instead of AsyncIterator[…]",
        ),
        (item_awaits, "parameter 'item' arrives whole; write list[…]"),
        (plain_returns, "the return value: a plain function cannot return AsyncIterator[…]; write Iterable[…]"),
    ],
)
def test_streams_that_cannot_be(handler: Any, message: str) -> None:
    """Found at definition, with the way out."""
    flow = new_flow()

    add: Any = partial(flow.map, over="numbers") if handler is item_awaits else flow.step

    with pytest.raises(FlowDefinitionError) as raised:
        add(handler)

    assert str(raised.value).endswith(message)
