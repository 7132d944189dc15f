"""What asyncio asks of any event loop, and what has nothing to do with time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple, Unpack

from .isolated import Isolated

logger = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Housekeeping(Isolated):
    """Futures, executors, and errors that nobody handled."""

    def __init__(self) -> None:
        self._exception_handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._task_factory: Any = None

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def set_task_factory(self, factory: Any) -> None:
        """Make tasks by another constructor."""
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        """What makes tasks; None for the usual."""
        return self._task_factory

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        """Call a function here and now: no other thread is needed where no time passes."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    def get_exception_handler(self) -> Any:
        """Who hears of errors that nobody handled; None for the log."""
        return self._exception_handler

    def set_exception_handler(self, handler: Any) -> None:
        """Choose who hears of errors that nobody handled."""
        self._exception_handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Write an error that nobody handled into the log."""
        logger.error(context["message"], exc_info=context.get("exception"))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell of an error that nobody handled; of what a closed loop dropped there is nothing to tell."""
        if self.is_closed():
            return
        if self._exception_handler is not None:
            self._exception_handler(self, context)
        else:
            self.default_exception_handler(context)

    def get_debug(self) -> bool:
        """False: there is no debug mode."""
        return False

    def set_debug(self, enabled: bool) -> None:
        """There is no debug mode."""
