"""Persistence: what a transaction reads of the runs that it holds."""

from __future__ import annotations

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow, RunRow, StepRow, TaskKey, TaskPhase, TaskRow
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    at,
    completed,
    elements_for,
    failed,
    keys,
    load_request,
    new_run,
    new_tasks,
    retried,
    run_id,
    step_write,
    task_claim,
)
from tests.support.scenes import (
    apply,
    claim_all,
    look,
    look_at_task,
    run_with_tasks,
)


async def test_a_run_is_loaded_without_its_payloads(store: Persistence, flow: FlowRow) -> None:
    """A decision sees a run's state and the facts of its input."""
    await store.insert_runs([new_run(flow, priority=4, facts=b'{"size":11}')])

    snapshot = await look(store, run_id(1))

    assert snapshot.runs == {
        run_id(1): RunRow(
            id=run_id(1),
            flow_id=flow.flow_id,
            flow="orders",
            status=RunStatus.PENDING,
            generation=1,
            priority=4,
            next_sequence=2,
            remaining_steps=0,
            facts=b'{"size":11}',
        )
    }
    assert snapshot.steps == {}
    assert snapshot.tasks == {}
    assert list(snapshot.leased) == []


async def test_a_step_is_loaded_as_it_was_written(store: Persistence, flow: FlowRow) -> None:
    """Every counter and the facts of the output come back, unset ones as None."""
    run = await run_with_tasks(store, flow, steps={})
    full = step_write(
        run, "full", dependencies=2, elements=7, remaining=3, failed=1, cursor=3, gaps=2, facts=b'{"b":1,"a":-0.0}'
    )
    bare = step_write(run, "bare", status=StepStatus.CREATED, dependencies=1, elements=None, remaining=None)
    await apply(store, run, Changes(new_steps=(full, bare)))

    snapshot = await look(store, run, steps=["full", "bare"])

    assert snapshot.steps == {
        (run, "full"): StepRow(
            run_id=run,
            slug="full",
            generation=1,
            status=StepStatus.RUNNING,
            remaining_dependencies=2,
            elements=7,
            remaining_tasks=3,
            failed_tasks=1,
            cursor=3,
            facts=b'{"b":1,"a":-0.0}',
            gaps=2,
        ),
        (run, "bare"): StepRow(
            run_id=run,
            slug="bare",
            generation=1,
            status=StepStatus.CREATED,
            remaining_dependencies=1,
            elements=None,
            remaining_tasks=None,
            failed_tasks=0,
            cursor=0,
            facts=None,
        ),
    }


async def test_a_task_is_loaded_as_it_stands(store: Persistence, flow: FlowRow) -> None:
    """A queued task has no token, no attempt and no holder."""
    run = await run_with_tasks(store, flow, priority=7)
    key = TaskKey(run, "pack", 1, 0)

    assert await look_at_task(store, key) == TaskRow(
        key=key,
        flow_id=flow.flow_id,
        status=TaskStatus.QUEUED,
        token=0,
        settled_token=0,
        attempts=0,
        losses=0,
        phase=TaskPhase.RUN,
        worker=None,
        lease_until=None,
        priority=7,
    )


async def test_what_does_not_exist_is_absent(store: Persistence, flow: FlowRow) -> None:
    """Missing runs, steps and tasks are left out of the answer; nothing is waited for."""
    run = await run_with_tasks(store, flow)
    there = TaskKey(run, "pack", 1, 0)

    async with store.transaction() as transaction:
        snapshot = await transaction.load(
            load_request(
                run,
                run_id(99),
                steps=[(run, "pack"), (run, "nothing"), (run_id(99), "pack")],
                tasks=[
                    there,
                    *keys(run, "pack", [1]),
                    *keys(run, "pack", [0], generation=2),
                    *keys(run_id(99), "a", [0]),
                ],
                wait=True,
            )
        )

    assert set(snapshot.runs) == {run}
    assert set(snapshot.steps) == {(run, "pack")}
    assert set(snapshot.tasks) == {there}


async def test_an_empty_request_is_answered_empty(store: Persistence, flow: FlowRow) -> None:
    """Loading nothing is no error."""
    async with store.transaction() as transaction:
        snapshot = await transaction.load(load_request())

    assert (snapshot.runs, snapshot.steps, snapshot.tasks) == ({}, {}, {})


