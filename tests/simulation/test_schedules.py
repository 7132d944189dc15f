"""Crash points of what is scheduled: every port call of clients and firing hosts is struck, in every way.

A client makes a schedule that ticks every ten seconds, defers a start and gives another run a deadline; two hosts fire
what is due. Whatever strikes, in the end every tick has its run, one each; the deferred run is there under the id that
was told; the other is cancelled; and nothing is left in the scheduler but the schedule.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from fairlead.hosts.simulation.fate import Plan, Strike
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Flow, Kernel, RunStatus
from fairlead.kernel.commands import FireScheduled
from fairlead.kernel.cron import Cron
from fairlead.kernel.dispatch import firing
from fairlead.kernel.schedules import tick_key
from fairlead.ports.errors import AdapterError
from fairlead.ports.reading import RunFilter

CRON = "*/10 * * * * *"

FIRING_S = 65.0
"""How long hosts come and go that may be struck."""

PAUSE_S = 5.0
"""Between two looks of a host."""


def play(strikes: Mapping[int, Strike] | None = None) -> Plan:
    """Play it all to the end; what was passed and struck.

    Raises:
        AssertionError: a promise was broken; says under which strikes.
    """
    plan = Plan(strikes or {})
    setting = evolve(Setting.calm(), machines=0, kills=100)
    with World([_flow()], setting, random.Random("schedules"), inline_bytes_max=50, fate=plan) as world:
        try:
            world.watch(_Play(world).act())
        except AssertionError as violation:
            raise AssertionError(f"{plan}: {violation}") from violation
    return plan


class _Play:
    """A client, and the hosts that come and go."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._flow = world.flows[0]
        self._clock = world.clock
        self._told: dict[str, str] = {}
        """What the client was told: the ids of runs, and names."""
        self._created_at: datetime | None = None

    async def act(self) -> None:
        """All of it, and what must hold in the end."""
        await self._until_told("schedule", self._schedule)
        await self._until_told("deferred", self._defer)
        await self._until_told("started", self._start)
        await self._until_told("deadline", self._limit)
        await asyncio.gather(self._host("first", 0.0), self._host("second", 0.1))
        await asyncio.sleep(100)  # claims of processes that died end
        kernel = self._world.reader()
        await self._fire(kernel)
        await self._check(kernel)

    async def _host(self, name: str, delay_s: float) -> None:
        """A host that looks again and again, killed and begun anew."""
        await asyncio.sleep(delay_s)
        for number in itertools.count(1):
            if self._clock.monotonic() >= FIRING_S:
                return
            process = self._world.incarnate(f"{name}.{number}")
            with suppress(AdapterError):
                await process.run(partial(self._fire, self._world.kernel(process)))
            await asyncio.sleep(PAUSE_S)

    async def _fire(self, kernel: Kernel) -> None:
        while (await kernel.dispatch(FireScheduled())).claimed:
            pass

    # What the client does, as often as it takes to be told

    async def _until_told(self, what: str, act: Callable[[Kernel], Awaitable[str]]) -> None:
        async def told(kernel: Kernel) -> bool:
            self._told[what] = await act(kernel)
            return True

        await self._world.insist(what, told)

    async def _schedule(self, kernel: Kernel) -> str:
        made = await kernel.schedule(self._flow, cron=CRON, input="x" * 100, catch_up="all", name="ticker")
        self._created_at = made.record.created_at
        return made.name

    async def _defer(self, kernel: Kernel) -> str:
        return (await kernel.start_later(self._flow, "later", after=25, key="later")).record.run_id

    async def _start(self, kernel: Kernel) -> str:
        return (await kernel.start(self._flow, "now", key="now")).id

    async def _limit(self, kernel: Kernel) -> str:
        return (await kernel.cancel_later(self._told["started"], after=45, reason="late")).name

    # Checks

    async def _check(self, kernel: Kernel) -> None:
        runs = (await kernel.runs(RunFilter(), limit=1_000)).runs
        keys = Counter(run.key for run in runs)
        assert self._created_at is not None
        ticks = Cron(CRON).between(self._created_at, self._clock.now())
        expected = [*(f"schedule/ticker/{tick:%Y-%m-%dT%H:%M:%SZ}" for tick in ticks), "later", "now"]
        assert keys == Counter(expected)
        by_key = {run.key: run for run in runs}
        assert by_key["later"].id == self._told["deferred"]
        assert (by_key["now"].status, by_key["now"].reason) == (RunStatus.CANCELLED, "late")
        assert await kernel.deferred() == []
        (schedule,) = await kernel.schedules()
        (last,) = Cron(CRON).latest(self._created_at, self._clock.now(), 1)
        assert (schedule.record.problem, schedule.record.last_tick) == (None, last)


def _flow() -> Flow[Any]:
    flow = Flow("ticker", version=1, input=str)

    @flow.step
    async def step(input: str) -> str:
        return input

    return flow


def test_without_faults_every_tick_is_fired() -> None:
    """What is played is right, and comes by every port that may be struck."""
    passed = set(play().points)

    assert {"scheduler.claim_due", "scheduler.put_back", "scheduler.ack", "persistence.insert_runs"} <= passed
    assert {"scheduler.schedule", "scheduler.read", "blobs.put", "blobs.get", "transaction.commit"} <= passed


@pytest.mark.fault(70)
@pytest.mark.parametrize("strike", Strike)
def test_every_port_call_may_be_struck(strike: Strike, stride: int) -> None:
    """One strike at each point, or at some of them: every tick has its run, one each."""
    for point in range(list(Strike).index(strike) % stride, len(play().points), stride):
        assert len(play({point: strike}).struck) == 1


def test_several_strikes_at_once(seeds: range) -> None:
    """Random points and modes, some of them while the recovery from others is under way."""
    points = len(play().points)
    most = 0
    for seed in seeds:
        chosen = random.Random(seed)
        strikes = {chosen.randrange(points): chosen.choice(list(Strike)) for _ in range(chosen.randint(2, 8))}
        most = max(most, len(play(strikes).struck))

    assert most > 1, "in no play struck more than one"


def test_the_key_of_a_tick_is_what_makes_it_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, a host that dies before it puts a schedule back doubles a tick, and this simulation finds out."""
    first = play().points.index("scheduler.put_back")
    tries: Counter[str] = Counter()

    def numbered(name: str, tick: datetime) -> str:
        key = tick_key(name, tick)
        tries[key] += 1
        return key if tries[key] == 1 else f"{key}#{tries[key]}"

    monkeypatch.setattr(firing, "tick_key", numbered)

    with pytest.raises(AssertionError, match="killed before"):
        play({first: Strike.KILLED_BEFORE})
