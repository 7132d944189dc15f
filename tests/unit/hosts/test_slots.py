"""Slots, and how free ones are shared among the places where work waits."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import frozen

from fairlead.hosts.claiming import RUNS, Claiming
from fairlead.hosts.slots import TURNS, Slots
from fairlead.hosts.ticks import Ticks
from fairlead.hosts.worker import Worker


def test_slots_are_taken_and_given() -> None:
    """Never more are taken than are free; giving tells once there is a free one."""
    told: list[int] = []
    slots = Slots(3)
    slots.when_free = lambda: told.append(slots.free)

    assert (slots.take(2), slots.take(2), slots.take(1)) == (2, 1, 0)

    slots.give(0)
    slots.give(2)

    assert told == [2]


def test_an_uncontended_offer_is_everything() -> None:
    """Where nothing waits in the store, free slots are offered beside those that were kept."""
    slots = Slots(10)
    slots.take(4)

    assert slots.offer(3) == 9
    assert slots.free == 0


@pytest.mark.fault(51)
@pytest.mark.parametrize("batch", [1, 3, 8, 50])
def test_every_eighth_slot_goes_to_what_waits(batch: int) -> None:
    """While work waits in the store, one of eight freed slots is not offered, however small the batches are."""
    slots = Slots(10_000)
    slots.take(10_000)
    slots.contended = True
    rounds = 400
    offered = sum(slots.offer(batch) for _ in range(rounds))

    freed = batch * rounds
    assert freed - offered == slots.free == freed // TURNS


def test_a_bounded_number_of_attempts() -> None:
    """With a bound on attempts there are never more slots than attempts, and each renewal uses one up."""
    slots = Slots(2, attempts_max=5)

    assert slots.total == 2
    assert [slots.renew() for _ in range(5)] == [True, True, True, False, False]
    assert Slots(10, attempts_max=3).total == 3


@frozen
class _Options:
    queues: tuple[str, ...]


class Places:
    """A worker and its ticks over places with so many things in each; every claim is noted."""

    def __init__(self, total: int, **waiting: int) -> None:
        self.waiting = {RUNS if name == "runs" else name: count for name, count in waiting.items()}
        self.slots = Slots(total)
        self.options = _Options(tuple(name for name in self.waiting if name != RUNS))
        self.claims: list[tuple[str, int, int]] = []
        self.claiming = Claiming(cast(Worker, self), cast(Ticks, self))
        self.failing: Exception | None = None
        self.congested = False
        self.draining = False

    def hear_of_all(self) -> None:
        """Something may wait everywhere."""
        self.claiming.stir(runs=True, queues=self.options.queues)

    async def recall(self) -> int:
        return 0

    async def claim(self, slots: int, **_: Any) -> int:
        return self._claim(RUNS, slots)

    async def dequeue(self, queue: str, slots: int, **_: Any) -> int:
        return self._claim(queue, slots)

    def _claim(self, place: str, slots: int) -> int:
        if self.failing is not None:
            self.slots.give(slots)
            raise self.failing
        found = min(slots, self.waiting[place])
        self.waiting[place] -= found
        self.claims.append((place or "runs", slots, found))
        self.slots.give(slots - found)
        return found


@pytest.mark.fault(51)
async def test_free_slots_are_shared_evenly() -> None:
    """Every place where something waits gets an equal share, and what one leaves goes to those after it."""
    places = Places(9, runs=100, a=100, b=1)
    places.hear_of_all()
    await places.claiming.claim()
    assert sorted(places.claims) == [("a", 3, 3), ("b", 3, 1), ("runs", 3, 3)]

    while places.claiming.possible:
        await places.claiming.claim()

    assert (places.slots.free, places.slots.contended) == (0, True)


async def test_one_slot_goes_round() -> None:
    """With a single slot no place is forgotten: each gets it in turn."""
    places = Places(1, runs=100, a=100, b=100)
    places.hear_of_all()
    for _ in range(9):
        assert places.claiming.possible
        await places.claiming.claim()
        places.slots.give(1)

    assert sorted(place for place, _, _ in places.claims) == ["a"] * 3 + ["b"] * 3 + ["runs"] * 3


async def test_an_empty_place_is_not_asked_again() -> None:
    """A claim that gets less than it could closes its place until somebody stirs."""
    places = Places(5, runs=2, a=0)
    places.hear_of_all()
    await places.claiming.claim()
    places.slots.give(2)

    assert not places.claiming.possible
    assert not places.slots.contended

    places.claims.clear()
    places.claiming.stir(queues=["a"])
    assert places.claiming.possible
    await places.claiming.claim()
    assert [place for place, _, _ in places.claims] == ["a"]


async def test_a_failed_claim_leaves_its_place_open() -> None:
    """What was not asked because of an error is asked next time, and no slot is lost."""
    places = Places(4, runs=2)
    places.hear_of_all()
    places.failing = LookupError("down")
    with pytest.raises(LookupError):
        await places.claiming.claim()

    assert (places.claiming.possible, places.slots.free) == (True, 4)


@pytest.mark.fault(35)
async def test_a_host_whose_outcomes_pile_up_claims_no_more() -> None:
    """While too many outcomes wait for the store, free slots stay free."""
    places = Places(4, runs=2)
    places.hear_of_all()
    places.congested = True
    assert not places.claiming.possible

    places.congested = False
    assert places.claiming.possible
