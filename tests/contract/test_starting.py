"""Persistence: inserting runs, their keys and their first events."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.ports.errors import UnstorableValue
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import RunFilter
from fairlead.ports.records import FlowRow, StartedRun
from fairlead.ports.statuses import RunStatus
from tests.support.records import at, events, new_run, run_claim, run_id, run_update
from tests.support.scenes import complete_run, register


async def _claimed(store: Persistence, flow: FlowRow) -> list[str]:
    async with store.transaction() as transaction:
        return [run.id for run in await transaction.claim_runs(run_claim(flow))]


async def test_a_new_run_is_pending_and_has_its_first_event(store: Persistence, flow: FlowRow) -> None:
    """An insert puts down a run in its first generation together with `run.created`."""
    (started,) = await store.insert_runs([new_run(flow, key="k", priority=3, created_at=at(5))])

    run = await store.read_run(run_id(1))
    assert started == StartedRun(id=run_id(1), created=True, request_digest="digest")
    assert run is not None
    assert (run.flow, run.version, run.fingerprint, run.key) == ("orders", "1", "shape-1", "k")
    assert (run.status, run.generation, run.priority) == (RunStatus.PENDING, 1, 3)
    assert (run.next_sequence, run.remaining_steps) == (2, 0)
    assert (run.created_at, run.started_at, run.ended_at) == (at(5), None, None)
    assert (run.reason, run.error) == (None, None)
    (row,) = await store.read_events(run_id(1))
    assert (row.first_sequence, row.count, row.at) == (1, 1, at(5))
    assert row.events == b'[{"type":"run.created"}]'


async def test_answers_come_in_the_order_of_the_request(store: Persistence, flow: FlowRow) -> None:
    """Whatever order the store inserts in, the caller's order is the answer's."""
    batch = [new_run(flow, number, key=f"key-{9 - number}") for number in (5, 1, 9, 3)]

    started = await store.insert_runs(batch)

    assert [(run.id, run.created) for run in started] == [(run.id, True) for run in batch]


async def test_no_runs_are_inserted_by_an_empty_batch(store: Persistence, flow: FlowRow) -> None:
    """An empty batch is no error."""
    assert list(await store.insert_runs([])) == []


async def test_a_taken_key_answers_the_run_that_holds_it(store: Persistence, flow: FlowRow) -> None:
    """A second start with a key inserts neither a run nor an event."""
    await store.insert_runs([new_run(flow, 1, key="k")])

    (again,) = await store.insert_runs([new_run(flow, 2, key="k")])

    assert again == StartedRun(id=run_id(1), created=False, request_digest="digest")
    assert await store.read_run(run_id(2)) is None
    assert list(await store.read_events(run_id(2))) == []


async def test_a_run_is_put_down_as_cancelled(store: Persistence, flow: FlowRow) -> None:
    """Once; it is never pending, and takes the place of any other with its id."""
    cancelled = (
        run_update(run_id(1), status=RunStatus.CANCELLED, next_sequence=3, ended_at=at(7), reason="no"),
        events(run_id(1), 2, ["run.cancelled"]),
    )

    assert await store.insert_cancelled(new_run(flow, created_at=at(7)), *cancelled)
    assert not await store.insert_cancelled(new_run(flow, created_at=at(8)), *cancelled)
    (late,) = await store.insert_runs([new_run(flow, key="k", digest="another")])

    run = await store.read_run(run_id(1))
    assert run is not None
    assert (run.status, run.key, run.created_at, run.ended_at) == (RunStatus.CANCELLED, None, at(7), at(7))
    assert (run.reason, run.started_at, run.next_sequence) == ("no", None, 3)
    assert late.request_digest == "digest"
    assert [row.first_sequence for row in await store.read_events(run_id(1))] == [1, 2]
    assert await _claimed(store, flow) == []
    assert await store.check_invariants() == {}


async def test_a_run_that_is_there_is_not_put_down_as_cancelled(store: Persistence, flow: FlowRow) -> None:
    """Whoever was first has decided."""
    await store.insert_runs([new_run(flow, key="k")])
    cancelled = run_update(run_id(1), status=RunStatus.CANCELLED, next_sequence=3, ended_at=at(7))

    assert not await store.insert_cancelled(new_run(flow), cancelled, events(run_id(1), 2, ["run.cancelled"]))

    assert await _claimed(store, flow) == [run_id(1)]


async def test_a_key_is_held_after_its_run_has_ended(store: Persistence, flow: FlowRow) -> None:
    """A key stays taken as long as its run exists."""
    keyed = new_run(flow, 2, key="k")
    await store.insert_runs([keyed])
    await complete_run(store, flow, 1)

    (again,) = await store.insert_runs([new_run(flow, 3, key="k")])

    assert (again.id, again.created) == (run_id(2), False)


async def test_another_version_of_the_flow_shares_its_keys(store: Persistence, flow: FlowRow) -> None:
    """A key belongs to the flow's name, whatever the version."""
    newer = await register(store, version="2", fingerprint="shape-2")
    await store.insert_runs([new_run(flow, 1, key="k")])

    (again,) = await store.insert_runs([new_run(newer, 2, key="k")])

    assert (again.id, again.created) == (run_id(1), False)


