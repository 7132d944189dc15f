"""Whether the types along the edges of a flow fit: what is produced against what each parameter says."""

from __future__ import annotations

from collections.abc import Mapping

from ..plan import INPUT, MapSource
from ..schema import ANY, Schema
from .binding import ITEM, Binding
from .site import Site
from .sources import element_of


def check_types(binding: Binding, source: MapSource | None, produced: Mapping[str, Schema], site: Site) -> None:
    """Check one step's parameters, and for a map that its source is an array.

    Args:
        binding: what each parameter receives.
        source: of a map.
        produced: the types of the earlier steps and of the input (under `INPUT`, absent while it is unknown).
        site: where the step is written.

    Raises:
        FlowDefinitionError: something does not fit.
    """
    known = source is not None and source.name in produced
    element = element_of(source, produced, site) if source is not None and known else None
    for parameter in binding.payloads:
        given = element if parameter.source == ITEM else produced.get(parameter.source)
        if given is None:
            continue
        reason = parameter.schema.misfit(given)
        if reason is not None:
            giver = _giver(parameter.source, source, site)
            raise site.error(
                f"parameter {parameter.name!r} is {parameter.schema.name}, but {giver} {given.name}: {reason}"
            )


def agreed_input(known: Schema | None, binding: Binding, site: Site) -> Schema | None:
    """Return the input's type after this step, where `Flow(input=…)` says none: all annotations must agree.

    Raises:
        FlowDefinitionError: the step's annotation is another one than that of an earlier step.
    """
    parameter = binding.payload(INPUT)
    if parameter is None or is_untyped(parameter.schema):
        return known
    if known is not None and known.normal != parameter.schema.normal:
        raise site.error(
            f"parameter {parameter.name!r} is {parameter.schema.name}, but an earlier step says that the input is "
            f"{known.name}; annotate it alike everywhere, or pass Flow(input=…)"
        )
    return known or parameter.schema


def is_untyped(schema: Schema) -> bool:
    """Return whether a schema admits every value."""
    return bool(schema.normal == ANY.normal)


def _giver(source: str, over: MapSource | None, site: Site) -> str:
    if source == INPUT:
        return "the flow's input is"
    if source != ITEM or over is None:
        return f"step {source!r} gives"
    written = (site.input_name if over.name == INPUT else over.name, *over.path)
    return f"an element of {'.'.join(written)} is"
