"""What strikes the ports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest

from fairlead.adapters.memory import MemoryBlobs
from fairlead.adapters.system import SystemClock
from fairlead.hosts.simulation.fate import Plan, Strike
from fairlead.hosts.simulation.faults import Weather
from fairlead.hosts.simulation.striking import Strikes, StruckBlobs
from fairlead.hosts.simulation.timeline import Timeline
from fairlead.ports.errors import Unavailable


class Nobody:
    """A process to which nothing happens."""

    name = "nobody"
    alive = True

    def die(self, why: str) -> None:
        """Never."""
        raise AssertionError(why)

    def stand_still(self, duration_s: float) -> None:
        """Never."""
        raise AssertionError(duration_s)


async def _listed(weather: Weather, strikes: Mapping[int, Strike]) -> tuple[list[str], list[str]]:
    """The keys of three blobs as far as they are listed, and the points that were passed."""
    blobs, plan = MemoryBlobs(SystemClock()), Plan(strikes)
    for key in ("a", "b", "c"):
        await blobs.put(key, b"")
    struck = Strikes(weather, random.Random(1), Timeline(lambda: 0.0), fate=plan, kills_left=0, pause_s=0)
    keys: list[str] = []
    try:
        async for blob in StruckBlobs(blobs, Nobody(), struck, "blobs").list():
            keys.append(blob.key)
    except Unavailable:
        keys.append("unavailable")
    return keys, plan.points


async def test_a_listing_is_left_alone_in_most_weathers() -> None:
    """Not even its calls are points."""
    assert await _listed(Weather(), {}) == (["a", "b", "c"], [])


@pytest.mark.parametrize("strike", [Strike.REFUSED, Strike.ANSWER_LOST])
async def test_a_listing_breaks_off_anywhere(strike: Strike) -> None:
    """Each element is a point, and the end is one: who lists knows only of what came before."""
    weather = Weather(listings=True)
    keys, points = await _listed(weather, {})

    assert (keys, points) == (["a", "b", "c"], ["blobs.list"] * 4)
    assert await _listed(weather, {2: strike}) == (["a", "b", "unavailable"], ["blobs.list"] * 3)
    assert await _listed(weather, {3: strike}) == (["a", "b", "c", "unavailable"], ["blobs.list"] * 4)


async def test_a_process_that_is_dead_calls_nothing() -> None:
    """What of it was running as it died goes no further than its next call: it takes no lock that nobody gives back."""
    blobs, dead = MemoryBlobs(SystemClock()), Nobody()
    struck = Strikes(Weather(), random.Random(1), Timeline(lambda: 0.0), kills_left=0, pause_s=0)
    dead.alive = False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await StruckBlobs(blobs, dead, struck, "blobs").put("a", b"")

    assert [blob.key async for blob in blobs.list()] == []
