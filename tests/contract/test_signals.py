"""Persistence: signals that are kept and consumed, and the tokens with which somebody may send one."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.ports.changes import Changes, ConsumedSignal
from fairlead.ports.errors import CorruptionError, UnstorableValue
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, SignalRow, TaskKey
from fairlead.ports.statuses import RunStatus
from tests.support.records import at, load_request, new_run, run_claim, run_id
from tests.support.scenes import apply, look_at_run, run_with_tasks, start
from tests.support.subjects import StoreSubject
from tests.support.waits import (
    consumption,
    ended_well,
    new_signal,
    resume_token,
    run_that_waits,
    waiting_run_update,
)

RUN = run_id(1)
APPROVAL = TaskKey(RUN, "approval", 1, 0)


async def load_signals(store: Persistence, *runs: str) -> dict[str, list[SignalRow]]:
    """What a transaction that holds these runs reads."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(*runs))
        return {run: list(signals) for run, signals in (await transaction.load_signals(runs)).items()}


async def test_a_signal_comes_back_as_it_was_sent(store: Persistence, flow: FlowRow) -> None:
    """Byte for byte, to the transaction that holds the run and to readers."""
    await run_with_tasks(store, flow)
    payload, facts = b'{"b":1e22,"a":-0.0}', b'{"matches":[true]}'
    await apply(store, RUN, Changes(new_signals=(new_signal(RUN, payload=payload, facts=facts, sent_at=at(3)),)))
    signal = SignalRow(
        run_id=RUN,
        step="approval",
        key="key-1",
        request_digest="digest",
        sent_at=at(3),
        consumed_at=None,
        payload=payload,
        facts=facts,
    )

    assert await load_signals(store, RUN) == {RUN: [signal]}
    assert await store.read_signals(RUN) == [signal]


async def test_signals_are_read_in_order(store: Persistence, flow: FlowRow) -> None:
    """By time of sending, then step, then key, the consumed ones too; each run's by themselves."""
    first, second = await run_with_tasks(store, flow, 1), await run_with_tasks(store, flow, 2)
    sent = [("b", "z", 1), ("b", "Z", 1), ("a", "m", 1), ("c", "a", 0), ("B", "q", 1)]
    await apply(
        store,
        first,
        Changes(new_signals=tuple(new_signal(first, step, key, sent_at=at(s)) for step, key, s in sent)),
    )
    await apply(store, second, Changes(new_signals=(new_signal(second, "a", consumed_at=at(1)),)))
    loaded = await load_signals(store, first, second)
    ordered = [("c", "a"), ("B", "q"), ("a", "m"), ("b", "Z"), ("b", "z")]

    assert [(signal.step, signal.key) for signal in loaded[first]] == ordered
    assert [(signal.step, signal.key) for signal in await store.read_signals(first)] == ordered
    assert [signal.consumed_at for signal in loaded[second]] == [at(1)]


async def test_only_signals_of_runs_that_are_held_are_loaded(store: Persistence, flow: FlowRow) -> None:
    """A held run without signals has none; a run that is not held, or does not exist, is not in the answer."""
    held, other = await run_with_tasks(store, flow, 1), await run_with_tasks(store, flow, 2)
    await apply(store, other, Changes(new_signals=(new_signal(other),)))
    async with store.transaction() as transaction:
        await transaction.load(load_request(held, run_id(9)))
        loaded = await transaction.load_signals([held, other, run_id(9), "no run"])

    assert dict(loaded) == {held: []}
    assert await store.read_signals(run_id(9)) == []
    assert await store.read_signals("no run") == []


async def test_a_claim_loads_signals_of_the_runs_it_took(store: Persistence, flow: FlowRow) -> None:
    """A signal may be there before the run has begun, and the claim knows how many."""
    await start(store, flow, 1, 2)
    update = waiting_run_update(RUN, next_sequence=2, status=RunStatus.PENDING, signals=1)
    await apply(store, RUN, Changes(runs=(update,), new_signals=(new_signal(RUN),)))
    async with store.transaction() as transaction:
        claimed = await transaction.claim_runs(run_claim(flow))
        loaded = await transaction.load_signals([run.id for run in claimed])

    assert [(run.id, run.signals) for run in claimed] == [(RUN, 1), (run_id(2), 0)]
    assert [signal.key for signal in loaded[RUN]] == ["key-1"]


async def test_a_run_knows_how_many_signals_it_keeps(store: Persistence, flow: FlowRow) -> None:
    """So that one without any costs no look at them."""
    await run_that_waits(store, flow)
    kept = (await look_at_run(store, RUN)).signals
    async with store.transaction() as transaction:
        named = await transaction.claim_runs(run_claim(flow, only=[RUN]))

    assert (kept, named) == (1, [])


async def test_a_kept_signal_is_consumed_once(store: Persistence, flow: FlowRow) -> None:
    """With the wait that it ends, in one transaction; whoever consumes it again is refused, and nothing remains."""
    await run_with_tasks(store, flow)
    await apply(store, RUN, Changes(new_signals=(new_signal(RUN), new_signal(RUN, "another"))))
    await apply(store, RUN, Changes(consumed_signals=(consumption(RUN, consumed_at=at(5)),)))
    with pytest.raises(CorruptionError):
        await apply(
            store,
            RUN,
            Changes(consumed_signals=(consumption(RUN, "another"), consumption(RUN, consumed_at=at(6)))),
        )

    assert {signal.step: signal.consumed_at for signal in await store.read_signals(RUN)} == {
        "approval": at(5),
        "another": None,
    }


