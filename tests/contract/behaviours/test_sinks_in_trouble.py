"""Sinks that are down, stuck or give up: when they are left in peace, by whom, and what becomes of their events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.adapters.sinks import CallableSink
from fairlead.adapters.system import SystemClock
from fairlead.hosts.node import NodeHost
from fairlead.kernel import EventRecord, GiveUp, Kernel, subscription
from fairlead.kernel.decisions.holding import ATTEMPTS_MAX
from fairlead.kernel.dispatch.offering import REFUSED_IN_A_ROW_MAX
from fairlead.ports import Ports
from fairlead.ports.outbox import DeadLetterFilter, SinkRecord
from tests.support.flushing import FLUSHES_FOR_ALL_SHARDS, LEASE, PATIENCE, flush, flush_all, single
from tests.support.hands import Hands
from tests.support.overtaken import Overtaken, once
from tests.support.waiting import DEADLINE_S, until


class Mood:
    """A subscriber that refuses, gives up or hears, and counts how often it was called."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0
        self.heard: list[tuple[int, str]] = []

    async def __call__(self, event: EventRecord) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.heard.append((event.sequence, event.type))


def subscribed(
    world: Ports, handler: Callable[[EventRecord], object], types: Any = "run.completed", **options: Any
) -> Kernel:
    """A kernel with this subscriber alone."""
    kernel = Kernel(flows=[single()], ports=evolve(world, sink=None))
    kernel.subscribe(types, handler, name="mail", **options)
    return kernel


async def complete(kernel: Kernel, count: int = 1) -> list[str]:
    """So many runs that have completed."""
    runs = [(await kernel.start("single", None)).id for _ in range(count)]
    await Hands(kernel).drain(1)
    return runs


async def status(kernel: Kernel) -> SinkRecord:
    """The only sink."""
    (sink,) = await kernel.sinks()
    return sink


async def test_what_it_did_not_ask_for_is_no_sign_of_life(world: Ports, clock: ManualClock) -> None:
    """A subscriber that always raises is given a pause, though it has all other events, and they come one by one."""
    mood = Mood(ConnectionError("down"))
    kernel = subscribed(world, mood)
    paused: list[bool] = []
    for _ in range(REFUSED_IN_A_ROW_MAX):
        await complete(kernel)
        paused.append((await flush(kernel, "mail")).paused)

    assert paused == [False] * (REFUSED_IN_A_ROW_MAX - 1) + [True]
    assert (await status(kernel)).problem == "ConnectionError: down"
    await complete(kernel)
    assert (await flush(kernel, "mail")).idle
    assert mood.calls == REFUSED_IN_A_ROW_MAX

    clock.advance(2)
    while not (await flush(kernel, "mail")).paused:
        await complete(kernel)
    assert (await status(kernel)).pauses == 2

    mood.error = None
    total = len((await kernel.runs()).runs)
    for _ in range(2):
        clock.advance(5)
        await flush_all(kernel, "mail")
    assert len(mood.heard) == total
    assert ((await status(kernel)).pauses, (await status(kernel)).waiting) == (0, 0)


async def test_what_it_did_not_ask_for_changes_nothing(world: Ports) -> None:
    """It has it without being called: one that is well stays so, and one that was paused is not thought well."""
    mood = Mood(ConnectionError("down"))
    kernel = subscribed(world, mood, "run.failed")
    await kernel.register()
    for pauses in (0, 3):
        problem = "down" if pauses else None
        await world.persistence.pause_sink("mail", pauses=pauses, not_before=None, problem=problem)
        await complete(kernel, 3 * REFUSED_IN_A_ROW_MAX)
        flushed = [await flush(kernel, "mail") for _ in range(FLUSHES_FOR_ALL_SHARDS)]

        assert sum(each.published for each in flushed) == 15 * REFUSED_IN_A_ROW_MAX
        assert not any(each.paused or each.held_back for each in flushed)
        assert ((await status(kernel)).pauses, (await status(kernel)).problem) == (pauses, problem)
    assert mood.calls == 0


