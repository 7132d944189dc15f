"""Persistence: runs that begin anew, and maps of which only some elements do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.errors import CorruptionError
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import GenerationRecord, OutputPage, OutputRequest
from fairlead.ports.records import ElementRequest, FlowRow, TaskKey
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.records import (
    START,
    at,
    attempt,
    cancellation,
    completed,
    elements_for,
    events,
    failed,
    keys,
    load_request,
    new_tasks,
    rerun,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import apply, complete_run, look_at_run, look_at_step, run_with_tasks

ERROR = b'{"type":"ValueError"}'
DONE = b'"done"'


async def failed_map(store: Persistence, flow: FlowRow) -> str:
    """A run that failed with its map of six: 0, 2 and 5 are completed, 4 has failed, 1 and 3 were cancelled."""
    run = await run_with_tasks(store, flow, steps={"pack": 6})
    wanted = keys(run, "pack", [0, 2, 4, 5])
    tasks = {task.key.element: task for task in await store.claim_tasks(task_claim(flow, only=wanted))}
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.FAILED, next_sequence=6, remaining_steps=1, ended_at=at(5), error=ERROR),),
            steps=(
                step_write(
                    run,
                    status=StepStatus.FAILED,
                    elements=6,
                    remaining=2,
                    failed=1,
                    cursor=6,
                    facts=b"1",
                    ended_at=at(5),
                ),
            ),
            tasks=(
                *(completed(tasks[element], output=b'"old %d"' % element) for element in (0, 2, 5)),
                failed(tasks[4]),
            ),
            attempts=(attempt(tasks[4]),),
            cancellations=(cancellation(run),),
            events=(events(run, 4, [("step.failed", {"step": "pack"}), "run.failed"]),),
        ),
    )
    return run


async def retry(store: Persistence, flow: FlowRow, run: str) -> None:
    """Its elements that are not completed run again."""
    await apply(
        store,
        run,
        Changes(
            reruns=(rerun(run, next_sequence=8, started_at=at(7)),),
            new_steps=(
                step_write(
                    run,
                    generation=2,
                    elements=6,
                    remaining=3,
                    cursor=3,
                    retry_of=1,
                    kept=3,
                    facts=b"1",
                    started_at=at(7),
                ),
            ),
            new_tasks=(
                new_tasks(flow, run, generation=2, first=1),
                new_tasks(flow, run, generation=2, first=3, count=2),
            ),
            events=(events(run, 6, ["run.started", ("step.started", {"step": "pack"})], generation=2),),
        ),
    )


async def retry_completed(store: Persistence, flow: FlowRow, run: str) -> None:
    """The retry completes, though element 4 has failed again."""
    wanted = keys(run, "pack", [1, 3, 4], generation=2)
    tasks = {task.key.element: task for task in await store.claim_tasks(task_claim(flow, only=wanted))}
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.COMPLETED, next_sequence=10, ended_at=at(9)),),
            steps=(
                step_write(
                    run,
                    generation=2,
                    status=StepStatus.COMPLETED,
                    elements=6,
                    remaining=0,
                    failed=1,
                    cursor=3,
                    ended_at=at(9),
                ),
            ),
            tasks=(*(completed(tasks[each], output=b'"new %d"' % each) for each in (1, 3)), failed(tasks[4])),
            attempts=(attempt(tasks[4]),),
            events=(events(run, 8, [("step.completed", {"step": "pack"}), "run.completed"], generation=2),),
        ),
    )


OUTPUTS: Mapping[int, bytes | None] = {
    0: b'"old 0"',
    1: b'"new 1"',
    2: b'"old 2"',
    3: b'"new 3"',
    4: None,
    5: b'"old 5"',
}


async def test_a_run_begins_anew(store: Persistence, flow: FlowRow) -> None:
    """Everything of its end is cleared, and kept among its generations; it is what it was started as."""
    run = await failed_map(store, flow)
    before = await store.read_run(run)

    await retry(store, flow, run)

    after = await store.read_run(run)
    assert before is not None
    assert after is not None
    assert (after.status, after.generation, after.started_at) == (RunStatus.RUNNING, 2, at(7))
    assert (after.ended_at, after.reason, after.error) == (None, None, None)
    assert (after.next_sequence, after.remaining_steps) == (8, 1)
    assert (after.created_at, after.fingerprint) == (before.created_at, before.fingerprint)
    assert list(await store.read_generations(run)) == [
        GenerationRecord(
            run_id=run,
            generation=1,
            status=RunStatus.FAILED,
            started_at=START,
            ended_at=at(5),
            reason=None,
            error=ERROR,
        )
    ]
    assert await store.check_invariants() == {}


async def test_a_run_may_end_as_it_begins_anew(store: Persistence, flow: FlowRow) -> None:
    """Where nothing is left to do, the new generation has its end from its beginning."""
    run = await complete_run(store, flow)

    await apply(
        store,
        run,
        Changes(
            reruns=(rerun(run, status=RunStatus.COMPLETED, next_sequence=9, remaining_steps=0, ended_at=at(3)),),
            new_steps=(
                step_write(
                    run, generation=2, status=StepStatus.COMPLETED, elements=0, remaining=0, cursor=0, ended_at=at(3)
                ),
            ),
            events=(
                events(run, 6, ["run.started", ("step.completed", {"step": "pack"}), "run.completed"], generation=2),
            ),
        ),
    )

    record = await store.read_run(run)
    assert record is not None
    assert (record.status, record.generation, record.ended_at) == (RunStatus.COMPLETED, 2, at(3))
    assert await store.check_invariants() == {}


async def test_a_run_that_was_never_rerun_has_left_no_generation(store: Persistence, flow: FlowRow) -> None:
    """Nor has one that does not exist."""
    run = await complete_run(store, flow)

    assert list(await store.read_generations(run)) == []
    assert list(await store.read_generations("no run")) == []


@pytest.mark.parametrize("generation", [1, 3])
async def test_only_the_next_generation_can_begin(store: Persistence, flow: FlowRow, generation: int) -> None:
    """The guard is the generation that the run ended in."""
    run = await failed_map(store, flow)
    before = await look_at_run(store, run)

    with pytest.raises(CorruptionError):
        await apply(store, run, Changes(reruns=(rerun(run, generation, next_sequence=6),)))

    assert await look_at_run(store, run) == before
    assert list(await store.read_generations(run)) == []


async def test_a_live_run_does_not_begin_anew(store: Persistence, flow: FlowRow) -> None:
    """The guard is that the run has ended."""
    run = await run_with_tasks(store, flow)

    with pytest.raises(CorruptionError):
        await apply(store, run, Changes(reruns=(rerun(run, next_sequence=4),)))

    assert (await look_at_run(store, run)).status is RunStatus.RUNNING


async def test_a_retried_step_is_loaded_with_what_it_keeps(store: Persistence, flow: FlowRow) -> None:
    """Since which generation it counts, and how many elements it had."""
    run = await failed_map(store, flow)
    await retry(store, flow, run)

    step = await look_at_step(store, run)
    records = {record.generation: record for record in await store.read_steps(run)}

    assert (step.generation, step.retry_of, step.kept, step.remaining_tasks) == (2, 1, 3, 3)
    assert step.facts == b"1"
    assert (records[1].retry_of, records[1].kept) == (None, 0)
    assert (records[2].retry_of, records[2].kept) == (1, 3)


async def test_outputs_of_a_retried_map_are_of_several_generations(store: Persistence, flow: FlowRow) -> None:
    """Element i is what one of them has completed; one that failed again has none. Nothing is there before its end."""
    run = await failed_map(store, flow)
    whole = OutputRequest(run, "pack")
    single = [OutputRequest(run, "pack", element) for element in OUTPUTS]
    await retry(store, flow, run)
    during = (await store.read_payloads([], [whole])).outputs[whole]
    await retry_completed(store, flow, run)

    found = (await store.read_payloads([], [whole, *single])).outputs

    assert (during.generation, list(during.outputs)) == (2, [])
    assert (found[whole].generation, found[whole].elements) == (2, 6)
    assert list(found[whole].outputs) == list(OUTPUTS.values())
    assert [list(found[each].outputs) for each in single] == [[output] for output in OUTPUTS.values()]
    assert await store.check_invariants() == {}


@pytest.mark.parametrize("first", range(7))
@pytest.mark.parametrize("limit", [1, 3, 10])
@pytest.mark.parametrize("size_bytes_max", [1, 14, 1_000])
async def test_pages_of_a_retried_map_are_those_of_its_outputs(
    store: Persistence, flow: FlowRow, first: int, limit: int, size_bytes_max: int
) -> None:
    """As many as fit, whatever generation has them."""
    run = await failed_map(store, flow)
    await retry(store, flow, run)
    await retry_completed(store, flow, run)

    page = await store.read_output_page(
        OutputPage(run_id=run, step="pack", first=first, limit=limit, size_bytes_max=size_bytes_max)
    )

    expected: list[bytes | None] = []
    for element in range(first, min(first + limit, 6)):
        size_bytes = sum(len(each or b"") for each in [*expected, OUTPUTS[element]])
        if expected and size_bytes > size_bytes_max:
            break
        expected.append(OUTPUTS[element])
    assert page is not None
    assert (page.generation, page.status, page.elements) == (2, StepStatus.COMPLETED, 6)
    assert list(page.outputs) == expected


async def test_a_step_that_begins_anew_forgets_what_a_retry_had_kept(store: Persistence, flow: FlowRow) -> None:
    """Only the generations that a step names count: those before are history, whatever they had completed."""
    run = await failed_map(store, flow)
    await retry(store, flow, run)
    await retry_completed(store, flow, run)
    await apply(
        store,
        run,
        Changes(
            reruns=(rerun(run, 3, next_sequence=12),),
            new_steps=(step_write(run, generation=3, elements=6, remaining=6, started_at=START),),
            new_tasks=(new_tasks(flow, run, generation=3, count=6),),
            events=(events(run, 10, ["run.started", ("step.started", {"step": "pack"})], generation=3),),
        ),
    )
    tasks = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", range(5), generation=3)))
    sixth = await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [5], generation=3)))
    await apply(
        store,
        run,
        Changes(
            runs=(run_update(run, RunStatus.COMPLETED, next_sequence=14, ended_at=at(11)),),
            steps=(
                step_write(
                    run,
                    generation=3,
                    status=StepStatus.COMPLETED,
                    elements=6,
                    remaining=0,
                    failed=1,
                    cursor=6,
                    ended_at=at(11),
                ),
            ),
            tasks=(*(completed(task) for task in tasks), failed(sixth[0])),
            attempts=(attempt(sixth[0]),),
            events=(events(run, 12, [("step.completed", {"step": "pack"}), "run.completed"], generation=3),),
        ),
    )
    whole = OutputRequest(run, "pack")

    found = (await store.read_payloads([], [whole])).outputs[whole]

    assert (found.generation, list(found.outputs)) == (3, [DONE] * 5 + [None])
    assert [each.generation for each in await store.read_generations(run)] == [1, 2]
    assert await store.check_invariants() == {}


async def elements_of(store: Persistence, run: str, *requests: ElementRequest) -> list[list[int]]:
    """The answers to some requests."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(run, wait=True))
        found = await transaction.load_elements(requests)
    return [list(found[request]) for request in requests]


