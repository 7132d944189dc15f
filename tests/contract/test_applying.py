"""Persistence: every kind of change that a transaction writes."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import AttemptRecord, OutputRequest
from fairlead.ports.records import FlowRow, TaskKey, TaskPhase
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    at,
    attempt,
    completed,
    events,
    failed,
    keys,
    load_request,
    new_tasks,
    retried,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import (
    apply,
    claim_all,
    claim_one,
    look_at_run,
    look_at_step,
    look_at_task,
    lose_lease,
    run_with_tasks,
    start,
)

ERROR = b'{"type":"ValueError","message":"\\u0000"}'


async def test_nothing_is_changed_by_no_changes(store: Persistence, flow: FlowRow) -> None:
    """Empty changes are no error."""
    run = await run_with_tasks(store, flow)
    before = (await store.read_run(run), await store.read_tasks(run), await store.read_events(run))

    await apply(store, run, Changes())

    assert (await store.read_run(run), await store.read_tasks(run), await store.read_events(run)) == before


async def test_a_run_is_updated(store: Persistence, flow: FlowRow) -> None:
    """Status, sequence, counter, times, reason and error are written."""
    (run,) = await start(store, flow)

    await apply(
        store,
        run,
        Changes(
            runs=(
                run_update(
                    run,
                    RunStatus.FAILED,
                    next_sequence=5,
                    remaining_steps=2,
                    started_at=at(1),
                    ended_at=at(2),
                    reason="invalid_input",
                    error=ERROR,
                ),
            )
        ),
    )

    record = await store.read_run(run)
    assert record is not None
    assert (record.status, record.next_sequence, record.remaining_steps) == (RunStatus.FAILED, 5, 2)
    assert (record.started_at, record.ended_at) == (at(1), at(2))
    assert (record.reason, record.error) == ("invalid_input", ERROR)


async def test_what_a_run_update_does_not_set_is_left_alone(store: Persistence, flow: FlowRow) -> None:
    """Times, reason and error that are None keep their values."""
    (run,) = await start(store, flow)
    await apply(
        store,
        run,
        Changes(runs=(run_update(run, started_at=at(1), ended_at=at(2), reason="because", error=ERROR),)),
    )

    await apply(store, run, Changes(runs=(run_update(run, next_sequence=9),)))

    record = await store.read_run(run)
    assert record is not None
    assert (record.started_at, record.ended_at) == (at(1), at(2))
    assert (record.reason, record.error, record.next_sequence) == ("because", ERROR, 9)


async def test_a_step_is_inserted_and_read_back(store: Persistence, flow: FlowRow) -> None:
    """All that readers see of a step."""
    run = await run_with_tasks(store, flow, steps={})
    await apply(
        store,
        run,
        Changes(
            new_steps=(
                step_write(
                    run,
                    "pack",
                    status=StepStatus.FAILED,
                    elements=3,
                    remaining=0,
                    failed=2,
                    cursor=3,
                    gaps=1,
                    started_at=at(1),
                    ended_at=at(2),
                    reason="attempts_exhausted",
                    error=ERROR,
                ),
            )
        ),
    )

    (step,) = await store.read_steps(run)
    assert (step.run_id, step.slug, step.generation, step.status) == (run, "pack", 1, StepStatus.FAILED)
    assert (step.remaining_dependencies, step.elements, step.remaining_tasks) == (0, 3, 0)
    assert (step.failed_tasks, step.cursor, step.gaps) == (2, 3, 1)
    assert (step.started_at, step.ended_at) == (at(1), at(2))
    assert (step.reason, step.error) == ("attempts_exhausted", ERROR)


async def test_a_step_update_writes_its_counters(store: Persistence, flow: FlowRow) -> None:
    """A created step becomes ready: its elements are known now."""
    run = await run_with_tasks(store, flow, steps={})
    created = step_write(run, status=StepStatus.CREATED, dependencies=2, elements=None, remaining=None)
    await apply(store, run, Changes(new_steps=(created,)))

    await apply(
        store,
        run,
        Changes(
            steps=(
                step_write(
                    run, elements=8, remaining=8, failed=1, cursor=4, gaps=2, started_at=at(3), facts=b'{"n":8}'
                ),
            )
        ),
    )

    row = await look_at_step(store, run)
    assert (row.status, row.remaining_dependencies) == (StepStatus.RUNNING, 0)
    assert (row.elements, row.remaining_tasks, row.failed_tasks, row.cursor, row.gaps) == (8, 8, 1, 4, 2)
    assert row.facts == b'{"n":8}'
    (record,) = await store.read_steps(run)
    assert record.started_at == at(3)


async def test_what_a_step_update_does_not_set_is_left_alone(store: Persistence, flow: FlowRow) -> None:
    """Times, reason, facts and error that are None keep their values."""
    run = await run_with_tasks(store, flow, steps={})
    first = step_write(run, facts=b"[1]", started_at=at(1), ended_at=at(2), reason="because", error=ERROR)
    await apply(store, run, Changes(new_steps=(first,)))

    await apply(store, run, Changes(steps=(step_write(run, status=StepStatus.COMPLETED, remaining=0),)))

    assert (await look_at_step(store, run)).facts == b"[1]"
    (record,) = await store.read_steps(run)
    assert (record.started_at, record.ended_at) == (at(1), at(2))
    assert (record.reason, record.error, record.status) == ("because", ERROR, StepStatus.COMPLETED)


async def test_a_step_update_concerns_one_generation(store: Persistence, flow: FlowRow) -> None:
    """An earlier generation's row stays as it was."""
    run = await run_with_tasks(store, flow, steps={})
    await apply(store, run, Changes(new_steps=(step_write(run), step_write(run, generation=2))))

    await apply(store, run, Changes(steps=(step_write(run, generation=2, status=StepStatus.COMPLETED),)))

    steps = {step.generation: step.status for step in await store.read_steps(run)}
    assert steps == {1: StepStatus.RUNNING, 2: StepStatus.COMPLETED}


