"""The indexes of what waits for a time: nothing that is over is found, and not much of it is kept."""

from __future__ import annotations

import pytest

from fairlead.adapters.memory import MemoryPersistence
from fairlead.adapters.memory.store import Store
from fairlead.adapters.memory.waiting import ENTRIES_MIN
from fairlead.ports.changes import Changes
from fairlead.ports.records import FlowRow, TaskKey
from fairlead.ports.statuses import RunStatus
from tests.support.records import START, at, new_run, run_id, task_claim
from tests.support.scenes import apply, register, start
from tests.support.waits import ended_well, queued_again, run_that_waits, suspension, waiting_run_update

BATCH = TaskKey(run_id(1), "batch", 1, 0)


@pytest.fixture
def store() -> Store:
    """An empty store."""
    return Store()


@pytest.fixture
def persistence(store: Store) -> MemoryPersistence:
    """A handle on it."""
    return MemoryPersistence(store)


@pytest.fixture
async def flow(persistence: MemoryPersistence) -> FlowRow:
    """A registered flow."""
    return await register(persistence)


async def test_looking_leaves_everything_where_it_is(
    store: Store, persistence: MemoryPersistence, flow: FlowRow
) -> None:
    """What is due is found again, until somebody ends its wait."""
    await run_that_waits(persistence, flow)
    for _ in range(3):
        assert [task.key for task in store.waiting.due(at(60), [flow.flow_id], 10)] == [BATCH]
        assert store.deadlines.passed(at(10_000), 10) == [run_id(1)]

    assert (len(store.waiting), len(store.deadlines)) == (2, 1)


async def test_a_wait_that_begins_anew_at_the_same_time_is_found_once(
    store: Store, persistence: MemoryPersistence, flow: FlowRow
) -> None:
    """Its earlier entry says the same, and is not its entry any more."""
    await run_that_waits(persistence, flow)
    await apply(persistence, run_id(1), Changes(resumptions=(queued_again(BATCH, 1, ready_at=START),)))
    queued = store.waiting.findable()
    await persistence.claim_tasks(task_claim(flow))
    await apply(persistence, run_id(1), Changes(suspensions=(suspension(BATCH, 2, wake_at=at(60), checks=1),)))

    assert BATCH not in queued
    assert [task.key for task in store.waiting.due(at(60), [flow.flow_id], 10)] == [BATCH]


async def test_what_is_over_long_before_its_time_is_not_kept(
    store: Store, persistence: MemoryPersistence, flow: FlowRow
) -> None:
    """Signals that come soon, and runs that end soon, leave no more behind than what still waits."""
    rounds = 10 * ENTRIES_MIN
    for number in range(1, rounds + 1):
        run = await run_that_waits(persistence, flow, number)
        await apply(
            persistence,
            run,
            Changes(
                runs=(
                    waiting_run_update(run, next_sequence=13, status=RunStatus.COMPLETED, ended_at=START, signals=1),
                ),
                resumptions=(ended_well(TaskKey(run, "nap", 1, 0)), ended_well(TaskKey(run, "batch", 1, 0), 1)),
            ),
        )

    assert len(store.waiting) <= ENTRIES_MIN + 1
    assert len(store.deadlines) <= ENTRIES_MIN + 1
    assert store.waiting.first([flow.flow_id]) is None
    assert store.deadlines.first() is None
    assert (len(store.waiting), len(store.deadlines)) == (0, 0)


async def test_much_that_waits_is_kept_and_found(store: Store, persistence: MemoryPersistence, flow: FlowRow) -> None:
    """Clearing away what is over loses nothing that is not."""
    numbers = range(1, 4 * ENTRIES_MIN + 1)
    for number in numbers:
        await run_that_waits(persistence, flow, number)

    assert len(store.waiting.due(at(60), [flow.flow_id], 10_000)) == len(numbers)
    assert len(store.waiting.due(at(90), [flow.flow_id], 10_000)) == 2 * len(numbers)
    assert store.deadlines.passed(at(10_000), 10_000) == [run_id(number) for number in numbers]


async def test_a_deadline_that_comes_back_is_told_once(
    store: Store, persistence: MemoryPersistence, flow: FlowRow
) -> None:
    """A run that got its old deadline again has two entries that say the same."""
    (run,) = await start(persistence, flow)
    for deadline in (at(10), at(20), at(10)):
        await apply(persistence, run, Changes(runs=(waiting_run_update(run, next_sequence=2, deadline_at=deadline),)))

    assert store.deadlines.passed(at(100), 10) == [run]


async def test_what_was_pruned_waits_for_nothing(store: Store, persistence: MemoryPersistence, flow: FlowRow) -> None:
    """A run that is gone is not asked for."""
    await persistence.insert_runs([new_run(flow)])
    run = await run_that_waits(persistence, flow, 2)
    del store.runs[run]

    assert store.waiting.first([flow.flow_id]) is None
    assert store.deadlines.first() is None
    assert store.waiting.due(at(100), [flow.flow_id], 10) == []
