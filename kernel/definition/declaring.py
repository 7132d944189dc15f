"""What every kind of step is written down with: its name, and its place among the other steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

from attrs import evolve, frozen

from ..plan import Condition, Consequence
from ..shown import shown
from .conditions import names_of, read_condition
from .names import step_slug_problem
from .options import OptionProblem, Policy, Scope, parse_options, resolve
from .site import Site
from .step import Step

PLACING: Final = ("after", "requires", "when", "unless")
"""The arguments that say where a step stands; fields of `Placing`."""


class Declaration(Protocol):
    """A step as it is written down, nothing checked yet."""

    @property
    def name(self) -> object:
        """What it will probably be called, for messages."""
        ...

    def define(self, site: Site, flow_options: Mapping[str, Any]) -> Step[Any]:
        """Make the step. Whether its types fit those around it is for `checks` to say.

        Args:
            site: the flow and its earlier steps.
            flow_options: the flow's parsed options.

        Raises:
            FlowDefinitionError: the first thing that is wrong with it.
        """
        ...


@frozen(kw_only=True)
class Placing:
    """Where a step stands, as it is written down."""

    branches: tuple[Condition, ...]
    """Those that the step stands in, read already; outermost first."""
    after: object = ()
    requires: object = ()
    when: object = None
    unless: object = None

    @property
    def has_condition(self) -> bool:
        """Whether the step has a condition of its own."""
        return self.when is not None or self.unless is not None


@frozen(kw_only=True)
class Place:
    """Where a step stands, read."""

    condition: Condition | None
    branches: tuple[Condition, ...]
    after: frozenset[str]
    requires: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """What is named in it: `INPUT`, and the slugs of steps on which the step depends."""
        return self.after.union(self.requires, *map(names_of, (*self.branches, self.condition)))

    def may_be_skipped(self, policy: Policy, site: Site) -> bool:
        """Whether there are runs in which the step is skipped and its dependents are not."""
        if self.branches or Consequence.SKIP in (policy.on_exhausted, policy.on_timeout):
            return True
        if self.condition is not None and policy.on_unmet is Consequence.SKIP:
            return True
        return any(site.earlier[slug].may_be_skipped for slug in self.requires)


def checked_slug(slug: object, site: Site, *, is_function: bool = False) -> str:
    """Check what is to be the name of a new step.

    Args:
        slug: the name.
        site: the flow.
        is_function: whether it is the name of a function, as long as `slug=` gives no other.

    Raises:
        FlowDefinitionError: it cannot be one, or is one already.
    """
    problem = step_slug_problem(slug, site.input_name)
    if problem is not None or not isinstance(slug, str):
        remedy = "pass another slug=…" if is_function else "name it otherwise"
        raise site.error(f"step slug {shown(slug)} {problem}; {remedy}")
    if slug in site.earlier:
        remedy = "rename the function or pass slug=…" if is_function else "name this one otherwise"
        raise evolve(site, step=slug).error(f"there are two steps {slug!r}; {remedy}")
    return slug


def read_place(placing: Placing, site: Site) -> Place:
    """Read where a step stands.

    Raises:
        FlowDefinitionError: something in it names no earlier step, or its condition is wrong.
    """
    return Place(
        condition=read_condition(placing.when, placing.unless, placing.branches, site),
        branches=placing.branches,
        after=_named(placing.after, "after", site),
        requires=_named(placing.requires, "requires", site),
    )


def read_policy(
    options: Mapping[str, object],
    scope: Scope,
    placing: Placing,
    flow_options: Mapping[str, Any],
    site: Site,
    other_names: Sequence[str] = (),
) -> Policy:
    """Read a step's options.

    Args:
        options: as they are written.
        scope: what they are written for.
        placing: what else is.
        flow_options: the flow's parsed options, as far as they hold for such a step.
        site: where they are written.
        other_names: further arguments that are accepted there, which a misspelt one may have meant.

    Raises:
        FlowDefinitionError: some are unknown, out of place or out of bounds.
    """
    try:
        policy = resolve(flow_options, parse_options(options, scope, (*PLACING, *other_names)))
    except OptionProblem as problem:
        raise site.error(str(problem)) from None
    if "on_unmet" in options and not placing.has_condition:
        raise site.error(_without_condition(placing))
    return policy


def _without_condition(placing: Placing) -> str:
    message = (
        "option 'on_unmet' says what follows where the step's own condition is unmet, but it has no when or unless"
    )
    return f"{message}; a branch whose condition is unmet skips its steps, always" if placing.branches else message


def _named(given: object, place: str, site: Site) -> frozenset[str]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise site.error(f"{place}: takes a list of steps, as in {place}=[reserve]")
    return frozenset(site.find(name, place).slug for name in cast(Sequence[object], given))