async def test_only_what_was_asked_for_is_loaded(store: Persistence, flow: FlowRow) -> None:
    """Nothing is read per task of a step, only the named ones."""
    run = await run_with_tasks(store, flow, steps={"pack": 3, "ship": 1})

    snapshot = await look(store, run, steps=["ship"], tasks=keys(run, "pack", [1]))

    assert set(snapshot.steps) == {(run, "ship")}
    assert set(snapshot.tasks) == set(keys(run, "pack", [1]))


async def test_rows_of_runs_that_were_not_asked_for_are_left_out(store: Persistence, flow: FlowRow) -> None:
    """A step or task without its run's lock must not reach a decision."""
    mine = await run_with_tasks(store, flow, 1)
    other = await run_with_tasks(store, flow, 2)

    async with store.transaction() as transaction:
        snapshot = await transaction.load(
            load_request(
                mine,
                steps=[(mine, "pack"), (other, "pack")],
                tasks=[*keys(mine, "pack", [0]), *keys(other, "pack", [0])],
            )
        )

    assert set(snapshot.runs) == {mine}
    assert set(snapshot.steps) == {(mine, "pack")}
    assert set(snapshot.tasks) == set(keys(mine, "pack", [0]))


async def test_a_step_is_answered_in_its_highest_generation(store: Persistence, flow: FlowRow) -> None:
    """A rerun step hides its earlier rows, a kept one keeps its row."""
    run = await run_with_tasks(store, flow, steps={"kept": 1, "rerun": 1})
    await apply(
        store,
        run,
        Changes(
            new_steps=(step_write(run, "rerun", generation=2, elements=5), step_write(run, "rerun", generation=10))
        ),
    )

    snapshot = await look(store, run, steps=["kept", "rerun"])

    assert snapshot.steps[run, "kept"].generation == 1
    assert snapshot.steps[run, "rerun"].generation == 10


async def test_further_steps_are_read_under_the_same_lock(store: Persistence, flow: FlowRow) -> None:
    """`load_steps` reads dependents after the first load, in their highest generations, only of held runs."""
    run = await run_with_tasks(store, flow, 1, steps={"a": 1, "b": 1, "c": 1})
    other = await run_with_tasks(store, flow, 2, steps={"a": 1})
    await apply(store, run, Changes(new_steps=(step_write(run, "b", generation=2),)))

    async with store.transaction() as transaction:
        await transaction.load(load_request(run, steps=[(run, "a")]))
        further = await transaction.load_steps([(run, "b"), (run, "c"), (run, "missing"), (other, "a")])
        nothing = await transaction.load_steps([])

    assert {(step.run_id, step.slug, step.generation) for step in further} == {(run, "b", 2), (run, "c", 1)}
    assert list(nothing) == []


async def test_tasks_leased_to_a_worker_are_answered(store: Persistence, flow: FlowRow) -> None:
    """After an unknown commit a host finds what it holds: its own running tasks of these runs, nobody else's."""
    run = await run_with_tasks(store, flow, 1, steps={"mine": 2, "theirs": 1, "queued": 1})
    other = await run_with_tasks(store, flow, 2, steps={"mine": 1})
    await store.claim_tasks(task_claim(flow, worker="me", only=[*keys(run, "mine", [0, 1]), *keys(other, "mine", [0])]))
    await store.claim_tasks(task_claim(flow, worker="they", only=keys(run, "theirs", [0])))
    done = await look_at_task(store, TaskKey(run, "mine", 1, 1))
    mine = await store.read_tasks(run, step="mine")
    assert [task.worker for task in mine] == ["me", "me"]

    async with store.transaction() as transaction:
        snapshot = await transaction.load(load_request(run, leased_to="me"))

    assert sorted(task.key for task in snapshot.leased) == keys(run, "mine", [0, 1])
    assert done in snapshot.leased


