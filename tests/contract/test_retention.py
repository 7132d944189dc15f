"""The part of the store that forgets: which runs may go, and what goes with them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import Changes, NewSignal, ResumeToken
from fairlead.ports.outbox import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetterKey,
    EventRecord,
    Holdings,
    shard_of,
)
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import RunCursor, RunFilter
from fairlead.ports.records import FlowRow, TaskKey
from fairlead.ports.retention import PrunablePage, PrunableRun
from fairlead.ports.statuses import RunStatus
from tests.support.records import START, at, events, load_request, new_run, run_id, run_update
from tests.support.scenes import apply, complete_run, register, run_with_tasks, start

LATER = START + timedelta(days=1)


@pytest.fixture
async def store(store: Persistence) -> Persistence:
    """A store that knows a sink."""
    await store.register_sinks(["default"], now=START)
    return store


async def publish_all(store: Persistence) -> None:
    """Mark every event as published."""
    while leases := (await store.lease_shards("default", "flusher", now=at(0), until=at(60), limit=64)).leases:
        for lease in leases:
            rows = await store.read_fresh(lease, limit=1000)
            assert await store.mark_delivered(lease, [(row.run_id, row.first_sequence) for row in rows])
        await store.release_shards("flusher", leases)


async def ended(store: Persistence, flow: FlowRow, *numbers: int) -> list[str]:
    """Completed runs of one task, all of whose events are published."""
    runs = [await complete_run(store, flow, number) for number in numbers]
    await publish_all(store)
    return runs


def all_of(page: PrunablePage) -> list[str]:
    """The ids of a page."""
    return [run.id for run in page.runs]


async def test_only_what_has_ended_and_is_published_may_go(store: Persistence, flow: FlowRow) -> None:
    """Neither pending nor running runs; those with an event that nobody has got yet are told apart."""
    (gone,) = await ended(store, flow, 1)
    await start(store, flow, 2)
    await run_with_tasks(store, flow, 3)
    kept = await complete_run(store, flow, 4)

    page = await store.find_prunable(LATER, flow=None, after=None, limit=10)

    free = PrunableRun(id=gone, flow=flow.slug, ended_at=START, tasks=1)
    assert page == PrunablePage(
        runs=[free, replace(free, id=kept, unpublished=True)], last=RunCursor(START, kept), more=False
    )


async def test_a_page_tells_when_the_next_of_its_runs_ended(store: Persistence, flow: FlowRow) -> None:
    """Of those that may not go yet, as far as they have ended: so nobody need look again before their time."""
    await ended(store, flow, 1)
    for number, seconds in ((2, 50), (3, 40)):
        await complete_run(store, flow, number, ended_at=at(seconds))
    await start(store, flow, 4)

    assert (await store.find_prunable(at(30), flow=None, after=None, limit=10)).next_end == at(40)
    assert (await store.find_prunable(at(30), flow="orders", after=None, limit=2)).next_end == at(50)
    assert (await store.find_prunable(at(30), flow=None, after=None, limit=1)).next_end is None
    assert await store.find_prunable(at(30), flow="others", after=None, limit=9) == PrunablePage(runs=[])


async def test_the_time_of_the_end_is_what_counts_and_is_exclusive(store: Persistence, flow: FlowRow) -> None:
    """A run that ended at that very moment stays."""
    (run,) = await ended(store, flow, 1)

    assert all_of(await store.find_prunable(START, flow=None, after=None, limit=10)) == []
    assert all_of(await store.find_prunable(at(0.001), flow=None, after=None, limit=10)) == [run]


@pytest.mark.parametrize("slug", [None, "orders"])
async def test_runs_are_found_page_by_page_oldest_first(store: Persistence, flow: FlowRow, slug: str | None) -> None:
    """A page says where the next begins, also where nothing on it may go."""
    runs = await ended(store, flow, 1, 2, 4, 5)
    await start(store, flow, 3)
    if slug is not None:
        for place, neighbour in enumerate(("order", "orders_")):
            await ended(store, await register(store, neighbour), *range(10 * place + 10, 10 * place + 15))
    pages: list[list[str]] = []
    after: RunCursor | None = None
    while True:
        page = await store.find_prunable(LATER, flow=slug, after=after, limit=2)
        pages.append(all_of(page))
        after = page.last
        if not page.more:
            break

    assert pages == [[runs[0], runs[1]], [runs[2]], [runs[3]]]


async def test_one_flow_can_be_asked_for(store: Persistence, flow: FlowRow) -> None:
    """By its slug, whatever the version."""
    other = await register(store, "letters")
    await ended(store, flow, 1)
    (run,) = await ended(store, other, 2)

    assert all_of(await store.find_prunable(LATER, flow="letters", after=None, limit=10)) == [run]


async def test_a_run_goes_with_everything_of_it_and_nothing_else(store: Persistence, flow: FlowRow) -> None:
    """Behaviour 70: its rows, its events, its key; the run beside it keeps all of its own."""
    gone, kept = await ended(store, flow, 1, 2)
    before = [
        await store.read_run(kept),
        await store.read_steps(kept),
        await store.read_tasks(kept),
        await store.read_events(kept),
    ]

    assert await store.delete_runs([gone], ended_before=LATER) == [gone]

    assert await store.read_run(gone) is None
    assert (await store.read_steps(gone), await store.read_tasks(gone), await store.read_attempts(gone)) == ([], [], [])
    assert await store.read_events(gone) == []
    assert [run.id for run in (await store.list_runs(RunFilter(), limit=10, after=None)).runs] == [kept]
    assert before == [
        await store.read_run(kept),
        await store.read_steps(kept),
        await store.read_tasks(kept),
        await store.read_events(kept),
    ]
    assert await store.check_invariants() == {}


async def test_a_key_is_free_again_once_its_run_is_gone(store: Persistence, flow: FlowRow) -> None:
    """The idempotency record is the run itself."""
    await store.remove_sink("default")
    (first,) = await store.insert_runs([new_run(flow, 1, key="order-1")])
    assert (await store.insert_runs([new_run(flow, 2, key="order-1")]))[0].id == first.id
    async with store.transaction() as transaction:
        await transaction.load(load_request(first.id, wait=True))

        await transaction.apply(
            Changes(
                runs=(run_update(first.id, RunStatus.CANCELLED, next_sequence=3, ended_at=START),),
                events=(events(first.id, 2, ["run.cancelled"], flow=flow.slug),),
            )
        )

    assert await store.delete_runs([first.id], ended_before=LATER) == [first.id]
    (again,) = await store.insert_runs([new_run(flow, 3, key="order-1")])
    assert (again.id, again.created) == (run_id(3), True)


async def test_what_somebody_holds_is_left_alone(store: Persistence, flow: FlowRow) -> None:
    """A run that is locked is being rerun, perhaps: it stays, whole."""
    held, free = await ended(store, flow, 1, 2)
    async with store.transaction() as transaction:
        await transaction.load(load_request(held, wait=True))
        assert await store.delete_runs([held, free], ended_before=LATER) == [free]

    assert await store.delete_runs([held], ended_before=LATER) == [held]


async def test_what_may_not_go_is_not_deleted_either(store: Persistence, flow: FlowRow) -> None:
    """Whoever names it: the rule is looked at again under the lock."""
    (young,) = await ended(store, flow, 1)
    (pending,) = await start(store, flow, 2)
    unpublished = await complete_run(store, flow, 3)

    assert await store.delete_runs([pending, unpublished, "no id", run_id(99)], ended_before=LATER) == []
    assert await store.delete_runs([young], ended_before=START) == []


async def with_dead_letter(store: Persistence, flow: FlowRow, number: int) -> str:
    """A completed run with an event that the sink never accepted, though it has all others."""
    run = await complete_run(store, flow, number)
    (lease,) = (await store.lease_shards("default", "flusher", now=at(0), until=at(60), limit=64)).leases
    event = EventRecord(
        run_id=run, flow=flow.slug, generation=1, sequence=4, type="step.completed", step="pack", at=START, data=b"{}"
    )
    letter = DeadLetter(sink="default", event=event, attempts=90, problem="never", died_at=START)
    assert await store.record_holdings(lease, Holdings(dead=(letter,)))
    await store.release_shards("flusher", [lease])
    await publish_all(store)
    return run


async def test_a_run_with_dead_letters_goes_only_where_they_may(store: Persistence, flow: FlowRow) -> None:
    """Nobody has got these events, so they are not thrown away by the way. They go with their run and no other."""
    (free,) = await ended(store, flow, 1)
    gone, kept = [await with_dead_letter(store, flow, number) for number in (2, 3)]
    page = await store.find_prunable(LATER, flow=None, after=None, limit=10)

    assert [(run.id, run.unpublished, run.dead_letters) for run in page.runs] == [
        (free, False, False),
        (gone, False, True),
        (kept, False, True),
    ]
    assert await store.delete_runs([free, gone], ended_before=LATER) == [free]
    assert await store.delete_runs([gone], ended_before=LATER, dead_letters=True) == [gone]
    left = await store.list_dead_letters(DeadLetterFilter(), limit=10, after=None)
    assert [letter.event.run_id for letter in left] == [kept]


@pytest.mark.parametrize("how", ["replayed", "refused", "the sink is removed"])
async def test_dead_letters_keep_a_run_until_they_are_gone(store: Persistence, flow: FlowRow, how: str) -> None:
    """Accepted at last, or nobody's any more. To ask for a replay is not enough."""
    run = await with_dead_letter(store, flow, 1)
    if how == "the sink is removed":
        await store.remove_sink("default")
    else:
        await store.ask_for_replay(DeadLetterFilter(), now=at(5), limit=10)
        assert await store.delete_runs([run], ended_before=LATER) == []
        (lease,) = (await store.lease_shards("default", "flusher", now=at(5), until=at(60), limit=64)).leases
        replayed = DeadLetterKey(run, 4)
        if how == "replayed":
            assert await store.record_replays(lease, accepted=[replayed], refused=[])
        else:
            assert await store.record_replays(lease, accepted=[], refused=[(replayed, "still not")])

    gone = [] if how == "refused" else [run]
    assert await store.delete_runs([run], ended_before=LATER) == gone


