"""Working with the store on behalf of an attempt: tried again while it fails, for as long as the attempt goes on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ..ports.errors import AdapterError
from .backoff import Backoff
from .errands import Errands
from .errors import StreamInLoop
from .threads import HandlerThreads

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Abandoned(BaseException):
    """The attempt is over, or its host is: nothing is read or written for its handler any more.

    A `BaseException`, since a handler that takes it for a failure of its own would go on with nobody waiting for it.
    """


class Ongoing(Protocol):
    """An attempt."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the host."""
        ...

    @property
    def over(self) -> bool:
        """Whether it has ended, or was stopped, or its host has ended."""
        ...

    @property
    def errands(self) -> Errands:
        """What its host does at the moment."""
        ...

    @property
    def threads(self) -> HandlerThreads:
        """Where its handler runs, if that is a plain function."""
        ...

    def new_backoff(self) -> Backoff:
        """Pauses for one operation."""
        ...


async def try_on(attempt: Ongoing, what: str, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Carry out an operation, however often the store fails.

    Args:
        attempt: whom it is done for.
        what: what cannot be done meanwhile, for the log.
        operation: may be repeated.

    Raises:
        Abandoned: the store failed, and the attempt is over.
        AdapterError: the store failed in a way that trying again cannot help.
    """
    backoff = attempt.new_backoff()
    while True:
        try:
            return await operation()
        except AdapterError as error:
            if not error.retryable:
                raise
            if attempt.over:
                raise Abandoned(f"cannot {what}") from error  # recovers 42: an attempt is over while the store fails
            if backoff.failures == 0:
                logger.warning("%s cannot %s for now, trying on: %s", attempt, what, error)
        await asyncio.sleep(backoff.pause_s())  # recovers 21, 61: the store fails an attempt


def call_in_loop(attempt: Ongoing, operation: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Let the host's event loop carry out an operation, and wait for it; for the attempt's thread.

    Raises:
        Abandoned: the attempt is over, or its host has ended.
        StreamInLoop: it is called in that loop.
    """
    if _runs_here(attempt.loop):
        raise StreamInLoop

    async def errand() -> Result:
        task = asyncio.current_task()
        assert task is not None, "a coroutine that was handed to a loop runs in a task"
        attempt.errands.add(task)
        if attempt.over:
            raise Abandoned("the attempt is over")  # recovers 42: an attempt is over before its errand begins
        return await operation()

    coroutine = errand()
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, attempt.loop)
    except RuntimeError as error:  # recovers 72: a thread asks for something after its host has ended
        coroutine.close()
        raise Abandoned("the host has ended") from error
    try:
        return attempt.threads.wait_for(future)
    except concurrent.futures.CancelledError as error:  # recovers 42, 72: an attempt is over while its thread waits
        raise Abandoned("the attempt is over" if attempt.over else "the host has ended") from error


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
