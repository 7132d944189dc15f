"""Persistence: cancellations end everything that lives in a run or a step, after all other changes."""

from __future__ import annotations

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, TaskKey
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    at,
    cancellation,
    completed,
    failed,
    keys,
    load_request,
    new_tasks,
    retried,
    run_update,
    step_cancellation,
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


async def test_a_step_is_cancelled_without_the_rest_of_its_run(store: Persistence, flow: FlowRow) -> None:
    """Its live tasks become cancelled; its row is what the decision wrote, and nobody beside it notices."""
    run = await run_with_tasks(store, flow, 1, steps={"pack": 4, "beside": 2})
    other = await run_with_tasks(store, flow, 2, steps={"pack": 2})
    tasks = {task.key: task for task in await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0, 1, 2])))}
    bad, good, running, queued = keys(run, "pack", [0, 1, 2, 3])

    await apply(
        store,
        run,
        Changes(
            steps=(
                step_write(
                    run, status=StepStatus.SKIPPED, elements=4, remaining=2, failed=1, ended_at=at(8), reason="gave_up"
                ),
            ),
            tasks=(failed(tasks[bad]), completed(tasks[good])),
            cancellations=(step_cancellation(run, "pack", reason="step_skipped"),),
        ),
    )

    rows = {task.key: task for task in await store.read_tasks(run)}
    assert {key: (row.status, row.reason) for key, row in rows.items() if key.step == "pack"} == {
        bad: (TaskStatus.FAILED, "handler_error"),
        good: (TaskStatus.COMPLETED, None),
        running: (TaskStatus.CANCELLED, "step_skipped"),
        queued: (TaskStatus.CANCELLED, "step_skipped"),
    }
    assert [(rows[key].ended_at, rows[key].lease_until) for key in (running, queued)] == [(at(9), None)] * 2
    steps = {step.slug: (step.status, step.ended_at, step.reason) for step in await store.read_steps(run)}
    assert steps == {
        "pack": (StepStatus.SKIPPED, at(8), "gave_up"),
        "beside": (StepStatus.RUNNING, None, None),
    }
    claimable = {task.key for task in await store.claim_tasks(task_claim(flow, now=at(99)))}
    assert claimable == {*keys(run, "beside", [0, 1]), *keys(other, "pack", [0, 1])}


async def test_a_step_is_cancelled_in_one_generation(store: Persistence, flow: FlowRow) -> None:
    """That of an earlier one is none of its business."""
    run = await run_with_tasks(store, flow)
    await apply(
        store,
        run,
        Changes(new_steps=(step_write(run, generation=2),), new_tasks=(new_tasks(flow, run, generation=2),)),
    )

    await apply(store, run, Changes(cancellations=(step_cancellation(run, "pack", generation=2),)))

    assert {task.key.generation: task.status for task in await store.read_tasks(run)} == {
        1: TaskStatus.QUEUED,
        2: TaskStatus.CANCELLED,
    }


async def test_cancellation_of_a_step_meets_the_tasks_of_the_same_transaction(
    store: Persistence, flow: FlowRow
) -> None:
    """What was inserted, or went back to its queue, a moment before is cancelled too."""
    run = await run_with_tasks(store, flow)
    (task,) = (await claim_all(store, flow)).values()

    await apply(
        store,
        run,
        Changes(
            tasks=(retried(task, ready_at=at(5)),),
            new_tasks=(new_tasks(flow, run, first=1, count=2), new_tasks(flow, run, "beside")),
            cancellations=(step_cancellation(run, "pack"),),
        ),
    )

    assert {(task.key.step, task.key.element): task.status for task in await store.read_tasks(run)} == {
        ("beside", 0): TaskStatus.QUEUED,
        **{("pack", element): TaskStatus.CANCELLED for element in range(3)},
    }


async def test_steps_and_runs_are_cancelled_in_one_transaction(store: Persistence, flow: FlowRow) -> None:
    """Steps come first, in whatever order they are named: their tasks keep their own reason."""
    one = await run_with_tasks(store, flow, 1, steps={"pack": 2, "ship": 1, "bill": 1})
    two = await run_with_tasks(store, flow, 2, steps={"pack": 2, "ship": 1})
    async with store.transaction() as transaction:
        await transaction.load(load_request(one, two, wait=True))
        await transaction.apply(
            Changes(
                cancellations=(
                    cancellation(one),
                    step_cancellation(two, "pack"),
                    step_cancellation(one, "ship"),
                    step_cancellation(one, "pack"),
                )
            )
        )

    reasons = {
        run: {(task.key.step, task.reason, task.status) for task in await store.read_tasks(run)} for run in (one, two)
    }
    assert reasons == {
        one: {
            ("pack", "step_failed", TaskStatus.CANCELLED),
            ("ship", "step_failed", TaskStatus.CANCELLED),
            ("bill", "run_failed", TaskStatus.CANCELLED),
        },
        two: {("pack", "step_failed", TaskStatus.CANCELLED), ("ship", None, TaskStatus.QUEUED)},
    }
    assert {step.slug: step.status for step in await store.read_steps(two)} == {
        "pack": StepStatus.RUNNING,
        "ship": StepStatus.RUNNING,
    }