async def test_another_flow_has_keys_of_its_own(store: Persistence, flow: FlowRow) -> None:
    """The same key under another flow is another key."""
    other = await register(store, slug="returns")
    await store.insert_runs([new_run(flow, 1, key="k")])

    (started,) = await store.insert_runs([new_run(other, 2, key="k")])

    assert (started.id, started.created) == (run_id(2), True)


async def test_a_taken_key_answers_the_run_of_its_own_flow(store: Persistence, flow: FlowRow) -> None:
    """Where several flows have a run under one key, each is answered with its own, alone and in a batch."""
    other = await register(store, slug="returns")
    await store.insert_runs([new_run(flow, 1, key="k", digest="one")])
    await store.insert_runs([new_run(other, 2, key="k", digest="two")])

    (alone,) = await store.insert_runs([new_run(other, 3, key="k", digest="two")])
    batch = await store.insert_runs([new_run(flow, 4, key="k", digest="one"), new_run(other, 5, key="k", digest="two")])

    assert alone == StartedRun(id=run_id(2), created=False, request_digest="two")
    assert [(run.id, run.created) for run in batch] == [(run_id(1), False), (run_id(2), False)]


async def test_runs_without_a_key_never_collide(store: Persistence, flow: FlowRow) -> None:
    """No key is not a key."""
    started = await store.insert_runs([new_run(flow, 1), new_run(flow, 2)])

    assert [run.created for run in started] == [True, True]


async def test_an_empty_key_is_a_key(store: Persistence, flow: FlowRow) -> None:
    """Empty text is a value, not an absent one."""
    await store.insert_runs([new_run(flow, 1, key="")])

    (again,) = await store.insert_runs([new_run(flow, 2, key="")])

    assert (again.id, again.created) == (run_id(1), False)


async def test_keys_differ_by_case_and_by_composition(store: Persistence, flow: FlowRow) -> None:
    """Keys are compared by their characters, not by any collation."""
    texts = ["key", "KEY", "key ", "caf\u00e9", "cafe\u0301", "\U0001f511"]

    started = await store.insert_runs([new_run(flow, n, key=text) for n, text in enumerate(texts, 1)])

    assert [run.created for run in started] == [True] * len(texts)


async def test_a_key_twice_in_a_batch_starts_one_run(store: Persistence, flow: FlowRow) -> None:
    """The first of the batch takes the key, the second is answered with the first."""
    first, second, third = await store.insert_runs(
        [new_run(flow, 7, key="k"), new_run(flow, 1, key="k"), new_run(flow, 2)]
    )

    assert (first.id, first.created) == (run_id(7), True)
    assert (second.id, second.created) == (run_id(7), False)
    assert (third.id, third.created) == (run_id(2), True)
    assert await store.read_run(run_id(1)) is None


@pytest.mark.fault(22)
async def test_an_id_that_exists_is_its_own_repetition(store: Persistence, flow: FlowRow) -> None:
    """After an unknown commit the same insert is made again: created, and there is one event still."""
    run = new_run(flow, 1)
    await store.insert_runs([run])

    (again,) = await store.insert_runs([run])

    assert again == StartedRun(id=run_id(1), created=True, request_digest="digest")
    assert [row.first_sequence for row in await store.read_events(run_id(1))] == [1]


async def test_a_repetition_with_its_key_is_answered_as_created(store: Persistence, flow: FlowRow) -> None:
    """A keyed run that is inserted again finds its key taken by itself."""
    run = new_run(flow, 1, key="k")
    await store.insert_runs([run])

    (again,) = await store.insert_runs([run])

    assert (again.id, again.created) == (run_id(1), True)


async def test_a_batch_can_be_repeated_in_part(store: Persistence, flow: FlowRow) -> None:
    """Runs that exist and runs that do not are told apart within one batch."""
    await store.insert_runs([new_run(flow, 1, key="a"), new_run(flow, 2)])

    started = await store.insert_runs([new_run(flow, 1, key="a"), new_run(flow, 3, key="a"), new_run(flow, 4)])

    assert [(run.id, run.created) for run in started] == [(run_id(1), True), (run_id(1), False), (run_id(4), True)]


async def test_a_repetition_leaves_an_advanced_run_alone(store: Persistence, flow: FlowRow) -> None:
    """A late repetition does not take a completed run back to pending."""
    run = await complete_run(store, flow, 1)

    (again,) = await store.insert_runs([new_run(flow, 1)])

    record = await store.read_run(run)
    assert again.created
    assert record is not None
    assert record.status is RunStatus.COMPLETED


