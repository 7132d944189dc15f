"""The manual clock: time passes when a test says so, and sleepers wake in their order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fairlead.adapters.memory import ManualClock


async def turn() -> None:
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_time_stands_still_until_it_is_moved() -> None:
    """Wall time and monotonic time move together, by durations or by seconds."""
    clock = ManualClock(datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))))

    clock.advance(timedelta(minutes=1))
    clock.advance(0.5)

    assert clock.now() == datetime(2026, 5, 1, 10, 1, 0, 500_000, tzinfo=UTC)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() == 60.5


def test_a_clock_refuses_to_step_backwards() -> None:
    """A negative advance changes nothing."""
    clock = ManualClock()

    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)

    assert clock.monotonic() == 0


def test_a_start_without_a_time_zone_is_refused() -> None:
    """A clock's time is aware."""
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """By the time they sleep until, and first come first where that is the same."""
    clock = ManualClock()
    woken: list[str] = []

    async def sleep(name: str, duration_s: float) -> None:
        await clock.sleep(duration_s)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        for name, duration_s in (("late", 30), ("first", 10), ("second", 10), ("later", 31)):
            group.create_task(sleep(name, duration_s))
        await turn()
        assert clock.next_wake_s == 10
        clock.advance(30)
        await turn()
        assert woken == ["first", "second", "late"]
        assert clock.sleeping == 1
        clock.advance(1)

    assert woken[-1] == "later"
    assert clock.next_wake_s is None


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """And the others wake in order all the same."""
    clock = ManualClock()
    sleepers = [asyncio.create_task(clock.sleep(duration_s)) for duration_s in (5, 1, 3, 2, 4)]
    await turn()

    sleepers[1].cancel()
    await turn()

    assert clock.sleeping == 4
    assert clock.next_wake_s == 2
    clock.advance(5)
    await asyncio.gather(*sleepers, return_exceptions=True)
    assert clock.sleeping == 0


async def test_a_sleep_that_is_over_already_does_not_wait() -> None:
    """Durations of zero and below."""
    clock = ManualClock()

    await clock.sleep(0)
    await clock.sleep(-1)

    assert clock.sleeping == 0
