"""What a rerun or retry should do, worked out anew from the model's rows: by asking each step, not by going on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fairlead.kernel.commands import RerunRun
from fairlead.kernel.errors import NothingToRerun, RunNotEnded
from fairlead.kernel.plan import Plan
from fairlead.ports.errors import UsageError
from fairlead.ports.statuses import TERMINAL_RUN, StepStatus, TaskStatus

from .model import Model

Restart: TypeAlias = tuple[tuple[str, ...], Mapping[str, int]]
"""The slugs of the steps that begin anew, in order of definition, and how many elements of retried maps run again."""

SETTLED = {StepStatus.COMPLETED, StepStatus.SKIPPED}


def expected_restart(model: Model, plan: Plan, command: RerunRun) -> Restart | type[UsageError]:
    """What becomes of a rerun, or the class of its refusal."""
    run = model.runs[command.run_id]
    if run.status not in TERMINAL_RUN:
        return RunNotEnded
    rows = {slug: model.steps.get((run.id, slug)) for slug in plan.steps}

    def is_unsettled(slug: str) -> bool:
        row = rows[slug]
        return row is None or row.status not in SETTLED

    def begins_anew(slug: str) -> bool:
        return slug in command.steps or is_unsettled(slug) or waits_for_one(slug)

    def waits_for_one(slug: str) -> bool:
        return any(begins_anew(name) for name in plan.steps[slug].dependencies)

    def has_failed(slug: str) -> bool:
        row = rows[slug]
        return row is None or any(task.status is TaskStatus.FAILED for task in model.tasks_of(row))

    if command.keep_elements and any(not is_unsettled(slug) and not has_failed(slug) for slug in command.steps):
        return NothingToRerun
    anew = tuple(slug for slug in plan.steps if begins_anew(slug))
    if not anew:
        return NothingToRerun
    left: dict[str, int] = {}
    for slug in anew:
        row = rows[slug]
        if command.keep_elements and plan.is_map(slug) and not waits_for_one(slug) and row is not None:
            done = [*model.kept_elements(row), *model.completed(run.id, slug, [row.generation])]
            if done:
                left[slug] = (row.elements or 0) - row.gaps - len(done)
    return anew, left
