"""Errors of definitions that are noted instead of raised, for those who want to see all of them at once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import frozen

from ..errors import FlowDefinitionError


@frozen
class NotedError:
    """A step that is wrong."""

    error: FlowDefinitionError
    handler: object
    """What was decorated."""


_noted: ContextVar[list[NotedError] | None] = ContextVar("noted", default=None)


@contextmanager
def noting_errors() -> Generator[list[NotedError]]:
    """Have steps that are wrong left out of their flows for as long as the block lasts, so that the next are checked.

    A step that refers to one that was left out is noted too. Such flows must not be used.

    Yields:
        What was noted so far, in order.
    """
    found: list[NotedError] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def note(error: FlowDefinitionError, handler: object) -> bool:
    """Note an error, if somebody wants that; returns whether it was noted."""
    found = _noted.get()
    if found is None:
        return False
    found.append(NotedError(error, handler))
    return True
