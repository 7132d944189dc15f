"""Which steps may have been skipped when a step's handler is called, and the demand that follows.

A handler receives None for a dependency that was skipped, so its annotation must admit None, or the parameter must
have a default, exactly where that can happen. The rules:

1. A step may be skipped because its own condition is unmet (`on_unmet="skip"`), because a branch that it stands in is
   not taken, because its attempts are used up (`on_exhausted="skip"`), because a signal did not come in time
   (`on_timeout="skip"`), or because a step that it requires may be.
2. With `skip_cascade` the steps behind it are skipped too, and with `fail` there is nothing behind it: whoever is
   called depends on it, so these are no reasons. Nor is that a step further up cascades.
3. When a handler is called, all conditions that its step is under are met: its own and those of its branches. What they
   name in `when` has run, since a pattern about a skipped step is unmet; `unless` says no such thing, but its
   complement, `flow.branch(unless=…).otherwise()`, does. What the step requires has run.
4. Of each step that has run the same is known: its conditions are met, and what they name and what it requires has
   run; and so on. A map's handler is called for an element, so that what the map works over has run too.
5. So no reason of rule 1 counts that what is known excludes: steps in one branch are never skipped for each other by
   the branch's condition, though each may be for reasons of its own.

A map's list is never None: where the map was skipped it is empty. Only what conditions say of each other is looked at
(`assumptions`), never what a handler does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field

from ..plan import Condition, Consequence, StepKind
from .assumptions import Assumptions
from .binding import Binding
from .checks import is_untyped
from .site import Site
from .step import Step


def check_absences(step: Step[Any], binding: Binding, site: Site) -> None:
    """Check that every parameter that may be None admits it.

    Args:
        step: the step.
        binding: of its handler, or of its check.
        site: where that is written.

    Raises:
        FlowDefinitionError: one does not, and has no default.
    """
    for parameter in binding.payloads:
        giver = site.earlier.get(parameter.source)
        if giver is None or parameter.has_default or is_untyped(parameter.schema) or parameter.schema.admits_none:
            continue
        reason = why_none(step, giver, site.earlier)
        if reason is not None:
            raise site.error(
                f"parameter {parameter.name!r} is {parameter.written}, but step {giver.slug!r} may be skipped "
                f"({reason}) and is None then; write {parameter.written} | None, give it a default, or skip this "
                f"step too with requires=[{giver.slug}]"
            )


def why_none(step: Step[Any], giver: Step[Any], steps: Mapping[str, Step[Any]]) -> str | None:
    """Return why a dependency may have been skipped when a step's handler is called, in words; None if it never is.

    Args:
        step: the step whose handler is called.
        giver: a step that it depends on.
        steps: at least those that stand before `step`, by slug.
    """
    if giver.kind is StepKind.MAP or not giver.may_be_skipped:
        return None
    known = _known(step, steps, until=giver.slug)
    return None if giver.slug in known.ran else _reason(giver, known, steps)


def certain(step: Step[Any], steps: Mapping[str, Step[Any]]) -> tuple[str, ...]:
    """Return which steps have run for certain whenever a step's handler is called, in order of definition.

    Args:
        step: the step whose handler is called.
        steps: all steps of its flow, by slug.
    """
    known = _known(step, steps)
    never_skipped = (slug for slug in step.dependencies if _reason(steps[slug], known, steps) is None)
    ran = known.ran.union(never_skipped)
    return tuple(slug for slug in steps if slug in ran)


@define
class _Known:
    """What is certain when a handler is called."""

    ran: set[str] = field(factory=set[str])
    assumptions: Assumptions = field(factory=Assumptions)
    _assumed: set[Condition] = field(factory=set[Condition])

    def learn(self, step: Step[Any]) -> Iterator[str]:
        """Take for certain that a step has run, and yield what must have run for that."""
        for condition in step.conditions:
            if condition not in self._assumed:
                self._assumed.add(condition)
                yield from self.assumptions.assume(condition)
        yield from step.requires


def _known(step: Step[Any], steps: Mapping[str, Step[Any]], until: str | None = None) -> _Known:
    """Return what rules 3 and 4 say; no more of it than it takes to know that one step has run, where that is all."""
    known = _Known()
    pending = deque((*known.learn(step), *_worked_over(step, steps)))
    while pending and until not in known.ran:
        slug = pending.popleft()
        if slug not in known.ran:
            known.ran.add(slug)
            pending.extend(known.learn(steps[slug]))
    return known


def _worked_over(step: Step[Any], steps: Mapping[str, Step[Any]]) -> Iterator[str]:
    """Yield what has run where a map's handler is called: the map has elements, and so had those that it works over."""
    while step.source is not None and step.source.name in steps:
        step = steps[step.source.name]
        yield step.slug


def _reason(step: Step[Any], known: _Known, steps: Mapping[str, Step[Any]]) -> str | None:
    """Return why a step may be skipped for all that is known, in words, or None."""
    pending, seen = [(step, "it ")], set(known.ran)
    while pending:
        step, way = pending.pop()
        if step.slug in seen:
            continue
        seen.add(step.slug)
        reason = _own_reason(step, known.assumptions)
        if reason is not None:
            return way + reason
        pending.extend((steps[slug], f"{way}requires {slug!r}, which ") for slug in reversed(step.requires))
    return None


def _own_reason(step: Step[Any], assumptions: Assumptions) -> str | None:
    """Return why a step may be skipped though all that it requires has run."""
    if any(not assumptions.imply(branch) for branch in step.branches):
        return "stands in a branch that this step is not in"
    if step.policy.on_exhausted is Consequence.SKIP:
        return "says on_exhausted='skip'"
    if step.policy.on_timeout is Consequence.SKIP:
        return "says on_timeout='skip'"
    if step.policy.on_unmet is Consequence.SKIP and step.condition is not None:
        return None if assumptions.imply(step.condition) else "has a condition of its own"
    return None
