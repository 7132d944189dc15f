"""Conditions as they are written down, `when=` and `unless=`, read into those that plans hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from attrs import evolve

from .. import codec
from ..errors import FlowDefinitionError, PayloadError
from ..hints import nearest
from ..plan import INPUT, Condition, Pattern
from ..shown import shown
from .assumptions import Assumptions
from .binding import CONFIG, CTX, INDEX, ITEM
from .handler import name_of
from .site import Site

WRONG = Condition()
"""Stands for the condition of a branch that is wrong, where errors are noted instead of raised. It asks nothing."""

_NOT_SEEN: Mapping[str, str] = {
    CONFIG: "settings decide nothing: put what decides into the input, or into a step's output",
    CTX: "the context belongs to an attempt, and a condition is evaluated before the first",
    ITEM: "a condition holds for the whole map, not for one element",
    INDEX: "a condition holds for the whole map, not for one element",
    "state": "the state of a waiting step is seen by its check alone",
    "run": "a condition sees the input and the outputs of earlier steps, not the run",
}
"""Reserved names, and why no pattern can be about them."""


def read_condition(when: object, unless: object, around: Sequence[Condition], site: Site) -> Condition | None:
    """Read a condition; None where neither part is given.

    Args:
        when: patterns by name, all of which must be met; or None.
        unless: patterns by name, not all of which may be met; or None.
        around: the conditions of the branches in which it is written.
        site: where it is written.

    Raises:
        FlowDefinitionError: a part is no mapping or empty, names something that is not there, or is not JSON; or the
            condition can never be met.
    """
    if when is None and unless is None:
        return None
    condition = Condition(when=_patterns(when, "when", site), unless=_patterns(unless, "unless", site))
    if _contradict((condition,)):
        raise site.error(
            "when and unless contradict: whatever meets all of when meets all of unless too, so this never runs"
        )
    if _contradict((*around, condition)):
        words = " and ".join(place for place, given in (("when", when), ("unless", unless)) if given is not None)
        raise site.error(f"{words}: this contradicts the branch that it stands in, so it never runs")
    return condition


def complement(branches: Sequence[Condition], site: Site) -> tuple[Condition, ...]:
    """Return the conditions of the complement of the innermost of some branches.

    Raises:
        FlowDefinitionError: the branches around it leave nothing to the complement.
    """
    *around, condition = branches
    if condition == WRONG:
        return tuple(branches)
    others = (*around, evolve(condition, negated=not condition.negated))
    if _contradict(others):
        raise site.error("otherwise: the branch around this one meets its condition already, so this never runs")
    return others


def names_of(condition: Condition | None) -> frozenset[str]:
    """Return whose values a condition asks about."""
    return frozenset() if condition is None else frozenset(pattern.name for pattern in condition.patterns)


def _contradict(conditions: Iterable[Condition]) -> bool:
    assumptions = Assumptions()
    for condition in conditions:
        assumptions.assume(condition)
    return assumptions.contradictory


def _patterns(given: object, place: str, site: Site) -> tuple[Pattern, ...]:
    """Patterns in order of their names, so that the order in which they are written does not matter."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise site.error(f"{place}: takes patterns by name, as in {place}={{'charge': {{'status': 'paid'}}}}")
    patterns = cast(Mapping[object, object], given)
    if not patterns:
        raise site.error(f"{place}: there is no pattern in it; name what it asks about, or leave it out")
    read = [
        Pattern(_name(name, place, site), _document(name, pattern, place, site)) for name, pattern in patterns.items()
    ]
    return tuple(sorted(read, key=lambda pattern: pattern.name))


def _name(name: object, place: str, site: Site) -> str:
    """Return the canonical name of what a pattern is about."""
    if not isinstance(name, str):
        found = f"the function {name_of(name)!r}" if callable(name) else shown(name)
        raise site.error(f"{place}: write the slug of a step or the name of the input, not {found}")
    if name == site.input_name:
        return INPUT
    if name in site.earlier:
        return name
    raise _unseen(name, place, site)


def _unseen(name: str, place: str, site: Site) -> FlowDefinitionError:
    if name == INPUT:
        return site.error(f"{place}: the input of this flow is called {site.input_name!r}")
    if name in _NOT_SEEN:
        return site.error(f"{place}: {name!r} cannot be asked about; {_NOT_SEEN[name]}")
    if name == site.step:
        return site.unknown(name, place)
    head, dot, path = name.partition(".")
    if dot and (head == site.input_name or head in site.earlier):
        return site.error(f"{place}: {name!r} is a path; write {{{head!r}: {{{path!r}: …}}}}")
    hint = nearest(name, (site.input_name, *site.earlier))
    return site.error(f"{place}: {name!r} is neither the input nor an earlier step; {hint}", missing=name)


def _document(name: object, pattern: object, place: str, site: Site) -> bytes:
    try:
        return codec.encode(pattern)
    except PayloadError as error:
        listed = "; ".join(f"{path}: {problem}" for path, problem in error.problems)
        raise site.error(f"{place}: the pattern for {name!r} is not JSON, at {listed}") from error
