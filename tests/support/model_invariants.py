"""The invariants of FAULTS as questions to the model's rows. Each counts anew what the decisions keep as counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from fairlead.kernel.plan import Plan
from fairlead.kernel.transitions import RUN_TRANSITIONS, STEP_TRANSITIONS, TASK_TRANSITIONS
from fairlead.ports.records import StepRow, TaskRow
from fairlead.ports.statuses import (
    LIVE_STEP,
    LIVE_TASK,
    TERMINAL_RUN,
    TERMINAL_STEP,
    TERMINAL_TASK,
    RunStatus,
    StepStatus,
    TaskStatus,
)

from .model import Model
from .model_readiness import Readiness
from .model_waits import check_deadline, check_waits

Status = TypeVar("Status", bound=StrEnum)

TERMINAL_EVENTS = {
    RunStatus.COMPLETED: "run.completed",
    RunStatus.FAILED: "run.failed",
    RunStatus.CANCELLED: "run.cancelled",
}
STEP_EVENTS = {
    StepStatus.COMPLETED: "step.completed",
    StepStatus.FAILED: "step.failed",
    StepStatus.SKIPPED: "step.skipped",
}
AT_WORK = {StepStatus.RUNNING, StepStatus.SUSPENDED}
SETTLED = {StepStatus.COMPLETED, StepStatus.SKIPPED}


def check_rows(model: Model, plans: Mapping[int, Plan]) -> None:
    """I1, I3, I8, I10 to I15, I17 to I19, I23 and I25 to I27, for all runs."""
    settled = [lease for lease, _ in model.outcomes]
    assert len(settled) == len(set(settled)), "I3: two outcomes under one token"
    assert not set(settled) & set(model.lost), "I3: an outcome under a token that was lost"
    for run_id, run in model.runs.items():
        steps = {slug: step for (of, slug), step in model.steps.items() if of == run_id}
        tasks = [task for key, task in model.tasks.items() if key.run_id == run_id]
        plan = plans[run.flow_id]
        assert set(steps) in (set(), set(plan.steps)), "a claim inserts every step, or none where it fails"
        for slug, step in steps.items():
            mine = model.tasks_of(step)
            _check_step(plan, steps, slug, mine, run.status)
            _check_elements(model, plan, steps, slug, run.status)
            _check_step_events(model, step)
            check_waits(model, plan, run, step, mine)
            failed = sum(task.status is TaskStatus.FAILED for task in mine)
            Readiness(plan, run, steps, partial(_why_skipped, model)).check(slug, _why_skipped(model, step), failed)
        for task in tasks:
            _check_task(model, plan, task)
        for step in (step for (of, _, _), step in model.past.items() if of == run_id):
            assert step.status in TERMINAL_STEP, "I1: what is over is terminal"
            _check_step_events(model, step)
        _check_run(model, run_id, list(steps.values()), tasks)
        check_deadline(model, plan, run)


def check_changed(before: Model, after: Model) -> None:
    """I1, I2 and I5: what a transaction made of rows that were there."""
    for run_id, run in before.runs.items():
        begins_anew = after.runs[run_id].generation != run.generation
        assert not begins_anew or run.status in TERMINAL_RUN, "I1"
        status = RunStatus.PENDING if begins_anew else run.status
        once = _next(RUN_TRANSITIONS, {status})
        # A run whose steps are all empty maps is claimed and completed in one transaction.
        assert after.runs[run_id].status in {status} | once | _next(RUN_TRANSITIONS, once)
    for place, past in before.past.items():
        assert after.past[place] == past, "I1"
    for name, step in before.steps.items():
        if after.steps[name].generation != step.generation:
            assert after.past[(*name, step.generation)] == step, "I1: the old row stays as it was"
            continue
        after_one = _next(STEP_TRANSITIONS, {step.status})
        # What is ready waits, or its wait is over, in the transaction in which it starts or is resumed.
        at_once = {StepStatus.SUSPENDED, StepStatus.COMPLETED} if StepStatus.RUNNING in after_one else set[StepStatus]()
        assert after.steps[name].status in {step.status} | after_one | at_once
    for key, task in before.tasks.items():
        once_or_twice = _next(TASK_TRANSITIONS, {task.status})
        # A task that goes back to its queue is cancelled at once where another one ends the run.
        once_or_twice |= _next(TASK_TRANSITIONS, once_or_twice - {TaskStatus.RUNNING})
        assert after.tasks[key].status in {task.status} | once_or_twice
        assert after.tasks[key].token >= task.token
        assert after.tasks[key].settled_token >= task.settled_token


def _next(table: Mapping[tuple[Status, Any], Status], statuses: Set[Status]) -> set[Status]:
    return {after for (before, _), after in table.items() if before in statuses}


def _check_step(
    plan: Plan, steps: Mapping[str, StepRow], slug: str, tasks: list[TaskRow], run_status: RunStatus
) -> None:
    step = steps[slug]
    terminal = sum(task.status in TERMINAL_TASK for task in tasks)
    remaining = None if step.elements is None else step.elements - step.gaps - step.kept - terminal
    failed = sum(task.status is TaskStatus.FAILED for task in tasks)
    open_dependencies = sum(steps[each].status not in SETTLED for each in plan.steps[slug].dependencies)
    if run_status is RunStatus.RUNNING and step.status in LIVE_STEP | {StepStatus.COMPLETED}:
        assert step.remaining_tasks == remaining, "I11: remaining tasks"
        assert step.failed_tasks == failed, "I11: failed tasks"
        assert step.remaining_dependencies == open_dependencies, "I12"
        assert step.status not in AT_WORK or step.remaining_tasks, "I14: nothing left, and not completed"
        assert step.status is not StepStatus.CREATED or open_dependencies, "I14: ready, and not started"
    if step.status is StepStatus.COMPLETED:
        assert step.remaining_tasks == remaining == 0, "I14"
        assert {task.status for task in tasks} <= {TaskStatus.COMPLETED, TaskStatus.FAILED}, "I14"
        assert failed <= plan.steps[slug].tolerated(step.elements or 0), "I14: more failures than are tolerated"
    if tasks:
        assert not open_dependencies, "I10"
    window = plan.steps[slug].max_concurrency
    live = sum(task.status in LIVE_TASK for task in tasks)
    assert window is None or live <= window, "more tasks than max_concurrency"
    if step.status in AT_WORK and remaining is not None:
        assert live == min(window or live, remaining), "a window that is not full"


def _check_elements(model: Model, plan: Plan, steps: Mapping[str, StepRow], slug: str, run_status: RunStatus) -> None:
    """I11 and I16: a map's tasks are for its first elements, but for those that its source has not made, and those that
    it has itself, of an earlier generation."""
    step, source = steps[slug], plan.steps[slug].source
    missing: set[int] = set()
    if source is not None and plan.is_map(source.name) and step.elements is not None:
        below = steps[source.name]
        now = model.completed(step.run_id, source.name, [below.generation])
        missing = set(range(step.elements)) - {*now, *model.kept_elements(below)}
    kept = model.kept_elements(step)
    assert len(kept) == len(set(kept)), "I16: an element that was completed twice"
    found = sorted(task.key.element for task in model.tasks_of(step))
    wanted = [element for element in range(step.elements or 0) if element not in {*missing, *kept}]
    assert step.gaps == len(missing), "I11: gaps"
    if step.elements is not None:
        assert step.kept == len(kept), "I11: what is kept"
    assert found == wanted[: len(found)], "I16"
    if run_status in (RunStatus.RUNNING, RunStatus.COMPLETED):
        assert step.cursor == len(found), "I11: the cursor"


def _check_step_events(model: Model, step: StepRow) -> None:
    events = model.told(step.run_id, step.generation)
    told = Counter(event["type"] for event in events if event.get("step") == step.slug)
    for status, name in STEP_EVENTS.items():
        assert told[name] == (step.status is status), f"I17: {name} of {step.slug}"
    started = (step.run_id, step.slug, step.generation) in model.started
    assert told["step.started"] == started, "I18: step.started"


def _why_skipped(model: Model, step: StepRow) -> str | None:
    events = model.told(step.run_id, step.generation)
    told = (event for event in events if event["type"] == "step.skipped" and event["step"] == step.slug)
    return next((event["reason"] for event in told), None)


def _check_task(model: Model, plan: Plan, task: TaskRow) -> None:
    assert task.attempts <= plan.steps[task.key.step].max_attempts, "I8"
    token, before = model.phases.get(task.key, (0, 0))
    given_back = sum(lease.key == task.key for lease in model.released) - before
    unclaimed = task.key in model.outputs or task.key in model.timed_out
    assert task.attempts == task.token - token - given_back - unclaimed, (
        "I8: each claim is an attempt, but those given back"
    )
    assert task.losses == sum(lease.key == task.key for lease in model.lost)
    endings = [status for lease, status in model.outcomes if lease.key == task.key and status in TERMINAL_TASK]
    ended_by_loss = any(lease == (task.key, task.token) for lease in model.lost) and task.status is TaskStatus.FAILED
    by_itself = task.status in {TaskStatus.COMPLETED, TaskStatus.FAILED} and not ended_by_loss
    assert len(endings) == by_itself, "I3"
    assert task.settled_token <= task.token, "I4"
    assert task.status is not TaskStatus.RUNNING or task.lease_until is not None, "I6"
    kept = sum(attempt.key == task.key for attempt in model.attempts)
    retried = sum(
        event["type"] == "task.retrying" and (event["step"], event["element"]) == (task.key.step, task.key.element)
        for event in model.told(task.key.run_id, task.key.generation)
    )
    ended_by_one = task.status is TaskStatus.FAILED and task.key not in model.timed_out
    assert kept == retried + ended_by_one, "I18: all but the last attempt were retried"


def _check_run(model: Model, run_id: str, steps: list[StepRow], tasks: list[TaskRow]) -> None:
    run = model.runs[run_id]
    live = sum(step.status in LIVE_STEP for step in steps)
    everything = [event["type"] for event in model.events[run_id]]
    assert run.next_sequence == len(everything) + 1, "I19"
    assert everything[0] == "run.created"
    assert everything.count("run.created") == 1
    generations = [event["generation"] for event in model.events[run_id]]
    assert generations == sorted(generations), "a generation that went on after the next had begun"
    left = {generation: status for (of, generation), status in model.left.items() if of == run_id}
    assert sorted(left) == list(range(1, run.generation)), "I1: how it ended in each generation that it has left"
    for generation, status in left.items():
        types = [event["type"] for event in model.told(run_id, generation)]
        assert types[-1] == TERMINAL_EVENTS[status], "I17"
        assert sum(name in types for name in TERMINAL_EVENTS.values()) == 1, "I17"
    told = [event["type"] for event in model.told(run_id, run.generation)]
    begins = 1 if run.generation == 1 else 0
    assert told.count("run.started") == (len(told) > begins and told[begins] == "run.started")
    assert run.generation == 1 or told[0] == "run.started", "I18: a rerun begins at once"
    if run.status is RunStatus.RUNNING:
        assert run.remaining_steps == live > 0, "I13, I15"
        assert not any(step.status is StepStatus.FAILED for step in steps), "I15"
    for status, name in TERMINAL_EVENTS.items():
        assert told.count(name) == (run.status is status), f"I17: {name}"
    if run.status in TERMINAL_RUN:
        assert told[-1] == TERMINAL_EVENTS[run.status], "I17: nothing after the end"
        assert all(step.status in TERMINAL_STEP for step in steps), "I25"
        assert all(task.status in TERMINAL_TASK for task in tasks), "I25"
    if run.status is RunStatus.COMPLETED:
        assert {step.status for step in steps} <= SETTLED, "I15"
        assert run.remaining_steps == 0