async def test_one_run_in_trouble_is_no_sink_that_is_down(world: Ports, clock: ManualClock) -> None:
    """However often its event is refused while nothing else is there to be published."""
    mood = Mood(ValueError("not this one"))
    kernel = subscribed(world, mood)
    await complete(kernel)

    for _ in range(3 * REFUSED_IN_A_ROW_MAX):
        assert not (await flush(kernel, "mail")).paused
        clock.advance(600)
    assert mood.calls == 3 * REFUSED_IN_A_ROW_MAX


async def test_a_subscriber_gives_up_at_once(world: Ports) -> None:
    """The event is a dead letter after one attempt, the rest of its run flows, and a replay tries it again."""
    mood = Mood(GiveUp("no such address"))
    kernel = subscribed(world, mood, ["step.started", "step.completed", "event.lost"])
    await complete(kernel)
    first = await flush(kernel, "mail")
    mood.error = None
    await flush_all(kernel, "mail")

    (letter,) = (await kernel.dead_letters()).letters
    assert (first.dead, first.paused) == (1, False)
    assert (letter.event.type, letter.attempts, letter.problem) == ("step.started", 1, "GiveUp: no such address")
    assert mood.heard == [(3, "event.lost"), (4, "step.completed")]

    await kernel.replay_dead_letters(DeadLetterFilter(sink="mail"))
    mood.error = GiveUp("still none")
    assert (await flush(kernel, "mail")).replayed == 0
    (letter,) = (await kernel.dead_letters()).letters
    assert (letter.attempts, letter.problem) == (2, "GiveUp: still none")


async def test_what_comes_right_after_a_loss_is_not_lost(world: Ports) -> None:
    """A run is held no more, its lost event not even announced; what it does at this moment is offered as ever."""
    heard: list[str] = []

    async def hear(event: EventRecord) -> None:
        if event.type == "event.lost":
            await Hands(kernel).claim_runs()  # which commits a row behind the one that is offered
        if event.type in ("run.created", "event.lost"):
            raise GiveUp("never")
        heard.append(event.type)

    kernel = subscribed(world, hear, "*")
    await kernel.start("single", None)
    flushed = [await flush(kernel, "mail") for _ in range(2 * FLUSHES_FOR_ALL_SHARDS)]

    assert sum(each.dead for each in flushed) == 1
    assert heard == ["run.started", "step.started"]
    assert ((await status(kernel)).waiting, (await status(kernel)).held_runs) == (0, 0)


async def test_who_gives_up_is_not_down(world: Ports) -> None:
    """It was called, and said what it thinks of the event: no pause, whatever the number."""
    kernel = subscribed(world, Mood(GiveUp("never")))
    await complete(kernel, 2 * REFUSED_IN_A_ROW_MAX)

    flushed = [await flush(kernel, "mail") for _ in range(FLUSHES_FOR_ALL_SHARDS)]

    assert not any(each.paused for each in flushed)
    assert sum(each.dead for each in flushed) == 2 * REFUSED_IN_A_ROW_MAX
    assert ((await status(kernel)).waiting, (await status(kernel)).held_runs) == (0, 0)


async def test_a_subscriber_says_how_often_it_is_tried(world: Ports, clock: ManualClock) -> None:
    """After so many attempts the event is a dead letter; without, after `ATTEMPTS_MAX`."""
    mood = Mood(ConnectionError("down"))
    kernel = subscribed(world, mood, max_attempts=3)
    await complete(kernel)
    for _ in range(6):
        await flush(kernel, "mail")
        clock.advance(5)

    (letter,) = (await kernel.dead_letters()).letters
    assert (letter.attempts, mood.calls) == (3, 3)
    assert (await status(kernel)).waiting == 0
    assert ATTEMPTS_MAX == 90


class Choosy(Mood):
    """Refuses events of one type, and counts how often it was called with one of these."""

    def __init__(self, error: Exception, refused: str) -> None:
        super().__init__(error)
        self.refused = refused

    async def __call__(self, event: EventRecord) -> None:
        if event.type == self.refused:
            await super().__call__(event)
        else:
            self.heard.append((event.sequence, event.type))


