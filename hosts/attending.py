"""What a handler may ask of the host that executes it, through its `Context`.

An async handler awaits in the event loop of its host. A plain one runs in a thread: what it waits for is carried out in
that loop, and is cancelled when its attempt is stopped or the host ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from typing import Any, Protocol, TypeVar

from attrs import frozen

from ..kernel import Kernel, Step
from ..kernel.durations import Duration
from ..ports.records import ClaimedTask
from .cancelling import ends_task
from .errors import AwaitedInLoop, StreamInLoop
from .trying import Ongoing, call_in_loop, try_on

T = TypeVar("T")


class Attended(Ongoing, Protocol):
    """An attempt whose handler may ask."""

    def awaits(self, task: asyncio.Task[Any]) -> None:
        """Its thread waits for this task of the host's loop, which is of no use once the attempt is over."""
        ...


@frozen
class Attending:
    """Serves one attempt."""

    _claimed: ClaimedTask
    _kernel: Kernel
    _attempt: Attended

    async def resume_token(self, step: str | Step[Any], expires_in: Duration) -> str:
        """Make a token for a signal step of the attempt's run; see `Context.resume_token`."""
        run_id = self._claimed.key.run_id
        return await try_on(
            self._attempt,
            "make a resume token",
            lambda: self._kernel.resume_token(run_id, step, expires_in=expires_in),
        )

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Carry something out in the host's loop, and wait for it in the handler's thread; see `Context.wait_for`.

        Raises:
            Abandoned: the attempt is over, or its host has ended.
        """

        async def outcome() -> tuple[T] | BaseException:
            task = asyncio.current_task()
            assert task is not None, "it was handed to a loop"
            self._attempt.awaits(task)
            # Whatever it raises goes to the thread: of some exceptions the host's loop would end.
            try:
                return (await awaitable,)
            except BaseException as error:
                if ends_task(error):
                    raise
                return error

        try:
            found = call_in_loop(self._attempt, outcome)
        except StreamInLoop:
            raise AwaitedInLoop from None
        finally:
            if iscoroutine(awaitable) and getcoroutinestate(awaitable) == CORO_CREATED:
                awaitable.close()  # nobody will await it any more
        if isinstance(found, BaseException):
            raise found
        return found[0]