async def test_what_is_left_of_a_map_is_told(store: Persistence, flow: FlowRow) -> None:
    """All elements but those that it has completed, behind the last that has a task in the new generation."""
    run = await failed_map(store, flow)
    left = elements_for(run, "pack", source=None, generation=2, retry_of=1)
    few = elements_for(run, "pack", source=None, generation=2, retry_of=1, limit=2)
    none = elements_for(run, "pack", source=None, generation=2)

    before = await elements_of(store, run, left, few, none)
    await apply(
        store,
        run,
        Changes(
            reruns=(rerun(run, next_sequence=8),),
            new_steps=(
                step_write(run, generation=2, elements=6, remaining=3, cursor=1, retry_of=1, kept=3, started_at=START),
            ),
            new_tasks=(new_tasks(flow, run, generation=2, first=1),),
            events=(events(run, 6, ["run.started", ("step.started", {"step": "pack"})], generation=2),),
        ),
    )

    assert before == [[1, 3, 4], [1, 3], [0, 1, 2, 3, 4, 5]]
    assert await elements_of(store, run, left, few) == [[3, 4], [3, 4]]


async def test_elements_of_a_retried_source_are_of_all_generations_that_count(
    store: Persistence, flow: FlowRow
) -> None:
    """A map over a retried one finds what any of its generations has completed, less what it has itself."""
    run = await failed_map(store, flow)
    await retry(store, flow, run)
    await retry_completed(store, flow, run)
    over = elements_for(run, "ship", generation=2, source_generation=2, source_retry_of=1)
    newest = elements_for(run, "ship", generation=2, source_generation=2)
    less = elements_for(run, "pack", generation=3, retry_of=2, source_generation=2, source_retry_of=1)

    found = await elements_of(store, run, over, newest, less)

    assert found == [[0, 1, 2, 3, 5], [1, 3], [0, 2, 5]]


async def test_late_results_of_an_old_generation_find_their_task_ended(store: Persistence, flow: FlowRow) -> None:
    """Its tasks have keys of their own, and stay as they were."""
    run = await failed_map(store, flow)
    await retry(store, flow, run)

    async with store.transaction() as transaction:
        found = await transaction.load(load_request(run, tasks=keys(run, "pack", range(6)), wait=True))

    statuses = [found.tasks[TaskKey(run, "pack", 1, element)].status for element in range(6)]
    assert statuses == [
        TaskStatus.COMPLETED,
        TaskStatus.CANCELLED,
        TaskStatus.COMPLETED,
        TaskStatus.CANCELLED,
        TaskStatus.FAILED,
        TaskStatus.COMPLETED,
    ]