@pytest.mark.parametrize(
    ("error", "attempts"), [(ConnectionError("down"), 1), (ConnectionError("down"), 3), (GiveUp("no"), 1)]
)
async def test_every_call_with_an_event_is_an_attempt(
    world: Ports, clock: ManualClock, error: Exception, attempts: int
) -> None:
    """Also with one that follows others in its batch: it is not called again at once, nor more often than it says."""
    mood = Choosy(error, "step.completed")
    kernel = subscribed(world, mood, "*", max_attempts=attempts)
    await complete(kernel)
    for attempt in range(1, attempts + 1):
        await flush(kernel, "mail")
        assert mood.calls == attempt
        clock.advance(5)
    for _ in range(2):
        await flush(kernel, "mail")

    (letter,) = (await kernel.dead_letters()).letters
    assert (letter.event.type, letter.attempts, mood.calls) == ("step.completed", attempts, attempts)
    assert [sequence for sequence, _ in mood.heard] == [1, 2, 3, 4, 5]


class Hanging:
    """A plain function that hangs in its thread until it is let go."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.calls = 0
        self.clock = clock
        self.let_go = threading.Event()

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.clock is not None:
            self.clock.advance(LEASE * 0.6)
        self.let_go.wait(DEADLINE_S)


async def let_go(hanging: Hanging) -> None:
    """The call that hangs ends, and so does its thread."""
    hanging.let_go.set()
    await until(lambda: all(thread.name != "fairlead-sink" for thread in threading.enumerate()))


@pytest.mark.fault(75)
@pytest.mark.parametrize("made", ["subscriber", "callable"])
async def test_a_sink_that_is_stuck_in_one_process_is_served_by_others(
    world: Ports, clock: ManualClock, made: str
) -> None:
    """The process in which it hangs leases nothing for it, and charges the one attempt; then it takes part again.

    It may hang for longer than a flush lasts: no pause is given to it for all.
    """
    hanging, mood = Hanging(clock if made == "subscriber" else None), Mood()

    async def hear(batch: Sequence[EventRecord]) -> None:
        for event in batch:
            await mood(event)

    if made == "subscriber":
        here, elsewhere = subscribed(world, hanging), subscribed(world, mood)
    else:
        here, elsewhere = (
            Kernel(flows=[single()], ports=evolve(world, sink={"mail": CallableSink(function)}))
            for function in (hanging, hear)
        )
    runs = await complete(elsewhere, 20)

    first = await flush(here, "mail", patience=PATIENCE)
    begun = await status(here)
    for _ in range(FLUSHES_FOR_ALL_SHARDS):
        again = await flush(here, "mail", patience=PATIENCE)
        assert (again.stuck, again.idle, again.problem) == (True, True, first.problem)
        clock.advance(2)
        await flush(elsewhere, "mail", worker="elsewhere")
    found = await status(elsewhere)
    await let_go(hanging)

    assert [problem for _, problem in first.held_back] == ["TimeoutError: it took longer than 0.05 s"]
    assert (begun.pauses, begun.held_runs, begun.worst and begun.worst.attempts) == (0, 1, 1)
    assert (found.pauses, found.held_runs, found.waiting, hanging.calls) == (0, 0, 0, 1)
    assert len(mood.heard) >= len(runs)
    await complete(here)
    assert (await flush(here, "mail")).published > 0


class Turning(Hanging):
    """Refuses what it is given first, and hangs from then on."""

    def __call__(self, *arguments: object) -> None:
        if not self.calls:
            self.calls += 1
            raise ConnectionError("down")
        super().__call__(*arguments)


@pytest.mark.fault(75)
async def test_a_sink_gets_stuck_while_a_run_is_read_that_it_had_refused(world: Ports, clock: ManualClock) -> None:
    """Of two flushes of one process, one has read what it offers again when the other's call hangs.

    The run that it read was not offered: that is no attempt of it.
    """
    turning = Turning()

    async def hang() -> None:
        await complete(kernel)
        while turning.calls < 2:
            await flush(kernel, "mail", worker="another", patience=PATIENCE)

    overtaken: Any = Overtaken(world.persistence, read_undelivered=once(hang))
    kernel = subscribed(evolve(world, persistence=overtaken), turning)
    await complete(kernel)
    while not turning.calls:
        await flush(kernel, "mail")
    clock.advance(5)
    flushed = await flush(kernel, "mail", patience=PATIENCE)
    while turning.calls < 2:
        flushed = await flush(kernel, "mail", patience=PATIENCE)
    found = await status(kernel)
    await let_go(turning)

    assert (flushed.stuck, flushed.held_back) == (True, ())
    assert (turning.calls, found.held_runs, found.worst and found.worst.attempts) == (2, 2, 1)
    clock.advance(5)
    await flush_all(kernel, "mail")
    assert (turning.calls, (await status(kernel)).held_runs) == (4, 0)


class Answering:
    """A sink that answers as a test says."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def publish(self, batch: Sequence[EventRecord]) -> Any:
        return self.answer

    async def aclose(self) -> None:
        """Nothing was opened."""


