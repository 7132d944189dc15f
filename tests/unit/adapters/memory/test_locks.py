"""Row locks: who gets them, in which order, and when waiting is refused."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.adapters.memory.locks import Holder, Locks, MustWait, Wait
from fairlead.ports.errors import Contention


def wait_for(locks: Locks, key: str, holder: Holder) -> Wait:
    """Queue for a lock that somebody else holds."""
    with pytest.raises(MustWait) as met:
        locks.lock(key, holder)
    return met.value.wait


async def test_a_lock_goes_to_those_who_wait_in_order_of_arrival() -> None:
    """Whoever comes later, even while the lock changes hands, comes after them."""
    locks = Locks()
    first, second, third = Holder(), Holder(), Holder()
    locks.lock("row", first)
    waits = [wait_for(locks, "row", second), wait_for(locks, "row", third)]

    locks.release(first)

    assert [wait.granted for wait in waits] == [True, False]
    assert not locks.try_lock("row", Holder())
    locks.release(second)
    assert locks.holds("row", third)


async def test_a_lock_nobody_waits_for_is_forgotten() -> None:
    """After its holder's end a row is free, and nothing is kept for it."""
    locks = Locks()
    holder = Holder()
    locks.lock("row", holder)

    locks.release(holder)

    assert not locks.is_locked("row")
    assert holder.held == []


async def test_who_gives_up_is_passed_over() -> None:
    """A wait that was abandoned does not get the lock."""
    locks = Locks()
    first, second, third = Holder(), Holder(), Holder()
    locks.lock("row", first)
    given_up = wait_for(locks, "row", second)
    wait_for(locks, "row", third)

    locks.abandon(given_up)
    locks.release(first)

    assert locks.holds("row", third)
    assert locks.waiting == 0


@pytest.mark.fault(23)
async def test_a_circle_of_three_is_refused() -> None:
    """The one whose wait would close the circle gets `Contention`; the others go on waiting."""
    locks = Locks()
    one, two, three = Holder(), Holder(), Holder()
    for key, holder in (("a", one), ("b", two), ("c", three)):
        locks.lock(key, holder)
    wait_for(locks, "b", one)
    wait_for(locks, "c", two)

    with pytest.raises(Contention, match="deadlock"):
        locks.lock("a", three)

    assert locks.waiting == 2
    assert three.waiting is None


async def test_a_circle_that_arises_behind_a_queue_is_refused() -> None:
    """A lock that was handed on makes its new holder the one who is waited for."""
    locks = Locks()
    first, second, third = Holder(), Holder(), Holder()
    locks.lock("a", first)
    locks.lock("b", third)
    wait_for(locks, "a", second)
    wait_for(locks, "a", third)
    locks.release(first)

    with pytest.raises(Contention, match="deadlock"):
        locks.lock("b", second)


def test_a_waiter_of_a_closed_loop_is_passed_over() -> None:
    """A lock never goes to a coroutine that can no longer run."""
    locks = Locks()
    holder, gone, alive = Holder(), Holder(), Holder()
    locks.lock("row", holder)

    async def queue_up(waiting: Holder) -> None:
        wait_for(locks, "row", waiting)

    async def hand_on() -> None:
        await queue_up(alive)
        locks.release(holder)

    asyncio.run(queue_up(gone))
    asyncio.run(hand_on())

    assert locks.holds("row", alive)
