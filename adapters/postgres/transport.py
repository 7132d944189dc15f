"""Wake-ups through LISTEN and NOTIFY: a transport that only hints.

`enqueue` tells this process's own listeners at once and leaves the others to a notification. Every effect may be lost;
hosts poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager

from ...ports.transport import Delivery, Job
from .database import Database
from .ends import PostgresRunWatch, RunEnds
from .listening import Listener
from .notifying import COALESCE_S, Notifier, channel_of, read_notification

NOWHERE: frozenset[str | None] = frozenset()


class PostgresTransport:
    """`JobTransport` over one channel per schema.

    Args:
        database: sends the notifications.
        listen_conninfo: where to listen; None to hear nothing from other processes.
        coalesce_s: the longest pause between two notifications while there is more to announce.
    """

    def __init__(self, database: Database, *, listen_conninfo: str | None, coalesce_s: float = COALESCE_S) -> None:
        schema = database.settings.schema
        self._notifier = Notifier(database, channel_of(schema), coalesce_s=coalesce_s)
        self._listener = (
            None if listen_conninfo is None else Listener(listen_conninfo, self._notifier.channel, self._hear)
        )
        ends = Notifier(database, channel_of(schema, "ended"), coalesce_s=coalesce_s)
        self._ends = RunEnds(ends, listen_conninfo=listen_conninfo)
        self._waiting: dict[asyncio.Future[frozenset[str | None]], frozenset[str | None]] = {}
        """Who waits, and for which queues; None stands for pending runs, which everybody waits for."""
        self._kept: set[str | None] = set()
        """What was announced while nobody waited for it."""
        self._missed = False
        """Whether anything may have been announced while nobody waited for it."""

    @property
    def delivers(self) -> bool:
        """False: `listen` tells where there may be jobs."""
        return False

    @property
    def listener(self) -> Listener | None:
        """What hears other processes; None where that is switched off."""
        return self._listener

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Tell this process's listeners, and soon everybody else's."""
        announced = {None if job.task is None else job.queue for job in jobs}
        if not announced:
            return
        self._wake(announced)
        self._notifier.tell(announced)

    async def dequeue(self, *, queues: Sequence[str], limit: int, wait_s: float) -> Sequence[Delivery]:
        """Nothing: there are only hints."""
        return ()

    async def listen(self, *, queues: Sequence[str], wait_s: float) -> Collection[str | None]:
        """Wait until something is announced or `wait_s` seconds are over."""
        if self._listener is not None:
            self._listener.start()
        mine: frozenset[str | None] = frozenset((None, *queues))
        kept = mine if self._missed else self._kept & mine
        self._missed = False
        self._kept -= mine
        if kept or wait_s <= 0:
            return kept
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[frozenset[str | None]] = loop.create_future()
        timer = loop.call_later(wait_s, _finish, woken, NOWHERE)
        self._waiting[woken] = mine
        try:
            return await woken
        finally:
            timer.cancel()
            self._waiting.pop(woken, None)

    async def complete(self, deliveries: Sequence[Delivery]) -> None:
        """Nothing is delivered, so there is nothing to acknowledge."""

    async def suspend(self, deliveries: Sequence[Delivery], *, delay_s: float) -> None:
        """Nothing is delivered, so there is nothing to put off."""

    async def fail(self, deliveries: Sequence[Delivery], *, reason: str) -> None:
        """Nothing is delivered, so there is nothing to put aside."""

    async def extend(self, deliveries: Sequence[Delivery], *, visibility_s: float) -> None:
        """Nothing is delivered, so there is nothing to keep."""

    async def tell_ended(self, run_ids: Sequence[str]) -> None:
        """Tell this process's waiters, and soon everybody else's."""
        self._ends.tell(run_ids)

    def watch(self, run_id: str) -> AbstractContextManager[PostgresRunWatch | None]:
        """Hear of the end of a run inside the block; None where this process does not listen."""
        return self._ends.watch(run_id)

    async def aclose(self) -> None:
        """Send what is unsent, stop hearing others, and wake everyone who waits."""
        await self._notifier.aclose()
        await self._ends.aclose()
        if self._listener is not None:
            await self._listener.aclose()
        for woken in tuple(self._waiting):
            _finish(woken, NOWHERE)

    def _wake(self, announced: Iterable[str | None]) -> None:
        unheard = set(announced)
        for woken, queues in tuple(self._waiting.items()):
            mine = queues.intersection(announced)
            if mine and not woken.done():
                woken.set_result(mine)
                unheard -= mine
        self._kept |= unheard

    def _wake_all(self) -> None:
        """Let everybody look everywhere; whoever is about to wait looks once more before."""
        told = [_finish(woken, queues) for woken, queues in self._waiting.items()]
        self._missed = not told or not all(told)

    def _hear(self, payload: str | None) -> None:
        """Another process announced something, or may have while nobody listened."""
        message = read_notification(payload)
        if message is None:
            self._wake_all()
        elif message[0] != self._notifier.origin:
            self._wake(message[1])


def _finish(woken: asyncio.Future[frozenset[str | None]], heard: frozenset[str | None]) -> bool:
    """Let one who waits go on; answers False where it had been told of something else."""
    if woken.done():
        return False
    woken.set_result(heard)
    return True
