"""Runs that hosts remove by themselves: what takes longer than it is kept costs nothing; what keeps a run is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from attrs import define, evolve, field
from msgspec.structs import replace

from fairlead.adapters.memory import ManualClock, memory_ports
from fairlead.hosts.caring import Caretaker
from fairlead.kernel import Flow, Kernel
from fairlead.kernel.commands import Pruned, PruneOutlived
from fairlead.kernel.decisions.outliving import LOOK_AGAIN
from fairlead.ports.outbox import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterKey,
    EventRecord,
    Holdings,
    ShardLease,
    ShardLeases,
)
from fairlead.ports.reading import RunCursor
from fairlead.ports.retention import PrunablePage
from tests.support.records import load_request
from tests.support.subjects import StoreSubject

RETENTION = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SEEDS = 5


class Watched:
    """A store that remembers how it was searched for runs that may go."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.looks: list[RunCursor | None] = []
        """Behind which place each page was looked for."""
        self.pages: list[PrunablePage] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def find_prunable(
        self, ended_before: datetime, *, flow: str | None, after: RunCursor | None, limit: int
    ) -> PrunablePage:
        self.looks.append(after)
        self.pages.append(await self._inner.find_prunable(ended_before, flow=flow, after=after, limit=limit))
        return self.pages[-1]


@define
class World:
    """A flow whose runs are kept for an hour, and the host that looks after it."""

    store: Watched
    kernel: Kernel
    clock: ManualClock
    caretaker: Caretaker
    runs: list[str] = field(factory=list[str])

    async def start(self) -> str:
        """A run that goes on until somebody cancels it."""
        run = await self.kernel.start("patient", 1)
        self.runs.append(run.id)
        return run.id

    async def left(self) -> list[str]:
        """The runs that are there, by their start."""
        found = {run.id for run in (await self.kernel.runs()).runs}
        return [run for run in self.runs if run in found]

    async def look(self) -> tuple[int, bool, bool]:
        """Prune; answers how many were removed, whether it began at the first run, and whether it found any run."""
        before = len(self.store.looks)
        removed = await self.caretaker.prune()
        return removed, self.store.looks[before] is None, self.store.pages[before].last is not None


@pytest.fixture
async def world(store_subject: StoreSubject) -> World:
    """Nothing has started yet."""
    flow: Flow[Any] = Flow("patient", version=1, input=int, retention=RETENTION)

    @flow.step
    def work(input: int) -> int:
        return input

    clock, store = ManualClock(), Watched(store_subject.store)
    persistence: Any = store
    kernel = Kernel(flows=[flow], ports=evolve(memory_ports(clock=clock), persistence=persistence))
    return World(store, kernel, clock, Caretaker(kernel))


async def test_runs_that_go_on_are_passed_over_once(world: World) -> None:
    """They are looked at again when one that ended meanwhile could be old enough, and found then."""
    first, _ = [await world.start() for _ in range(2)]
    world.clock.advance(2 * RETENTION)

    assert await world.look() == (0, True, True)
    for _ in range(3):
        world.clock.advance(RETENTION / 4)
        assert await world.look() == (0, False, False)
    await world.kernel.cancel(first)
    world.clock.advance(RETENTION / 4 + MINUTE)
    assert await world.look() == (0, True, True)
    world.clock.advance(RETENTION / 2)
    assert await world.look() == (0, False, False)
    world.clock.advance(RETENTION / 4)
    assert await world.look() == (1, True, True)
    assert await world.left() == world.runs[1:]


async def test_what_is_new_is_looked_at_behind_what_was(world: World) -> None:
    """Short runs go in time although one goes on that was there before them."""
    old = await world.start()
    world.clock.advance(2 * RETENTION)
    await world.look()
    await world.kernel.cancel(await world.start())
    world.clock.advance(RETENTION - MINUTE)

    assert await world.look() == (0, False, False)
    world.clock.advance(2 * MINUTE)
    assert await world.caretaker.prune() == 1
    assert await world.left() == [old]


@pytest.mark.fault(69)
async def test_two_hosts_that_look_at_once(world: World) -> None:
    """One goes on where it was, passes over nothing, and leaves what the other has kept for both as it is."""
    for _ in range(3):
        await world.start()
    world.clock.advance(2 * RETENTION)
    page = PruneOutlived(flow="patient", retention=RETENTION, limit=1)
    begun = await world.kernel.dispatch(page)
    await world.look()
    scheduler = world.kernel.ports.scheduler
    kept = await scheduler.read("outlived/patient")

    went_on = await world.kernel.dispatch(replace(page, after=begun.next))

    assert begun.next is not None
    assert world.store.looks[-1] == begun.next
    assert went_on.next is not None
    assert await scheduler.read("outlived/patient") == kept
    assert await world.look() == (0, False, False)


