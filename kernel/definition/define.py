"""Turns a decorated function and its options into a step, checking everything on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from ..plan import StepKind, ValuePath
from ..schema import Schema
from .declaring import Placing, checked_slug, read_place, read_policy
from .handler import Handler, HandlerProblem, Signature, name_of, read_handler
from .options import Policy, Scope
from .parameters import bind, schema_of
from .returns import Returns, read_returns
from .site import Site
from .sources import read_path
from .step import Step
from .streams import Stream, check_made, stream_of
from .suspension import Suspension


@frozen(kw_only=True)
class HandlerDeclaration:
    """A step that has a handler, as it is written down, nothing checked yet."""

    kind: StepKind
    handler: object
    slug: object = None
    """None where the function's own name is meant."""
    over: object = None
    """None for what is no map, and where it was not given."""
    placing: Placing
    options: Mapping[str, object]

    @property
    def name(self) -> object:
        """What it will probably be called."""
        return self.slug or getattr(self.handler, "__name__", None)

    def define(self, site: Site, flow_options: Mapping[str, Any]) -> Step[Any]:
        """Make the step; see `Declaration`."""
        signature = read_signature(self.handler, self.name, site)
        handler: Handler = self.handler  # type: ignore[assignment]  # A signature was read from it.
        slug = self._slug(handler, site)
        site = evolve(site, step=slug, handler=handler)
        is_map = self.kind is StepKind.MAP
        policy = self._policy(flow_options, site)
        if is_map and self.over is None:
            raise site.error("a map needs its array: write @flow.map(over=…)")
        place = read_place(self.placing, site)
        source = read_path(self.over, "over", site) if is_map else None
        binding = bind(handler, signature, site, is_map=is_map)
        returns = read_returns(signature.returns, site)
        if is_map and returns.suspends:
            raise site.error(
                "the return value: the tasks of a map cannot suspend; let a step suspend, or a flow of its own"
            )
        stream, output = read_output(returns, signature, site)
        gaps = is_map and (policy.tolerate_failures != 0 or _has_gaps(source, site))
        over = frozenset[str]() if source is None else frozenset({source.name})
        return Step(
            slug=slug,
            kind=self.kind,
            binding=binding,
            output=output,
            streamed=None if stream is None else output.element(),
            produced=Schema.array_of(output, gaps=gaps) if is_map else output,
            dependencies=site.earlier.in_order(binding.sources | over | place.names),
            source=source,
            until=None,
            condition=place.condition,
            branches=place.branches,
            requires=site.earlier.in_order(place.requires),
            gaps=gaps,
            may_be_skipped=place.may_be_skipped(policy, site),
            policy=policy,
            suspension=None if is_map else _suspension(returns, signature, site),
        )

    def _slug(self, handler: Handler, site: Site) -> str:
        slug = name_of(handler) if self.slug is None else self.slug
        if slug is None:
            what = getattr(handler, "__name__", type(handler).__name__)
            raise site.error(f"a handler that is a {what} has no name that could be the step's; pass slug=…")
        return checked_slug(slug, site, is_function=True)

    def _policy(self, flow_options: Mapping[str, Any], site: Site) -> Policy:
        is_map = self.kind is StepKind.MAP
        scope, others = (Scope.MAP, ("slug", "over")) if is_map else (Scope.STEP, ("slug",))
        return read_policy(self.options, scope, self.placing, flow_options, site, others)


def read_signature(handler: object, name: object, site: Site) -> Signature:
    """Read the signature of what is to be a handler.

    Args:
        handler: whatever was decorated.
        name: what a message calls the step, if it is text.
        site: where it is written.

    Raises:
        FlowDefinitionError: it can be none.
    """
    try:
        return read_handler(handler)
    except HandlerProblem as problem:
        step = site.step or (name if isinstance(name, str) else None)
        raise evolve(site, step=step).error(str(problem)) from problem.__cause__


def read_output(returns: Returns, signature: Signature, site: Site) -> tuple[Stream | None, Schema]:
    """Read the type of what a handler gives in the end, and whether it makes it element by element.

    Raises:
        FlowDefinitionError: JSON cannot carry it, or its caller could not go through it.
    """
    stream = stream_of(returns.output)
    if stream is not None:
        check_made(stream, site, is_async=signature.is_async)
    annotation = returns.output if stream is None else stream.array
    return stream, schema_of(annotation, "the return value", site, signature.names)


def _suspension(returns: Returns, signature: Signature, site: Site) -> Suspension | None:
    if not returns.suspends and not returns.is_untyped:
        return None
    state = schema_of(returns.state, "the state in the return value", site, signature.names)
    return Suspension(state=state, declared=returns.suspends)


def _has_gaps(source: ValuePath | None, site: Site) -> bool:
    return source is not None and source.name in site.earlier and site.earlier[source.name].gaps
