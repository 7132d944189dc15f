"""Tasks that run beside their callers, of a kernel that may be used in one event loop after the other."""

from __future__ import annotations

import asyncio
from typing import Any, TypeGuard


def runs_here(task: asyncio.Task[Any] | None) -> TypeGuard[asyncio.Task[Any]]:
    """Whether the running event loop is at work on a task. One left in a loop that was closed is never done."""
    return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()
