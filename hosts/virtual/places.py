"""Where tasks wait, for who has to find out what does not go on."""

from __future__ import annotations

import asyncio
from typing import Any

_INNER = ("asyncio.", f"{__name__.partition('.')[0]}.")
"""How the modules begin in whose code nobody looks for what a task waits for."""


def place_of(task: asyncio.Task[Any]) -> str | None:
    """Where a task waits in code that is neither ours nor asyncio's; None where it is in none such."""
    place: str | None = None
    at: Any = task.get_coro()
    while at is not None:
        frame = getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None) or getattr(at, "gi_frame", None)
        if frame is not None and not frame.f_globals.get("__name__", "").startswith(_INNER):
            place = f"{frame.f_code.co_qualname}, {frame.f_code.co_filename}, line {frame.f_lineno}"
        at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None) or getattr(at, "gi_yieldfrom", None)
    return place