async def test_settled_tasks_are_not_answered_as_leased(store: Persistence, flow: FlowRow) -> None:
    """Only running tasks are held by anybody, not those that completed or wait for their retry."""
    run = await run_with_tasks(store, flow, steps={"pack": 3})
    tasks = await claim_all(store, flow)
    done, again, held = keys(run, "pack", [0, 1, 2])
    await apply(store, run, Changes(tasks=(completed(tasks[done]), retried(tasks[again], ready_at=at(9)))))

    async with store.transaction() as transaction:
        snapshot = await transaction.load(load_request(run, leased_to="worker-1"))

    assert [task.key for task in snapshot.leased] == [held]


async def _half_done(store: Persistence, flow: FlowRow, number: int = 1) -> str:
    """A run whose map of six has elements 1, 3 and 4 completed, 0 failed, 2 queued again and 5 running."""
    run = await run_with_tasks(store, flow, number, steps={"pack": 6, "beside": 1})
    claimed = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", range(6))))
    by_element = {task.key.element: task for task in claimed}
    await apply(
        store,
        run,
        Changes(
            tasks=(
                failed(by_element[0]),
                retried(by_element[2], ready_at=at(60)),
                *(completed(by_element[element]) for element in (1, 3, 4)),
            )
        ),
    )
    return run


async def test_the_next_elements_of_a_map_are_those_that_are_completed(store: Persistence, flow: FlowRow) -> None:
    """In their order and at most as many as are wanted; a task that is not completed gives no element."""
    run = await _half_done(store, flow)
    everything, some, nothing = (elements_for(run, "ship", limit=limit) for limit in (100, 2, 0))

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        found = await transaction.load_elements([everything, some, nothing, some])

    assert {request: list(elements) for request, elements in found.items()} == {
        everything: [1, 3, 4],
        some: [1, 3],
        nothing: [],
    }


@pytest.mark.parametrize(("last", "expected"), [(1, [3, 4]), (3, [4]), (4, [])])
async def test_the_next_elements_of_a_map_are_behind_its_last_task(
    store: Persistence, flow: FlowRow, last: int, expected: list[int]
) -> None:
    """Whatever that task is at, and whatever the map's other generations have."""
    run = await _half_done(store, flow)
    await apply(
        store,
        run,
        Changes(
            new_steps=tuple(
                step_write(run, "ship", generation=generation, elements=6, remaining=3, cursor=1, gaps=3)
                for generation in (1, 2)
            ),
            new_tasks=(
                new_tasks(flow, run, "ship", first=last),
                new_tasks(flow, run, "ship", first=4, generation=2),
            ),
        ),
    )
    request = elements_for(run, "ship")

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        found = await transaction.load_elements([request])

    assert list(found[request]) == expected


async def test_elements_of_several_maps_are_loaded_at_once(store: Persistence, flow: FlowRow) -> None:
    """Each request is answered for its own run, source and generation."""
    one, two = [await _half_done(store, flow, number) for number in (1, 2)]
    (task,) = await store.claim_tasks(task_claim(flow, only=keys(two, "beside", [0])))
    await apply(
        store,
        two,
        Changes(
            tasks=(completed(task),),
            new_steps=(step_write(two, "ship", elements=6, remaining=3, cursor=1, gaps=3),),
            new_tasks=(new_tasks(flow, two, "ship", first=1),),
        ),
    )
    requests = [
        elements_for(one, "ship"),
        elements_for(two, "ship"),
        elements_for(two, "bill", source="beside"),
        elements_for(two, "bill", source_generation=2),
        elements_for(two, "bill", source="unheard-of"),
    ]

    async with store.transaction() as transaction:
        await transaction.load(load_request(one, two))
        found = await transaction.load_elements(requests)

    assert [list(found[request]) for request in requests] == [[1, 3, 4], [3, 4], [0], [], []]


async def test_elements_of_runs_that_are_not_held_are_left_out(store: Persistence, flow: FlowRow) -> None:
    """What nobody protects is not told."""
    held, other = [await _half_done(store, flow, number) for number in (1, 2)]
    wanted = [elements_for(run, "ship") for run in (other, run_id(9), "no uuid")]

    async with store.transaction() as transaction:
        await transaction.load(load_request(held))
        nothing = await transaction.load_elements(wanted)
        something = await transaction.load_elements([*wanted, elements_for(held, "ship")])
        at_all = await transaction.load_elements([])

    assert (dict(nothing), dict(at_all)) == ({}, {})
    assert list(something) == [elements_for(held, "ship")]
