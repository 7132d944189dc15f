"""Whether the types along the edges of a flow fit: what is produced against what each parameter says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from .. import codec
from ..plan import INPUT, Condition, Pattern, StepKind, ValuePath
from ..schema import ANY, Schema
from .binding import ITEM, STATE, Binding, PayloadParameter
from .matching import mismatch
from .site import Site
from .sources import check_time, element_of
from .step import Step


def check_types(step: Step[Any], produced: Mapping[str, Schema], site: Site) -> None:
    """Check one step's parameters and conditions, and for a map that its source is an array.

    Args:
        step: the step; its branches were checked where they were made, but perhaps before the input was known.
        produced: the types of the earlier steps and of the input (under `INPUT`, absent while it is unknown).
        site: where the step is written.

    Raises:
        FlowDefinitionError: something does not fit.
    """
    if step.until is not None and step.until.name in produced:
        check_time(step.until, produced, site)
    for binding in step.bindings:
        check_parameters(step, binding, produced, evolve(site, check=binding.check))
    for branch in step.branches:
        check_patterns(branch, produced, site, " of its branch")
    if step.condition is not None:
        check_patterns(step.condition, produced, site)


def check_parameters(step: Step[Any], binding: Binding, produced: Mapping[str, Schema], site: Site) -> None:
    """Check the parameters of a step's handler or check, and for a map that its source is an array.

    Args:
        step: the step.
        binding: of its handler, or of its check.
        produced: as for `check_types`.
        site: where that is written.

    Raises:
        FlowDefinitionError: something does not fit.
    """
    source, received = step.source, {**produced, STATE: step.state_schema}
    if source is not None and source.name in produced:
        received[ITEM] = element_of(source, produced, site)
    for parameter in binding.payloads:
        given = received.get(parameter.source)
        if given is not None:
            _check_parameter(parameter, given, source, site)


def check_patterns(condition: Condition, produced: Mapping[str, Schema], site: Site, whose: str = "") -> None:
    """Check that every pattern can be met.

    Args:
        condition: as it was read.
        produced: as for `check_types`.
        site: where the condition is written.
        whose: the rest of the words by which a message calls it.

    Raises:
        FlowDefinitionError: no value of the type contains a pattern.
    """
    for place, patterns in (("when", condition.when), ("unless", condition.unless)):
        for pattern in patterns:
            if pattern.name not in produced:
                continue
            reason = mismatch(produced[pattern.name].node, codec.decode(pattern.document))
            if reason is not None:
                name = site.input_name if pattern.name == INPUT else pattern.name
                hint = _map_hint(pattern, site)
                raise site.error(f"{place}{whose}: the pattern for {name!r} can never be met, at {reason}{hint}")


def agreed_input(known: Schema | None, binding: Binding | None, site: Site) -> Schema | None:
    """Return the input's type after this handler, where `Flow(input=…)` says none: all annotations must agree.

    Raises:
        FlowDefinitionError: the step's annotation is another one than that of an earlier step.
    """
    parameter = None if binding is None else binding.payload(INPUT)
    if parameter is None or is_untyped(parameter.schema):
        return known
    if known is not None and known.normal != parameter.schema.normal:
        raise site.error(
            f"parameter {parameter.name!r} is {parameter.written}, but an earlier step says that the input is "
            f"{known.name}; annotate it alike everywhere, or pass Flow(input=…)"
        )
    return known or parameter.schema


def is_untyped(schema: Schema) -> bool:
    """Return whether a schema admits every value."""
    return bool(schema.normal == ANY.normal)


def _check_parameter(parameter: PayloadParameter, given: Schema, over: ValuePath | None, site: Site) -> None:
    reason = parameter.schema.misfit(given)
    if reason is not None:
        giver = _giver(parameter.source, over, site)
        raise site.error(f"parameter {parameter.name!r} is {parameter.written}, but {giver} {given.name}: {reason}")
    upstream = site.earlier.get(parameter.source)
    element = parameter.schema.element()
    if upstream is not None and upstream.gaps and element is not None and not element.admits_none:
        able, is_stream, _ = parameter.written.partition("Iterable[")
        wanted = f"{able}{is_stream}{element.name} | None]" if is_stream else given.name
        raise site.error(
            f"parameter {parameter.name!r} is {parameter.written}, but {_tolerant(upstream, site)}, so that its "
            f"list may hold None for elements that failed; write {wanted}"
        )


def _tolerant(upstream: Step[Any], site: Site) -> str:
    """Say which map it is that tolerates failures: `upstream`, or one that it works over."""
    step = upstream
    while not step.policy.tolerate_failures and step.source is not None:
        step = site.earlier[step.source.name]
    if step is upstream:
        return f"map {step.slug!r} tolerates failures"
    return f"map {upstream.slug!r} works over {step.slug!r}, which tolerates failures"


def _map_hint(pattern: Pattern, site: Site) -> str:
    upstream = site.earlier.get(pattern.name)
    if upstream is None or upstream.kind is not StepKind.MAP or pattern.document[:1] == b"[":
        return ""
    shown = pattern.document.decode()
    return f"; {pattern.name!r} is a map: write [{shown}] for what some of its outputs must contain"


def _giver(source: str, over: ValuePath | None, site: Site) -> str:
    if source == INPUT:
        return "the flow's input is"
    if source == STATE:
        return f"what step {site.step!r} keeps is"
    if source != ITEM or over is None:
        return f"step {source!r} gives"
    written = (site.input_name if over.name == INPUT else over.name, *over.path)
    return f"an element of {'.'.join(written)} is"
