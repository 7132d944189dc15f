"""Rerunning: a run that has ended begins anew in its next generation, from the steps that are to be done again.

What begins anew: the steps that were named, every step that was neither completed nor skipped, and whatever depends on
one of these, directly or not. It gets new rows in the new generation, and so do its tasks, in time. All other steps
keep their rows, and their outputs count on. A step that stays skipped, and was skipped with all that depends on it,
takes that along again: what begins anew ends no other way than it would have. Nothing of the old generation is live,
since the run had ended; what still comes of it is addressed to tasks that are terminal.

A map may keep what it has completed: then its new row names the generation since which its completed tasks count, and
there are new tasks only for its other elements. That is only done where nothing before the map begins anew, so that
its elements are what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from ...ports.records import RunRow, Snapshot, StepRow
from ...ports.statuses import SETTLED_WELL, TERMINAL_RUN, StepStatus
from ..commands import RerunRun, RestartedRun
from ..errors import NothingToRerun, RunNotEnded
from ..facts import NEVER_LOOKED_AT
from ..plan import Plan
from .handover import HandOver
from .progress import RunProgress
from .readiness import takes_along
from .settled import Settled, steps_by_run
from .state import NotLoaded, RunState, StepState, loaded_steps


def restart_of(command: RerunRun, run: RunRow, steps: Mapping[str, StepRow], plan: Plan) -> RestartedRun:
    """What a rerun does to a run, told before it is done.

    Args:
        command: the rerun; its steps are steps of the flow.
        run: as locked.
        steps: all that have rows, by slug, each in its highest generation.
        plan: of the run.

    Raises:
        RunNotEnded: the run is not over.
        NothingToRerun: no step would begin anew, or nothing has failed of one that was named.
    """
    if run.status not in TERMINAL_RUN:
        raise RunNotEnded(run_id=run.id, status=run.status)
    if run.facts == NEVER_LOOKED_AT:
        raise NothingToRerun(run_id=run.id, status=run.status, withdrawn=True)
    if command.keep_elements:
        for slug in command.steps:
            if slug in steps and not _has_failed(steps[slug]):
                raise NothingToRerun(run_id=run.id, status=run.status, step=slug)
    anew = {state.slug: state for state in _states(command, run, steps, plan) if state.is_new}
    if not anew:
        tolerated = {slug: steps[slug].failed_tasks for slug in plan.steps if steps[slug].failed_tasks}
        raise NothingToRerun(run_id=run.id, status=run.status, failed=tolerated)
    kept = {slug: steps[slug] for slug, state in anew.items() if state.retry_of is not None}
    return RestartedRun(
        run_id=run.id,
        found=run.status,
        generation=run.generation + 1,
        steps=tuple(anew),
        elements={slug: (row.elements or 0) - row.gaps - _completed(row) for slug, row in kept.items()},
        took_effect=not command.dry_run,
    )


def rerun_run(command: RerunRun, snapshot: Snapshot, plan: Plan, *, now: datetime, hand_over: HandOver) -> Settled:
    """Begin a run anew that `restart_of` has found fit for it.

    Args:
        command: the rerun.
        snapshot: the run, as locked, and all of its steps.
        plan: of the run.
        now: the time of the transaction.
        hand_over: of nobody: all first tasks are queued.
    """
    settled = Settled()
    row = snapshot.runs[command.run_id]
    states = {state.slug: state for state in _states(command, row, steps_by_run(snapshot).get(row.id, {}), plan)}
    run = RunState.anew(row, sum(state.is_new for state in states.values()))
    try:
        progress = RunProgress(
            plan,
            run,
            states,
            now=now,
            hand_over=hand_over,
            elements=snapshot.elements,
            signals=snapshot.signals.get(row.id),
        )
        progress.claim(_sweeping(plan, row, states))
        progress.write(settled.changes)
    except NotLoaded as lack:
        settled.ask(row.id, lack)
    return settled


def _states(command: RerunRun, run: RunRow, rows: Mapping[str, StepRow], plan: Plan) -> Iterator[StepState]:
    """Every step as the new generation begins, in order of definition: what it depends on comes before it."""
    generation = run.generation + 1
    loaded = loaded_steps(rows)
    anew: set[str] = set()
    for slug, step in plan.steps.items():
        row = rows.get(slug)
        awaited = sum(name in anew for name in step.dependencies)
        if row is not None and row.status in SETTLED_WELL and slug not in command.steps and not awaited:
            yield loaded[slug]
            continue
        anew.add(slug)
        state = StepState(slug, generation, StepStatus.CREATED, awaited, is_new=True)
        if row is not None and command.keep_elements and plan.is_map(slug) and not awaited and _completed(row):
            state.retry_of = row.generation if row.retry_of is None else row.retry_of
            state.kept = _completed(row)
            state.facts = row.facts
            state.has_new_facts = row.facts is not None
        yield state


def _sweeping(plan: Plan, run: RunRow, states: Mapping[str, StepState]) -> list[StepState]:
    """The steps that stay skipped, and with them all that depends on them, whoever asks for it to begin anew."""
    kept = [state for state in states.values() if state.status is StepStatus.SKIPPED]
    return [state for state in kept if takes_along(plan, state.slug, run.facts, states)]


def _has_failed(row: StepRow) -> bool:
    """Whether something of a step is left to be retried: failures that were tolerated, or that skipped it, count."""
    return bool(row.failed_tasks) or row.status not in SETTLED_WELL


def _completed(row: StepRow) -> int:
    """How many elements of a map have outputs. One that was cut short has its counters as they were then."""
    if row.elements is None or row.remaining_tasks is None:
        return 0
    return row.elements - row.gaps - row.remaining_tasks - row.failed_tasks
