"""Acceptance behaviours 66 to 69: sequence numbers, publishing in order, who waits for whom, hanging and crashing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import Flow, InvalidArgument, Kernel, Start
from fairlead.kernel.commands import FlushOutbox
from fairlead.kernel.decisions import holding
from fairlead.kernel.decisions.holding import ATTEMPTS_MAX, PAUSE_MAX_S, RETRY_DELAY_MAX_S
from fairlead.kernel.dispatch import flushing
from fairlead.ports import Ports
from fairlead.ports.errors import Unavailable
from fairlead.ports.outbox import DeadLetterFilter, EventRecord, OutboxRow
from fairlead.ports.reading import Due
from tests.support.flushing import (
    FLUSHES_FOR_ALL_SHARDS,
    PATIENCE,
    RefusingSink,
    flush,
    flush_all,
    in_one_shard,
    single,
    without_repetitions,
)
from tests.support.hands import Hands

COMPLETED = ["run.created", "run.started", "step.started", "step.completed", "run.completed"]
"""What a run of one step tells."""


async def completed_run(kernel: Kernel) -> str:
    """A run that has ended; its five events wait."""
    run = await kernel.start("single", None)
    await Hands(kernel).drain(1)
    return run.id


@pytest.mark.fault(31)
async def test_sequence_numbers_have_no_gap_with_ten_writers(world: Ports, sink: CollectingSink) -> None:
    """Behaviour 66: ten hands settle the tasks of one run at once, while two flushers publish: 1…n, each once."""
    flow = Flow("wide", version=1, max_attempts=2, base_delay=0)

    @flow.map(over="input")
    def each(item: int) -> int:
        return item

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, list(range(20)))
    hands = [Hands(kernel, f"hands-{number}") for number in range(10)]
    await hands[0].claim_runs()

    async def work(mine: Hands) -> None:
        for task in await mine.claim_tasks(2):
            await mine.fail(task)

    async def publish(worker: str) -> None:
        for _ in range(5):
            await flush(kernel, worker=worker)

    await asyncio.gather(*map(work, hands), publish("one"), publish("two"))
    await hands[0].drain(1)
    await flush_all(kernel)

    last = (await run.read()).next_sequence - 1
    stored = [number for row in await world.persistence.read_events(run.id) for number in _numbers(row)]
    assert stored == list(range(1, last + 1))
    assert [event.sequence for event in sink.of_run(run.id)] == stored


def _numbers(row: OutboxRow) -> list[int]:
    return list(range(row.first_sequence, row.first_sequence + row.count))


async def test_events_are_published_in_order_once_accepted(world: Ports, sink: CollectingSink) -> None:
    """Behaviour 67: in sequence per run; a second flush publishes nothing."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    runs = [await kernel.start(flow, None) for _ in range(5)]
    await Hands(kernel).drain(1)

    flushed = await flush_all(kernel)

    assert flushed == len(sink.events)
    for run in runs:
        assert [event.sequence for event in sink.of_run(run.id)] == [1, 2, 3, 4, 5]
        assert [event.type for event in sink.of_run(run.id)] == COMPLETED
    assert (await flush(kernel)).idle


