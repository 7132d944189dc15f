"""Being told to end: the first signal asks for a drain, the second ends the process at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from types import FrameType
from typing import Any, Self

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Listens for signals while its block lasts. Only in the main thread of a process.

    The handlers are Python's own rather than the event loop's, so that the second signal works while a handler blocks
    the loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._first: asyncio.Future[signal.Signals] = self._loop.create_future()
        self._received = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    async def first(self) -> signal.Signals:
        """Wait for a signal."""
        return await asyncio.shield(self._first)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received:
            os._exit(128 + number)
        self._received = True
        self._loop.call_soon_threadsafe(self._note, signal.Signals(number))

    def _note(self, received: signal.Signals) -> None:
        logger.info("%s: no further claims; running tasks are finished (once more: exit at once)", received.name)
        if not self._first.done():
            self._first.set_result(received)