@pytest.mark.parametrize(
    "missing",
    [consumption(RUN, "nowhere"), consumption(RUN, key="key-2"), consumption(run_id(2))],
    ids=["step", "key", "run"],
)
async def test_a_signal_that_is_not_there_cannot_be_consumed(
    store: Persistence, flow: FlowRow, missing: ConsumedSignal
) -> None:
    """Its name is its run, its step and its key."""
    await run_with_tasks(store, flow)
    await run_with_tasks(store, flow, 2)
    await apply(store, RUN, Changes(new_signals=(new_signal(RUN),)))
    with pytest.raises(CorruptionError):
        await apply(store, RUN, Changes(consumed_signals=(missing,)))

    assert [signal.consumed_at for signal in await store.read_signals(RUN)] == [None]


async def test_a_key_names_one_signal_of_a_step(store: Persistence, flow: FlowRow) -> None:
    """The same key is free at another step and in another run; a second signal under it is corruption."""
    await run_with_tasks(store, flow)
    await run_with_tasks(store, flow, 2)
    await apply(store, RUN, Changes(new_signals=(new_signal(RUN), new_signal(RUN, "another"))))
    await apply(store, run_id(2), Changes(new_signals=(new_signal(run_id(2)),)))
    with pytest.raises(CorruptionError):
        await apply(store, RUN, Changes(new_signals=(new_signal(RUN, "third"), new_signal(RUN, digest="other"))))

    assert [(signal.step, signal.request_digest) for signal in await store.read_signals(RUN)] == [
        ("another", "digest"),
        ("approval", "digest"),
    ]


@pytest.mark.parametrize("key", ["nul\0", "half \ud800"], ids=["NUL", "surrogate"])
async def test_a_key_that_cannot_be_stored_is_refused(store: Persistence, flow: FlowRow, key: str) -> None:
    """In every store alike, and nothing of the transaction remains."""
    await run_with_tasks(store, flow)
    with pytest.raises(UnstorableValue):
        await apply(store, RUN, Changes(new_signals=(new_signal(RUN), new_signal(RUN, key=key))))

    assert await store.read_signals(RUN) == []


@pytest.mark.parametrize(
    "key", ["", "ключ 🔑", "'; DROP TABLE signals; --", "x" * 2000], ids=["empty", "unicode", "sql", "long"]
)
async def test_any_other_text_is_a_key(store: Persistence, flow: FlowRow, key: str) -> None:
    """And is found by it again."""
    await run_with_tasks(store, flow)
    await apply(store, RUN, Changes(new_signals=(new_signal(RUN, key=key),)))
    await apply(store, RUN, Changes(consumed_signals=(consumption(RUN, key=key, consumed_at=at(1)),)))

    assert [(signal.key, signal.consumed_at) for signal in await store.read_signals(RUN)] == [(key, at(1))]


async def test_a_signal_that_is_not_committed_was_not_sent(store: Persistence, flow: FlowRow) -> None:
    """Nobody sees it before, and nobody at all after a rollback."""
    await run_with_tasks(store, flow)

    async def roll_back() -> None:
        async with store.transaction() as transaction:
            await transaction.load(load_request(RUN))
            await transaction.apply(Changes(new_signals=(new_signal(RUN),)))
            assert await store.read_signals(RUN) == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await roll_back()

    assert await store.read_signals(RUN) == []


@pytest.mark.fault(63)
async def test_of_a_signal_and_a_timeout_the_second_sees_what_the_first_did(
    store_subject: StoreSubject, flow: FlowRow
) -> None:
    """Both hold the run: whoever waited for it reads a task that waits no more."""
    store = store_subject.store
    await run_that_waits(store, flow)

    async def second() -> tuple[str, list[str]]:
        async with store.transaction() as transaction:
            snapshot = await transaction.load(load_request(RUN, tasks=[APPROVAL], wait=True))
            signals = await transaction.load_signals([RUN])
            return snapshot.tasks[APPROVAL].status, [signal.step for signal in signals[RUN]]

    async with store.transaction() as transaction:
        await transaction.load(load_request(RUN, tasks=[APPROVAL]))
        waiting = asyncio.create_task(second())
        await store_subject.until_waiting()
        await transaction.apply(
            Changes(
                new_signals=(new_signal(RUN, consumed_at=at(7), sent_at=at(7)),),
                resumptions=(ended_well(APPROVAL, ended_at=at(7)),),
            )
        )

    assert await waiting == ("completed", ["answer", "review", "approval"])


async def test_a_resume_token_is_found_by_its_digest(store: Persistence, flow: FlowRow) -> None:
    """As it was put down, also when its time is over; another digest finds nothing."""
    (run,) = await start(store, flow)
    token, old = resume_token(run), resume_token(run, "b" * 64, step="review", expires_s=-5)
    await store.insert_resume_tokens([token, old])

    assert await store.read_resume_token("a" * 64) == token
    assert await store.read_resume_token("b" * 64) == old
    assert await store.read_resume_token("c" * 64) is None
    assert await store.read_resume_token("") is None


async def test_a_repeated_resume_token_changes_nothing(store: Persistence, flow: FlowRow) -> None:
    """Whoever is not sure that a token was put down does it again, alone or among others."""
    await store.insert_runs([new_run(flow)])
    token, later = resume_token(RUN), resume_token(RUN, expires_s=999)
    await store.insert_resume_tokens([token])
    await store.insert_resume_tokens([later, resume_token(RUN, "b" * 64), resume_token(RUN, "b" * 64, step="other")])
    await store.insert_resume_tokens([])

    assert await store.read_resume_token("a" * 64) == token
    assert await store.read_resume_token("b" * 64) == resume_token(RUN, "b" * 64)
