"""Persistence: the outbox as a flusher sees it."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.outbox import FIRST_PLACE, OUTBOX_SHARDS, OutboxPlace, OutboxRow, ShardLease, shard_of
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow
from tests.support.records import START, at, events, load_request, new_run, run_id, run_update
from tests.support.scenes import apply, start
from tests.support.sharing import APART, TOGETHER


@pytest.fixture
async def store(store: Persistence) -> Persistence:
    """A store that knows a sink."""
    await store.register_sinks(["default"], now=START)
    return store


async def lease_all(
    store: Persistence, worker: str = "flusher-1", *, now: float = 0, until: float = 30, limit: int = OUTBOX_SHARDS
) -> list[ShardLease]:
    """Lease what can be leased."""
    leased = await store.lease_shards("default", worker, now=at(now), until=at(until), limit=limit)
    return list(leased.leases)


async def unpublished(store: Persistence, lease: ShardLease, *, limit: int = 100) -> list[tuple[str, int]]:
    """The run and first sequence number of each row that a flusher would read."""
    return [(row.run_id, row.first_sequence) for row in await store.read_fresh(lease, limit=limit)]


async def add_events(store: Persistence, run: str, first: int, *types: str) -> None:
    """Write further events of a run."""
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=first + len(types)),),
            events=(events(run, first, types),),
        ),
    )


def test_shards_are_the_same_everywhere() -> None:
    """The shard of a run is fixed by its id: other processes and versions agree."""
    assert [shard_of(run_id(number)) for number in range(4)] == [23, 1, 59, 45]
    assert len({shard_of(run_id(number)) for number in range(1000)}) == OUTBOX_SHARDS


async def test_an_empty_outbox_has_no_shards_to_lease(store: Persistence, flow: FlowRow) -> None:
    """Only shards that hold unpublished rows are leased."""
    assert await lease_all(store) == []


async def test_a_leased_shard_gives_its_rows(store: Persistence, flow: FlowRow) -> None:
    """The whole row, byte for byte."""
    await store.insert_runs([new_run(flow, created_at=at(7))])

    (lease,) = await lease_all(store)

    assert lease.shard == shard_of(run_id(1))
    assert list(await store.read_fresh(lease, limit=10)) == [
        OutboxRow(
            run_id=run_id(1),
            flow="orders",
            generation=1,
            first_sequence=1,
            count=1,
            at=at(7),
            events=b'[{"type":"run.created"}]',
        )
    ]


async def test_each_shard_gives_its_own_runs_alone(store: Persistence, flow: FlowRow) -> None:
    """Rows are found under the shard of their run, and all rows are found."""
    await start(store, flow, *range(1, 41))

    leases = await lease_all(store)
    found = {lease.shard: {run for run, _ in await unpublished(store, lease)} for lease in leases}

    expected: dict[int, set[str]] = {}
    for number in range(1, 41):
        expected.setdefault(shard_of(run_id(number)), set()).add(run_id(number))
    assert found == expected


async def test_a_lease_excludes_other_flushers(store: Persistence, flow: FlowRow) -> None:
    """While a lease lasts, nobody else gets its shard; others get other shards."""
    await start(store, flow, 1, APART)

    mine = await lease_all(store, "flusher-1", limit=1)
    theirs = await lease_all(store, "flusher-2")

    assert len(mine) == 1
    assert len(theirs) == 1
    assert mine[0].shard != theirs[0].shard
    assert await lease_all(store, "flusher-3", now=29) == []


@pytest.mark.fault(69)
async def test_concurrent_flushers_never_share_a_shard(store: Persistence, flow: FlowRow) -> None:
    """Every shard goes to one of those who ask at once."""
    await start(store, flow, *range(1, 31))
    shards = {shard_of(run_id(number)) for number in range(1, 31)}

    answers = await asyncio.gather(*(lease_all(store, f"flusher-{n}", limit=9) for n in range(8)))

    taken = [lease.shard for answer in answers for lease in answer]
    assert len(taken) == len(set(taken))
    assert set(taken) <= shards
    rest = await lease_all(store, "flusher-9")
    assert {*taken, *(lease.shard for lease in rest)} == shards


async def test_a_flusher_renews_its_own_lease(store: Persistence, flow: FlowRow) -> None:
    """The worker that holds a shard leases it again before the lease ends."""
    await start(store, flow)
    await lease_all(store, "flusher-1", now=0, until=30)

    (renewed,) = await lease_all(store, "flusher-1", now=20, until=50)

    assert await lease_all(store, "flusher-2", now=40) == []
    assert await store.mark_delivered(renewed, [(run_id(1), 1)])


@pytest.mark.fault(20)
async def test_an_expired_lease_is_taken_over_and_its_token_is_stale(store: Persistence, flow: FlowRow) -> None:
    """A paused flusher that comes back marks nothing; its rows are published by their new holder."""
    await start(store, flow)
    (stale,) = await lease_all(store, "flusher-1", now=0, until=30)

    (lease,) = await lease_all(store, "flusher-2", now=31, until=60)

    assert lease.shard == stale.shard
    assert lease.token != stale.token
    assert not await store.mark_delivered(stale, [(run_id(1), 1)])
    assert await unpublished(store, lease) == [(run_id(1), 1)]
    assert await store.mark_delivered(lease, [(run_id(1), 1)])


async def test_a_released_shard_is_free_at_once(store: Persistence, flow: FlowRow) -> None:
    """Whoever comes next need not wait for the lease's end, and the old lease marks nothing."""
    await start(store, flow)
    leases = await lease_all(store, "flusher-1", until=1000)

    await store.release_shards("flusher-1", leases)
    assert not await store.mark_delivered(leases[0], [(run_id(1), 1)])
    (lease,) = await lease_all(store, "flusher-2", now=1)

    assert not await store.mark_delivered(leases[0], [(run_id(1), 1)])
    assert await unpublished(store, lease) == [(run_id(1), 1)]