async def test_a_range_of_queued_tasks_is_inserted(store: Persistence, flow: FlowRow) -> None:
    """Tasks `first … first + count − 1`, alike in everything but their index."""
    run = await run_with_tasks(store, flow, steps={})

    await apply(
        store,
        run,
        Changes(
            new_tasks=(
                new_tasks(flow, run, first=5, count=3, queue="cpu", priority=7, created_at=at(1), ready_at=at(9)),
            )
        ),
    )

    tasks = await store.read_tasks(run)
    assert [task.key for task in tasks] == keys(run, "pack", [5, 6, 7])
    for task in tasks:
        assert (task.status, task.phase, task.queue, task.priority) == (TaskStatus.QUEUED, TaskPhase.RUN, "cpu", 7)
        assert (task.token, task.settled_token, task.attempts, task.losses) == (0, 0, 0, 0)
        assert (task.worker, task.lease_until) == (None, None)
        assert (task.created_at, task.ready_at) == (at(1), at(9))
        assert (task.started_at, task.ended_at, task.reason, task.error) == (None, None, None, None)
        assert not task.has_output


async def test_a_range_of_leased_tasks_is_inserted(store: Persistence, flow: FlowRow) -> None:
    """Tasks that are handed over are born running: first token, first attempt, leased."""
    run = await run_with_tasks(store, flow, steps={})

    await apply(store, run, Changes(new_tasks=(new_tasks(flow, run, count=2, worker="worker-3", lease_until=at(30)),)))

    for key in keys(run, "pack", [0, 1]):
        row = await look_at_task(store, key)
        assert (row.status, row.token, row.settled_token, row.attempts) == (TaskStatus.RUNNING, 1, 0, 1)
        assert (row.worker, row.lease_until, row.losses) == ("worker-3", at(30), 0)
    assert list(await store.claim_tasks(task_claim(flow, now=at(99)))) == []


async def test_a_wide_window_is_inserted_at_once(store: Persistence, flow: FlowRow) -> None:
    """Ten thousand tasks, the widest window there is, are one change."""
    run = await run_with_tasks(store, flow, steps={})

    await apply(store, run, Changes(new_tasks=(new_tasks(flow, run, count=10_000),)))

    tasks = await store.read_tasks(run)
    assert [task.key.element for task in tasks] == list(range(10_000))


async def test_a_completed_task_has_its_output_and_no_lease(store: Persistence, flow: FlowRow) -> None:
    """The outcome is recorded under the holder's token; who did it stays to be seen."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await apply(store, run, Changes(tasks=(completed(task, output=b'{"z":-0.0,"a":1e22}', ended_at=at(4)),)))

    (record,) = await store.read_tasks(run)
    assert (record.status, record.token, record.settled_token) == (TaskStatus.COMPLETED, 1, 1)
    assert (record.attempts, record.losses, record.worker, record.lease_until) == (1, 0, "worker-1", None)
    assert (record.ended_at, record.reason, record.error, record.has_output) == (at(4), None, None, True)


async def test_an_output_of_null_is_an_output(store: Persistence, flow: FlowRow) -> None:
    """A handler that returns nothing has recorded `null`, which is not the absence of an output."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await apply(
        store,
        run,
        Changes(
            tasks=(completed(task, output=b"null"),),
            steps=(step_write(run, status=StepStatus.COMPLETED, remaining=0),),
        ),
    )

    (record,) = await store.read_tasks(run)
    payloads = await store.read_payloads([], [OutputRequest(run, "pack")])
    assert record.has_output
    assert list(payloads.outputs[OutputRequest(run, "pack")].outputs) == [b"null"]


