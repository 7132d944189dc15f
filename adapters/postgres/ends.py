"""Hearing that runs have ended, through LISTEN and NOTIFY, so that whoever waits for one does not ask again and again.

The connection that listens is opened for the first who waits. Behind a transaction pooler a LISTEN succeeds and nothing
is ever heard; so hearing counts from the moment at which a notification of our own came back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from .listening import Listener
from .notifying import Notifier, read_notification

PROOF = ""
"""The word by which it is found out whether anything is heard. No run has it as its tail."""

PROOF_PAUSE_S = 5.0
"""The shortest pause after which the proof is repeated for whoever begins to wait: where nothing is heard, one for each
would be told in vain."""

TAIL_CHARACTERS = 8
"""Characters of a run's id, the last ones, that stand for it: random, and short enough for hundreds in a notification.
Whoever waits for another run with that tail looks once in vain."""


class PostgresRunWatch:
    """One who waits for the end of a run."""

    def __init__(self, ends: RunEnds) -> None:
        self._ends = ends
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()

    @property
    def hears(self) -> bool:
        """Whether an end would be heard now."""
        return self._ends.hears

    async def wait(self, wait_s: float) -> None:
        """Return when the run's end was told since the last wait, or after `wait_s` seconds."""
        try:
            async with asyncio.timeout(wait_s):
                await self._told.wait()
        except TimeoutError:
            return
        self._told.clear()

    def tell(self) -> None:
        """It may have ended. Nobody waits any more in a loop that was closed."""
        if not self._loop.is_closed():
            self._told.set()


class RunEnds:
    """Who waits for which runs, here, and what tells others.

    Args:
        notifier: tells other processes.
        listen_conninfo: where to listen; None to hear nothing from other processes.
    """

    def __init__(self, notifier: Notifier, *, listen_conninfo: str | None) -> None:
        self._notifier = notifier
        self._listener = None if listen_conninfo is None else Listener(listen_conninfo, notifier.channel, self._hear)
        self._watches: dict[str, list[PostgresRunWatch]] = {}
        self._proven = False
        self._proof_told_at = 0.0

    @property
    def hears(self) -> bool:
        """Whether what others tell is heard now."""
        return self._proven and self._listener is not None and self._listener.listening.is_set()

    def tell(self, run_ids: Iterable[str]) -> None:
        """Tell of runs that have ended."""
        tails = {run_id[-TAIL_CHARACTERS:] for run_id in run_ids}
        self._wake(tails)
        self._notifier.tell(tails)

    @contextmanager
    def watch(self, run_id: str) -> Generator[PostgresRunWatch | None]:
        """Hear of the end of a run inside the block; None where nothing is listened to."""
        if self._listener is None:
            yield None
            return
        self._listener.start()
        if self._listener.listening.is_set() and not self._proven and self._may_repeat_proof():
            self._tell_proof()
        watch, tail = PostgresRunWatch(self), run_id[-TAIL_CHARACTERS:]
        self._watches.setdefault(tail, []).append(watch)
        try:
            yield watch
        finally:
            here = self._watches[tail]
            here.remove(watch)
            if not here:
                del self._watches[tail]

    async def aclose(self) -> None:
        """Stop listening, send what is unsent, and wake everyone who waits."""
        if self._listener is not None:
            await self._listener.aclose()
        await self._notifier.aclose()
        self._wake(self._watches)

    def _hear(self, payload: str | None) -> None:
        if payload is None:
            # It listens anew. What was told before is lost, and that anything is heard has to be found out.
            self._proven = False
            self._tell_proof()
            self._wake(self._watches)
            return
        message = read_notification(payload)
        if message is None:
            self._wake(self._watches)
        elif message[0] == self._notifier.origin:
            self._proven = True
        else:
            self._wake(tail for tail in message[1] if tail is not None)

    def _tell_proof(self) -> None:
        self._proof_told_at = time.monotonic()
        self._notifier.tell({PROOF})

    def _may_repeat_proof(self) -> bool:
        """A notification may be lost, this one as well; but not each time."""
        return time.monotonic() - self._proof_told_at >= PROOF_PAUSE_S

    def _wake(self, tails: Iterable[str]) -> None:
        if not self._watches:
            return
        for tail in tails:
            for watch in self._watches.get(tail, ()):
                watch.tell()
