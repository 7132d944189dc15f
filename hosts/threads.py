"""Threads for handlers that are plain functions, and for what would keep the event loop busy for too long.

They are daemons: a handler that never returns must not keep its process from ending. `concurrent.futures` joins its
threads when the interpreter exits, and a thread that is stuck cannot be taken out of its pool; here a stuck thread
simply does not come back, and another one is made in its place.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, TypeVar

logger = logging.getLogger(__name__)

Work = Callable[[], None]

Result = TypeVar("Result")

JOIN_S = 1.0
"""How long closing waits for a thread that has nothing left to do; it needs microseconds."""

LEAVE_S = 0.05
"""How long closing waits for all others together: one whose work has just ended needs no more."""


class HandlerThreads:
    """As many threads as have work at a time, kept for reuse. All methods belong to one thread, the event loop's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[tuple[contextvars.Context, Work] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._made = 0
        self._lock = threading.Lock()
        self._idle = 0
        """Threads that wait for work, less the work that waits for them; negative where threads are short."""
        self._short = False
        self._busy: set[threading.Thread] = set()

    def submit(self, work: Work) -> None:
        """Run `work` in a thread of its own, at once, with a copy of the current context variables.

        Where the process gets no further thread, it waits for the next one of these that becomes free.

        Raises:
            RuntimeError: there is no thread at all, nor can one be started.
        """
        item = (contextvars.copy_context(), work)
        with self._lock:
            needed = self._idle <= 0
            self._idle -= 1
        if needed:
            try:
                self._add_thread()
            except BaseException:  # recovers 76: there is no thread at all
                with self._lock:
                    self._idle += 1
                raise
        self._work.put(item)

    def wait_for(self, future: concurrent.futures.Future[Result]) -> Result:
        """In one of these threads: wait for what the event loop was asked to do."""
        return future.result()

    async def call(self, function: Callable[[], Result]) -> Result:
        """Let a function of the host's own compute in a thread, and return its result; errors as for `submit`."""
        answer: concurrent.futures.Future[Result] = concurrent.futures.Future()

        def work() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(function())
            except BaseException as error:
                answer.set_exception(error)

        self.submit(work)
        return await asyncio.wrap_future(answer)

    @property
    def alive(self) -> int:
        """How many threads exist."""
        return sum(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """End every thread that is idle; one that is still busy ends when its work does. Work that waits is dropped."""
        with suppress(queue.Empty):
            while True:
                self._work.get_nowait()
        for _ in self._threads:
            self._work.put(None)
        with self._lock:
            busy = [thread for thread in self._threads if thread in self._busy]
            idle = [thread for thread in self._threads if thread not in self._busy]
        for thread in idle:
            thread.join(JOIN_S)
        for thread in busy:
            thread.join(LEAVE_S / len(busy))

    def _add_thread(self) -> None:
        """Start one more thread, or see to it that there is one already."""
        thread = threading.Thread(target=self._run, name=f"{self._name}-{self._made + 1}", daemon=True)
        try:
            thread.start()
        except Exception as error:  # recovers 76: no further thread can be started
            if not self.alive:
                raise
            if not self._short:
                logger.warning(
                    "no further thread can be started beside %d, handlers wait for them: %s", self.alive, error
                )
            self._short = True
            return
        self._short = False
        self._made += 1
        self._threads.append(thread)
        with self._lock:
            self._idle += 1

    def _run(self) -> None:
        while True:
            item = self._work.get()
            if item is None:
                return
            context, work = item
            del item
            with self._lock:
                self._busy.add(threading.current_thread())
            try:
                context.run(work)
            except BaseException:  # recovers 74: a thread that died of what its work raises would be missing
                logger.exception("a handler's thread met an error that nobody handled")
            del context, work
            with self._lock:
                self._busy.discard(threading.current_thread())
                self._idle += 1


NewThreads: TypeAlias = Callable[[str], HandlerThreads]
"""Makes the threads of one worker, whose names begin as given."""