async def test_nothing_that_may_go_is_left_and_nothing_else_goes(world: World) -> None:
    """Runs start and end at any time, while several hosts look now and then, each a batch of any size."""
    looks_behind = 0
    for seed in range(SEEDS):
        random = Random(seed)
        ends: dict[str, datetime] = {}
        for _ in range(60):
            world.clock.advance(RETENTION * random.choice([0, 0.01, 0.1, 0.5, 2]))
            going = [run for run in world.runs if run not in ends]
            if going and random.random() < 0.5:
                run = random.choice(going[-4:] if random.random() < 0.8 else going)
                await world.kernel.cancel(run)
                ends[run] = world.clock.now()
            else:
                await world.start()
            if random.random() < 0.3:
                await Caretaker(world.kernel).prune(batches_max=random.choice([1, None]))
                looks_behind += world.store.looks[-1] is not None
                young = world.clock.now() - RETENTION
                expected = [run for run in world.runs if run not in ends or ends[run] >= young]
                assert await world.left() == expected, f"seed {seed}"
        for run in await world.left():
            await world.kernel.cancel(run)
        world.clock.advance(2 * LOOK_AGAIN)
        await world.caretaker.prune()
        assert await world.left() == []
        world.runs.clear()
    assert looks_behind > SEEDS


async def test_a_clock_that_is_ahead_keeps_nothing(world: World) -> None:
    """What goes on while a host with a wrong clock looks is removed in its time by others."""
    run = await world.start()
    ahead = ManualClock(world.clock.now() + timedelta(days=365))
    await Caretaker(Kernel(flows=world.kernel.flows, ports=evolve(world.kernel.ports, clock=ahead))).prune()
    assert await world.left() == [run]
    await world.kernel.cancel(run)
    world.clock.advance(RETENTION + MINUTE)

    assert await world.look() == (1, True, True)


async def leased(world: World) -> Sequence[ShardLease]:
    """The shards in which the sink has something to do."""
    now = world.clock.now()
    found: ShardLeases = await world.store.lease_shards("default", "flusher", now=now, until=now + MINUTE, limit=64)
    return found.leases


async def deliver(world: World, run: str, *, dead: bool) -> None:
    """Let the sink have all events of a run, or all but one, which becomes a dead letter."""
    (lease,) = await leased(world)
    if dead:
        event = EventRecord(
            run_id=run,
            flow="patient",
            generation=1,
            sequence=1,
            type="run.created",
            step=None,
            at=world.clock.now(),
            data=b"{}",
        )
        letter = DeadLetter(sink="default", event=event, attempts=90, problem="never", died_at=world.clock.now())
        await world.store.record_holdings(lease, Holdings(dead=(letter,)))
    rows = await world.store.read_fresh(lease, limit=100)
    await world.store.mark_delivered(lease, [(row.run_id, row.first_sequence) for row in rows])
    await world.store.release_shards("flusher", [lease])


async def test_what_keeps_a_run_is_told(world: World) -> None:
    """Events that are not published yet, and dead letters: these go with their run where somebody says so."""
    await world.store.register_sinks(["default"], now=world.clock.now())
    for dead in (False, True):
        run = await world.start()
        await world.kernel.cancel(run)
        await deliver(world, run, dead=dead)
    await world.kernel.cancel(await world.start())
    free, dead_letters, unpublished = world.runs
    world.clock.advance(RETENTION)
    kernel, nothing = world.kernel, Pruned(runs=0, tasks=0, blobs=0, unpublished=1, dead_letters=1)

    assert await kernel.prune(older_than=1, dry_run=True) == Pruned(
        runs=1, tasks=0, blobs=0, unpublished=1, dead_letters=1
    )
    assert (await kernel.prune(older_than=1)).runs == 1
    assert await world.left() == [dead_letters, unpublished]
    assert free not in await world.left()
    assert await kernel.prune(older_than=1) == nothing
    assert await kernel.prune(older_than=1, dead_letters=True, dry_run=True) == Pruned(
        runs=1, tasks=0, blobs=0, unpublished=1
    )
    assert await kernel.prune(older_than=1, dead_letters=True) == Pruned(runs=1, tasks=0, blobs=0, unpublished=1)
    assert await world.left() == [unpublished]


async def test_what_only_waits_goes_as_soon_as_it_may(world: World) -> None:
    """For its events to be published, or for somebody who holds it: it is looked at again each time."""
    await world.store.register_sinks(["default"], now=world.clock.now())
    run = await world.start()
    await world.kernel.cancel(run)
    world.clock.advance(2 * RETENTION)

    for _ in range(2):
        assert await world.look() == (0, True, True)
    await deliver(world, run, dead=False)
    async with world.store.transaction() as transaction:
        await transaction.load(load_request(run))
        assert await world.look() == (0, True, True)
    assert await world.look() == (1, True, True)


async def test_hosts_keep_what_has_dead_letters_and_say_so(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Until they are replayed; whether they are is looked at once a day."""
    await world.store.register_sinks(["default"], now=world.clock.now())
    run = await world.start()
    await world.kernel.cancel(run)
    await deliver(world, run, dead=True)
    world.clock.advance(2 * RETENTION)
    caplog.set_level(logging.WARNING, "fairlead.hosts.caring")

    assert await world.look() == (0, True, True)
    world.clock.advance(MINUTE)
    assert await world.look() == (0, False, False)
    assert caplog.text.count("1 runs of flow patient") == 1
    await world.kernel.replay_dead_letters(DeadLetterFilter())
    (lease,) = await leased(world)
    assert await world.store.record_replays(lease, accepted=[DeadLetterKey(run, 1)], refused=[])
    world.clock.advance(LOOK_AGAIN)
    assert await world.look() == (1, True, True)
