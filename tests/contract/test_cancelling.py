"""Persistence: cancellations end everything that lives in a run, after all other changes."""

from __future__ import annotations

from fairlead.ports.persistence import Persistence
from fairlead.ports.records import Changes, FlowRow, TaskKey
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    at,
    cancellation,
    completed,
    failed,
    keys,
    new_tasks,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import (
    apply,
    claim_all,
    run_with_tasks,
)


async def test_cancellation_makes_every_live_child_terminal(store: Persistence, flow: FlowRow) -> None:
    """Live steps and tasks become cancelled with time and reason; terminal ones stay as they are."""
    run = await run_with_tasks(store, flow, 1, steps={"done": 1, "pack": 3})
    other = await run_with_tasks(store, flow, 2)
    (done,) = await store.claim_tasks(task_claim(flow, only=keys(run, "done", [0])))
    await apply(
        store,
        run,
        Changes(
            tasks=(completed(done, ended_at=at(1)),),
            steps=(step_write(run, "done", status=StepStatus.COMPLETED, remaining=0, ended_at=at(1)),),
            new_steps=(step_write(run, "waiting", status=StepStatus.CREATED, elements=None, remaining=None),),
        ),
    )
    await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [1])))

    await apply(store, run, Changes(cancellations=(cancellation(run, reason="run_failed"),)))

    steps = {step.slug: (step.status, step.ended_at, step.reason) for step in await store.read_steps(run)}
    assert steps == {
        "done": (StepStatus.COMPLETED, at(1), None),
        "pack": (StepStatus.CANCELLED, at(9), "run_failed"),
        "waiting": (StepStatus.CANCELLED, at(9), "run_failed"),
    }
    tasks = await store.read_tasks(run)
    assert [(task.key.step, task.status, task.ended_at, task.reason) for task in tasks] == [
        ("done", TaskStatus.COMPLETED, at(1), None),
        *[("pack", TaskStatus.CANCELLED, at(9), "run_failed")] * 3,
    ]
    assert all(task.lease_until is None for task in tasks)
    (untouched,) = await store.read_tasks(other)
    assert untouched.status is TaskStatus.QUEUED


async def test_cancellation_comes_after_the_other_changes(store: Persistence, flow: FlowRow) -> None:
    """The task that made the run fail is failed, not cancelled; what the same transaction inserted is cancelled."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    first, second = keys(run, "pack", [0, 1])

    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.FAILED, next_sequence=6, ended_at=at(9)),),
            steps=(step_write(run, status=StepStatus.FAILED, elements=2, remaining=0, failed=1, ended_at=at(8)),),
            new_steps=(step_write(run, "ship"),),
            new_tasks=(
                new_tasks(flow, run, "ship"),
                new_tasks(flow, run, "bill", worker="worker-1", lease_until=at(30)),
            ),
            tasks=(failed(tasks[first]),),
            cancellations=(cancellation(run),),
        ),
    )

    assert {step.slug: step.status for step in await store.read_steps(run)} == {
        "pack": StepStatus.FAILED,
        "ship": StepStatus.CANCELLED,
    }
    statuses = {task.key: task.status for task in await store.read_tasks(run)}
    assert statuses == {
        first: TaskStatus.FAILED,
        second: TaskStatus.CANCELLED,
        TaskKey(run, "ship", 1, 0): TaskStatus.CANCELLED,
        TaskKey(run, "bill", 1, 0): TaskStatus.CANCELLED,
    }
    assert list(await store.claim_tasks(task_claim(flow, now=at(99)))) == []


async def test_cancelled_tasks_are_found_by_nobody(store: Persistence, flow: FlowRow) -> None:
    """After a cancellation no claim, no reaper and no sweep sees the run's tasks."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    await store.claim_tasks(task_claim(flow, limit=1))

    await apply(
        store,
        run,
        Changes(runs=(run_update(run, RunStatus.CANCELLED, next_sequence=5),), cancellations=(cancellation(run),)),
    )

    ids = [flow.flow_id]
    assert list(await store.claim_tasks(task_claim(flow, now=at(999)))) == []
    assert list(await store.find_expired(at(999), flow_ids=ids, limit=10)) == []
    assert list(await store.find_unclaimed(at(999), flow_ids=ids, limit=10)) == []