async def test_a_failed_task_has_its_reason_and_error(store: Persistence, flow: FlowRow) -> None:
    """Failure is an outcome too, and has no output."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await apply(store, run, Changes(tasks=(failed(task, reason="attempts_exhausted", error=ERROR),)))

    (record,) = await store.read_tasks(run)
    assert (record.status, record.reason, record.error) == (TaskStatus.FAILED, "attempts_exhausted", ERROR)
    assert (record.lease_until, record.has_output) == (None, False)


async def test_a_retried_task_is_queued_again(store: Persistence, flow: FlowRow) -> None:
    """It waits for its new `ready_at` and keeps token and attempts."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await apply(store, run, Changes(tasks=(retried(task, ready_at=at(60)),)))

    row = await look_at_task(store, task.key)
    (record,) = await store.read_tasks(run)
    assert (row.status, row.token, row.settled_token, row.attempts) == (TaskStatus.QUEUED, 1, 1, 1)
    assert (row.lease_until, record.ready_at, record.ended_at) == (None, at(60), None)


async def test_a_released_task_gets_its_attempt_back_and_never_its_token(store: Persistence, flow: FlowRow) -> None:
    """Draining spends no attempt; the next claim has a new token all the same."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await apply(store, run, Changes(tasks=(replace(retried(task, ready_at=at(0)), attempts=0),)))

    again = await claim_one(store, flow)
    assert (again.token, again.attempt) == (2, 1)


async def test_a_lost_task_loses_its_worker_and_records_no_outcome(store: Persistence, flow: FlowRow) -> None:
    """Lease loss is not the holder's word: `settled_token` stays, the loss is counted."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    await lose_lease(store, task.key, ready_at=at(45))

    row = await look_at_task(store, task.key)
    (record,) = await store.read_tasks(run)
    assert (row.status, row.token, row.settled_token) == (TaskStatus.QUEUED, 1, 0)
    assert (row.attempts, row.losses, row.worker, row.lease_until) == (1, 1, None, None)
    assert record.ready_at == at(45)


async def test_attempts_are_kept_as_history(store: Persistence, flow: FlowRow) -> None:
    """Attempts are read by task, then token, whatever order they were written in."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})
    tasks = await claim_all(store, flow)
    first, second = (tasks[key] for key in keys(run, "pack", [0, 1]))
    later = replace(first, token=3, attempt=2)

    await apply(
        store,
        run,
        Changes(
            attempts=(
                attempt(second, reason="timeout", worker=None),
                attempt(later, reason="worker_lost"),
                attempt(first, error=ERROR),
            )
        ),
    )

    def record(key: TaskKey, token: int, number: int, worker: str | None, reason: str, error: bytes | None) -> object:
        return AttemptRecord(
            key=key, token=token, attempt=number, worker=worker, ended_at=at(0), reason=reason, error=error
        )

    assert list(await store.read_attempts(run)) == [
        record(first.key, 1, 1, "worker-1", "handler_error", ERROR),
        record(first.key, 3, 2, "worker-1", "worker_lost", None),
        record(second.key, 1, 1, None, "timeout", None),
    ]


async def test_events_are_written_with_the_change(store: Persistence, flow: FlowRow) -> None:
    """One outbox row for each batch, with its consecutive sequence numbers."""
    (run,) = await start(store, flow)
    batch = events(run, 2, ["run.started", "step.started"], happened_at=at(3))

    await apply(store, run, Changes(runs=(run_update(run, next_sequence=4),), events=(batch,)))

    _, row = await store.read_events(run)
    assert (row.run_id, row.flow, row.generation) == (run, "orders", 1)
    assert (row.first_sequence, row.count, row.at, row.events) == (2, 2, at(3), batch.events)


async def test_several_runs_are_changed_in_one_transaction(store: Persistence, flow: FlowRow) -> None:
    """A settle batch writes what it decided for each of its runs."""
    runs = [await run_with_tasks(store, flow, number, steps={"pack": 2}) for number in (1, 2, 3)]
    tasks = await claim_all(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(*runs, wait=True))
        await transaction.apply(
            Changes(
                runs=tuple(run_update(run, next_sequence=5 + n) for n, run in enumerate(runs)),
                steps=tuple(step_write(run, elements=2, remaining=1) for run in runs),
                tasks=tuple(completed(tasks[TaskKey(run, "pack", 1, 0)], output=run[-1:].encode()) for run in runs),
                events=tuple(events(run, 4, ["step.completed"]) for run in runs),
            )
        )

    for n, run in enumerate(runs):
        assert (await look_at_run(store, run)).next_sequence == 5 + n
        assert (await look_at_step(store, run)).remaining_tasks == 1
        first, second = await store.read_tasks(run)
        assert (first.status, second.status) == (TaskStatus.COMPLETED, TaskStatus.RUNNING)
        assert [row.first_sequence for row in await store.read_events(run)] == [1, 2, 4]
