"""Short ways to bring a store to where a test begins.

Each scene goes through the port alone. The longer ones leave a healthy store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from fairlead.ports.changes import Changes, NewAttempt
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import ClaimedTask, FlowRow, RunRow, Snapshot, StepRow, TaskKey, TaskRow
from fairlead.ports.statuses import RunStatus, StepStatus

from .records import (
    START,
    at,
    completed,
    events,
    load_request,
    lost,
    new_flow,
    new_run,
    new_tasks,
    run_claim,
    run_id,
    run_update,
    step_write,
    task_claim,
)

PATIENCE_S = 20.0
"""How long a test waits for what must happen at once; only a defect uses it up."""


async def soon(awaited: asyncio.Future[object] | asyncio.Task[object]) -> None:
    """Wait until a task or future is done, without taking its result or its error."""
    done, _ = await asyncio.wait({awaited}, timeout=PATIENCE_S)
    assert done, "what should have ended by now still runs"


async def register(
    store: Persistence, slug: str = "orders", version: str = "1", fingerprint: str = "shape-1"
) -> FlowRow:
    """Register a flow."""
    return await store.register_flow(new_flow(slug, version, fingerprint), replace=False)


async def start(store: Persistence, flow: FlowRow, *numbers: int) -> list[str]:
    """Insert pending runs."""
    started = await store.insert_runs([new_run(flow, number) for number in numbers or (1,)])
    return [run.id for run in started]


async def run_with_tasks(
    store: Persistence,
    flow: FlowRow,
    number: int = 1,
    *,
    steps: Mapping[str, int] | None = None,
    queue: str = "default",
    priority: int = 0,
    ready_at: datetime = START,
    worker: str | None = None,
    lease_until: datetime | None = None,
) -> str:
    """Start a run and make it running: `steps` by name with their numbers of tasks, all ready.

    The tasks are queued, or leased to `worker`.
    """
    steps = {"pack": 1} if steps is None else steps
    run = run_id(number)
    await store.insert_runs([new_run(flow, number, priority=priority)])
    told: list[str | tuple[str, Mapping[str, object]]] = ["run.started"]
    told += [("step.started", {"step": slug}) for slug in steps]
    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow, only=[run]))
        await transaction.apply(
            Changes(
                runs=(run_update(run, next_sequence=2 + len(told), remaining_steps=len(steps), started_at=START),),
                new_steps=tuple(
                    step_write(run, slug, elements=count, remaining=count, started_at=START)
                    for slug, count in steps.items()
                ),
                new_tasks=tuple(
                    new_tasks(
                        flow,
                        run,
                        slug,
                        count=count,
                        queue=queue,
                        priority=priority,
                        ready_at=ready_at,
                        worker=worker,
                        lease_until=lease_until,
                    )
                    for slug, count in steps.items()
                ),
                events=(events(run, 2, told, flow=flow.slug),),
            )
        )
    return run


async def claim_one(
    store: Persistence, flow: FlowRow, *, now: datetime = START, worker: str = "worker-1"
) -> ClaimedTask:
    """Claim the first queued task, which must be there."""
    (task,) = await store.claim_tasks(task_claim(flow, limit=1, now=now, worker=worker))
    return task


async def claim_all(store: Persistence, flow: FlowRow, *, now: datetime = START) -> dict[TaskKey, ClaimedTask]:
    """Claim every queued task of the default queue."""
    return {task.key: task for task in await store.claim_tasks(task_claim(flow, now=now, limit=10_000))}


async def apply(store: Persistence, run: str, changes: Changes) -> None:
    """Lock a run and write `changes`."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(run, wait=True))
        await transaction.apply(changes)


async def look(
    store: Persistence, run: str, *, steps: Sequence[str] = (), tasks: Sequence[TaskKey] = (), wait: bool = True
) -> Snapshot:
    """What a transaction that holds the run reads; nothing is changed."""
    async with store.transaction() as transaction:
        return await transaction.load(load_request(run, steps=[(run, slug) for slug in steps], tasks=tasks, wait=wait))


async def look_at_run(store: Persistence, run: str) -> RunRow:
    """A run's row."""
    return (await look(store, run)).runs[run]


async def look_at_step(store: Persistence, run: str, slug: str = "pack") -> StepRow:
    """A step's row."""
    return (await look(store, run, steps=[slug])).steps[run, slug]


async def look_at_task(store: Persistence, key: TaskKey) -> TaskRow:
    """A task's row."""
    return (await look(store, key.run_id, tasks=[key])).tasks[key]


async def complete_run(
    store: Persistence, flow: FlowRow, number: int = 1, *, output: bytes = b'"done"', ended_at: datetime = START
) -> str:
    """Take a run of one step and one task from its start to its completion."""
    run = await run_with_tasks(store, flow, number)
    (task,) = await store.claim_tasks(task_claim(flow, only=[TaskKey(run, "pack", 1, 0)]))
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.COMPLETED, next_sequence=6, ended_at=ended_at),),
            steps=(step_write(run, status=StepStatus.COMPLETED, remaining=0, ended_at=ended_at),),
            tasks=(completed(task, output=output, ended_at=ended_at),),
            events=(events(run, 4, [("step.completed", {"step": "pack"}), "run.completed"], flow=flow.slug),),
        ),
    )
    return run


async def take_over(
    store: Persistence, flow: FlowRow, key: TaskKey, *, seconds: float = 0, worker: str = "worker-2"
) -> None:
    """Take a running task from its holder at a time, and lease it to somebody else, under the next token."""
    await lose_lease(store, key, ready_at=at(seconds))
    await store.claim_tasks(task_claim(flow, only=[key], now=at(seconds), worker=worker))


async def lose_lease(store: Persistence, key: TaskKey, *, ready_at: datetime = START) -> None:
    """Take a running task from its holder as the reaper does."""
    async with store.transaction() as transaction:
        snapshot = await transaction.load(load_request(key.run_id, tasks=[key], wait=True, lock_tasks=True))
        row, task = snapshot.runs[key.run_id], snapshot.tasks[key]
        await transaction.apply(
            Changes(
                runs=(
                    run_update(
                        key.run_id,
                        row.status,
                        next_sequence=row.next_sequence + 1,
                        remaining_steps=row.remaining_steps,
                    ),
                ),
                tasks=(lost(task, ready_at=ready_at),),
                attempts=(
                    NewAttempt(
                        key=key,
                        token=task.token,
                        attempt=task.attempts,
                        worker=task.worker,
                        ended_at=ready_at,
                        reason="worker_lost",
                        error=None,
                    ),
                ),
                events=(events(key.run_id, row.next_sequence, [("task.retrying", {"step": key.step})], flow=row.flow),),
            )
        )
