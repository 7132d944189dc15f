"""I37: what a host leaves open that has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from ...kernel.amounts import counted
from .logs import PACKAGE
from .machines import Incarnation


def left_open(incarnation: Incarnation) -> Iterator[str]:
    """Tasks and transactions of the framework that a process still has. What handlers leave behind is theirs."""
    for task in incarnation.process.tasks:
        if not task.done() and task is not asyncio.current_task() and _is_ours(task.get_coro()):
            yield f"a task in {getattr(task.get_coro(), '__qualname__', task.get_name())}"
    if incarnation.handle.transactions:
        yield counted(incarnation.handle.transactions, "transaction")


def _is_ours(coroutine: Any) -> bool:
    frame = getattr(coroutine, "cr_frame", None)
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE
