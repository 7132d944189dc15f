"""Persistence: claiming pending runs under lock."""

from __future__ import annotations

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, PendingRun, RunClaim
from fairlead.ports.statuses import RunStatus
from tests.support.records import at, load_request, new_run, run_claim, run_id, run_update
from tests.support.scenes import register, start


async def claimed(store: Persistence, claim: RunClaim) -> list[str]:
    """The ids that a claim gets, in the order of its answer; nothing is changed."""
    async with store.transaction() as transaction:
        return [run.id for run in await transaction.claim_runs(claim)]


async def test_a_claimed_run_carries_what_its_first_tasks_ask_for(store: Persistence, flow: FlowRow) -> None:
    """The claim answers the whole pending run, payloads and facts byte for byte."""
    await store.insert_runs([new_run(flow, priority=2, input=b'{"b":1e22,"a":-0.0}', config=b'"c"', facts=b'{"n":1}')])

    async with store.transaction() as transaction:
        (run,) = await transaction.claim_runs(run_claim(flow))

    assert run == PendingRun(
        id=run_id(1),
        flow_id=flow.flow_id,
        flow="orders",
        generation=1,
        priority=2,
        next_sequence=2,
        facts=b'{"n":1}',
        input=b'{"b":1e22,"a":-0.0}',
        config=b'"c"',
    )


async def test_absent_payloads_stay_absent(store: Persistence, flow: FlowRow) -> None:
    """No configuration and no facts are None; a JSON null is a value."""
    await store.insert_runs([new_run(flow, 1, input=b"null"), new_run(flow, 2, config=b"null", facts=b"null")])

    async with store.transaction() as transaction:
        first, second = await transaction.claim_runs(run_claim(flow))

    assert (first.input, first.config, first.facts) == (b"null", None, None)
    assert (second.config, second.facts) == (b"null", b"null")


async def test_order_is_priority_then_first_come_then_id(store: Persistence, flow: FlowRow) -> None:
    """Higher priority first; among equals the one created first; among those the lower id."""
    await store.insert_runs(
        [
            new_run(flow, 1, created_at=at(2)),
            new_run(flow, 3, created_at=at(1)),
            new_run(flow, 2, created_at=at(1)),
            new_run(flow, 4, priority=5, created_at=at(9)),
            new_run(flow, 5, priority=-1, created_at=at(0)),
        ]
    )

    assert await claimed(store, run_claim(flow)) == [run_id(n) for n in (4, 2, 3, 1, 5)]


async def test_the_limit_takes_the_first_in_order(store: Persistence, flow: FlowRow) -> None:
    """A small claim takes the head of the order."""
    await store.insert_runs([new_run(flow, 1), new_run(flow, 2, priority=1), new_run(flow, 3, priority=2)])

    assert await claimed(store, run_claim(flow, limit=2)) == [run_id(3), run_id(2)]
    assert await claimed(store, run_claim(flow, limit=0)) == []


async def test_the_order_holds_over_all_flows(store: Persistence, flow: FlowRow) -> None:
    """However few are taken, they are the first of everything that is served, not of one flow."""
    other = await register(store, slug="returns")
    await store.insert_runs(
        [
            new_run(flow, 1, created_at=at(5)),
            new_run(flow, 2, created_at=at(3)),
            new_run(other, 3, created_at=at(4)),
            new_run(other, 4, priority=1, created_at=at(9)),
        ]
    )
    order = [run_id(n) for n in (4, 2, 3, 1)]

    for limit in range(1, 5):
        assert await claimed(store, run_claim(flow, other, limit=limit)) == order[:limit]


async def test_only_flows_that_are_served_are_claimed(store: Persistence, flow: FlowRow) -> None:
    """A run of another flow, or of another version, is left alone."""
    newer = await register(store, version="2")
    other = await register(store, slug="returns")
    await store.insert_runs([new_run(flow, 1), new_run(newer, 2), new_run(other, 3)])

    assert await claimed(store, run_claim(newer)) == [run_id(2)]
    assert await claimed(store, run_claim(flow, other)) == [run_id(1), run_id(3)]
    assert await claimed(store, run_claim()) == []


async def test_a_claim_can_name_the_runs_it_wants(store: Persistence, flow: FlowRow) -> None:
    """With `only`, no other run is looked at; what is unknown or not served is left out."""
    other = await register(store, slug="returns")
    await store.insert_runs([new_run(flow, 1), new_run(flow, 2), new_run(flow, 3), new_run(other, 4)])

    assert await claimed(store, run_claim(flow, only=[run_id(3), run_id(1)])) == [run_id(1), run_id(3)]
    assert await claimed(store, run_claim(flow, only=[run_id(4), run_id(99)])) == []
    assert await claimed(store, run_claim(flow, only=[])) == []
    assert await claimed(store, run_claim(flow, only=[run_id(1), run_id(2)], limit=1)) == [run_id(1)]


async def test_a_run_that_another_transaction_claims_is_skipped(store: Persistence, flow: FlowRow) -> None:
    """Two open claims share nothing and wait for nothing."""
    await start(store, flow, 1, 2, 3)

    async with store.transaction() as first, store.transaction() as second:
        mine = await first.claim_runs(run_claim(flow, limit=2))
        theirs = await second.claim_runs(run_claim(flow, limit=2))

    assert [run.id for run in mine] == [run_id(1), run_id(2)]
    assert [run.id for run in theirs] == [run_id(3)]


async def test_a_run_that_is_locked_for_settling_is_skipped(store: Persistence, flow: FlowRow) -> None:
    """A lock is a lock, whoever took it and for what."""
    await start(store, flow, 1, 2)

    async with store.transaction() as holder:
        await holder.load(load_request(run_id(1)))
        assert await claimed(store, run_claim(flow)) == [run_id(2)]
        assert await claimed(store, run_claim(flow, only=[run_id(1)])) == []


async def test_a_claim_that_is_rolled_back_leaves_its_runs_to_others(store: Persistence, flow: FlowRow) -> None:
    """A claim that changes nothing gives its runs back."""
    await start(store, flow, 1)
    assert await claimed(store, run_claim(flow)) == [run_id(1)]

    assert await claimed(store, run_claim(flow)) == [run_id(1)]


async def test_a_run_is_claimed_once(store: Persistence, flow: FlowRow) -> None:
    """What is no longer pending is not claimed, by number or by name."""
    await start(store, flow, 1, 2)
    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow, only=[run_id(1)]))
        await transaction.apply(Changes(runs=(run_update(run_id(1)),)))

    assert await claimed(store, run_claim(flow)) == [run_id(2)]
    assert await claimed(store, run_claim(flow, only=[run_id(1)])) == []
    record = await store.read_run(run_id(1))
    assert record is not None
    assert record.status is RunStatus.RUNNING


async def test_a_run_stays_locked_until_its_claim_commits(store: Persistence, flow: FlowRow) -> None:
    """After `apply` and before the commit, others still skip the run."""
    await start(store, flow, 1)
    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow))
        await transaction.apply(Changes(runs=(run_update(run_id(1)),)))
        assert await claimed(store, run_claim(flow)) == []

    assert await claimed(store, run_claim(flow)) == []