class WatchfulSink(CollectingSink):
    """Lets others go on in the middle of a call, and notices when two calls have one run."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: Counter[str] = Counter()
        self.interleaved = False

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        run_id = batch[0].run_id
        self.busy[run_id] += 1
        self.interleaved |= self.busy[run_id] > 1
        for _ in range(3):
            await asyncio.sleep(0)
        accepted = await super().publish(batch)
        self.busy[run_id] -= 1
        return accepted


@pytest.mark.fault(69)
async def test_flushers_at_once_never_interleave_a_run(world: Ports) -> None:
    """Behaviour 67: four flushers publish while runs go on; no run is in two hands, and none is told twice."""
    flow, sink = single(), WatchfulSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    runs = await kernel.start_many(flow, [Start(input=None) for _ in range(60)])
    hands = Hands(kernel)
    working = True

    async def work() -> None:
        nonlocal working
        while tasks := await hands.claim_runs(7) + await hands.claim_tasks(7):
            await hands.complete_all(tasks, 1)
        working = False

    async def publish(worker: str) -> None:
        while working or not (await flush(kernel, worker=worker, limit=3)).idle:
            await flush(kernel, worker=worker, limit=3)

    await asyncio.gather(work(), *(publish(f"flusher-{number}") for number in range(4)))
    await flush_all(kernel)

    assert not sink.interleaved
    for run in runs:
        assert [event.sequence for event in sink.of_run(run.id)] == [1, 2, 3, 4, 5]


@pytest.mark.fault(20, 69)
async def test_a_flusher_that_stood_still_changes_no_order(world: Ports, clock: ManualClock) -> None:
    """Behaviour 67: it publishes again what its successor has published; after deduplication the order is right."""

    class StoppingSink(CollectingSink):
        def __init__(self) -> None:
            super().__init__()
            self.begun, self.goes_on = asyncio.Event(), asyncio.Event()

        async def publish(self, batch: Sequence[EventRecord]) -> int:
            if not self.begun.is_set():
                self.begun.set()
                await self.goes_on.wait()
            return await super().publish(batch)

    flow, sink = single(), StoppingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)
    paused = asyncio.ensure_future(flush(kernel, worker="paused"))
    await sink.begun.wait()
    clock.advance(31)
    assert (await flush(kernel, worker="successor")).published == 5
    sink.goes_on.set()

    assert (await paused).published == 0
    sequences = [event.sequence for event in sink.of_run(run_id)]
    assert sequences == [1, 2, 3, 4, 5] * 2
    assert without_repetitions(sequences) == [1, 2, 3, 4, 5]


@pytest.mark.fault(75)
async def test_a_refused_run_holds_back_itself_alone(world: Ports, clock: ManualClock) -> None:
    """Behaviour 68: runs that are refused at the head of their shard do not keep those behind them waiting."""
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    runs = await in_one_shard(kernel, 6)
    sink.runs = {run.id for run in runs[:4]}

    for _ in range(FLUSHES_FOR_ALL_SHARDS):
        await flush(kernel, limit=2)
    while_refused = {event.run_id for event in sink.events}
    sink.runs.clear()
    clock.advance(2)
    for _ in range(FLUSHES_FOR_ALL_SHARDS):
        await flush(kernel, limit=2)

    published = Counter(event.run_id for event in sink.events)
    assert while_refused.isdisjoint(run.id for run in runs[:4])
    assert while_refused >= {run.id for run in runs[4:]}
    assert all(published[run.id] == 1 for run in runs)


async def test_later_events_wait_for_one_that_is_refused(world: Ports, clock: ManualClock) -> None:
    """Behaviour 68: what comes before it is accepted and not told again; what comes after it, later too, waits."""
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run = await kernel.start(flow, None)
    sink.refused = {(run.id, 2)}
    await Hands(kernel).claim_runs()

    first = await flush(kernel)
    await Hands(kernel).drain(1)
    second = await flush(kernel)
    sink.refused.clear()
    clock.advance(2)
    await flush(kernel)

    assert first.held_back == ((run.id, "LookupError: not event 2"),)
    assert second.accepted == 0
    assert sink.told(run.id) == list(enumerate(COMPLETED, 1))


async def test_an_event_is_tried_again_after_delays_that_grow(world: Ports, clock: ManualClock) -> None:
    """Behaviour 68: nothing is offered before its time, and the host is told when that is."""
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run = await kernel.start(flow, None)
    sink.runs = {run.id}
    delays: list[float] = []

    for _ in range(12):
        await flush(kernel)
        began = clock.now()
        due = await _due(kernel)
        assert due.outbox == frozenset()
        assert due.next_at is not None
        clock.advance((due.next_at - began).total_seconds() - 0.001)
        offers = sink.offers
        assert (await flush(kernel)).idle
        assert sink.offers == offers
        clock.advance(0.001)
        assert (await _due(kernel)).outbox == {"default"}
        delays.append((due.next_at - began).total_seconds())

    longest = [min(RETRY_DELAY_MAX_S, 2.0**number) for number in range(12)]
    assert all(0.9 * most <= delay <= most for delay, most in zip(delays, longest, strict=True))


async def _due(kernel: Kernel) -> Due:
    now = kernel.ports.clock.now()
    return await kernel.ports.persistence.due(
        flow_ids=(), queues=(), sinks=kernel.sink_names, now=now, expired_before=now
    )


@pytest.mark.fault(49)
async def test_after_its_last_attempt_an_event_is_a_dead_letter(
    world: Ports, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behaviour 68: the gap is announced in its place, later events flow, and a replay publishes it again, once."""
    monkeypatch.setattr(holding, "ATTEMPTS_MAX", 3)
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)
    sink.refused = {(run_id, 3)}

    dead = 0
    for _ in range(6):
        dead += (await flush(kernel)).dead
        clock.advance(60)
    letters = (await kernel.dead_letters()).letters
    told = sink.told(run_id)

    assert dead == 1
    assert [(letter.sink, letter.event.sequence, letter.attempts) for letter in letters] == [("default", 3, 3)]
    assert letters[0].problem == "LookupError: not event 3"
    assert told == [(1, "run.created"), (2, "run.started"), (3, "event.lost"), (4, COMPLETED[3]), (5, COMPLETED[4])]

    sink.refused.clear()
    assert await kernel.replay_dead_letters(DeadLetterFilter(run_id=run_id), dry_run=True) == 1
    assert await kernel.replay_dead_letters(DeadLetterFilter(run_id=run_id)) == 1
    assert await kernel.replay_dead_letters(DeadLetterFilter(run_id=run_id)) == 0
    assert (await _due(kernel)).outbox == {"default"}
    assert (await flush(kernel)).replayed == 1
    assert (await flush(kernel)).idle
    assert sink.told(run_id)[len(told) :] == [(3, "step.started")]
    assert (await kernel.dead_letters()).letters == []


