"""What starts by the clock beside everything else: a cron schedule, and starts that are deferred, and withdrawn.

A schedule ticks for as long as faults strike, and in no other minute of its year. Now and then somebody writes it again
with another input. Of each tick there is one run; ticks without one were missed, and the schedule has told of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

from attrs import define, field

from fairlead.hosts.simulation.world import World
from fairlead.hosts.virtual import START
from fairlead.kernel import Flow, Kernel, RunStatus
from fairlead.kernel.cron import Cron
from fairlead.kernel.errors import DeferredNotFound
from fairlead.kernel.schedules import (
    CATCH_UPS,
    CatchUp,
    CronEntry,
    LeftOut,
    cancel_name,
    cron_name,
    read_entry,
    tick_key,
)
from fairlead.ports.reading import RunFilter, RunRecord
from fairlead.ports.statuses import TERMINAL_RUN

SLUG = "ticked"
NAME = "by the clock"
EVERY_S = (5, 10, 30)
MINUTES = (1, 2, 3)

ATTEMPTS_MAX = 25
TAKES_S = 0.5
INPUT_LENGTHS = (1, 500)
"""Characters: of some worlds the larger inputs are blobs."""

DEFERRED_MAX = 3
WITHIN_S = 60.0

LOOK_S = 1.0
"""How often is looked whether what was scheduled is done."""


@define
class _Deferred:
    """One deferred start, and what becomes of it."""

    key: str
    fate: str
    after_s: float
    """When it is due, from when it was asked for."""
    changes_mind_after_s: float
    run_id: str | None = None
    name: str | None = None
    withdrawn: bool = False
    """Whether its client was told so."""
    left: RunStatus | None = None
    """How its run stood when the cancel had been carried out; None where there was none."""
    cancelled: bool = False
    """Whether it had been."""


@define
class Ticking:
    """What starts by the clock in one world."""

    random: Random
    cron: str
    until: datetime
    """After its last tick for a year."""
    catch_up: CatchUp
    rewrites: int
    flow: Flow[Any] = field(init=False)
    deferred: list[_Deferred] = field(factory=list[_Deferred])
    created_at: datetime | None = None
    runs: int = 0

    def __attrs_post_init__(self) -> None:
        self.flow = _flow()

    @classmethod
    def random_one(cls, random: Random) -> Ticking:
        """A schedule, and some deferred starts."""
        minutes = random.choice(MINUTES)
        ticking = cls(
            random=random,
            cron=f"*/{random.choice(EVERY_S)} 0-{minutes - 1} {START.hour} {START.day} {START.month} *",
            until=START + timedelta(minutes=minutes),
            catch_up=random.choice(CATCH_UPS),
            rewrites=random.choice((0, 0, 1, 4)),
        )
        for number in range(random.randint(0, DEFERRED_MAX)):
            fate = random.choice(("runs", "withdrawn", "cancelled", "cancelled"))
            after_s, mind_s = random.uniform(0, WITHIN_S), random.uniform(0, WITHIN_S)
            ticking.deferred.append(_Deferred(f"later{number}", fate, after_s, mind_s))
        return ticking

    async def play(self, world: World) -> None:
        """Let clients write the schedule and defer starts, and wait until all of it was carried out."""
        async with asyncio.TaskGroup() as acts:
            acts.create_task(self._tick(world))
            for deferred in self.deferred:
                acts.create_task(self._defer(world, deferred))

    # What clients do

    async def _tick(self, world: World) -> None:
        await self._write(world)
        async with asyncio.TaskGroup() as acts:
            acts.create_task(self._until_done(world))
            for _ in range(self.rewrites):
                acts.create_task(self._rewrite(world))

    async def _write(self, world: World) -> None:
        input = "x" * self.random.choice(INPUT_LENGTHS)

        async def act(kernel: Kernel) -> bool:
            schedule = await kernel.schedule(self.flow, cron=self.cron, input=input, catch_up=self.catch_up, name=NAME)
            if self.created_at is None:
                self.created_at = schedule.record.created_at
            return True

        await world.insist("schedule", act)

    async def _rewrite(self, world: World) -> None:
        await asyncio.sleep(self.random.uniform(0, (self.until - START).total_seconds()))
        await self._write(world)

    async def _until_done(self, world: World) -> None:
        """Wait until the schedule is done with all ticks of this year."""
        while True:
            kept = world.scheduled(cron_name(NAME))
            assert kept is not None, "nobody removes it"
            due_at = kept.scheduled.due_at
            if world.clock.now() > self.until and due_at is not None and due_at > self.until + timedelta(days=1):
                return
            if due_at is None and world.strikes.calm:  # it failed too often, and is held until somebody looks at it
                await self._write(world)
            await asyncio.sleep(LOOK_S)

    async def _defer(self, world: World, deferred: _Deferred) -> None:
        async def start(kernel: Kernel) -> bool:
            made = await kernel.start_later(self.flow, "x", after=deferred.after_s, key=deferred.key)
            deferred.run_id, deferred.name = made.record.run_id, made.name
            return True

        await world.insist(f"defer {deferred.key}", start)
        await asyncio.sleep(deferred.changes_mind_after_s)
        if deferred.fate == "withdrawn":
            await self._withdraw(world, deferred)
        elif deferred.fate == "cancelled":
            await self._cancel(world, deferred)
        assert deferred.name is not None, "its client was told"
        while world.scheduled(deferred.name) is not None:  # noqa: ASYNC110 as a client would that polls
            await asyncio.sleep(LOOK_S)

    async def _withdraw(self, world: World, deferred: _Deferred) -> None:
        async def withdraw(kernel: Kernel) -> bool:
            assert deferred.name is not None, "its client was told"
            with suppress(DeferredNotFound):  # it was carried out, or withdrawn by somebody who was not told
                deferred.withdrawn = await (await kernel.find_deferred(deferred.name)).withdraw()
            return True

        await world.insist(f"withdraw {deferred.key}", withdraw)

    async def _cancel(self, world: World, deferred: _Deferred) -> None:
        after_s = self.random.uniform(0, WITHIN_S)

        async def cancel(kernel: Kernel) -> bool:
            assert deferred.run_id is not None, "its client was told"
            await kernel.cancel_later(deferred.run_id, after=after_s)
            return True

        await world.insist(f"deadline of {deferred.key}", cancel)
        assert deferred.run_id is not None, "its client was told"
        while world.scheduled(cancel_name(deferred.run_id)) is not None:  # noqa: ASYNC110 as a client would that polls
            await asyncio.sleep(LOOK_S)
        deferred.cancelled, deferred.left = True, world.status_of(deferred.run_id)

    # What must hold at the end

    async def problems(self, world: World, kernel: Kernel) -> AsyncIterator[str]:
        """What does not."""
        runs: Sequence[RunRecord] = (await kernel.runs(RunFilter(flow=SLUG), limit=1_000)).runs
        self.runs = len(runs)
        keys = Counter(run.key for run in runs if run.key is not None)
        if doubled := [key for key, count in keys.items() if count > 1]:
            yield f"I22: there are several runs of {doubled}"
        by_key = {run.key: run for run in runs if run.key is not None}
        for problem in self._of_ticks(by_key, _left_out(world)):
            yield problem
        refused = {run.id: run for run in runs if run.key is None}
        for deferred in self.deferred:
            instead = refused.pop(deferred.run_id or "", None)
            for problem in _of_deferred(deferred, by_key.pop(deferred.key, None), instead):
                yield f"{deferred.key}: {problem}"
        for run in refused.values():
            yield f"nobody asked for run {run.id}"
        for run in by_key.values():
            if run.status is not RunStatus.COMPLETED:
                yield f"the run of {run.key} ended as {run.status}"

    def _of_ticks(self, by_key: dict[str, RunRecord], left_out: Sequence[LeftOut]) -> Iterator[str]:
        assert self.created_at is not None, "its client was told"
        ticks = {tick_key(NAME, tick): tick for tick in Cron(self.cron).between(self.created_at, self.until)}
        for key, tick in ticks.items():
            told = any(each.first <= tick <= each.last for each in left_out)
            if key not in by_key and (self.catch_up == "all" or not told):
                yield f"70: no run for {tick}; catch_up is {self.catch_up!r}, left out are {left_out}"
        others = by_key.keys() - ticks.keys() - {deferred.key for deferred in self.deferred}
        if others:
            yield f"70: there are runs of no tick: {sorted(others)}"


def _left_out(world: World) -> list[LeftOut]:
    """All that the schedule has told of."""
    entries = [read_entry(each.command) for each in world.commands_put_back if each.name == cron_name(NAME)]
    return [entry.left_out for entry in entries if isinstance(entry, CronEntry) and entry.left_out is not None]


def _of_deferred(deferred: _Deferred, run: RunRecord | None, instead: RunRecord | None) -> Iterator[str]:
    """P6: nothing starts after an acknowledged cancel.

    Args:
        deferred: the start.
        run: what was started.
        instead: what was put down, so that nothing can be.
    """
    if instead is not None:
        if deferred.fate == "runs":
            yield "P1: its deferred start was acknowledged, and it was put down as cancelled"
        if instead.status is not RunStatus.CANCELLED or instead.started_at is not None:
            yield f"P6: it was put down as cancelled, and is {instead.status}, started at {instead.started_at}"
        if run is not None:
            yield "P6: it was put down as cancelled, and there is its run as well"
    if run is None:
        if deferred.fate == "runs" and instead is None:
            yield "P1: its deferred start was acknowledged, and it has no run"
        return
    if run.id != deferred.run_id:
        yield f"its client was told of run {deferred.run_id}, and it is {run.id}"
    if deferred.withdrawn:
        yield "P6: its start was withdrawn, and there is its run"
    if not deferred.cancelled:
        if run.status is not RunStatus.COMPLETED:
            yield f"it ended as {run.status}"
    elif deferred.left is None:
        yield f"P6: its deadline was carried out before there was a run, and there is one, {run.status}"
    elif deferred.left not in TERMINAL_RUN:
        yield f"P6: its deadline was carried out, and it was {deferred.left} after that, and is {run.status}"


def _flow() -> Flow[Any]:
    flow = Flow(SLUG, version=1, input=str, max_attempts=ATTEMPTS_MAX, base_delay=1)

    @flow.step
    async def tick(input: str) -> int:
        await asyncio.sleep(TAKES_S)
        return len(input)

    return flow
