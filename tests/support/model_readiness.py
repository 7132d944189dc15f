"""Why steps of the model ran or did not, worked out anew from their rows: I10, told by conditions and policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from fairlead.kernel.facts import Facts
from fairlead.kernel.plan import INPUT, Condition, Consequence, Pattern, Plan, StepKind
from fairlead.ports.records import RunRow, StepRow
from fairlead.ports.statuses import StepStatus

SETTLED = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})


class Readiness:
    """What one run's steps should have become, as far as it can be told from what they depend on."""

    def __init__(
        self, plan: Plan, run: RunRow, steps: Mapping[str, StepRow], why: Callable[[StepRow], str | None]
    ) -> None:
        """`why` is the reason of a step's `step.skipped`."""
        self.why = why
        self.plan = plan
        self.run = run
        self.steps = steps

    def check(self, slug: str, reason: str | None, failed: int) -> None:
        """A step that ran had nothing against it; one that was skipped had what its event says.

        Args:
            slug: the step.
            reason: of its `step.skipped`, None where there is none.
            failed: how many of its tasks have failed.
        """
        plan, step = self.plan.steps[slug], self.steps[slug]
        if step.status in (StepStatus.RUNNING, StepStatus.SUSPENDED, StepStatus.COMPLETED) or failed:
            assert all(self.steps[name].status in SETTLED for name in plan.dependencies), "I10: too early"
            assert not self._misses_one(slug), "I10: something that it requires was skipped"
            assert all(self._holds(condition) for condition in plan.conditions), "I10: its condition is unmet"
            assert not self._was_taken_along(slug), "I10: it was skipped with something before it"
        assert (step.status is StepStatus.SKIPPED) == (reason is not None), "I18: step.skipped"
        if reason == "condition_unmet":
            assert not all(self._holds(condition) for condition in plan.conditions), "skipped although it is met"
        elif reason == "dependency_skipped":
            assert self._misses_one(slug) or self._is_swept_away(slug), "skipped although all that it needs is there"
        elif reason == "handler_failed":
            assert failed > plan.tolerated(step.elements or 0), "skipped although failures are tolerated"
            assert plan.on_exhausted is not Consequence.FAIL, "skipped although it should fail"
        elif reason == "timed_out":
            assert failed > plan.tolerated(step.elements or 0), "skipped although failures are tolerated"
            policy = plan.on_timeout if plan.kind is StepKind.SIGNAL else plan.on_exhausted
            assert policy is not Consequence.FAIL, "skipped although it should fail"

    def _misses_one(self, slug: str) -> bool:
        return any(self.steps[name].status is StepStatus.SKIPPED for name in self.plan.steps[slug].requires)

    def _was_taken_along(self, slug: str) -> bool:
        """Whether a step somewhere before it was skipped for a reason that takes along what depends on it."""
        before = [name for name in self.plan.steps if slug in self.plan.descendants(name)]
        return any(self._follows(name) is Consequence.SKIP_CASCADE for name in before)

    def _follows(self, slug: str) -> Consequence | None:
        """What followed from the skip of a step; None where it was not skipped, or with another one."""
        plan, reason = self.plan.steps[slug], self.why(self.steps[slug])
        if reason == "condition_unmet":
            return plan.on_unmet if all(self._holds(branch) for branch in plan.branches) else Consequence.SKIP
        if reason == "timed_out" and plan.kind is StepKind.SIGNAL:
            return plan.on_timeout
        return plan.on_exhausted if reason in ("handler_failed", "timed_out") else None

    def _is_swept_away(self, slug: str) -> bool:
        """Whether a step somewhere before it was skipped in a way that takes along what depends on it."""
        before = [name for name in self.plan.steps if slug in self.plan.descendants(name)]
        return any(self.steps[name].status is StepStatus.SKIPPED and self._cascades(name) for name in before)

    def _cascades(self, slug: str) -> bool:
        step = self.plan.steps[slug]
        return Consequence.SKIP_CASCADE in (step.on_unmet, step.on_exhausted, step.on_timeout)

    def _holds(self, condition: Condition) -> bool:
        wanted = all(self._contains(pattern) for pattern in condition.when)
        unwanted = bool(condition.unless) and all(self._contains(pattern) for pattern in condition.unless)
        return (wanted and not unwanted) is not condition.negated

    def _contains(self, pattern: Pattern) -> bool:
        facts = self.run.facts if pattern.name == INPUT else self.steps[pattern.name].facts
        if pattern.name != INPUT and self.steps[pattern.name].status is not StepStatus.COMPLETED:
            return False
        found = msgspec.json.decode(facts, type=Facts).matches if facts is not None else ()
        contained = dict(zip(self.plan.questions[pattern.name].patterns, found, strict=bool(found)))
        if not self.plan.is_map(pattern.name):
            return contained[pattern.document]
        wanted = [bytes(each) for each in msgspec.json.decode(pattern.document, type=list[msgspec.Raw])]
        step = self.steps[pattern.name]
        has_null = bool(step.failed_tasks or step.gaps)
        return all(contained.get(each, False) or (has_null and each == b"null") for each in wanted)