async def test_an_announcement_that_is_refused_is_not_made_for_ever(
    world: Ports, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that takes nothing of a run at all: every event becomes a dead letter, and nothing waits any more."""
    monkeypatch.setattr(holding, "ATTEMPTS_MAX", 2)
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)
    sink.runs = {run_id}

    for _ in range(30):
        await flush(kernel)
        clock.advance(60)

    assert [letter.event.sequence for letter in (await kernel.dead_letters()).letters] == [1, 2, 3, 4, 5]
    whole = await kernel.dead_letters(limit=5)
    first = await kernel.dead_letters(limit=3)
    rest = await kernel.dead_letters(limit=3, after=first.next)
    assert (len(whole.letters), whole.next, len(first.letters), rest.next) == (5, None, 3, None)
    assert [*first.letters, *rest.letters] == [*whole.letters]
    (status,) = await kernel.sinks()
    assert (status.waiting, status.held_runs, status.dead_letters) == (0, 0, 5)
    assert sink.events == []


async def test_an_outage_of_thirty_seconds_loses_nothing(world: Ports, clock: ManualClock) -> None:
    """Neither does one of half a day: few runs are asked for again and again, and all is told once it is over."""
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    runs = await kernel.start_many(flow, [Start(input=None) for _ in range(200)])
    for duration_s, held_most in ((30.0, 20), (12 * 3600.0, 200)):
        sink.error = ConnectionError("down")
        ends = clock.now() + timedelta(seconds=duration_s)
        await Hands(kernel).claim_runs(100)
        while clock.now() < ends:
            await flush(kernel)
            clock.advance(max(PAUSE_MAX_S, duration_s / 200))
        (status,) = await kernel.sinks()
        assert status.pauses > 0
        assert status.held_runs <= held_most
        sink.error = None
        while any(each.waiting for each in await kernel.sinks()):
            await flush(kernel)
            clock.advance(RETRY_DELAY_MAX_S)

    assert (await kernel.dead_letters()).letters == []
    (status,) = await kernel.sinks()
    assert (status.pauses, status.not_before, status.problem) == (0, None, None)
    for run in runs:
        sequences = [event.sequence for event in sink.of_run(run.id)]
        assert sequences == list(range(1, (await run.read()).next_sequence))


@pytest.mark.fault(75)
async def test_a_hanging_sink_is_timed_out(world: Ports, clock: ManualClock) -> None:
    """Behaviour 69: its run is held back with the reason, and its events are told again once the sink is well."""
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)
    sink.hangs = True

    flushed = await flush(kernel, patience=PATIENCE)
    sink.hangs = False
    clock.advance(2)
    await flush(kernel)

    assert flushed.held_back == ((run_id, "TimeoutError: it took longer than 0.05 s"),)
    assert [event.sequence for event in sink.of_run(run_id)] == [1, 2, 3, 4, 5]


@pytest.mark.fault(9)
@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_crash_between_publish_and_mark_publishes_again(
    world: Ports, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Behaviour 69: with the same sequence numbers; where only the answer was lost, not even that."""
    flow, sink = single(), CollectingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)
    mark = world.persistence.mark_delivered

    async def crash(*arguments: Any) -> bool:
        if lost == "after":
            await mark(*arguments)
        raise Unavailable("the process died")

    with monkeypatch.context() as patched:
        patched.setattr(world.persistence, "mark_delivered", crash)
        with pytest.raises(Unavailable):
            await flush(kernel)
    clock.advance(31)
    await flush(kernel)

    again = [1, 2, 3, 4, 5] if lost == "before" else []
    assert [event.sequence for event in sink.of_run(run_id)] == [1, 2, 3, 4, 5, *again]


