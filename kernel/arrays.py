"""Whether a value holds the arrays that maps work over."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from .conditions import is_ruled_out
from .elements import Kind
from .facts import array_length, value_matches
from .plan import Pattern, Plan, ValuePath


@frozen
class MissingArray:
    """A map that wants an array where there is something else."""

    slug: str
    source: ValuePath
    found: Kind

    def __str__(self) -> str:
        wanted = self.source.dotted
        return f"the map {self.slug!r} works over {wanted!r}, which should be an array and is {self.found}"


def missing_arrays(plan: Plan, name: str, facts: bytes | None) -> Iterator[MissingArray]:
    """The maps that a value starves. A map that will not run, because of what the same value is, needs no array.

    Args:
        plan: the flow.
        name: whose value: `INPUT`, or a slug; the output of a map is always an array.
        facts: of the value.
    """
    if plan.is_map(name):
        return
    questions = plan.questions[name]

    def answer(pattern: Pattern) -> bool:
        return value_matches(questions, facts, pattern.document)

    for step in plan.maps_over[name]:
        if step.source is not None:
            length = array_length(facts, step.source)
            if not isinstance(length, int) and not is_ruled_out(step, name, answer):
                yield MissingArray(step.slug, step.source, length)
