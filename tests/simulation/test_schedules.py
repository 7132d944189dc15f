"""Crash points of what is scheduled: every port call of clients and firing hosts is struck, in every way.

A client makes a schedule that ticks every ten seconds, defers a start and gives another run a deadline; two hosts fire
what is due. Whatever strikes, in the end every tick has its run, one each; the deferred run is there under the id that
was told; the other is cancelled; and nothing is left in the scheduler but the schedule.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from fairlead.adapters.calling import PatientCaller
from fairlead.adapters.memory import (
    MemoryBlobs,
    MemoryPersistence,
    MemoryScheduler,
    MemoryWakeups,
    SequentialIds,
)
from fairlead.adapters.memory.store import Store
from fairlead.kernel import Flow, Kernel, RunStatus
from fairlead.kernel.commands import FireScheduled
from fairlead.kernel.cron import Cron
from fairlead.kernel.dispatch import firing
from fairlead.kernel.schedules import tick_key
from fairlead.ports import Ports
from fairlead.ports.errors import AdapterError
from fairlead.ports.reading import RunFilter
from tests.simulation.faults import FaultyPersistence, Injector, Killed, Mode, Process, faulty
from tests.simulation.virtual_loop import LoopClock, run_virtually

CRON = "*/10 * * * * *"

FIRING_S = 65.0
"""How long hosts come and go that may be struck."""

PAUSE_S = 5.0
"""Between two looks of a host."""


def play(strikes: dict[int, Mode]) -> Injector:
    """Play it all to the end; the points that were passed.

    Raises:
        AssertionError: a promise was broken; says under which strikes.
    """
    injector = Injector(strikes)
    try:
        run_virtually(_World(injector).play())
    except AssertionError as violation:
        raise AssertionError(f"strikes: {', '.join(injector.struck) or 'none'}: {violation}") from violation
    return injector


class _World:
    """One store, and the processes that come and go."""

    def __init__(self, injector: Injector) -> None:
        self._injector = injector
        self._clock = LoopClock()
        store = Store()
        self._store = MemoryPersistence(store)
        self._scheduler = MemoryScheduler(store)
        self._blobs = MemoryBlobs(self._clock)
        self._transport = MemoryWakeups(self._clock)
        self._ids = SequentialIds()
        self._flow = _flow()
        self._told: dict[str, str] = {}
        """The run ids that the client was told."""
        self._created_at: datetime | None = None
        self._problems: list[str] = []

    async def play(self) -> None:
        await self._until_told("schedule", self._schedule)
        await self._until_told("deferred", self._defer)
        await self._until_told("started", self._start)
        await self._until_told("deadline", self._limit)
        await asyncio.gather(self._host(0.0), self._host(0.1))
        await asyncio.sleep(100)  # claims of processes that died end
        kernel = self._kernel(self._ports(Process(Injector({})), self._store))
        while (await kernel.dispatch(FireScheduled())).claimed:
            pass
        await self._check(kernel)

    async def _host(self, delay_s: float) -> None:
        """A host that looks again and again, killed and begun anew."""
        await asyncio.sleep(delay_s)
        while self._clock.monotonic() < FIRING_S:
            await self._in_process(self._fire)
            await asyncio.sleep(PAUSE_S)

    async def _fire(self, kernel: Kernel) -> None:
        while (await kernel.dispatch(FireScheduled())).claimed:
            pass

    # What the client does, as often as it takes to be told

    async def _until_told(self, what: str, act: Callable[[Kernel], Awaitable[str]]) -> None:
        async def told(kernel: Kernel) -> None:
            self._told[what] = await act(kernel)

        while what not in self._told:
            await self._in_process(told)

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

    # Processes

    async def _in_process(self, act: Callable[[Kernel], Awaitable[None]]) -> None:
        """One incarnation: it does its work, or it is killed and everything it held open breaks."""
        process = Process(self._injector)
        handle = self._store.connect()
        acting = asyncio.ensure_future(act(self._kernel(self._ports(process, handle))))
        dying = asyncio.ensure_future(process.killed.wait())
        await asyncio.wait([acting, dying], return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if process.killed.is_set():
            acting.cancel()
            handle.disconnect()
        with suppress(AdapterError, Killed, asyncio.CancelledError):
            await acting

    def _kernel(self, ports: Ports) -> Kernel:
        return Kernel(flows=[self._flow], ports=ports, inline_bytes_max=50)

    def _ports(self, process: Process, handle: MemoryPersistence) -> Ports:
        persistence: Any = FaultyPersistence(handle, process, self._check_rows)
        return Ports(
            persistence=persistence,
            transport=faulty(self._transport, process, "transport"),
            blobs=faulty(self._blobs, process, "blobs"),
            scheduler=faulty(self._scheduler, process, "scheduler"),
            clock=self._clock,
            new_id=self._ids,
            new_secret=self._ids,
            new_caller=PatientCaller,
        )

    # Checks

    async def _check_rows(self) -> None:
        self._problems += [f"{name}: {rows}" for name, rows in (await self._store.check_invariants()).items()]

    async def _check(self, kernel: Kernel) -> None:
        assert self._problems == []
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
    passed = set(play({}).points)

    assert {"scheduler.claim_due", "scheduler.put_back", "scheduler.ack", "persistence.insert_runs"} <= passed
    assert {"scheduler.schedule", "scheduler.read", "blobs.put", "blobs.get", "transaction.commit"} <= passed


@pytest.mark.fault(70)
@pytest.mark.parametrize("mode", Mode)
def test_every_port_call_may_fail(mode: Mode) -> None:
    """One strike at each point: every tick has its run, one each."""
    for point in range(len(play({}).points)):
        assert len(play({point: mode}).struck) == 1


def test_several_strikes_at_once(seeds: range) -> None:
    """Random points and modes, some of them while the recovery from others is under way."""
    points = len(play({}).points)
    most = 0
    for seed in seeds:
        chosen = random.Random(seed)
        strikes = {chosen.randrange(points): chosen.choice(list(Mode)) for _ in range(chosen.randint(2, 8))}
        most = max(most, len(play(strikes).struck))

    assert most > 1, "in no play struck more than one"


def test_the_key_of_a_tick_is_what_makes_it_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, a host that dies before it puts a schedule back doubles a tick, and this simulation finds out."""
    first = play({}).points.index("scheduler.put_back")
    tries: Counter[str] = Counter()

    def numbered(name: str, tick: datetime) -> str:
        key = tick_key(name, tick)
        tries[key] += 1
        return key if tries[key] == 1 else f"{key}#{tries[key]}"

    monkeypatch.setattr(firing, "tick_key", numbered)

    with pytest.raises(AssertionError, match="kill before"):
        play({first: Mode.KILL_BEFORE})
