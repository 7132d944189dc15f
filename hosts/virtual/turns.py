"""Threads that take turns with the event loop, so that plain functions run in the same order every time.

A plain handler needs a thread, since it may wait for the host's loop: for a stream's next page, or for what it gave to
`ctx.wait_for`. Here the loop stands still while such a thread goes on, until it ends or waits for the loop itself. No
virtual time passes meanwhile.
"""

from __future__ import annotations

import concurrent.futures
import threading
from typing import Any, TypeVar

from ..threads import HandlerThreads, Work
from ..trying import Abandoned
from .process import current_process

Result = TypeVar("Result")

TURN_S = 300.0
"""How long, in real seconds, a plain function may go on before the loop gives up waiting: it hangs."""


class Stuck(RuntimeError):
    """A plain function neither ends nor waits for the event loop, which cannot go on before."""

    def __init__(self) -> None:
        super().__init__(
            f"a plain handler has run for {TURN_S:g} real seconds, and virtual time stands still meanwhile; "
            "a handler that waits must be async, or wait for something that its test provides"
        )


class TurnThreads(HandlerThreads):
    """`HandlerThreads` of which one at a time goes on, and the loop only when none does."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._turns: dict[int, _Turn] = {}
        """Functions that have not ended, by thread."""

    def submit(self, work: Work) -> None:
        """Run `work` in a thread, and return when it has ended or waits for the loop; never in a process that is dead.

        What kills a process may come while one of its callbacks begins one handler after the other.
        """
        process = current_process()
        if process is not None and not process.alive:
            return
        turn = _Turn()

        def take_turn() -> None:
            number = threading.get_ident()
            self._turns[number] = turn
            try:
                work()
            finally:
                del self._turns[number]
                turn.give_back()

        super().submit(take_turn)
        turn.await_return()

    def wait_for(self, future: concurrent.futures.Future[Result]) -> Result:
        """In a handler's thread: let the loop go on until it has done something."""
        turn = self._turns[threading.get_ident()]
        future.add_done_callback(turn.hand_over)
        turn.wait()
        return future.result()

    def close(self) -> None:
        """End every thread; a function that waits for the loop hears that its attempt is abandoned."""
        for turn in tuple(self._turns.values()):
            turn.abandon()
        super().close()


class _Turn:
    """Who may go on: one thread, or the loop."""

    def __init__(self) -> None:
        self._threads = threading.Semaphore(0)
        self._loops = threading.Semaphore(0)
        self._abandoned = False

    def await_return(self) -> None:
        """In the loop: stand still until the thread ends or waits."""
        if not self._loops.acquire(timeout=TURN_S):
            raise Stuck

    def hand_over(self, _: Any = None) -> None:
        """In the loop: let the thread go on, and stand still."""
        if not self._abandoned:
            self._go_on()

    def abandon(self) -> None:
        """In the loop: let the thread end; what it waited for comes to nobody."""
        self._abandoned = True
        self._go_on()

    def _go_on(self) -> None:
        self._threads.release()
        self.await_return()

    def give_back(self) -> None:
        """In the thread: let the loop go on."""
        self._loops.release()

    def wait(self) -> None:
        """In the thread: let the loop go on, until it hands over."""
        if not self._abandoned:
            self._loops.release()
            self._threads.acquire()
        if self._abandoned:
            raise Abandoned("the simulation has ended")
