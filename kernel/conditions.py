"""Conditions: what they come to when all is known, and when only some is.

A condition is a logical expression over patterns, and each pattern speaks of one value. When a step's dependencies are
settled every pattern has an answer. Before that some have none, and the condition may be settled all the same: what a
value that is there rules out, no value to come can allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from .plan import Condition, Pattern, StepPlan

Answer: TypeAlias = bool | None
"""Whether a pattern is met; None where that is not known yet."""


def is_met(condition: Condition, answer: Callable[[Pattern], bool]) -> bool:
    """Whether a condition holds, all of whose patterns have an answer."""
    return outcome(condition, answer) is True


def outcome(condition: Condition, answer: Callable[[Pattern], Answer]) -> Answer:
    """Whether a condition holds, as far as the answers tell."""
    wanted = _all(map(answer, condition.when))
    unwanted = _all(map(answer, condition.unless)) if condition.unless else False
    holds = _all((wanted, _not(unwanted)))
    return _not(holds) if condition.negated else holds


def is_ruled_out(step: StepPlan, name: str, answer: Callable[[Pattern], bool]) -> bool:
    """Whether a step will not run, whatever comes, because of the value of one name alone."""

    def of_name(pattern: Pattern) -> Answer:
        return answer(pattern) if pattern.name == name else None

    return any(outcome(condition, of_name) is False for condition in step.conditions)


def _all(answers: Iterable[Answer]) -> Answer:
    unknown = False
    for each in answers:
        if each is False:
            return False
        unknown = unknown or each is None
    return None if unknown else True


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer
