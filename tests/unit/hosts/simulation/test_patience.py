"""How long a healed world is waited for: what does not go on is convicted, and what takes long is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import MemoryPersistence
from fairlead.hosts.simulation import Faults, SimulationFailed, SimulationUnfit, simulate
from fairlead.hosts.simulation.patience import BUSY_S, IDLE_S, Patience, Standing
from fairlead.kernel import Flow

KILLS = evolve(Faults.none(), kills=True)


def _switch_off(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let the store find nothing of a kind."""

    async def found(*_: object, **__: object) -> Sequence[Any]:
        return ()

    monkeypatch.setattr(MemoryPersistence, method, found)


def _short() -> Flow[Any]:
    flow = Flow("short", version=1)

    @flow.step
    async def work() -> int:
        await asyncio.sleep(3)
        return 1

    return flow


def test_a_lease_that_is_never_taken_back_is_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task stays with a host that was killed: nobody works, and it does not go on."""
    _switch_off(monkeypatch, "find_expired")

    with pytest.raises(SimulationFailed, match=r"I31: .*\n.*work"):
        simulate(_short, seeds=10, faults=KILLS)


def test_a_time_that_comes_and_wakes_nobody_is_convicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep is over, and its step does not end."""
    _switch_off(monkeypatch, "find_waits")
    flow = Flow("sleeps", version=1)
    flow.sleep("pause", 100)

    with pytest.raises(SimulationUnfit, match=r"does not end without faults: I31.*pause"):
        simulate(flow, seeds=1)


def test_what_takes_long_is_not() -> None:
    """More work than hosts have slots for hours of it: some of it is always ready, and nothing stands still."""
    flow = Flow("slow", version=1, input=list[int])

    @flow.map(over="input")
    async def work(item: int) -> int:
        await asyncio.sleep(25)
        return item

    report = simulate(flow, list(range(320)), seeds=1, faults=Faults.none())

    assert report.virtual_s > IDLE_S


def _standing(*, busy: bool = False, waits: bool = False, progress: int = 0) -> Standing:
    return Standing(busy=busy, waits=waits, next_at=None, progress=progress)


@pytest.mark.parametrize(
    ("standing", "most_s"),
    [(_standing(), IDLE_S), (_standing(busy=True), BUSY_S), (_standing(busy=True, waits=True), BUSY_S)],
)
def test_patience_ends(standing: Standing, most_s: float) -> None:
    """Sooner where nobody works; whatever ends makes it new."""
    patience = Patience()
    patience.spend(standing, most_s)

    assert not patience.is_over
    patience.spend(standing, 1)
    assert patience.is_over
    patience.spend(evolve(standing, progress=1), 1)
    assert not patience.is_over


def test_waiting_for_a_time_takes_no_patience() -> None:
    """However far it is."""
    patience = Patience()
    patience.spend(_standing(waits=True), 1e9)

    assert not patience.is_over
