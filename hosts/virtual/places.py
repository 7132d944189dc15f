"""Where code stands that does not go on, for who has to find out why: the innermost line that is a user's own."""

from __future__ import annotations

import asyncio
import linecache
import sys
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

_INNER = sys.stdlib_module_names | {__name__.partition(".")[0]}
"""The packages in whose code nobody looks for what is waited for."""


def place_of(task: asyncio.Task[Any]) -> str | None:
    """Where a task waits in a user's code; None where it is in none."""
    return place_in(reversed([*_awaited(task.get_coro())]))


def place_in(stack: Iterable[tuple[FrameType, int]]) -> str | None:
    """Which line of a stack is the innermost of a user's own; None where none is.

    Args:
        stack: frames with their lines, the innermost first, as `traceback.walk_stack` gives them.
    """
    for frame, line in stack:
        module: str = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _INNER:
            return line_of(frame, line)
    return None


def place_of_error(error: BaseException) -> str | None:
    """Where in a user's code an error was raised, or met what it stopped; None where it is in none."""
    return place_in(reversed([*traceback.walk_tb(error.__traceback__)]))


def line_of(frame: FrameType, line: int) -> str:
    """A line of code, for people."""
    code = frame.f_code
    source = linecache.getline(code.co_filename, line).strip()
    return f"{code.co_qualname}, {code.co_filename}, line {line}" + (f": {source}" if source else "")


def _awaited(coroutine: Any) -> Iterator[tuple[FrameType, int]]:
    """The frames of a coroutine and of what it awaits, from the outermost on."""
    at = coroutine
    while at is not None:
        frame = getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None) or getattr(at, "gi_frame", None)
        if frame is not None:
            yield frame, frame.f_lineno
        at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None) or getattr(at, "gi_yieldfrom", None)
