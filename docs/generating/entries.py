"""What the page of Python tells of one class, function or alias, and what else this names."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ForwardRef

from fairlead.adapters.postgres.embedded import EmbeddedServer
from fairlead.adapters.s3 import FolderBlobs, ObjectBlobs
from fairlead.hosts.testing import RunView
from fairlead.kernel import Branch, Deferred, Flow, Kernel, RunHandle, Schedule, Step

from .docstrings import markdown, named_arguments, prose, sections
from .named import Alias, named_in_alias, named_in_fields, named_in_signature
from .page import exporting, home, signature
from .sources import field_defaults, field_texts, made_attributes

_FOR_HOSTS: dict[type, frozenset[str]] = {
    Flow: frozenset(
        ("arrays_read_in_parts", "input_schema", "merge_config", "on", "plan", "seal", "shape", "step_named", "tell")
    ),
    Kernel: frozenset(("dispatch", "flow_ids", "flow_of", "handle_of", "inline_bytes_max", "on", "plan_of")),
    RunView: frozenset(("to_its_end",)),
}
"""Members that hosts and the kernel use, and nobody else needs."""

_FOR_USERS: dict[type, frozenset[str]] = {Step: frozenset(("slug", "kind", "dependencies", "requires"))}
"""Classes of which most is for hosts and the kernel, with the members that users may look at."""

LINE_LENGTH_MAX = 120
"""Characters; the formatter, which reads this page, too, breaks longer ones."""

_GIVEN = (Branch, Deferred, EmbeddedServer, FolderBlobs, ObjectBlobs, RunHandle, RunView, Schedule, Step)
"""Classes whose instances users are given and do not make."""


def entry(each: Any, *, told: Sequence[Any]) -> Iterator[str]:
    """The lines about a class, function or alias.

    Args:
        each: what they are about.
        told: all that the page tells; what several have in common is told with the first.
    """
    if isinstance(each, Alias):
        yield from (f"### {each.name}", "", *_import(each))
        yield from ("```py", *_definition(each), "```", "", each.meaning, "")
        return
    yield from (f"### {each.__name__}", "", f"`from {home(each)} import {each.__name__}`", "")
    if not inspect.isclass(each):
        yield from (*signature(each, each.__name__), "", *markdown(each), "")
        return
    if _is_made(each):
        yield from (*signature(vars(each)["__init__"], each.__name__, bound=True), "")
    fields = list(_fields(each))
    if fields:
        yield from (*prose(each), "", *fields, "", *sections(each, arguments=not _field_names(each)))
    else:
        yield from (*markdown(each), "")
    for name, member in _members(each, told):
        yield from _member(each, name, member)


def named_by(each: Any, *, told: Sequence[Any]) -> Iterator[type | Alias]:
    """The classes and aliases that the lines about something name in their annotations."""
    if isinstance(each, Alias):
        yield from named_in_alias(each)
        return
    if not inspect.isclass(each):
        yield from named_in_signature(each, bound=False)
        return
    if _is_made(each):
        yield from named_in_signature(vars(each)["__init__"], bound=True)
    if not issubclass(each, enum.Enum):
        yield from named_in_fields(each, _field_names(each))
    for _, member in _members(each, told):
        called = member.fget if isinstance(member, property) else _called(member)
        if called is not None:
            yield from named_in_signature(called, bound=not isinstance(member, staticmethod))


def _import(alias: Alias) -> Iterator[str]:
    """How an alias is imported, where users may."""
    place = exporting(alias.name, alias.value)
    if place is not None:
        yield from (f"`from {place} import {alias.name}`", "")


def _is_shown(owner: type, name: str) -> bool:
    if name.startswith("_") or any(name in _FOR_HOSTS.get(each, ()) for each in owner.__mro__):
        return False
    return owner not in _FOR_USERS or name in _FOR_USERS[owner]


def _is_made(owner: type) -> bool:
    """Whether users make instances by an `__init__` that is written out."""
    made = "__init__" in vars(owner) and owner not in _GIVEN
    return made and not getattr(owner, "_is_protocol", False) and not _field_names(owner)


def _members(owner: type, told: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """What a class has, and what it has from others of ours, unless it is told with another class that has it too."""
    bases = [base for base in owner.__mro__[1:] if base.__module__.startswith("fairlead.kernel.")]
    first = next((each for each in told if inspect.isclass(each) and set(bases) & set(each.__mro__)), owner)
    for each in (owner, *bases) if first is owner else (owner,):
        for name, member in vars(each).items():
            if _is_shown(owner, name) and (isinstance(member, property) or _called(member) is not None):
                yield name, member


def _called(member: Any) -> Callable[..., Any] | None:
    called = getattr(member, "__func__", member)  # of a class method and a static one
    return called if inspect.isfunction(called) else None


def _field_names(owner: type) -> list[str]:
    fields: Any = getattr(owner, "__struct_fields__", None) or getattr(owner, "_fields", None)
    if fields is None:
        fields = [each.name for each in getattr(owner, "__attrs_attrs__", ()) if each.init]
    return [name for name in fields if _is_shown(owner, name)]


def _fields(owner: Any) -> Iterator[str]:
    """A line for each member of an enumeration, field, or attribute."""
    texts = field_texts(owner)
    if issubclass(owner, enum.Enum):
        for member in owner:
            yield _line(f'{member.name} = "{member.value}"', texts.get(member.name, ""))
        return
    defaults, explained = field_defaults(owner), named_arguments(owner)
    hints: dict[str, object] = {}
    for each in reversed(inspect.getmro(owner)):
        hints.update(vars(each).get("__annotations__", {}))
    for name in _field_names(owner):
        default = f" = {defaults[name]}" if name in defaults else ""
        yield _line(f"{name}: {_type(hints[name])}{default}", texts.get(name, explained.get(name, "")))
    if not _field_names(owner):
        for name, kind, text in made_attributes(owner):
            if _is_shown(owner, name) and name not in explained:
                yield _line(f"{name}: {kind}" if kind else name, text)


def _definition(alias: Alias) -> Iterator[str]:
    """What an alias stands for, in lines as the formatter breaks them."""
    line = f"{alias.name} = {alias.written}"
    if len(line) <= LINE_LENGTH_MAX:
        yield line
        return
    first, *others = alias.written.split(" | ")
    yield from (f"{alias.name} = (", f"    {first}", *(f"    | {other}" for other in others), ")")


def _line(written: str, meaning: str) -> str:
    return f"- `{written}`: {meaning}" if meaning else f"- `{written}`"


def _type(annotation: object) -> str:
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _member(owner: type, name: str, member: Any) -> Iterator[str]:
    yield from (f"#### {owner.__name__}.{name}", "")
    called = _called(member)
    if called is None:
        yield from (*markdown(member), "")
    else:
        yield from (*signature(called, name, bound=not isinstance(member, staticmethod)), "", *markdown(called), "")
