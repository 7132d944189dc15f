"""What becomes of a step whose dependencies are all settled: whether it runs, and if not, why and what follows."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from ...ports.statuses import StepStatus
from ..conditions import is_met
from ..facts import NULL, facts_of, joined_facts, map_matches, value_matches
from ..plan import INPUT, Consequence, Pattern, Plan, StepKind
from .state import StepState

CONDITION_UNMET = "condition_unmet"
DEPENDENCY_SKIPPED = "dependency_skipped"


@frozen
class Hindrance:
    """Why a step does not run."""

    reason: str
    consequence: Consequence


def hindrance(plan: Plan, slug: str, input_facts: bytes | None, steps: Mapping[str, StepState]) -> Hindrance | None:
    """Tell what keeps a step from running.

    Looked at in this order: dependencies that must have run, the branches that the step stands in, its own condition.

    Args:
        plan: of the run.
        slug: the step, all of whose dependencies are settled.
        input_facts: of the run's input.
        steps: at least those that the step requires and that its conditions name.

    Returns:
        None where nothing does.
    """
    step = plan.steps[slug]
    if step.is_unconditional:
        return None
    if any(steps[name].status is StepStatus.SKIPPED for name in step.requires):
        return Hindrance(DEPENDENCY_SKIPPED, Consequence.SKIP)

    def answer(pattern: Pattern) -> bool:
        if pattern.name == INPUT:
            return value_matches(plan.questions[INPUT], input_facts, pattern.document)
        return contains_pattern(plan, steps[pattern.name], pattern)

    if not all(is_met(branch, answer) for branch in step.branches):
        return Hindrance(CONDITION_UNMET, Consequence.SKIP)
    if step.condition is not None and not is_met(step.condition, answer):
        return Hindrance(CONDITION_UNMET, step.on_unmet)
    return None


def takes_along(plan: Plan, slug: str, input_facts: bytes | None, steps: Mapping[str, StepState]) -> bool:
    """Whether a step that was skipped took along all that depends on it.

    What was skipped with another one says nothing of its own; the other one does.

    Args:
        plan: of the run.
        slug: the step, which is skipped.
        input_facts: of the run's input.
        steps: at least those that the step requires and that its conditions name.
    """
    step = plan.steps[slug]
    hindered = hindrance(plan, slug, input_facts, steps)
    if hindered is not None:
        return hindered.consequence is Consequence.SKIP_CASCADE
    given_up = step.on_timeout if step.kind is StepKind.SIGNAL else step.on_exhausted
    return given_up is Consequence.SKIP_CASCADE


def contains_pattern(plan: Plan, step: StepState, pattern: Pattern) -> bool:
    """Whether the output of a settled step contains a pattern; that of a skipped one contains nothing."""
    if step.status is not StepStatus.COMPLETED:
        return False
    questions = plan.questions[pattern.name]
    if not plan.is_map(pattern.name):
        return value_matches(questions, step.facts, pattern.document)
    nulls = facts_of(questions, NULL) if step.failed_tasks or step.gaps else None
    return map_matches(questions, joined_facts(step.facts, nulls), pattern.document)
