"""Playing flushers under faults: processes that are struck and come again, and sinks that are unwell for a while.

Runs go on while several flushers publish their events to two sinks. One of them refuses, hangs, goes down and accepts
half of what it is given, as chance will have it. After every write the invariants hold. In the end the faults stop,
somebody replays what became a dead letter, and each sink has every event: in order, but for gaps that were announced.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from attrs import define, evolve

from fairlead.adapters.memory import CollectingSink, MemoryPersistence, SequentialIds, memory_ports
from fairlead.kernel import Flow, Kernel
from fairlead.kernel.commands import FlushOutbox
from fairlead.ports import Ports
from fairlead.ports.errors import AdapterError
from fairlead.ports.outbox import DeadLetterFilter, EventRecord
from tests.simulation.faults import FaultyPersistence, Injector, Killed, Process, faulty
from tests.simulation.virtual_loop import LoopClock, run_virtually
from tests.support.hands import Hands

SINKS = ("steady", "unwell")
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


@define
class Played:
    """What was left behind."""

    points: list[str]
    struck: list[str]
    lost: int
    """Events that became dead letters on the way."""


def play(seed: int, injector: Injector) -> Played:
    """Play one seed to its end.

    Raises:
        Violation: a promise was broken.
    """
    try:
        return run_virtually(_World(seed, injector).play())
    except Violation as violation:
        strikes = ", ".join(injector.struck) or "none"
        raise Violation(f"seed {seed}, strikes: {strikes}: {violation}") from None


class _World:
    def __init__(self, seed: int, injector: Injector) -> None:
        self._chance = random.Random(seed)
        self._injector = injector
        self._clock = LoopClock()
        self._store = MemoryPersistence()
        self._flow = _flow()
        self._sinks = {"steady": CollectingSink(), "unwell": UnwellSink(self._chance)}
        self._ports = memory_ports(clock=self._clock, new_id=SequentialIds())
        self._problems: list[str] = []

    async def play(self) -> Played:
        kernel = self._kernel(Process(Injector({})), self._store)
        runs = [(await kernel.start(self._flow, list(range(number)))).id for number in range(RUNS)]
        hands = Hands(kernel)
        working = asyncio.ensure_future(self._work(hands))
        await asyncio.gather(*(self._flusher(f"flusher-{number}") for number in range(3)), working)
        lost = len((await kernel.dead_letters(limit=1_000)).letters)
        unwell = self._sinks["unwell"]
        assert isinstance(unwell, UnwellSink)
        unwell.well = True
        for _ in range(HEALED_ROUNDS_MAX):
            for sink in SINKS:
                await kernel.dispatch(FlushOutbox(worker="healer", lease_duration=LEASE, sink=sink))
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
            await kernel.dispatch(FlushOutbox(worker="healer", lease_duration=LEASE, sink="unwell"))
            await kernel.dispatch(FlushOutbox(worker="healer", lease_duration=LEASE, sink="steady"))
        await self._check_all_told(runs)
        if self._problems:
            raise Violation("; ".join(self._problems[:5]))
        return Played(self._injector.points, self._injector.struck, lost)

    def _kernel(self, process: Process, handle: MemoryPersistence) -> Kernel:
        persistence: Any = FaultyPersistence(handle, process, self._check_rows)
        sinks = {name: faulty(sink, process, name) for name, sink in self._sinks.items()}
        ports: Ports = evolve(self._ports, persistence=persistence, sink=sinks)
        return Kernel(flows=[self._flow], ports=ports)

    async def _work(self, hands: Hands) -> None:
        while tasks := await hands.claim_runs(2) + await hands.claim_tasks(3):
            await hands.complete_all(tasks, 1)
            await asyncio.sleep(self._chance.random() * 20)

    async def _flusher(self, worker: str) -> None:
        """A host that flushes both sinks at the same time, and comes again whatever happens to it."""
        for _ in range(TURNS):
            process = Process(self._injector)
            handle = self._store.connect()
            kernel = self._kernel(process, handle)
            flushes = [
                kernel.dispatch(FlushOutbox(worker=worker, lease_duration=LEASE, sink=sink, limit=3)) for sink in SINKS
            ]
            acting = asyncio.ensure_future(asyncio.gather(*flushes, return_exceptions=True))
            dying = asyncio.ensure_future(process.killed.wait())
            waited: list[asyncio.Future[Any]] = [acting, dying]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if process.killed.is_set():
                acting.cancel()
                handle.disconnect()
            with suppress(asyncio.CancelledError):
                for answer in await acting:
                    if isinstance(answer, BaseException) and not isinstance(answer, AdapterError | Killed):
                        raise answer
            await asyncio.sleep(self._chance.random() * 10)

    # Checks

    async def _check_rows(self) -> None:
        self._problems += [f"{name}: {rows}" for name, rows in (await self._store.check_invariants()).items()]

    async def _check_order(self, runs: Sequence[str]) -> None:
        """I20: deduplicated, each sink has each run from its first event to its last; what is missing was announced."""
        letters = await self._store.list_dead_letters(DeadLetterFilter(), limit=1_000, after=None)
        for name, sink in self._sinks.items():
            for run_id in runs:
                record = await self._store.read_run(run_id)
                assert record is not None
                expected = list(range(1, record.next_sequence))
                seen = list(dict.fromkeys(event.sequence for event in sink.of_run(run_id)))
                dead = {each.event.sequence for each in letters if (each.sink, each.event.run_id) == (name, run_id)}
                told = {event.sequence for event in sink.of_run(run_id) if event.type != "event.lost"}
                if seen != [number for number in expected if number in set(seen)]:
                    raise Violation(f"I20: {name} saw run {run_id} as {seen}")
                if set(expected) - told - dead:
                    raise Violation(f"I33: {name} has {sorted(told)} of run {run_id}, dead are {sorted(dead)}")

    async def _check_all_told(self, runs: Sequence[str]) -> None:
        """P5: in the end each sink has accepted every event."""
        for name, sink in self._sinks.items():
            for run_id in runs:
                record = await self._store.read_run(run_id)
                assert record is not None
                told = {event.sequence for event in sink.of_run(run_id) if event.type != "event.lost"}
                if told != set(range(1, record.next_sequence)):
                    raise Violation(f"P5: {name} has {sorted(told)} of run {run_id}")
