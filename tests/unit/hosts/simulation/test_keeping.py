"""What a world notices of blobs: that one is removed which somebody refers to, or written over another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeAlias

import pytest

from fairlead.hosts.simulation.broken import Broken
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Flow, Kernel

LARGE = "large" * 100

Act: TypeAlias = Callable[[World, Kernel, Flow[str]], Awaitable[None]]


def _flow() -> Flow[str]:
    flow = Flow("kept", version=1, input=str, input_name="text")
    flow.signal("answer", str)

    @flow.step
    def copy(text: str) -> str:
        return text

    return flow


def _acted(act: Act) -> list[str]:
    """Let somebody act in a world without hosts; the blobs that are there afterwards."""
    flow = _flow()

    async def acting(world: World) -> list[str]:
        await act(world, world.reader(), flow)
        return [blob.key async for blob in world.blobs.list("")]

    with World([flow], Setting.calm(), Random("world"), inline_bytes_max=100) as world:
        return world.watch(acting(world))


async def _started(world: World, kernel: Kernel, flow: Flow[str]) -> str:
    return f"runs/{(await kernel.start(flow, LARGE)).id}/input/whole"


async def _removes_an_input(world: World, kernel: Kernel, flow: Flow[str]) -> None:
    await world.blobs.delete(await _started(world, kernel, flow))


async def _removes_a_signal(world: World, kernel: Kernel, flow: Flow[str]) -> None:
    run = await kernel.start(flow, "")
    await run.signal("answer", LARGE)
    (blob,) = [each async for each in world.blobs.list(f"runs/{run.id}/answer/")]
    await world.blobs.delete(blob.key)


async def _removes_what_waits(world: World, kernel: Kernel, flow: Flow[str]) -> None:
    await kernel.start_later(flow, LARGE, after=60)
    (blob,) = [each async for each in world.blobs.list("scheduled/")]
    await world.blobs.delete(blob.key)


async def _writes_over(world: World, kernel: Kernel, flow: Flow[str]) -> None:
    await world.blobs.put(await _started(world, kernel, flow), b"other", if_absent=False)


async def _does_what_it_may(world: World, kernel: Kernel, flow: Flow[str]) -> None:
    key = await _started(world, kernel, flow)
    await world.blobs.put(key, await world.blobs.get(key), if_absent=False)
    await world.blobs.put("nobodys", b"1")
    for nobodys in ("nobodys", "nowhere"):
        await world.blobs.delete(nobodys)
    await (await kernel.start_later(flow, LARGE, after=60)).withdraw()


@pytest.mark.parametrize("act", [_removes_an_input, _removes_a_signal, _removes_what_waits, _writes_over])
def test_a_blob_that_somebody_needs(act: Act) -> None:
    """Whoever it is that refers to it, and although it may be written again before anybody reads it."""
    with pytest.raises(Broken, match="I29"):
        _acted(act)


def test_a_blob_that_nobody_needs() -> None:
    """Is removed, and one is written again as it was: the world goes on, and only what a run needs is left."""
    left = _acted(_does_what_it_may)

    assert [key.rpartition("/input/")[2] for key in left] == ["whole"]
