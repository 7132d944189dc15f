"""Telling the end of a task from a failure of what it does."""

from __future__ import annotations

import asyncio


def ends_task(error: BaseException) -> bool:
    """Whether an exception that was caught is to end the current asyncio task, rather than a failure to live with.

    `CancelledError` is the end where somebody cancelled this task, a timeout around it included. Where nobody did, it
    comes out of what the task called, like any other error. `SystemExit` is never meant for a host's loop.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)
