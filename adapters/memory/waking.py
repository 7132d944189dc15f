"""Waking a coroutine, whichever event loop and thread it waits in.

Everything in this package that waits (for a row lock, a message, a moment of the manual clock) waits with a
`Waiter`. A waiter belongs to the loop in which it was made; waking it from that loop schedules nothing through
other threads, so a single-threaded simulation stays deterministic.
"""

from __future__ import annotations

import asyncio

from ...ports.clock import Clock


class Waiter:
    """One coroutine that waits to be woken once."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        """Wake the coroutine; harmless where it is awake already.

        Returns:
            False where nobody can be woken any more, because the waiter's loop is closed.
        """
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            self._finish()
            return True
        try:
            self._loop.call_soon_threadsafe(self._finish)
        except RuntimeError:
            return False
        return True

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return when woken, or after `timeout_s` seconds of the event loop's time."""
        timer = None if timeout_s is None else self._loop.call_later(timeout_s, self._finish)
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()

    async def wait_by(self, clock: Clock, timeout_s: float) -> None:
        """Return when woken, or after `timeout_s` seconds of `clock`'s time."""
        timer = self._loop.create_task(_sleep(clock, timeout_s))
        timer.add_done_callback(lambda _: self._finish())
        try:
            await self._future
        finally:
            timer.cancel()
        if timer.done() and not timer.cancelled():
            timer.result()

    def _finish(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


async def _sleep(clock: Clock, duration_s: float) -> None:
    await clock.sleep(duration_s)
