"""Turns a decorated function and its options into a step, checking everything on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from attrs import evolve, frozen

from ..plan import Condition, Consequence, StepKind, ValuePath
from ..schema import Schema
from .conditions import names_of, read_condition
from .handler import Handler, HandlerProblem, Signature, name_of, read_handler
from .names import step_slug_problem
from .options import OptionProblem, Policy, Scope, parse_options, resolve
from .parameters import bind, schema_of
from .site import Site
from .sources import read_source
from .step import Step
from .streams import check_made, stream_of

PLACING: Final = ("slug", "after", "requires", "when", "unless")
"""The arguments that every kind of step takes beside its options; fields of `Declaration`."""


@frozen(kw_only=True)
class Declaration:
    """A step as it is written down, nothing checked yet."""

    kind: StepKind
    handler: object
    over: object
    """None for what is no map, and where it was not given."""
    branches: tuple[Condition, ...]
    """Those that the step stands in, read already; outermost first."""
    options: Mapping[str, object]
    slug: object = None
    """None where the function's own name is meant."""
    after: object = ()
    requires: object = ()
    when: object = None
    unless: object = None


def define(declared: Declaration, site: Site, flow_options: Mapping[str, Any]) -> Step:
    """Make a step of a declaration. Whether its types fit those around it is for `checks` to say.

    Args:
        declared: what was written.
        site: the flow and its earlier steps; the step itself is filled in here.
        flow_options: the flow's parsed options.

    Raises:
        FlowDefinitionError: the first thing that is wrong with it.
    """
    signature = _signature(declared, site)
    handler: Handler = declared.handler  # type: ignore[assignment]  # A signature was read from it.
    slug = _slug(declared, handler, site)
    site = evolve(site, step=slug, handler=handler)
    condition = read_condition(declared.when, declared.unless, declared.branches, site)
    policy = _policy(declared, flow_options, site)
    is_map = declared.kind is StepKind.MAP
    if is_map and declared.over is None:
        raise site.error("a map needs its array: write @flow.map(over=…)")
    source = read_source(declared.over, site) if is_map else None
    after = _named(declared.after, "after", site)
    requires = _named(declared.requires, "requires", site)
    binding = bind(handler, signature, site, is_map=is_map)
    stream = stream_of(signature.returns)
    if stream is not None:
        check_made(stream, site, is_async=signature.is_async)
    returns = signature.returns if stream is None else stream.array
    output = schema_of(returns, "the return value", site, signature.names)
    asked = frozenset[str]().union(*map(names_of, (*declared.branches, condition)))
    over = frozenset[str]() if source is None else frozenset({source.name})
    gaps = is_map and (policy.tolerate_failures != 0 or _has_gaps(source, site))
    return Step(
        slug=slug,
        kind=declared.kind,
        binding=binding,
        output=output,
        streamed=None if stream is None else output.element(),
        produced=Schema.array_of(output, gaps=gaps) if is_map else output,
        dependencies=site.earlier.in_order(binding.sources | over | after | requires | asked),
        source=source,
        condition=condition,
        branches=declared.branches,
        requires=site.earlier.in_order(requires),
        gaps=gaps,
        may_be_skipped=_may_be_skipped(condition, declared.branches, requires, policy, site),
        policy=policy,
    )


def _signature(declared: Declaration, site: Site) -> Signature:
    label = declared.slug if isinstance(declared.slug, str) else getattr(declared.handler, "__name__", None)
    try:
        return read_handler(declared.handler)
    except HandlerProblem as problem:
        raise evolve(site, step=label).error(str(problem)) from problem.__cause__


def _slug(declared: Declaration, handler: Handler, site: Site) -> str:
    slug = name_of(handler) if declared.slug is None else declared.slug
    if slug is None:
        what = getattr(handler, "__name__", type(handler).__name__)
        raise site.error(f"a handler that is a {what} has no name that could be the step's; pass slug=…")
    problem = step_slug_problem(slug, site.input_name)
    if problem is not None or not isinstance(slug, str):
        raise site.error(f"step slug {slug!r} {problem}; pass another slug=…")
    if slug in site.earlier:
        raise evolve(site, step=slug).error(f"there are two steps {slug!r}; rename the function or pass slug=…")
    return slug


def _policy(declared: Declaration, flow_options: Mapping[str, Any], site: Site) -> Policy:
    scope = Scope.MAP if declared.kind is StepKind.MAP else Scope.STEP
    others = (*PLACING, "over") if scope is Scope.MAP else PLACING
    try:
        policy = resolve(flow_options, parse_options(declared.options, scope, others))
    except OptionProblem as problem:
        raise site.error(str(problem)) from None
    if "on_unmet" in declared.options and declared.when is None and declared.unless is None:
        raise site.error(_without_condition(declared))
    return policy


def _has_gaps(source: ValuePath | None, site: Site) -> bool:
    return source is not None and source.name in site.earlier and site.earlier[source.name].gaps


def _may_be_skipped(
    condition: Condition | None, branches: Sequence[Condition], requires: frozenset[str], policy: Policy, site: Site
) -> bool:
    if branches or policy.on_exhausted is Consequence.SKIP:
        return True
    if condition is not None and policy.on_unmet is Consequence.SKIP:
        return True
    return any(site.earlier[slug].may_be_skipped for slug in requires)


def _without_condition(declared: Declaration) -> str:
    message = (
        "option 'on_unmet' says what follows where the step's own condition is unmet, but it has no when or unless"
    )
    return f"{message}; a branch whose condition is unmet skips its steps, always" if declared.branches else message


def _named(given: object, place: str, site: Site) -> frozenset[str]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise site.error(f"{place}: takes a list of steps, as in {place}=[reserve]")
    return frozenset(site.find(name, place).slug for name in cast(Sequence[object], given))
