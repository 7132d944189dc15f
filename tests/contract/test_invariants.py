"""Persistence: a healthy store breaks no invariant, whatever it has gone through.

That each invariant is noticed when it is broken needs rows that no port would write: those tests are the adapters'
own, in `tests/unit/adapters`.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow
from fairlead.ports.statuses import RunStatus, StepStatus
from tests.support.records import (
    at,
    attempt,
    cancellation,
    completed,
    events,
    failed,
    keys,
    lease_of,
    load_request,
    new_flow,
    new_run,
    new_tasks,
    retried,
    run_claim,
    run_id,
    run_update,
    step_cancellation,
    step_write,
    task_claim,
)
from tests.support.scenes import apply, claim_all, complete_run, lose_lease, register, run_with_tasks


async def assert_healthy(store: Persistence) -> None:
    """Every invariant holds."""
    broken = {name: list(lines) for name, lines in (await store.check_invariants()).items() if lines}

    assert broken == {}


async def test_an_empty_store_is_healthy(store: Persistence) -> None:
    """No rows, nothing broken."""
    await assert_healthy(store)


async def test_what_does_not_hold_is_the_only_thing_told(store: Persistence, flow: FlowRow) -> None:
    """Invariants that hold are absent from the answer, not present with nothing."""
    await complete_run(store, flow)

    assert dict(await store.check_invariants()) == {}


@pytest.mark.parametrize(("lines_max", "expected"), [(1, 1), (3, 3), (9, 5)])
async def test_no_more_rows_are_told_than_are_wanted(
    store: Persistence, flow: FlowRow, lines_max: int, expected: int
) -> None:
    """A rule that every row breaks must not bring all of them; five runs have events here that they do not know of."""
    runs = [run_id(number) for number in range(1, 6)]
    await store.insert_runs([new_run(flow, number) for number in range(1, 6)])
    async with store.transaction() as transaction:
        await transaction.load(load_request(*runs))
        await transaction.apply(
            Changes(runs=tuple(run_update(run, status=RunStatus.PENDING, next_sequence=7) for run in runs))
        )

    broken = await store.check_invariants(lines_max=lines_max)

    assert len(broken["I19_sequence"]) == expected
    assert len(set(broken["I19_sequence"])) == expected


async def test_pending_runs_are_healthy(store: Persistence, flow: FlowRow) -> None:
    """A run that nobody has claimed, with key and without, with events published and not."""
    await store.insert_runs([new_run(flow, 1), new_run(flow, 2, key="k"), new_run(flow, 3)])
    await assert_healthy(store)


async def test_a_run_is_healthy_after_every_commit_of_its_life(store: Persistence, flow: FlowRow) -> None:
    """Start, claim, retry, lease loss, hand-over, completion of steps and run."""
    run = run_id(1)
    await store.insert_runs([new_run(flow)])
    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow))
        await transaction.apply(
            Changes(
                runs=(run_update(run, next_sequence=4, remaining_steps=2, started_at=at(0)),),
                new_steps=(
                    step_write(run, "pack", started_at=at(0)),
                    step_write(run, "ship", status=StepStatus.CREATED, dependencies=1, elements=None, remaining=None),
                ),
                new_tasks=(new_tasks(flow, run, "pack"),),
                events=(events(run, 2, ["run.started", ("step.started", {"step": "pack"})]),),
            )
        )
    await assert_healthy(store)

    (task,) = await store.claim_tasks(task_claim(flow))
    await assert_healthy(store)
    await store.extend_leases([lease_of(task)], at(60))
    await assert_healthy(store)

    retrying = ("task.retrying", {"step": "pack", "element": 0, "attempt": 1})
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=5, remaining_steps=2),),
            tasks=(retried(task, ready_at=at(5)),),
            attempts=(attempt(task),),
            events=(events(run, 4, [retrying]),),
        ),
    )
    await assert_healthy(store)

    (task,) = await store.claim_tasks(task_claim(flow, now=at(5)))
    await lose_lease(store, task.key, ready_at=at(9))
    await assert_healthy(store)

    (task,) = await store.claim_tasks(task_claim(flow, now=at(9), worker="worker-2"))
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=8, remaining_steps=1),),
            steps=(
                step_write(run, "pack", status=StepStatus.COMPLETED, remaining=0, ended_at=at(9)),
                step_write(run, "ship", started_at=at(9)),
            ),
            new_tasks=(new_tasks(flow, run, "ship", worker="worker-2", lease_until=at(30)),),
            tasks=(completed(task),),
            events=(events(run, 6, [("step.completed", {"step": "pack"}), ("step.started", {"step": "ship"})]),),
        ),
    )
    await assert_healthy(store)

    (row,) = (await store.read_tasks(run, step="ship"))[:1]
    handed_over = replace(task, key=row.key, token=row.token, attempt=row.attempts, losses=0)
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.COMPLETED, next_sequence=10, ended_at=at(10)),),
            steps=(step_write(run, "ship", status=StepStatus.COMPLETED, remaining=0, ended_at=at(10)),),
            tasks=(completed(handed_over),),
            events=(events(run, 8, [("step.completed", {"step": "ship"}), "run.completed"]),),
        ),
    )
    await assert_healthy(store)


async def test_a_map_in_its_window_is_healthy(store: Persistence, flow: FlowRow) -> None:
    """Ten elements, four of them with rows, one settled and one failed within tolerance; an empty map beside it."""
    run = await run_with_tasks(store, flow, steps={})
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=5, remaining_steps=1),),
            new_steps=(
                step_write(run, "each", elements=10, remaining=10, cursor=4, started_at=at(0)),
                step_write(run, "none", status=StepStatus.COMPLETED, elements=0, remaining=0, ended_at=at(0)),
            ),
            new_tasks=(new_tasks(flow, run, "each", count=4),),
            events=(events(run, 3, [("step.started", {"step": "each"}), ("step.completed", {"step": "none"})]),),
        ),
    )
    await assert_healthy(store)

    tasks = await claim_all(store, flow)
    one, two = keys(run, "each", [0, 2])
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, "each", elements=10, remaining=8, failed=1, cursor=6),),
            new_tasks=(new_tasks(flow, run, "each", first=4, count=2),),
            tasks=(completed(tasks[one]), failed(tasks[two])),
            attempts=(attempt(tasks[two]),),
        ),
    )

    await assert_healthy(store)


async def test_a_failed_run_is_healthy(store: Persistence, flow: FlowRow) -> None:
    """One task failed, its siblings and the steps beside it were cancelled in the same transaction."""
    run = await run_with_tasks(store, flow, steps={"pack": 3, "beside": 1})
    tasks = await claim_all(store, flow)
    bad, good, _ = keys(run, "pack", [0, 1, 2])
    await apply(
        store,
        run,
        Changes(
            runs=(
                run_update(
                    run, RunStatus.FAILED, next_sequence=7, remaining_steps=1, ended_at=at(9), reason="step_failed"
                ),
            ),
            steps=(
                step_write(run, "pack", status=StepStatus.FAILED, elements=3, remaining=1, failed=1, ended_at=at(9)),
            ),
            tasks=(failed(tasks[bad]), completed(tasks[good])),
            attempts=(attempt(tasks[bad]),),
            cancellations=(cancellation(run),),
            events=(events(run, 5, [("step.failed", {"step": "pack"}), ("run.failed", {"step": "pack"})]),),
        ),
    )

    await assert_healthy(store)


async def test_tolerated_failures_and_gaps_are_healthy(store: Persistence, flow: FlowRow) -> None:
    """A map of five, one of which fails; behind it a map with a window of two that leaves that one out.

    Behind that a map, over another one that has failed as a whole, has nothing but gaps.
    """
    run = await run_with_tasks(store, flow, steps={"read": 5, "none": 1})
    tasks = await claim_all(store, flow)
    bad, worse = keys(run, "read", [1])[0], keys(run, "none", [0])[0]
    told = [("step.completed", {"step": slug}) for slug in ("read", "none", "beside")]
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=9, remaining_steps=1),),
            steps=(
                step_write(run, "read", status=StepStatus.COMPLETED, elements=5, remaining=0, failed=1, ended_at=at(1)),
                step_write(run, "none", status=StepStatus.COMPLETED, elements=1, remaining=0, failed=1, ended_at=at(1)),
            ),
            new_steps=(
                step_write(run, "embed", elements=5, remaining=4, cursor=2, gaps=1, started_at=at(1)),
                step_write(run, "beside", status=StepStatus.COMPLETED, elements=1, remaining=0, gaps=1, ended_at=at(1)),
            ),
            new_tasks=(new_tasks(flow, run, "embed"), new_tasks(flow, run, "embed", first=2)),
            tasks=tuple(failed(task) if key in (bad, worse) else completed(task) for key, task in tasks.items()),
            attempts=(attempt(tasks[bad]), attempt(tasks[worse])),
            events=(events(run, 5, [*told, ("step.started", {"step": "embed"})]),),
        ),
    )
    await assert_healthy(store)

    tasks = await claim_all(store, flow)
    await apply(
        store,
        run,
        Changes(
            steps=(step_write(run, "embed", elements=5, remaining=2, gaps=1),),
            new_tasks=(new_tasks(flow, run, "embed", first=3, count=2),),
            tasks=tuple(map(completed, tasks.values())),
        ),
    )

    await assert_healthy(store)


async def test_skipped_steps_are_healthy(store: Persistence, flow: FlowRow) -> None:
    """One whose attempts are used up keeps the counters it had; those behind it were never started, one being empty."""
    run = await run_with_tasks(store, flow, steps={"pack": 4, "beside": 1})
    claimed = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0, 1])))
    bad, good = claimed
    told = [
        ("step.skipped", {"step": "pack", "reason": "handler_failed"}),
        ("step.skipped", {"step": "ship", "reason": "dependency_skipped"}),
        ("step.completed", {"step": "each"}),
    ]
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=8, remaining_steps=1),),
            steps=(
                step_write(run, "pack", status=StepStatus.SKIPPED, elements=4, remaining=2, failed=1, ended_at=at(1)),
            ),
            new_steps=(
                step_write(
                    run,
                    "ship",
                    status=StepStatus.SKIPPED,
                    dependencies=1,
                    elements=None,
                    remaining=None,
                    ended_at=at(1),
                ),
                step_write(run, "each", status=StepStatus.COMPLETED, elements=0, remaining=0, ended_at=at(1)),
            ),
            tasks=(failed(bad), completed(good)),
            attempts=(attempt(bad),),
            cancellations=(step_cancellation(run, "pack", reason="step_skipped"),),
            events=(events(run, 5, told),),
        ),
    )

    await assert_healthy(store)


async def test_a_running_run_that_was_cancelled_is_healthy(store: Persistence, flow: FlowRow) -> None:
    """Whatever its tasks were at, its steps have no event of their own, and its counters stay as they were."""
    run = await run_with_tasks(store, flow, steps={"pack": 3, "beside": 1})
    one, two = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0, 1])))
    retrying = ("task.retrying", {"step": "pack", "element": 1, "attempt": 1})
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, next_sequence=6, remaining_steps=2),),
            steps=(step_write(run, "pack", elements=3, remaining=2),),
            tasks=(completed(one), retried(two, ready_at=at(5))),
            attempts=(attempt(two),),
            events=(events(run, 5, [retrying]),),
        ),
    )
    await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [2])))
    await apply(
        store,
        run,
        Changes(
            runs=(
                run_update(
                    run, RunStatus.CANCELLED, next_sequence=7, remaining_steps=2, ended_at=at(9), reason="cancelled"
                ),
            ),
            cancellations=(cancellation(run, reason="run_cancelled"),),
            events=(events(run, 6, [("run.cancelled", {"reason": "no longer wanted"})]),),
        ),
    )

    await assert_healthy(store)


async def test_a_run_that_was_cancelled_before_its_start_is_healthy(store: Persistence, flow: FlowRow) -> None:
    """A pending run that ends has an end and its event, and never started."""
    await store.insert_runs([new_run(flow)])
    run = run_id(1)
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.CANCELLED, next_sequence=3, ended_at=at(3), reason="cancelled"),),
            events=(events(run, 2, ["run.cancelled"]),),
        ),
    )

    await assert_healthy(store)


async def test_a_flusher_leaves_a_healthy_store(store: Persistence, flow: FlowRow) -> None:
    """Leases of shards, a half-published history and a released shard break nothing."""
    await store.register_sinks(["default"], now=at(0))
    await complete_run(store, flow, 1)
    (lease,) = (await store.lease_shards("default", "flusher", now=at(0), until=at(30), limit=64)).leases
    await store.mark_delivered(lease, [(run_id(1), 1), (run_id(1), 2)])
    await assert_healthy(store)
    await store.release_shards("flusher", [lease])

    await assert_healthy(store)


async def test_replaced_flows_are_healthy(store: Persistence) -> None:
    """Runs of a shape that was replaced stay pinned to it."""
    old = await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)
    await complete_run(store, old)
    await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=True)
    await register(store, slug="other")

    await assert_healthy(store)