async def test_another_request_under_a_key_inserts_nothing(store: Persistence, flow: FlowRow) -> None:
    """A conflict answers the holder's digest, and the whole batch leaves no trace."""
    await store.insert_runs([new_run(flow, 1, key="k", digest="one")])

    before, conflict, after = await store.insert_runs(
        [new_run(flow, 2), new_run(flow, 3, key="k", digest="other"), new_run(flow, 4, key="free")]
    )

    assert conflict == StartedRun(id=run_id(1), created=False, request_digest="one")
    assert (before.created, after.created) == (False, False)
    for number in (2, 3, 4):
        assert await store.read_run(run_id(number)) is None
        assert list(await store.read_events(run_id(number))) == []


async def test_a_conflict_inside_a_batch_inserts_nothing(store: Persistence, flow: FlowRow) -> None:
    """Two different requests with one key in one batch: neither is started."""
    _, second = await store.insert_runs(
        [new_run(flow, 1, key="k", digest="one"), new_run(flow, 2, key="k", digest="other")]
    )

    assert not second.created
    assert second.request_digest == "one"
    assert await store.read_run(run_id(1)) is None
    assert await store.read_run(run_id(2)) is None


async def test_a_key_is_free_after_a_conflict_left_no_trace(store: Persistence, flow: FlowRow) -> None:
    """What a refused batch would have taken can be taken by the next."""
    await store.insert_runs([new_run(flow, 1, key="k", digest="one")])
    await store.insert_runs([new_run(flow, 2, key="free"), new_run(flow, 3, key="k", digest="other")])

    (started,) = await store.insert_runs([new_run(flow, 2, key="free")])

    assert started == StartedRun(id=run_id(2), created=True, request_digest="digest")


@pytest.mark.fault(66)
async def test_a_hundred_concurrent_starts_with_one_key_make_one_run(store: Persistence, flow: FlowRow) -> None:
    """Every caller is told the same run, and one of them that it is new."""
    answers = await asyncio.gather(*(store.insert_runs([new_run(flow, n, key="k")]) for n in range(1, 101)))

    page = await store.list_runs(RunFilter(), limit=10, after=None)
    (only,) = page.runs
    assert {answer.id for (answer,) in answers} == {only.id}
    assert sum(answer.created for (answer,) in answers) == 1
    assert len(await store.read_events(only.id)) == 1


@pytest.mark.fault(23)
async def test_concurrent_batches_with_the_same_keys_do_not_deadlock(store: Persistence, flow: FlowRow) -> None:
    """Keys in opposite order are still taken in one order."""
    batches = [
        [new_run(flow, 10 * batch + n, key=f"key-{key}") for n, key in enumerate(order)]
        for batch, order in enumerate([(1, 2, 3, 4), (4, 3, 2, 1), (2, 4, 1, 3), (3, 1, 4, 2)], 1)
    ]

    answers = await asyncio.gather(*(store.insert_runs(batch) for batch in batches))

    holders = [
        {run.key: answer.id for run, answer in zip(batch, answered, strict=True)}
        for batch, answered in zip(batches, answers, strict=True)
    ]
    assert all(holder == holders[0] for holder in holders)
    assert sum(answer.created for answered in answers for answer in answered) == 4


async def test_nothing_is_left_of_a_batch_with_an_unstorable_run(store: Persistence, flow: FlowRow) -> None:
    """No store keeps text with NUL; a run that cannot be stored takes its whole batch with it."""
    unstorable = new_run(flow, 2, key="nul\0")

    with pytest.raises(UnstorableValue) as caught:
        await store.insert_runs([new_run(flow, 1, key="k"), unstorable, new_run(flow, 3)])

    assert not caught.value.retryable
    for number in (1, 2, 3):
        assert await store.read_run(run_id(number)) is None
        assert list(await store.read_events(run_id(number))) == []
    (started,) = await store.insert_runs([new_run(flow, 4, key="k")])
    assert started.created


async def test_first_events_wait_for_the_sinks_that_the_store_knows(store: Persistence, flow: FlowRow) -> None:
    """Where it knows none, nothing waits to be published; one run alone or many."""
    await store.insert_runs([new_run(flow, 1)])
    await store.insert_runs([new_run(flow, 2), new_run(flow, 3)])
    await store.register_sinks(["default"], now=at(0))
    assert [sink.waiting for sink in await store.read_sinks(count_max=10)] == [0]

    await store.insert_runs([new_run(flow, 4)])
    await store.insert_runs([new_run(flow, 5), new_run(flow, 6)])

    assert [sink.waiting for sink in await store.read_sinks(count_max=10)] == [3]
    assert all([len(await store.read_events(run_id(number))) == 1 for number in range(1, 7)])
