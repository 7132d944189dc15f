"""Whether a value holds the times that sleeps wait for."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from .conditions import is_ruled_out
from .facts import time_in, value_matches
from .plan import Pattern, Plan, ValuePath
from .times import NotTime


@frozen
class MissingTime:
    """A sleep that wants a time where there is something else."""

    slug: str
    until: ValuePath
    found: NotTime

    def __str__(self) -> str:
        wanted = self.until.dotted
        return (
            f"the sleep {self.slug!r} lasts until {wanted!r}, which should be a time with its offset from UTC, "
            f"or null, and is {self.found}"
        )


def missing_times(plan: Plan, name: str, facts: bytes | None) -> Iterator[MissingTime]:
    """The sleeps that a value gives no end. One that will not run, because of what the same value is, needs none.

    Args:
        plan: the flow.
        name: whose value: `INPUT`, or a slug; in the output of a map there are no times to wait for.
        facts: of the value.
    """
    questions = plan.questions[name]

    def answer(pattern: Pattern) -> bool:
        return value_matches(questions, facts, pattern.document)

    for step in plan.sleeps_until[name]:
        if step.until is not None:
            time = time_in(facts, step.until)
            if isinstance(time, str) and not is_ruled_out(step, name, answer):
                yield MissingTime(step.slug, step.until, time)