@pytest.mark.fault(75)
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "the sink answered NoneType, not how many events it accepted"),
        (True, "the sink answered bool, not how many events it accepted"),
        (2.0, "the sink answered float, not how many events it accepted"),
        (-1, "the sink says that it accepted -1 of 5 events"),
        (6, "the sink says that it accepted 6 of 5 events"),
        (0, "the sink accepted none of the events"),
    ],
    ids=["None", "True", "2.0", "-1", "6", "0"],
)
async def test_a_sink_that_answers_nonsense_has_accepted_nothing(
    world: Ports, clock: ManualClock, answer: object, problem: str
) -> None:
    """What it may have of them is offered again once it answers as it should; nothing is taken for published before."""
    sink = Answering(answer)
    kernel = Kernel(flows=[single()], ports=evolve(world, sink={"mail": sink}))
    (run,) = await complete(kernel)

    flushed = await flush(kernel, "mail")

    assert (flushed.published, flushed.held_back) == (0, ((run, problem),))
    collecting = CollectingSink()
    clock.advance(5)
    well = Kernel(flows=[single()], ports=evolve(world, sink={"mail": collecting}))
    await flush_all(well, "mail")
    assert [event.sequence for event in collecting.of_run(run)] == [1, 2, 3, 4, 5]


@pytest.mark.fault(75)
async def test_two_hosts_on_one_store_one_of_them_stuck(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A subscriber hangs for ever in one host; the other delivers every event, unhindered by pauses and leases."""
    monkeypatch.setattr(subscription, "CALL_TIMEOUT_S", 0.05)
    hanging, mood = Hanging(), Mood()
    ports = evolve(ports, clock=SystemClock(), sink=None)
    lease, pause = ports.persistence.lease_shards, ports.persistence.pause_sink
    leased: list[str] = []
    paused: list[str] = []

    async def count_leases(sink: str, worker: str, **options: Any) -> Any:
        leased.append(worker)
        return await lease(sink, worker, **options)

    async def count_pauses(name: str, **options: Any) -> None:
        paused.append(name)
        await pause(name, **options)

    monkeypatch.setattr(ports.persistence, "lease_shards", count_leases)
    monkeypatch.setattr(ports.persistence, "pause_sink", count_pauses)
    here, elsewhere = subscribed(ports, hanging), subscribed(ports, mood)
    try:
        async with NodeHost(here, worker="stuck"):
            await here.start("single", None)
            await until(lambda: "sink 'mail': a call has not ended" in caplog.text)
            leased.clear()
            async with NodeHost(elsewhere, worker="well"):
                for _ in range(20):
                    await elsewhere.start("single", None)
                await until(lambda: len(mood.heard) == 21)
    finally:
        await let_go(hanging)

    assert "stuck" not in leased
    assert paused == []
    assert (hanging.calls, len(mood.heard)) == (1, 21)
    assert (await elsewhere.dead_letters()).letters == []
