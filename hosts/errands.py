"""What a host does for its attempts beside running their handlers: reading and writing, in tasks of its event loop.

They end with the host, whatever still waits for them.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Errands:
    """The tasks that are under way. Belongs to one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def add(self, task: asyncio.Task[Any]) -> None:
        """Let a task end with the host."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel what is under way, and return when all of it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
