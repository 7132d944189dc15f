"""Persistence: sinks, what each is owed, what they are in trouble with, and dead letters."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import Changes
from fairlead.ports.outbox import (
    OUTBOX_SHARDS,
    SINKS_MAX,
    DeadLetter,
    DeadLetterCursor,
    DeadLetterFilter,
    DeadLetterKey,
    EventRecord,
    HeldRun,
    Holdings,
    OutboxPlace,
    ShardLease,
    ShardLeases,
)
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow
from tests.support.records import START, at, events, run_id, run_update
from tests.support.scenes import apply, start
from tests.support.sharing import TOGETHER

ONE, TWO, THREE = (run_id(number) for number in TOGETHER)
"""Runs that share a shard."""


async def lease(
    store: Persistence, sink: str, worker: str = "flusher", *, now: float = 0, until: float = 30, limit: int = 64
) -> ShardLeases:
    """Lease what can be leased for a sink."""
    return await store.lease_shards(sink, worker, now=at(now), until=at(until), limit=limit)


async def shard_lease(store: Persistence, sink: str, *, now: float = 0, until: float = 30) -> ShardLease:
    """Lease the one shard that has something to do."""
    (leased,) = (await lease(store, sink, f"flusher of {sink}", now=now, until=until)).leases
    return leased


async def fresh(store: Persistence, leased: ShardLease, *, limit: int = 100) -> list[tuple[str, int]]:
    """Run and first sequence number of what is fresh."""
    return [(row.run_id, row.first_sequence) for row in await store.read_fresh(leased, limit=limit)]


async def tell(store: Persistence, run: str, first: int, *types: str) -> None:
    """Write further events of a run, in one row."""
    update = run_update(run, next_sequence=first + len(types))
    await apply(store, run, Changes(runs=(update,), events=(events(run, first, types),)))


def held(run: str, sequence: int = 1, *, attempts: int = 1, until: float = 9, lost: bool = False) -> HeldRun:
    """A run in trouble."""
    return HeldRun(run_id=run, next_sequence=sequence, attempts=attempts, not_before=at(until), problem="no", lost=lost)


def letter(run: str, sequence: int = 1, *, sink: str = "mail", kind: str = "run.created") -> DeadLetter:
    """An event that a sink never accepted."""
    event = EventRecord(
        run_id=run,
        flow="orders",
        generation=1,
        sequence=sequence,
        type=kind,
        step="pack" if kind.startswith("step") else None,
        at=at(sequence),
        data=b'{"type": "as it was"}',
    )
    return DeadLetter(sink=sink, event=event, attempts=90, problem="never", died_at=at(100))


@pytest.fixture
async def sinks(store: Persistence) -> tuple[str, str]:
    """Two sinks that the store knows."""
    await store.register_sinks(["mail", "audit"], now=START)
    return "mail", "audit"


async def names(store: Persistence) -> list[str]:
    """The sinks that the store knows."""
    return [sink.name for sink in await store.read_sinks(count_max=10)]


# Registration


async def test_registering_again_changes_nothing(store: Persistence) -> None:
    """A sink keeps the time of its first registration."""
    await store.register_sinks(["mail"], now=at(0))

    assert await store.register_sinks(["mail", "audit"], now=at(9)) == []
    found = {sink.name: sink.registered_at for sink in await store.read_sinks(count_max=10)}
    assert found == {"audit": at(9), "mail": at(0)}


@pytest.mark.fault(69)
async def test_many_processes_register_at_once(store: Persistence) -> None:
    """Each name once, whoever comes first."""
    everybody = [store.register_sinks([f"sink-{number % 5}", "all"], now=START) for number in range(20)]

    assert await asyncio.gather(*everybody) == [[]] * 20
    assert await names(store) == ["all", *(f"sink-{number}" for number in range(5))]


async def test_there_is_room_for_so_many_sinks(store: Persistence, flow: FlowRow) -> None:
    """What finds none is named; each of the others is owed every row, and a removal makes room."""
    many = [f"sink-{number:02}" for number in range(SINKS_MAX)]
    assert await store.register_sinks([*many, "late"], now=START) == ["late"]
    await start(store, flow, 1)

    for name in many:
        leased = await shard_lease(store, name)
        assert await fresh(store, leased) == [(run_id(1), 1)]
        await store.mark_delivered(leased, [(run_id(1), 1)])

    assert {sink.waiting for sink in await store.read_sinks(count_max=10)} == {0}
    await store.remove_sink(many[7])
    assert await store.register_sinks(["late"], now=START) == []


async def test_a_later_sink_is_owed_what_still_waits(store: Persistence, flow: FlowRow) -> None:
    """And all that is written from then on; what was published before is history."""
    await store.register_sinks(["mail"], now=START)
    await start(store, flow, *TOGETHER[:2])
    leased = await shard_lease(store, "mail")
    await store.mark_delivered(leased, [(ONE, 1)])

    await store.register_sinks(["audit"], now=at(5))
    await tell(store, ONE, 2, "run.started")

    assert await fresh(store, await shard_lease(store, "audit")) == [(ONE, 2), (TWO, 1)]


# Each at its own pace


async def test_a_row_is_published_once_every_sink_has_it(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """Each sink reads what it has not; leases of one are not in the way of the other."""
    await start(store, flow, *TOGETHER[:2])
    mail, audit = await shard_lease(store, "mail"), await shard_lease(store, "audit")

    await store.mark_delivered(mail, [(ONE, 1), (TWO, 1)])
    assert await fresh(store, mail) == []
    assert await fresh(store, audit) == [(ONE, 1), (TWO, 1)]
    await store.mark_delivered(audit, [(ONE, 1)])

    waiting = {sink.name: (sink.waiting, sink.oldest_at) for sink in await store.read_sinks(count_max=10)}
    assert waiting == {"audit": (1, START), "mail": (0, None)}
    assert await store.check_invariants() == {}


async def test_what_was_published_is_so_for_ever(store: Persistence, flow: FlowRow) -> None:
    """A flusher that says again that its sink has it does not make it owed to a sink that was registered since."""
    await store.register_sinks(["mail"], now=START)
    await start(store, flow, 1)
    mail = await shard_lease(store, "mail")
    assert await store.mark_delivered(mail, [(run_id(1), 1)])
    await store.register_sinks(["audit"], now=START)

    assert await store.mark_delivered(mail, [(run_id(1), 1)])
    assert await store.record_holdings(mail, Holdings(rows=[(run_id(1), 1)]))

    assert (await lease(store, "audit", limit=OUTBOX_SHARDS)).leases == []
    assert await store.check_invariants() == {}


async def test_what_a_sink_has_is_not_held(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """It would wait for a run that nobody looks at; the other sink gets it, and it is published."""
    await start(store, flow, 1)
    mail, audit = await shard_lease(store, "mail"), await shard_lease(store, "audit")
    await store.mark_delivered(mail, [(run_id(1), 1)])

    assert await store.record_holdings(mail, Holdings(rows=[(run_id(1), 1)]))

    assert await store.check_invariants() == {}
    await store.mark_delivered(audit, [(run_id(1), 1)])
    assert [sink.waiting for sink in await store.read_sinks(count_max=10)] == [0, 0]


async def test_a_page_is_in_order_whoever_else_has_what(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """By run, then sequence, across rows that the other sink has, has not, or holds."""
    await start(store, flow, *TOGETHER)
    for run in (ONE, TWO, THREE):
        await tell(store, run, 2, "run.started")
    audit = await shard_lease(store, "audit")
    await store.mark_delivered(audit, [(ONE, 1), (THREE, 1), (THREE, 2)])
    await store.record_holdings(audit, Holdings(rows=[(TWO, 1), (TWO, 2)], runs=[held(TWO)]))
    mail = await shard_lease(store, "mail")
    every = [(run, first) for run in (ONE, TWO, THREE) for first in (1, 2)]

    assert await fresh(store, mail) == every
    for limit in range(1, 6):
        assert await fresh(store, mail, limit=limit) == every[:limit]
    rows = await store.read_fresh(mail, after=OutboxPlace(TWO, 1), limit=2)
    assert [(row.run_id, row.first_sequence) for row in rows] == every[3:5]
    assert not any(row.in_trouble for row in rows)


async def test_a_lease_of_a_removed_sink_is_worth_nothing(store: Persistence, flow: FlowRow) -> None:
    """Not even where another sink was given its number."""
    await store.register_sinks(["mail"], now=START)
    await start(store, flow, 1)
    stale = await shard_lease(store, "mail")
    await store.remove_sink("mail")
    await store.register_sinks(["audit"], now=START)
    await start(store, flow, 2)

    assert not await store.mark_delivered(stale, [(run_id(2), 1)])
    assert list(await store.read_fresh(stale, limit=10)) == []
    leased = await shard_lease(store, "audit")
    assert await fresh(store, leased) == [(run_id(2), 1)]
    assert not await store.mark_delivered(stale, [(run_id(2), 1)])


async def test_an_unknown_sink_has_nothing_to_do(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """No shard is leased, nothing can be paused or removed."""
    await start(store, flow, 1)

    assert (await lease(store, "post")).leases == []
    await store.pause_sink("post", pauses=1, not_before=at(9), problem="no")
    assert not await store.remove_sink("post")


# Trouble


async def test_held_rows_are_read_with_their_run_when_it_is_due(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """Not before; other runs and the other sink do not notice."""
    await start(store, flow, *TOGETHER[:2])
    leased = await shard_lease(store, "mail")
    assert await store.record_holdings(leased, Holdings(rows=[(ONE, 1)], runs=[held(ONE)]))

    assert await fresh(store, leased) == [(TWO, 1)]
    assert await store.read_held(leased, now=at(8), limit=10) == []
    assert await store.read_held(leased, now=at(9), limit=10) == [held(ONE)]
    rows = await store.read_undelivered(leased, held(ONE), limit=10)
    assert [(row.run_id, row.first_sequence) for row in rows] == [(ONE, 1)]
    assert await fresh(store, await shard_lease(store, "audit")) == [(ONE, 1), (TWO, 1)]


async def test_what_is_written_later_shows_that_its_run_is_in_trouble(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """So that the flusher puts it to the rest."""
    await start(store, flow, *TOGETHER[:2])
    leased = await shard_lease(store, "mail")
    await store.record_holdings(leased, Holdings(rows=[(ONE, 1)], runs=[held(ONE)]))
    await tell(store, ONE, 2, "run.started")

    rows = await store.read_fresh(leased, limit=10)
    assert [(row.run_id, row.first_sequence, row.in_trouble) for row in rows] == [(ONE, 2, True), (TWO, 1, False)]
    undelivered = await store.read_undelivered(leased, held(ONE), limit=10)
    assert [row.first_sequence for row in undelivered] == [1, 2]


async def test_a_run_is_read_from_where_the_sink_stands(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """From the row that holds the next event, by sequence, as many as asked for; not what it has."""
    await start(store, flow, 1)
    run = run_id(1)
    await tell(store, run, 2, "run.started", "step.started", "step.started")
    await tell(store, run, 5, "step.completed")
    leased = await shard_lease(store, "mail")
    await store.mark_delivered(leased, [(run, 1)])

    async def rows(sequence: int, limit: int = 10) -> list[int]:
        found = await store.read_undelivered(leased, held(run, sequence), limit=limit)
        return [row.first_sequence for row in found]

    assert [await rows(sequence) for sequence in (1, 2, 4, 5)] == [[2, 5], [2, 5], [2, 5], [5]]
    assert await rows(2, limit=1) == [2]


async def test_held_runs_come_by_their_time(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """The earliest first; where a run stands is replaced by where it stands later."""
    await start(store, flow, *TOGETHER)
    leased = await shard_lease(store, "mail")
    runs = [held(ONE, until=7), held(TWO, until=5), held(THREE, until=6)]
    await store.record_holdings(leased, Holdings(rows=[(run.run_id, 1) for run in runs], runs=runs))

    assert [run.run_id for run in await store.read_held(leased, now=at(7), limit=2)] == [TWO, THREE]
    later = held(TWO, attempts=2, until=20, lost=True)
    await store.record_holdings(leased, Holdings(runs=[later]))
    assert await store.read_held(leased, now=at(20), limit=10) == [runs[2], runs[0], later]


async def test_a_run_that_is_cleared_is_fresh_again(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """As far as the sink has not its rows."""
    await start(store, flow, 1)
    run = run_id(1)
    for first in (2, 3):
        await tell(store, run, first, "step.started")
    leased = await shard_lease(store, "mail")
    rows = [(run, first) for first in (1, 2, 3)]
    await store.record_holdings(leased, Holdings(rows=rows, runs=[held(run)]))
    await store.mark_delivered(leased, rows[:2])

    await store.record_holdings(leased, Holdings(cleared=[run]))

    assert await store.read_held(leased, now=at(99), limit=10) == []
    assert await fresh(store, leased) == [(run, 3)]


async def test_shards_are_leased_for_what_is_due(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """Held runs whose time has come, and dead letters that are asked for; each is told of its shard."""
    await start(store, flow, 1)
    run = run_id(1)
    leased = await shard_lease(store, "mail")
    await store.record_holdings(leased, Holdings(rows=[(run, 1)], runs=[held(run)]))
    assert (await lease(store, "mail", now=31, until=60)).held_shards == {leased.shard}
    assert (await lease(store, "mail", "flusher of mail", now=8)).leases == []
    again = await lease(store, "mail", "third", now=61, until=90)
    (leased,) = again.leases
    await store.record_holdings(leased, Holdings(runs=[held(run, until=999, lost=True)], dead=[letter(run)]))
    await store.release_shards("third", [leased])
    assert (await lease(store, "mail", now=100)).leases == []

    await store.ask_for_replay(DeadLetterFilter(), now=at(99), limit=10)

    asked = await lease(store, "mail", now=100)
    assert asked.held_shards == frozenset()
    assert asked.asked_shards == {leased.shard}


async def test_a_paused_sink_is_leased_nothing(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """Until its time; how often it was paused is told to who tries again, and shown."""
    await start(store, flow, 1)
    await store.pause_sink("mail", pauses=3, not_before=at(9), problem="down")

    assert (await lease(store, "mail", now=8)).leases == []
    assert (await lease(store, "audit", now=8)).pauses == 0
    assert (await lease(store, "mail", now=9)).pauses == 3
    shown = {sink.name: (sink.pauses, sink.not_before, sink.problem) for sink in await store.read_sinks(count_max=9)}
    assert shown == {"audit": (0, None, None), "mail": (3, at(9), "down")}
    await store.pause_sink("mail", pauses=0, not_before=None, problem=None)
    assert (await lease(store, "mail", now=10)).pauses == 0


async def test_nothing_is_read_or_recorded_under_a_lost_lease(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """Whoever lost a shard neither holds, buries nor replays."""
    await start(store, flow, 1)
    run = run_id(1)
    lost = await shard_lease(store, "mail")
    await store.record_holdings(lost, Holdings(rows=[(run, 1)], runs=[held(run, lost=True)], dead=[letter(run)]))
    await store.ask_for_replay(DeadLetterFilter(), now=START, limit=10)
    (leased,) = (await lease(store, "mail", "another", now=31, until=60)).leases

    assert not await store.record_holdings(lost, Holdings(cleared=[run]))
    assert not await store.record_replays(lost, accepted=[DeadLetterKey(run, 1)], refused=[])
    assert await store.read_held(lost, now=at(99), limit=10) == []
    assert await store.read_undelivered(lost, held(run), limit=10) == []
    assert await store.read_replays(lost, limit=10) == []
    assert len(await store.read_held(leased, now=at(99), limit=10)) == 1
    assert len(await store.read_replays(leased, limit=10)) == 1


# Dead letters


async def bury(store: Persistence, sink: str, *letters: DeadLetter) -> ShardLease:
    """Make events of the shared shard dead letters of a sink."""
    leased = await shard_lease(store, sink)
    await store.record_holdings(leased, Holdings(dead=letters))
    return leased


async def test_a_dead_letter_is_kept_as_it_was(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """Byte for byte; burying it again leaves it as it is."""
    await start(store, flow, *TOGETHER)
    first = letter(ONE, 3, kind="step.started")
    leased = await bury(store, "mail", first)

    await store.record_holdings(leased, Holdings(dead=[replace(first, problem="another")]))

    assert await store.list_dead_letters(DeadLetterFilter(), limit=10, after=None) == [first]


async def test_dead_letters_are_listed_in_pages(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """By sink, run and sequence; each filter alone and all together."""
    await start(store, flow, *TOGETHER)
    mail = [letter(ONE, 1), letter(ONE, 2, kind="run.started"), letter(TWO, 1)]
    audit = [letter(ONE, 1, sink="audit")]
    await bury(store, "mail", *reversed(mail))
    await bury(store, "audit", *audit)

    async def found(**chosen: object) -> list[DeadLetter]:
        filtered = DeadLetterFilter(**chosen)  # type: ignore[arg-type]
        letters = list(await store.list_dead_letters(filtered, limit=10, after=None))
        assert await store.count_dead_letters(filtered) == len(letters)
        return letters

    assert await found() == [*audit, *mail]
    assert await found(sink="mail") == mail
    assert await found(run_id=ONE) == [audit[0], mail[0], mail[1]]
    assert await found(run_id=ONE, sequence=1, sink="mail") == [mail[0]]
    assert await found(type="run.started") == [mail[1]]
    assert await found(flow="returns") == []
    assert await found(run_id="no id") == []
    paged: list[DeadLetter] = []
    cursor: DeadLetterCursor | None = None
    while page := await store.list_dead_letters(DeadLetterFilter(), limit=1, after=cursor):
        paged += page
        cursor = DeadLetterCursor(page[0].sink, page[0].event.run_id, page[0].event.sequence)
    assert paged == [*audit, *mail]


@pytest.mark.fault(50)
async def test_asking_twice_is_asking_once(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """In bounded parts; what was asked for is not asked for again, and keeps its time."""
    await start(store, flow, *TOGETHER)
    await bury(store, "mail", *(letter(ONE, number) for number in range(1, 6)))

    asked = [await store.ask_for_replay(DeadLetterFilter(run_id=ONE), now=at(50 + n), limit=2) for n in range(4)]

    assert asked == [2, 2, 1, 0]
    letters = await store.list_dead_letters(DeadLetterFilter(), limit=10, after=None)
    assert [letter.asked_at for letter in letters] == [at(50), at(50), at(51), at(51), at(52)]
    assert await store.count_dead_letters(DeadLetterFilter(asked=False)) == 0


async def test_replays_are_read_by_run_and_sequence(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """Of one sink; accepted ones are gone, refused ones stay and wait to be asked for again."""
    await start(store, flow, *TOGETHER)
    letters = [letter(ONE, 1), letter(ONE, 2), letter(TWO, 1)]
    leased = await bury(store, "mail", *reversed(letters), letter(THREE, 1))
    await bury(store, "audit", letter(ONE, 1, sink="audit"))
    for run in (ONE, TWO):
        await store.ask_for_replay(DeadLetterFilter(run_id=run), now=at(50), limit=10)

    replays = await store.read_replays(leased, limit=10)
    assert [replace(each, asked_at=None) for each in replays] == letters
    assert await store.read_replays(leased, limit=1) == replays[:1]
    refused = (DeadLetterKey(ONE, 2), "still not")
    for _ in range(2):
        assert await store.record_replays(leased, accepted=[DeadLetterKey(ONE, 1)], refused=[refused])

    assert [each.event.run_id for each in await store.read_replays(leased, limit=10)] == [TWO]
    left = await store.list_dead_letters(DeadLetterFilter(sink="mail", run_id=ONE), limit=10, after=None)
    assert left == [replace(letters[1], attempts=91, problem="still not")]


# Removal


async def test_what_waited_for_a_removed_sink_waits_no_more(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """What the others have is published; its trouble and dead letters are gone, also for whoever gets its number."""
    await start(store, flow, *TOGETHER)
    mail, audit = await shard_lease(store, "mail"), await shard_lease(store, "audit")
    await store.mark_delivered(audit, [(ONE, 1), (TWO, 1)])
    await store.mark_delivered(mail, [(THREE, 1)])
    await store.record_holdings(mail, Holdings(rows=[(ONE, 1)], runs=[held(ONE, lost=True)], dead=[letter(ONE)]))

    assert await store.remove_sink("mail")

    assert not await store.remove_sink("mail")
    assert await names(store) == ["audit"]
    assert await fresh(store, audit) == [(THREE, 1)]
    assert await store.count_dead_letters(DeadLetterFilter()) == 0
    await store.register_sinks(["post"], now=START)
    assert [sink.waiting for sink in await store.read_sinks(count_max=10)] == [1, 1]
    assert await fresh(store, await shard_lease(store, "post")) == [(THREE, 1)]
    assert await store.check_invariants() == {}


async def test_with_the_last_sink_everything_is_published(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """And what is written from then on is born so."""
    await start(store, flow, *range(1, 40))
    for name in sinks:
        await store.remove_sink(name)
    await start(store, flow, 40)

    await store.register_sinks(["post"], now=START)

    assert [sink.waiting for sink in await store.read_sinks(count_max=100)] == [0]
    assert (await lease(store, "post", limit=OUTBOX_SHARDS)).leases == []


async def test_counts_are_bounded(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """However much waits, nobody counts further than asked for."""
    await start(store, flow, *range(1, 8))

    assert [sink.waiting for sink in await store.read_sinks(count_max=5)] == [5, 5]


async def test_what_waits_is_told_in_events(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """One change may cause several; the bound is one of events too."""
    await start(store, flow, 1)
    await tell(store, run_id(1), 2, "run.started", "step.started")

    for count_max, waiting in ((10, 3), (2, 2)):
        assert [sink.waiting for sink in await store.read_sinks(count_max=count_max)] == [waiting, waiting]


async def test_of_the_held_runs_the_worst_is_told(store: Persistence, flow: FlowRow, sinks: tuple[str, str]) -> None:
    """The one that was refused most often; one that ran out of time only where there is no other."""
    await start(store, flow, *TOGETHER)
    mail = await shard_lease(store, "mail")
    out_of_time = replace(held(ONE), attempts=9, problem="")
    await store.record_holdings(mail, Holdings(rows=[(ONE, 1)], runs=[out_of_time]))
    assert [sink.worst for sink in await store.read_sinks(count_max=10)] == [None, out_of_time]

    others = [held(TWO, attempts=2), held(THREE, attempts=5)]
    await store.record_holdings(mail, Holdings(rows=[(TWO, 1), (THREE, 1)], runs=others))

    found = {sink.name: (sink.held_runs, sink.worst) for sink in await store.read_sinks(count_max=10)}
    assert found == {"audit": (0, None), "mail": (3, others[1])}


async def test_rows_are_owed_to_all_however_they_were_written(
    store: Persistence, flow: FlowRow, sinks: tuple[str, str]
) -> None:
    """Started alone, in bulk, or by a change."""
    await start(store, flow, 1)
    await start(store, flow, 2, 3)
    await tell(store, run_id(1), 2, "run.started")

    assert [sink.waiting for sink in await store.read_sinks(count_max=10)] == [4, 4]
