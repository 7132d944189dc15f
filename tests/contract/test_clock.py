"""Clock: wall time that never steps back, and monotonic time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.scenes import PATIENCE_S
from tests.support.subjects import ClockSubject


async def test_now_is_aware_and_in_utc(clock_subject: ClockSubject) -> None:
    """Times of different hosts can be compared."""
    assert clock_subject.clock.now().utcoffset() == timedelta(0)


@pytest.mark.fault(43)
async def test_time_never_steps_back(clock_subject: ClockSubject) -> None:
    """Neither wall time nor monotonic time, also over a comparison with the reference."""
    clock = clock_subject.clock
    walls, monotonics = [clock.now()], [clock.monotonic()]

    for turn in range(200):
        if turn % 50 == 0:
            await clock.synchronise()
            await clock_subject.pass_time(0.001)
        walls.append(clock.now())
        monotonics.append(clock.monotonic())

    assert walls == sorted(walls)
    assert monotonics == sorted(monotonics)


async def test_sleep_lasts_as_long_as_it_says(clock_subject: ClockSubject) -> None:
    """By this clock's own time, wall and monotonic: not done before, done after."""
    clock = clock_subject.clock
    wall, monotonic = clock.now(), clock.monotonic()

    sleeping = asyncio.create_task(clock.sleep(0.05))
    await asyncio.sleep(0)
    assert not sleeping.done()
    await clock_subject.pass_time(0.05)
    await asyncio.wait_for(sleeping, PATIENCE_S)

    slack_s = 0.002 + 2 * clock.uncertainty_s
    assert clock.monotonic() - monotonic >= 0.05 - 0.002
    assert (clock.now() - wall).total_seconds() >= 0.05 - slack_s


async def test_sleepers_wake_in_the_order_of_their_times(clock_subject: ClockSubject) -> None:
    """Whoever began first, the shorter sleep ends first."""
    clock = clock_subject.clock
    woken: list[float] = []

    async def sleep(duration_s: float) -> None:
        await clock.sleep(duration_s)
        woken.append(duration_s)

    sleepers = [asyncio.create_task(sleep(duration_s)) for duration_s in (0.09, 0.03, 0.06)]
    for _ in range(3):
        await clock_subject.pass_time(0.03)
    await asyncio.wait_for(asyncio.gather(*sleepers), PATIENCE_S)

    assert woken == [0.03, 0.06, 0.09]


async def test_no_sleep_and_a_negative_sleep_end_at_once(clock_subject: ClockSubject) -> None:
    """A moment that has passed is not waited for, without any time passing."""
    began_s = clock_subject.clock.monotonic()
    for duration_s in (0.0, -1.0, -1e9):
        await asyncio.wait_for(clock_subject.clock.sleep(duration_s), PATIENCE_S)

    assert 0 <= clock_subject.clock.monotonic() - began_s < PATIENCE_S


async def test_a_sleeper_can_be_cancelled(clock_subject: ClockSubject) -> None:
    """Cancelling ends the sleep and leaves nothing behind."""
    sleeping = asyncio.create_task(clock_subject.clock.sleep(3600))
    await asyncio.sleep(0)

    sleeping.cancel()
    await asyncio.wait({sleeping}, timeout=PATIENCE_S)

    assert sleeping.cancelled()


async def test_uncertainty_is_known_after_a_comparison(clock_subject: ClockSubject) -> None:
    """Not negative, and small enough on one machine to claim with; comparing again is harmless."""
    clock = clock_subject.clock
    await clock.synchronise()
    await clock.synchronise()

    assert 0 <= clock.uncertainty_s < 1
