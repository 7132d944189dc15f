"""Errors of definitions that are noted instead of raised, for those who want to see all of them at once."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import frozen

from ..errors import FlowDefinitionError


@frozen
class NotedError:
    """Something that is wrong with a flow."""

    error: FlowDefinitionError
    calls: tuple[tuple[str, int], ...]
    """File and line of all that was being executed, the innermost first."""

    @classmethod
    def of(cls, error: FlowDefinitionError) -> NotedError:
        """Note an error where it is found."""
        return cls(error, tuple((frame.f_code.co_filename, line) for frame, line in traceback.walk_stack(None)))


_noted: ContextVar[list[NotedError] | None] = ContextVar("noted", default=None)


@contextmanager
def noting_errors() -> Generator[list[NotedError]]:
    """Have the flows that are made in the block, by the code that it calls, note their errors and go on.

    What is wrong is left out of its flow, so that what follows is checked; what merely says that it is missing is not
    noted. Such a flow can never be sealed, so that no kernel takes it.

    Yields:
        What was noted so far, in order.
    """
    found: list[NotedError] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def wanted() -> list[NotedError] | None:
    """Where a flow that is made now notes its errors; None where it raises them."""
    return _noted.get()
