"""What lives, stands still and dies as one, as a process of an operating system does."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TASKS_FIRST = 256
"""How many tasks are kept before those that have ended are looked for."""


class Process:
    """Tasks, callbacks and timers that belong together.

    What is begun with `start` or `run`, and all that it begins, belongs to the process, wherever it came from: context
    variables carry it on.

    Args:
        name: for reports.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        """False once it was killed: none of its code ever runs again, `finally` blocks included."""
        self.paused = False
        """Whether it stands still; what becomes ready meanwhile runs when it goes on."""
        self.ready: deque[asyncio.Handle] = deque()
        """What can run, in the order in which it was registered; what never will, once it was killed.

        That is kept as its tasks are: a coroutine that was to begin would complain.
        """
        self.tasks: list[asyncio.Task[Any]] = []
        """Those that have not ended, and some that have."""
        self._tasks_max = TASKS_FIRST

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task of this process, in the running loop; may be called from another process."""
        return self.within(lambda: asyncio.get_running_loop().create_task(coroutine, name=self.name))

    def within(self, call: Callable[[], T]) -> T:
        """Call a function as this process: what it begins belongs to it."""

        def entered() -> T:
            _CURRENT.set(self)
            return call()

        return contextvars.copy_context().run(entered)

    def remember(self, task: asyncio.Task[Any]) -> None:
        """Keep a task while it goes on, and for good once it was killed.

        A coroutine that nobody refers to is closed, which would run code of a dead process.
        """
        self.tasks.append(task)
        if len(self.tasks) > self._tasks_max:
            self.tasks = [task for task in self.tasks if not task.done()]
            self._tasks_max = max(TASKS_FIRST, 2 * len(self.tasks))

    def kill(self) -> None:
        """Let nothing of it run any more, from now on; a callback that is running ends first."""
        self.alive = False

    def __repr__(self) -> str:
        return f"<process {self.name}>"


_CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("fairlead_process", default=None)


def current_process(context: contextvars.Context | None = None) -> Process | None:
    """The process of a context, or of the code that runs; None outside of all."""
    return _CURRENT.get() if context is None else context.get(_CURRENT)
