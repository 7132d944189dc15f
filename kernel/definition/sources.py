"""What a map works over and when a sleep ends: `over=` and `until=` read, and followed through the types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import inspect as nodes

from ..hints import nearest
from ..plan import INPUT, ValuePath
from ..schema import Schema
from ..schema_types import alternatives, is_any, is_none, object_fields
from .site import Site

_EXAMPLES: Final = {"over": "fetch.pages", "until": "plan.send_at"}


def read_path(written: object, place: str, site: Site) -> ValuePath:
    """Read where a value is found: a step, its function or slug, the input's name, or a dotted path into one.

    Args:
        written: what stands there.
        place: `over` or `until`.
        site: where that is.

    Raises:
        FlowDefinitionError: it names no earlier step and not the input, or is no path.
    """
    if not isinstance(written, str):
        return ValuePath(name=site.find(written, place).slug)
    name, *path = written.split(".")
    if not all((name, *path)):
        raise site.error(f"{place}: {written!r} is no dotted path; write it like {_EXAMPLES[place]!r}")
    if name == site.input_name:
        return ValuePath(name=INPUT, path=tuple(path))
    if name == INPUT:
        raise site.error(f"{place}: the input of this flow is called {site.input_name!r}")
    if name == site.step:
        raise site.unknown(name, place)
    if name not in site.earlier:
        hint = nearest(name, (site.input_name, *site.earlier))
        raise site.error(f"{place}: {name!r} is neither the input nor an earlier step; {hint}", missing=name)
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
    schema, written = _followed(source, "over", produced, site)
    element = schema.element()
    if element is None:
        raise site.error(f"over: {written} is {schema.name}, not an array")
    return element


def check_time(until: ValuePath, produced: Mapping[str, Schema], site: Site) -> None:
    """Check that a sleep can last until what it names.

    Args:
        until: the time that the sleep waits for.
        produced: as for `element_of`.
        site: where the sleep is written.

    Raises:
        FlowDefinitionError: the path leads nowhere, or to something that is never a time.
    """
    schema, written = _followed(until, "until", produced, site)
    members = [member for member in alternatives(schema.node) if not is_none(member)]
    if not any(is_any(member) or _is_time(member) for member in members):
        raise site.error(f"until: {written} is {schema.name}, not a datetime")
    if all(isinstance(member, nodes.DateTimeType) and member.tz is False for member in members):
        raise site.error(
            f"until: {written} is a datetime without its offset from UTC, which is another time in every time zone; "
            "let it have one"
        )


def _is_time(node: nodes.Type) -> bool:
    return isinstance(node, nodes.DateTimeType)


def _followed(place: ValuePath, what: str, produced: Mapping[str, Schema], site: Site) -> tuple[Schema, str]:
    """The type of what a path leads to, and the path as it is written."""
    schema, written = produced[place.name], site.input_name if place.name == INPUT else place.name
    for key in place.path:
        inner = schema.field(key)
        if inner is None:
            raise site.error(f"{what}: {written} is {schema.name}, which has no {key!r}{fields_hint(key, schema)}")
        schema, written = inner, f"{written}.{key}"
    return schema, written


def fields_hint(key: str, schema: Schema) -> str:
    """Return a hint for a key that a type lacks, which proposes the nearest of its fields."""
    names = [place.encode_name for member in alternatives(schema.node) for place in object_fields(member) or ()]
    return f"; {nearest(key, names)}" if names else ""
