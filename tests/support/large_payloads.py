"""Flows with large payloads, and the world they run in."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

from attrs import frozen

from fairlead.kernel import Flow, Kernel
from fairlead.kernel.references import INLINE_BYTES_MAX
from fairlead.ports import Ports
from tests.support.watched_blobs import WatchedBlobs

TIMEOUT_S = 30.0
MIB = 1024 * 1024


@frozen
class World:
    """An adapter's ports in real time, their blobs under watch."""

    ports: Ports
    blobs: WatchedBlobs

    def kernel(self, *flows: Flow[Any], inline_bytes_max: int = INLINE_BYTES_MAX) -> Kernel:
        """A kernel over them."""
        return Kernel(flows=flows, ports=self.ports, inline_bytes_max=inline_bytes_max)


def words(count: int, length: int) -> list[str]:
    """Distinct words of one length."""
    return [str(number).rjust(length, "x") for number in range(count)]


def echo() -> Flow[str]:
    """Two steps that hand a text on, the second in a thread."""
    flow = Flow("echo", version=1, input=str, input_name="text")

    @flow.step
    async def first(text: str) -> str:
        return text

    @flow.step
    def second(first: str, text: str) -> list[str]:
        return [first, text]

    return flow


def streaming() -> Flow[int]:
    """Arrays that are made and taken element by element, in threads and in the event loop."""
    flow = Flow("streaming", version=1, input=int, input_name="count")

    @flow.step
    def made(count: int) -> Iterable[str]:
        return (word for word in words(count, 1_000))

    @flow.step
    async def awaited(count: int) -> AsyncIterator[str]:
        async def each() -> AsyncIterator[str]:
            for word in words(count, 1_000):
                yield word

        return each()

    @flow.map(over=made)
    async def size(item: str) -> int:
        return len(item)

    @flow.map(over=awaited)
    def long(item: str, index: int) -> str:
        return item * 100 if index < 12 else item

    @flow.step
    def taken(made: Iterable[str], size: Iterable[int], long: Iterable[str]) -> list[int]:
        return [sum(map(len, made)), sum(map(len, made)), sum(size), sum(map(len, long))]

    @flow.step
    async def awaiting(awaited: AsyncIterable[str], size: AsyncIterable[int], long: Iterable[str]) -> list[int]:
        assert isinstance(long, list), "an async handler takes an Iterable whole"
        return [sum([len(x) async for x in awaited]), sum([x async for x in size]), sum(map(len, long))]

    return flow
