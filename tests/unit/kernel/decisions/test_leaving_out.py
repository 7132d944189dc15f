"""Leaving out: the elements of a map that get no task, since the map below failed there or they are done already."""

from __future__ import annotations

from attrs import evolve
from msgspec.structs import replace

from fairlead.kernel.commands import RerunRun, Verdict
from fairlead.kernel.decisions.handover import NOBODY, HandOver
from fairlead.kernel.decisions.rerun import rerun_run
from fairlead.kernel.decisions.settle import settle_tasks
from fairlead.ports.records import ElementRequest, Snapshot
from fairlead.ports.statuses import RunStatus, TaskStatus
from tests.support.deciding import Deciding, capacity, flow, lengths, map_over
from tests.support.random_flows import completed, failed
from tests.support.records import START

TOLERANT = evolve(map_over("input", "each"), tolerate_failures=1)


def queued(deciding: Deciding, step: str) -> list[tuple[int, int]]:
    """The generation and element of a step's tasks that wait for a host."""
    tasks = [task for task in deciding.model.tasks.values() if task.status is TaskStatus.QUEUED]
    return sorted((task.key.generation, task.key.element) for task in tasks if task.key.step == step)


def test_a_map_has_no_tasks_where_the_map_below_has_no_outputs() -> None:
    """It asks which there are; one that has come to be in the same transaction nobody can have read yet."""
    deciding = Deciding(flow(TOLERANT, map_over("each", "after")), facts=lengths(input=4))
    first, second, third, fourth = deciding.claim_run(capacity(4)).claimed
    deciding.settle(completed(first), failed(second, retryable=False), completed(third))
    last = completed(fourth)

    lacking = settle_tasks(
        [last],
        deciding.everything([last]),
        deciding.plans,
        now=START,
        hand_over=HandOver(capacity(), START),
        absent=Verdict.STALE,
    )
    deciding.settle(last)

    assert lacking.elements == [
        ElementRequest(
            run_id=deciding.run,
            step="after",
            generation=1,
            retry_of=None,
            elements=4,
            source="each",
            source_generation=1,
            source_retry_of=None,
            limit=3,
        )
    ]
    assert queued(deciding, "after") == [(1, 0), (1, 2), (1, 3)]
    assert (deciding.step("after").gaps, deciding.step("after").elements) == (1, 4)


def test_a_map_that_is_retried_has_tasks_for_what_is_left() -> None:
    """What it has completed counts on, from the generation in which it was."""
    deciding = Deciding(flow(map_over("input", "each")), facts=lengths(input=4))
    first, second, third, _ = deciding.claim_run(capacity(4)).claimed
    deciding.settle(completed(first), completed(third), failed(second, retryable=False))
    command = RerunRun(run_id=deciding.run, steps=("each",), keep_elements=True)
    rows = deciding.model.snapshot([first.key], list(deciding.model.steps))

    def rerun(snapshot: Snapshot) -> list[ElementRequest]:
        settled = rerun_run(command, snapshot, deciding.plan, now=START, hand_over=HandOver(NOBODY, START))
        if settled.complete:
            deciding.model.apply(settled.changes.frozen())
        return settled.elements

    asked = rerun(rows)
    again = rerun(replace(rows, elements={request: deciding.model.elements(request) for request in asked}))

    assert asked == [
        ElementRequest(run_id=deciding.run, step="each", generation=2, retry_of=1, elements=4, source=None, limit=2)
    ]
    assert again == []
    assert queued(deciding, "each") == [(2, 1), (2, 3)]
    assert (deciding.step("each").kept, deciding.step("each").retry_of) == (2, 1)
    assert deciding.row.status is RunStatus.RUNNING