@pytest.mark.fault(69)
async def test_two_prunes_at_once_delete_each_run_once(store: Persistence, flow: FlowRow) -> None:
    """Whoever is second finds nothing left."""
    runs = await ended(store, flow, *range(1, 21))

    answers = await asyncio.gather(*(store.delete_runs(runs, ended_before=LATER) for _ in range(4)))

    assert sorted(run for answer in answers for run in answer) == runs


async def test_shards_are_not_blocked_by_what_is_gone(store: Persistence, flow: FlowRow) -> None:
    """The outbox of others goes on."""
    (gone,) = await ended(store, flow, 1)
    await store.delete_runs([gone], ended_before=LATER)
    await complete_run(store, flow, 2)

    leased = await store.lease_shards("default", "flusher", now=at(0), until=at(60), limit=64)
    assert [lease.shard for lease in leased.leases] == [shard_of(run_id(2))]


async def test_runs_and_tasks_are_looked_up(store: Persistence, flow: FlowRow) -> None:
    """Those that exist, and nothing for what does not."""
    run = await run_with_tasks(store, flow, 1, steps={"pack": 2})
    first, missing = TaskKey(run, "pack", 1, 0), TaskKey(run, "pack", 1, 2)

    assert await store.find_runs([run, run_id(9), "no id"]) == {run}
    found = await store.find_tasks([first, missing, TaskKey("no id", "pack", 1, 0)])
    assert [(key, row.key, row.token) for key, row in found.items()] == [(first, first, 0)]


async def test_what_was_sent_to_a_run_goes_with_it(store: Persistence, flow: FlowRow) -> None:
    """Its signals, and the tokens with which one might still have been sent."""
    (gone, kept) = await ended(store, flow, 1, 2)
    tokens = [
        ResumeToken(digest=f"digest-{run}", run_id=run, step="pack", created_at=START, expires_at=LATER)
        for run in (gone, kept)
    ]
    await store.insert_resume_tokens(tokens)
    for run in (gone, kept):
        signal = NewSignal(
            run_id=run, step="pack", key="k", request_digest="d", sent_at=START, payload=b"1", facts=None
        )
        await apply(store, run, Changes(new_signals=(signal,)))

    await store.delete_runs([gone], ended_before=LATER)

    assert [await store.read_resume_token(token.digest) for token in tokens] == [None, tokens[1]]
    assert [len(await store.read_signals(run)) for run in (gone, kept)] == [0, 1]
