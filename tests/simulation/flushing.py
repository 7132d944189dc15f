"""Playing flushers under faults: processes that are struck and come again, and sinks that are unwell for a while.

Runs go on while several flushers publish their events to two sinks. One of them refuses, hangs, goes down and accepts
half of what it is given, as chance will have it. After every write the invariants hold. In the end the faults stop,
somebody replays what became a dead letter, and each sink has every event: in order, but for gaps that were announced.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import evolve, frozen

from fairlead.adapters.memory import CollectingSink, MemoryWakeups
from fairlead.hosts.simulation.broken import Broken
from fairlead.hosts.simulation.fate import Plan, Strike
from fairlead.hosts.simulation.faults import Weather
from fairlead.hosts.simulation.ledger import Execution
from fairlead.hosts.simulation.machines import Incarnation
from fairlead.hosts.simulation.setting import Setting
from fairlead.hosts.simulation.striking import Calls, Strikes, StruckPersistence
from fairlead.hosts.simulation.world import World
from fairlead.kernel import Flow, Kernel
from fairlead.kernel.commands import FlushOutbox
from fairlead.ports.errors import AdapterError
from fairlead.ports.outbox import DeadLetterFilter, EventRecord
from fairlead.ports.records import ClaimedTask
from tests.support.hands import Hands

FLUSHERS = 3
RUNS = 4
LEASE = timedelta(seconds=30)
TURNS = 8
"""How often each flusher comes, while there is trouble."""

HEALED_ROUNDS_MAX = 400
"""Rounds after the faults in which everything must have been delivered."""


class Violation(AssertionError):
    """A promise was broken. Says what, and under which strikes."""


class UnwellSink(CollectingSink):
    """Does what chance says, until it is well."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.well = False
        self._chance = chance
        self._down = 0

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Accept, refuse, accept in part, hang, or be down for some calls."""
        if self.well:
            return await super().publish(batch)
        if self._down:
            self._down -= 1
            raise ConnectionError("still down")
        match self._chance.randrange(8):
            case 0:
                raise ValueError("no")
            case 1:
                self._down = self._chance.randrange(1, 15)
                raise ConnectionError("down")
            case 2:
                await asyncio.sleep(1_000)
            case 3:
                return await super().publish(batch[: self._chance.randrange(len(batch) + 1)])
            case 4:
                await super().publish(batch)
                raise ConnectionError("its answer was lost")
            case _:
                pass
        return await super().publish(batch)


def _flow() -> Flow[Any]:
    flow = Flow("told", version=1)

    @flow.map(over="input")
    def each(item: int) -> int:
        return item

    @flow.step
    def last(each: list[int]) -> int:
        return sum(each)

    return flow


@frozen
class Played:
    """What was left behind."""

    points: list[str]
    struck: list[str]
    lost: int
    """Events that became dead letters on the way."""


def play(seed: int, strikes: Mapping[int, Strike] | None = None) -> Played:
    """Play one seed to its end.

    Args:
        seed: of the sinks' moods and of how long everything takes.
        strikes: what strikes at which calls of the flushers; None for nothing.

    Raises:
        Violation: a promise was broken.
    """
    plan, chance = Plan(strikes or {}), random.Random(seed)
    setting = evolve(Setting.calm(), machines=0, kills=100)
    with World([_flow()], setting, chance, fate=plan) as world:
        try:
            lost = world.watch(_Play(world, chance).act())
        except (Broken, Violation) as violation:
            raise Violation(f"seed {seed}: {plan}: {violation}") from None
        return Played(plan.points, plan.struck, lost)


class _Play:
    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._store = world.store
        self._unwell = UnwellSink(chance)
        self._sinks: Mapping[str, CollectingSink] = {"steady": CollectingSink(), "unwell": self._unwell}

    async def act(self) -> int:
        """All of it; answers how many events became dead letters on the way."""
        kernel = self._steady_kernel()
        runs = [(await kernel.start(self._world.flows[0], list(range(number)))).id for number in range(RUNS)]
        async with asyncio.TaskGroup() as playing:
            playing.create_task(self._work(Hands(kernel)))
            for number in range(FLUSHERS):
                playing.create_task(self._flusher(f"flusher-{number}"))
        self._world.strikes.calm = self._unwell.well = True
        lost = len((await kernel.dead_letters(limit=1_000)).letters)
        for _ in range(HEALED_ROUNDS_MAX):
            await self._flush_all(kernel)
            await asyncio.sleep(31)
            if not any(sink.waiting for sink in await kernel.sinks()):
                break
        else:
            raise Violation("not all was delivered after the faults")
        lost = max(lost, len((await kernel.dead_letters(limit=1_000)).letters))
        await self._check_order(runs)
        await kernel.replay_dead_letters(DeadLetterFilter())
        await kernel.replay_dead_letters(DeadLetterFilter())
        while any(sink.dead_letters for sink in await kernel.sinks()):
            await self._flush_all(kernel)
        await self._check_all_told(runs)
        return lost

    def _steady_kernel(self) -> Kernel:
        """A kernel that nothing strikes: what is flushed has to come about. What it commits is looked at."""
        process = self._world.incarnate("steady")
        unstruck = Strikes(Weather(), self._chance, self._world.timeline, kills_left=0, pause_s=0)
        persistence: Any = StruckPersistence(self._store, process, unstruck, self._world.written)
        calm = evolve(
            self._world.ports(process),
            persistence=persistence,
            transport=MemoryWakeups(self._world.clock),
            sink=self._sinks,
        )
        return Kernel(flows=self._world.flows, ports=calm)

    def _kernel(self, process: Incarnation) -> Kernel:
        sinks: Any = {name: Calls(sink, process, self._world.strikes, name) for name, sink in self._sinks.items()}
        return Kernel(flows=self._world.flows, ports=evolve(self._world.ports(process), sink=sinks))

    async def _work(self, hands: Hands) -> None:
        while tasks := await hands.claim_runs(2) + await hands.claim_tasks(3):
            self._note_executions(tasks)
            await hands.complete_all(tasks, 1)
            await asyncio.sleep(self._chance.random() * 20)

    def _note_executions(self, tasks: Sequence[ClaimedTask]) -> None:
        """Hands stand for handlers, which have returned."""
        for task in tasks:
            key, now_s = str(task.key), self._world.loop.time()
            called = Execution(
                key,
                task.key.step,
                task.attempt,
                task.token,
                task.phase,
                "hands",
                began_s=now_s,
                ended_s=now_s,
                how="returned",
            )
            self._world.ledger.executions[key].append(called)

    async def _flush_all(self, kernel: Kernel) -> None:
        for sink in self._sinks:
            await kernel.dispatch(FlushOutbox(worker="healer", lease_duration=LEASE, sink=sink))

    async def _flusher(self, worker: str) -> None:
        """A host that flushes both sinks at the same time, and comes again whatever happens to it."""
        for turn in range(TURNS):
            process = self._world.incarnate(f"{worker}.{turn}")
            kernel = self._kernel(process)
            with suppress(AdapterError):
                await process.run(partial(self._flush, kernel, worker))
            await asyncio.sleep(self._chance.random() * 10)

    async def _flush(self, kernel: Kernel, worker: str) -> None:
        flushes = [
            kernel.dispatch(FlushOutbox(worker=worker, lease_duration=LEASE, sink=sink, limit=3))
            for sink in self._sinks
        ]
        for answer in await asyncio.gather(*flushes, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    # Checks

    async def _check_order(self, runs: Sequence[str]) -> None:
        """I20: deduplicated, each sink has each run from its first event to its last; what is missing was announced.

        A dead letter may come late: by whoever stood still as it was about to offer the event.
        """
        letters = await self._store.list_dead_letters(DeadLetterFilter(), limit=1_000, after=None)
        for name, sink in self._sinks.items():
            for run_id in runs:
                record = await self._store.read_run(run_id)
                assert record is not None
                dead = {each.event.sequence for each in letters if (each.sink, each.event.run_id) == (name, run_id)}
                told = [event.sequence for event in sink.of_run(run_id) if event.type != "event.lost"]
                alive = [number for number in range(1, record.next_sequence) if number not in dead]
                if list(dict.fromkeys(number for number in told if number not in dead)) != alive:
                    raise Violation(f"I20, I33: {name} has {told} of run {run_id}, dead are {sorted(dead)}")

    async def _check_all_told(self, runs: Sequence[str]) -> None:
        """P5: in the end each sink has accepted every event."""
        for name, sink in self._sinks.items():
            for run_id in runs:
                record = await self._store.read_run(run_id)
                assert record is not None
                told = {event.sequence for event in sink.of_run(run_id) if event.type != "event.lost"}
                if told != set(range(1, record.next_sequence)):
                    raise Violation(f"P5: {name} has {sorted(told)} of run {run_id}")