async def test_a_slow_sink_makes_progress(world: Ports, clock: ManualClock) -> None:
    """Each flush ends with half its lease used, and what was accepted by then is not published again."""

    class SlowSink(CollectingSink):
        async def publish(self, batch: Sequence[EventRecord]) -> int:
            clock.advance(1)
            return await super().publish(batch)

    flow = single()
    sink = SlowSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    await kernel.start_many(flow, [Start(input=None) for _ in range(30)])

    first = await flush(kernel, lease=timedelta(seconds=10))
    total = first.published + await flush_all(kernel)

    assert 1 <= first.published <= 6
    assert total == 30
    assert set(Counter(event.run_id for event in sink.events).values()) == {1}


async def test_a_sink_that_takes_one_event_at_a_time_makes_progress(world: Ports, clock: ManualClock) -> None:
    """Also where its time is over within the events of one change: it goes on where it was."""

    class OneAtATime(CollectingSink):
        async def publish(self, batch: Sequence[EventRecord]) -> int:
            clock.advance(4)
            return await super().publish(batch[:1])

    flow, sink = single(), OneAtATime()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)

    for _ in range(8):
        await flush(kernel, lease=timedelta(seconds=10))

    assert [event.sequence for event in sink.of_run(run_id)] == [1, 2, 3, 4, 5]
    (status,) = await kernel.sinks()
    assert (status.waiting, status.held_runs) == (0, 0)


@pytest.mark.fault(50)
async def test_a_replay_keeps_the_order_of_each_run_and_is_paced(
    world: Ports, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some with each flush, each run's in sequence; one that is refused again stays dead, the others go on."""
    monkeypatch.setattr(holding, "ATTEMPTS_MAX", 1)
    monkeypatch.setattr(flushing, "REPLAYS_PER_SHARD_MAX", 2)
    flow, sink = single(), RefusingSink()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    run_id = await completed_run(kernel)
    sink.refused = {(run_id, number) for number in range(1, 6)}
    for _ in range(12):
        await flush(kernel)
    announced = sink.told(run_id)
    sink.refused = {(run_id, 2)}

    assert await kernel.replay_dead_letters(DeadLetterFilter()) == 5
    replayed = [(await flush(kernel)).replayed for _ in range(4)]

    assert announced == [(number, "event.lost") for number in range(1, 6)]
    assert replayed == [1, 2, 1, 0]
    assert [number for number, _ in sink.told(run_id)[5:]] == [1, 3, 4, 5]
    (left,) = (await kernel.dead_letters()).letters
    assert (left.event.sequence, left.attempts, left.asked_at) == (2, 2, None)


def test_half_a_day_passes_before_an_event_is_lost() -> None:
    """The stated policy: the delays between the attempts add up to more than twelve hours, whatever the jitter."""
    for number in range(20):
        delays = [holding.retry_delay(f"run-{number}", attempt) for attempt in range(1, ATTEMPTS_MAX)]

        assert sum(delays, timedelta()) > timedelta(hours=12)


async def test_a_sink_that_the_kernel_lacks_is_refused(world: Ports) -> None:
    """The message names those that it has."""
    kernel = Kernel(flows=[single()], ports=world)
    with pytest.raises(InvalidArgument, match="'default'"):
        await kernel.dispatch(FlushOutbox(worker="flusher", lease_duration=PATIENCE, sink="mail"))
