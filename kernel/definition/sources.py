"""What a map works over: `over=` read, and its path followed through the types."""

from __future__ import annotations

from collections.abc import Mapping

from ..plan import INPUT, ValuePath
from ..schema import Schema
from ..schema_types import alternatives, object_fields
from .names import nearest
from .site import Site


def read_source(over: object, site: Site) -> ValuePath:
    """Read what is written in `over=`: a step, its function or slug, the input's name, or a dotted path into one.

    Raises:
        FlowDefinitionError: it names no earlier step and not the input, or is no path.
    """
    if not isinstance(over, str):
        return ValuePath(name=site.find(over, "over").slug)
    name, *path = over.split(".")
    if not all((name, *path)):
        raise site.error(f"over: {over!r} is no dotted path; write it like 'fetch.pages'")
    if name == site.input_name:
        return ValuePath(name=INPUT, path=tuple(path))
    if name == INPUT:
        raise site.error(f"over: the input of this flow is called {site.input_name!r}")
    if name == site.step:
        raise site.unknown(name, "over")
    if name not in site.earlier:
        hint = nearest(name, (site.input_name, *site.earlier))
        raise site.error(f"over: {name!r} is neither the input nor an earlier step; {hint}", missing=name)
    return ValuePath(name=name, path=tuple(path))


def element_of(source: ValuePath, produced: Mapping[str, Schema], site: Site) -> Schema:
    """Return the type of the elements of a map's source.

    Args:
        source: what the map works over.
        produced: the types of the input (under `INPUT`) and of the earlier steps.
        site: where the map is written.

    Raises:
        FlowDefinitionError: the path leads nowhere, or to something that is no array.
    """
    upstream = site.earlier.get(source.name)
    if upstream is not None and upstream.gaps and not source.path:
        return upstream.output  # There is no task for a gap.
    schema, written = produced[source.name], site.input_name if source.name == INPUT else source.name
    for key in source.path:
        inner = schema.field(key)
        if inner is None:
            raise site.error(f"over: {written} is {schema.name}, which has no {key!r}{fields_hint(key, schema)}")
        schema, written = inner, f"{written}.{key}"
    element = schema.element()
    if element is None:
        raise site.error(f"over: {written} is {schema.name}, not an array")
    return element


def fields_hint(key: str, schema: Schema) -> str:
    """Return a hint for a key that a type lacks, which proposes the nearest of its fields."""
    names = [place.encode_name for member in alternatives(schema.node) for place in object_fields(member) or ()]
    return f"; {nearest(key, names)}" if names else ""
