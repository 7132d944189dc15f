"""Persistence: what must not be is refused as corruption, and nothing of the transaction remains."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import Changes
from fairlead.ports.errors import CorruptionError
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, TaskKey
from fairlead.ports.statuses import TaskStatus
from tests.support.records import (
    at,
    cancellation,
    completed,
    events,
    keys,
    load_request,
    new_tasks,
    retried,
    run_id,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import (
    apply,
    run_with_tasks,
)


async def _state(store: Persistence, *runs: str) -> list[object]:
    """All that readers see of runs."""
    return [
        (
            await store.read_run(run),
            sorted(await store.read_steps(run), key=lambda step: (step.slug, step.generation)),
            list(await store.read_tasks(run)),
            list(await store.read_attempts(run)),
            list(await store.read_events(run)),
        )
        for run in runs
    ]


async def _write(store: Persistence, changes: Changes, *runs: str, swallowed: bool = False) -> None:
    """Lock runs and write `changes`, in a block that may go on after an error."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(*runs))
        with suppress(CorruptionError) if swallowed else nullcontext():
            await transaction.apply(changes)


async def _assert_refused(store: Persistence, flow: FlowRow, *, bad: Changes, swallowed: bool = False) -> None:
    """Apply good changes together with bad ones: corruption, and nothing of either remains."""
    run, extra = run_id(1), run_id(2)
    before = await _state(store, run, extra)
    good = Changes(
        runs=(run_update(extra, next_sequence=50),),
        new_steps=(step_write(extra, "new"),),
        steps=(step_write(extra, remaining=0),),
        new_tasks=(new_tasks(flow, extra, "new"),),
        events=(events(extra, 4, ["step.started"]),),
    )
    both = Changes(
        runs=good.runs + bad.runs,
        new_steps=good.new_steps + bad.new_steps,
        steps=good.steps + bad.steps,
        new_tasks=good.new_tasks + bad.new_tasks,
        tasks=bad.tasks,
        events=good.events,
    )
    with pytest.raises(CorruptionError):
        await _write(store, both, run, extra, swallowed=swallowed)

    assert await _state(store, run, extra) == before


@pytest.mark.fault(28, 39)
@pytest.mark.parametrize("swallowed", [False, True], ids=["raised", "swallowed"])
async def test_a_stale_token_is_corruption(store: Persistence, flow: FlowRow, swallowed: bool) -> None:
    """An outcome under another token than the row's leaves no trace, even where the block goes on after the error."""
    await run_with_tasks(store, flow, 1)
    await run_with_tasks(store, flow, 2)
    (task,) = await store.claim_tasks(task_claim(flow, only=keys(run_id(1), "pack", [0])))
    stale = replace(completed(task), token=task.token + 1)

    await _assert_refused(store, flow, bad=Changes(tasks=(stale,)), swallowed=swallowed)


@pytest.mark.fault(28)
@pytest.mark.parametrize("status", [TaskStatus.QUEUED, TaskStatus.COMPLETED, TaskStatus.CANCELLED])
async def test_an_outcome_for_a_task_that_does_not_run_is_corruption(
    store: Persistence, flow: FlowRow, status: TaskStatus
) -> None:
    """Even the right token does not change a task that is queued or terminal."""
    run = await run_with_tasks(store, flow, 1)
    await run_with_tasks(store, flow, 2)
    (task,) = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0])))
    left = {
        TaskStatus.QUEUED: Changes(tasks=(retried(task, ready_at=at(0)),)),
        TaskStatus.COMPLETED: Changes(tasks=(completed(task, output=b"1"),)),
        TaskStatus.CANCELLED: Changes(cancellations=(cancellation(run),)),
    }
    await apply(store, run, left[status])

    await _assert_refused(store, flow, bad=Changes(tasks=(completed(task, output=b"2"),)))


async def test_an_outcome_for_a_missing_task_is_corruption(store: Persistence, flow: FlowRow) -> None:
    """There is no row to update."""
    await run_with_tasks(store, flow, 1)
    await run_with_tasks(store, flow, 2)
    (task,) = await store.claim_tasks(task_claim(flow, only=keys(run_id(1), "pack", [0])))
    missing = replace(completed(task), key=TaskKey(run_id(1), "pack", 1, 5))

    await _assert_refused(store, flow, bad=Changes(tasks=(missing,)))


async def test_one_refused_outcome_among_good_ones_refuses_them_all(store: Persistence, flow: FlowRow) -> None:
    """Atomic means all of the batch."""
    run = await run_with_tasks(store, flow, 1, steps={"pack": 3})
    await run_with_tasks(store, flow, 2)
    tasks = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0, 1, 2])))
    stale = replace(completed(tasks[1]), token=9)

    await _assert_refused(store, flow, bad=Changes(tasks=(completed(tasks[0]), stale, completed(tasks[2]))))


async def test_an_update_of_a_missing_step_is_corruption(store: Persistence, flow: FlowRow) -> None:
    """A step, or its generation, that was never inserted cannot be updated."""
    await run_with_tasks(store, flow, 1)
    await run_with_tasks(store, flow, 2)

    await _assert_refused(store, flow, bad=Changes(steps=(step_write(run_id(1), "nothing"),)))
    await _assert_refused(store, flow, bad=Changes(steps=(step_write(run_id(1), generation=2),)))


async def test_an_update_of_a_missing_run_is_corruption(store: Persistence, flow: FlowRow) -> None:
    """A run that does not exist cannot be updated."""
    await run_with_tasks(store, flow, 1)
    await run_with_tasks(store, flow, 2)

    await _assert_refused(store, flow, bad=Changes(runs=(run_update(run_id(77)),)))


async def test_inserting_what_is_there_is_corruption(store: Persistence, flow: FlowRow) -> None:
    """Keys are derived under the run's lock, so a second row for one can only be a mistake."""
    run = await run_with_tasks(store, flow, 1)
    await run_with_tasks(store, flow, 2)

    await _assert_refused(store, flow, bad=Changes(new_steps=(step_write(run),)))
    await _assert_refused(store, flow, bad=Changes(new_tasks=(new_tasks(flow, run, count=2),)))