async def test_a_stale_release_changes_nothing(store: Persistence, flow: FlowRow) -> None:
    """Who lost a lease cannot give away the one of its successor."""
    await start(store, flow)
    stale = await lease_all(store, "flusher-1", until=30)
    (lease,) = await lease_all(store, "flusher-2", now=31, until=60)

    await store.release_shards("flusher-1", stale)
    await store.release_shards("flusher-3", [lease])
    await store.release_shards("flusher-3", [])

    assert await lease_all(store, "flusher-3", now=40) == []
    assert await store.mark_delivered(lease, [(run_id(1), 1)])


async def test_a_release_of_an_earlier_lease_leaves_the_later_one(store: Persistence, flow: FlowRow) -> None:
    """A worker that has leased a shard anew keeps it when its old lease is given back late."""
    await start(store, flow)
    old = await lease_all(store, "flusher-1", until=30)
    (new,) = await lease_all(store, "flusher-1", now=31, until=60)

    await store.release_shards("flusher-1", old)

    assert await lease_all(store, "flusher-2", now=40) == []
    assert await store.mark_delivered(new, [(run_id(1), 1)])


async def test_published_rows_are_read_no_more(store: Persistence, flow: FlowRow) -> None:
    """What is marked disappears from the flusher's view and stays in the run's history."""
    await start(store, flow, *TOGETHER)
    (lease,) = await lease_all(store)
    first, second, third = (run_id(number) for number in TOGETHER)

    assert await store.mark_delivered(lease, [(second, 1)])

    assert await unpublished(store, lease) == [(first, 1), (third, 1)]
    assert await store.mark_delivered(lease, [(first, 1), (third, 1)])
    assert await unpublished(store, lease) == []
    assert await lease_all(store, now=100, until=130) == []
    assert len(await store.read_events(second)) == 1


async def test_marking_is_idempotent(store: Persistence, flow: FlowRow) -> None:
    """After an unknown commit the same rows are marked again; marking none is marking."""
    run, *_ = await start(store, flow)
    await add_events(store, run, 2, "run.started")
    (lease,) = await lease_all(store)

    assert await store.mark_delivered(lease, [(run, 1)])
    assert await store.mark_delivered(lease, [(run, 1)])
    assert await store.mark_delivered(lease, [])

    assert await unpublished(store, lease) == [(run, 2)]


async def test_only_the_rows_named_are_marked(store: Persistence, flow: FlowRow) -> None:
    """A row is named by run and first sequence number, not by one of them."""
    one, two = (run_id(number) for number in TOGETHER[:2])
    await start(store, flow, *TOGETHER[:2])
    await add_events(store, one, 2, "run.started")
    await add_events(store, two, 2, "run.started")
    (lease,) = await lease_all(store)

    await store.mark_delivered(lease, [(one, 1), (two, 2)])

    assert await unpublished(store, lease) == [(one, 2), (two, 1)]


async def test_a_runs_rows_are_read_in_sequence_from_its_first(store: Persistence, flow: FlowRow) -> None:
    """By run, then sequence; however short the answer, a run's rows are a gapless prefix of what it waits to tell."""
    one, two = (run_id(number) for number in TOGETHER[:2])
    await start(store, flow, *TOGETHER[:2])
    for run in (two, one):
        await add_events(store, run, 2, "run.started", "step.started")
        await add_events(store, run, 4, *["step.completed"] * 8)
        await add_events(store, run, 12, "run.completed")
    (lease,) = await lease_all(store)
    every = [(run, first) for run in (one, two) for first in (1, 2, 4, 12)]

    assert await unpublished(store, lease) == every
    for limit in range(1, 9):
        assert await unpublished(store, lease, limit=limit) == every[:limit]

    flushed: list[tuple[str, int]] = []
    while batch := await unpublished(store, lease, limit=3):
        flushed += batch
        assert await store.mark_delivered(lease, batch)
    assert flushed == every


