"""Calling code of others that may hang: async functions in the event loop, plain ones in a thread.

Neither can be ended by force. A coroutine is cancelled, and may ignore it; a thread goes on until its function returns.
What was given up goes on by itself, and as long as it does, nothing further is begun: a function that hangs costs one
thread, not one for each time it is tried.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ..ports.sink import EarlierCallStuck

CANCEL_GRACE_S = 1.0
"""How long a cancelled coroutine may take to end before it is left alone."""

JOIN_S = 1.0
"""How long to wait for a thread whose function has returned; it needs microseconds."""


class PatientCaller:
    """`Caller` on asyncio and daemon threads, which keep no process from ending. Usable in any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._abandoned = 0
        """Calls that were given up and have not ended."""

    @property
    def is_stuck(self) -> bool:
        """Whether a call that was given up has not ended yet."""
        return self._abandoned > 0

    async def call(self, function: Callable[..., object], *arguments: object, timeout_s: float) -> object:
        """Call a function and return what it returns, within a time.

        Raises:
            TimeoutError: it took longer.
            EarlierCallStuck: an earlier call that did has not ended yet.
            Exception: whatever the function raised; `RuntimeError` for what is no `Exception`.
        """
        if self.is_stuck:
            raise EarlierCallStuck
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        if _is_async(function):
            return await self._finished(cast("Awaitable[object]", function(*arguments)), timeout_s)
        result = await self._in_thread(functools.partial(function, *arguments), timeout_s)
        if inspect.isawaitable(result):
            return await self._finished(result, deadline_s - asyncio.get_running_loop().time())
        return result

    async def _finished(self, awaitable: Awaitable[object], timeout_s: float) -> object:
        work = asyncio.ensure_future(_contained(awaitable))
        try:
            await asyncio.wait([work], timeout=timeout_s)
        finally:
            if not work.done():
                work.cancel()
                self._abandon(work)
        if not work.done():
            await asyncio.wait([work], timeout=CANCEL_GRACE_S)
            raise TimeoutError(f"it took longer than {timeout_s:g} s")
        if work.cancelled():  # recovers 75: a function of others cancels itself
            raise RuntimeError("it raised CancelledError")
        return work.result()

    async def _in_thread(self, function: Callable[[], object], timeout_s: float) -> object:
        answer: concurrent.futures.Future[object] = concurrent.futures.Future()
        answer.set_running_or_notify_cancel()  # from now on nobody can cancel it: it is done when the thread is
        context = contextvars.copy_context()

        def run() -> None:
            try:
                answer.set_result(context.run(function))
            except Exception as error:
                answer.set_exception(error)
            except BaseException as error:  # recovers 74, 75: a thread of others raises what ends processes
                answer.set_exception(RuntimeError(f"it raised {type(error).__name__}"))

        thread = threading.Thread(target=run, name="fairlead-sink", daemon=True)
        thread.start()
        waiting = asyncio.ensure_future(asyncio.wrap_future(answer))
        try:
            await asyncio.wait([waiting], timeout=timeout_s)
        finally:
            if not answer.done():
                self._abandon(answer)
        if not answer.done():  # recovers 75: a thread of others does not end in time
            waiting.cancel()
            raise TimeoutError(f"it took longer than {timeout_s:g} s")
        thread.join(JOIN_S)
        return await waiting

    def _abandon(self, work: asyncio.Future[object] | concurrent.futures.Future[object]) -> None:
        with self._lock:
            self._abandoned += 1

        def ended(done: Any) -> None:
            with self._lock:
                self._abandoned -= 1
            if not done.cancelled():
                done.exception()  # nobody is there to whom it could be told

        work.add_done_callback(ended)


async def _contained(awaitable: Awaitable[object]) -> object:
    """What it returns or raises; what would end the event loop is an error like any other."""
    try:
        return await awaitable
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:  # recovers 74, 75: a coroutine of others raises what ends processes
        raise RuntimeError(f"it raised {type(error).__name__}") from error


def _is_async(function: Callable[..., object]) -> bool:
    called: object = type(function).__call__  # of a callable object, the method that is called
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
