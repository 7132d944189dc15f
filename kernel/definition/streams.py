"""Annotations of arrays that are taken or made element by element, instead of as one list."""

from __future__ import annotations

import collections.abc
import types
import typing
from typing import Any, Final

from attrs import evolve, frozen

from .binding import CONFIG, ITEM, STATE
from .site import Site

_FORMS: Final[typing.Mapping[object, tuple[bool, bool]]] = {
    collections.abc.Iterable: (False, False),
    collections.abc.Iterator: (False, True),
    collections.abc.AsyncIterable: (True, False),
    collections.abc.AsyncIterator: (True, True),
}
"""Whether its elements are awaited, and whether it can be gone through only once."""


@frozen(kw_only=True)
class Stream:
    """What an annotation such as `Iterable[Line]` or `Iterable[Line] | None` says."""

    name: str
    array: object
    """The annotation of the same array as a list."""
    is_async: bool
    once: bool


def stream_of(annotation: object) -> Stream | None:
    """Return the stream that an annotation means, perhaps an absent one; None for every other annotation."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        present = [each for each in typing.get_args(annotation) if each is not types.NoneType]
        found = stream_of(present[0]) if len(present) == 1 else None
        return None if found is None else evolve(found, array=typing.Optional[found.array])  # noqa: UP045 - a value
    origin = typing.get_origin(annotation) or annotation
    form = _FORMS.get(origin) if isinstance(origin, type) else None
    if form is None:
        return None
    arguments = typing.get_args(annotation) or (Any,)
    is_async, once = form
    array: object = list[arguments[0]]  # type: ignore[valid-type]
    return Stream(name=getattr(origin, "__name__", ""), array=array, is_async=is_async, once=once)


def taken(stream: Stream, name: str, source: str, site: Site, *, is_async: bool) -> bool:
    """Return whether a parameter is handed its elements one by one; otherwise it is handed all of them, as a list.

    An async handler takes an `AsyncIterable[T]` element by element. An `Iterable[T]` it could only wait for by blocking
    the event loop, so that is a list there, as it is for a map's element.

    Raises:
        FlowDefinitionError: the handler cannot take such a stream.
    """
    where = f"parameter {name!r}"
    if stream.once:
        able = "AsyncIterable" if stream.is_async else "Iterable"
        raise site.error(f"{where} can be gone through again and again; write {able}[…] instead of {stream.name}[…]")
    if stream.is_async and not is_async:
        raise site.error(f"{where}: a plain function cannot await; write Iterable[…], or make the handler async")
    whole = source in (ITEM, STATE, CONFIG)
    if stream.is_async and whole:
        raise site.error(f"{where} arrives whole; write list[…]")
    return stream.is_async is is_async and not whole


def check_made(stream: Stream, site: Site, *, is_async: bool) -> None:
    """Refuse a stream that a handler's caller could not go through.

    Raises:
        FlowDefinitionError: a plain function returns something that must be awaited.
    """
    if stream.is_async and not is_async:
        raise site.error(f"the return value: a plain function cannot return {stream.name}[…]; write Iterable[…]")