async def test_rows_are_read_behind_a_place(store: Persistence, flow: FlowRow) -> None:
    """A flusher that sets one run's rows aside reads on behind them; the place itself is not read again."""
    one, two, three = (run_id(number) for number in TOGETHER)
    await start(store, flow, *TOGETHER)
    for run in (one, two):
        await add_events(store, run, 2, "run.started", "step.started")
        await add_events(store, run, 4, "step.completed")
    (lease,) = await lease_all(store)

    async def behind(run: str, first: int, *, limit: int = 100) -> list[tuple[str, int]]:
        rows = await store.read_fresh(lease, after=OutboxPlace(run, first), limit=limit)
        return [(row.run_id, row.first_sequence) for row in rows]

    assert await behind(one, 2) == [(one, 4), (two, 1), (two, 2), (two, 4), (three, 1)]
    assert await behind(one, 3, limit=2) == [(one, 4), (two, 1)]
    assert await behind(one, 4, limit=1) == [(two, 1)]
    assert await behind(two, 0) == [(two, 1), (two, 2), (two, 4), (three, 1)]
    assert await behind(three, 1) == []
    assert await behind(*FIRST_PLACE) == await unpublished(store, lease)


async def test_nothing_is_read_under_a_lost_lease(store: Persistence, flow: FlowRow) -> None:
    """Expired and taken over, or released: whoever lost a shard is given none of its rows."""
    await start(store, flow)
    (lost,) = await lease_all(store, "flusher-1", until=30)
    (lease,) = await lease_all(store, "flusher-2", now=31, until=60)

    assert await unpublished(store, lost) == []
    assert await unpublished(store, lease) == [(run_id(1), 1)]
    await store.release_shards("flusher-2", [lease])
    assert await unpublished(store, lease) == []


@pytest.mark.fault(31)
async def test_rows_that_are_not_committed_are_not_read(store: Persistence, flow: FlowRow) -> None:
    """An open transaction's events are nowhere; once committed, they follow what was there."""
    (run,) = await start(store, flow)
    (lease,) = await lease_all(store)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(
            Changes(runs=(run_update(run, next_sequence=3),), events=(events(run, 2, ["run.started"]),))
        )
        during = await unpublished(store, lease)
        marked = await store.mark_delivered(lease, during)

    assert during == [(run, 1)]
    assert marked
    assert await unpublished(store, lease) == [(run, 2)]


async def test_events_that_are_born_published_are_history_only(store: Persistence, flow: FlowRow) -> None:
    """Where the store knows no sink, rows are born published: a later sink finds nothing, and readers find all."""
    await store.remove_sink("default")
    await store.insert_runs([new_run(flow), new_run(flow, 2)])
    await store.insert_runs([new_run(flow, 3)])
    await add_events(store, run_id(1), 2, "run.started")
    await store.register_sinks(["default"], now=START)

    assert await lease_all(store) == []
    assert [row.first_sequence for row in await store.read_events(run_id(1))] == [1, 2]


async def test_events_are_read_by_sequence_published_or_not(store: Persistence, flow: FlowRow) -> None:
    """A run's history is whole and in order, whatever was published when; sequence numbers sort as numbers."""
    (run,) = await start(store, flow)
    for first in range(2, 13):
        await add_events(store, run, first, "task.retrying")
    (lease,) = await lease_all(store)
    await store.mark_delivered(lease, [(run, 1), (run, 2)])

    rows = await store.read_events(run)

    assert [row.first_sequence for row in rows] == list(range(1, 13))
    assert all(row.run_id == run and row.count == 1 for row in rows)


async def test_events_are_read_on_from_where_a_reader_was(store: Persistence, flow: FlowRow) -> None:
    """Only rows with later events come; one that began before is whole."""
    (run,) = await start(store, flow)
    await add_events(store, run, 2, "step.started", "step.completed", "step.started")
    await add_events(store, run, 5, "step.completed")
    found = {after: [row.first_sequence for row in await store.read_events(run, after=after)] for after in range(7)}

    assert found == {0: [1, 2, 5], 1: [2, 5], 2: [2, 5], 3: [2, 5], 4: [5], 5: [], 6: []}


async def test_the_limit_bounds_how_many_shards_are_leased(store: Persistence, flow: FlowRow) -> None:
    """A flusher takes a share and leaves the rest to others."""
    await start(store, flow, *range(1, 31))

    first = await lease_all(store, "flusher-1", limit=3)
    none = await lease_all(store, "flusher-2", limit=0)

    assert (len(first), none) == (3, [])


async def test_pages_continue_behind_a_place(store: Persistence, flow: FlowRow) -> None:
    """Reading on behind the last row of a page meets every row once, whatever was marked meanwhile."""
    await store.insert_runs([new_run(flow, number) for number in TOGETHER])
    await add_events(store, run_id(TOGETHER[0]), 2, "run.started")
    (lease,) = await lease_all(store)
    everything = await unpublished(store, lease)

    met: list[tuple[str, int]] = []
    place = FIRST_PLACE
    while rows := await store.read_fresh(lease, after=place, limit=2):
        place = OutboxPlace(rows[-1].run_id, rows[-1].first_sequence)
        met += [(row.run_id, row.first_sequence) for row in rows]
        await store.mark_delivered(lease, met[:1])

    assert met == everything
    assert len(met) == 4
