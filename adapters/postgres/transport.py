"""Wake-ups through LISTEN and NOTIFY: a transport that only hints.

A NOTIFY takes an instance-wide lock at its commit, so it never rides in a transaction that writes: `enqueue` wakes
this process's own waiters at once and leaves the others to a statement of its own, sent in the background: at once
after a quiet moment, then in pauses that double up to `coalesce_s` while there is always more to announce. Every effect
may be lost; hosts poll.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Iterable, Sequence

from ...ports.errors import AdapterError
from ...ports.transport import Delivery, Job
from .background import runs_here
from .database import Database
from .listening import Listener

COALESCE_FIRST_S = 0.001
"""The pause after the first wake-up of one process: whoever starts one run after the other waits for none of them."""

COALESCE_S = 0.01
"""The longest pause between two wake-ups of one process: nobody notices the delay, and a busy host sends few."""

PAYLOAD_BYTES_MAX = 7000
"""PostgreSQL refuses 8,000; beyond this everybody is woken."""

CLOSING_S = 1.0
"""How long closing waits for the last wake-ups to be sent."""

_log = logging.getLogger(__name__)


class PostgresTransport:
    """`JobTransport` over one channel per schema.

    Args:
        database: sends the notifications.
        listen_conninfo: where to listen; None to hear nothing from other processes.
        coalesce_s: the longest pause between two notifications while there is more to announce.
    """

    def __init__(self, database: Database, *, listen_conninfo: str | None, coalesce_s: float = COALESCE_S) -> None:
        self._database = database
        self._channel = channel_of(database.settings.schema)
        self._coalesce_s = coalesce_s
        self._origin = uuid.uuid4().hex
        self._listener = None if listen_conninfo is None else Listener(listen_conninfo, self._channel, self._hear)
        self._waiting: dict[asyncio.Future[None], frozenset[str | None]] = {}
        """Who waits, and for which queues; None stands for pending runs, which everybody waits for."""
        self._kept: set[str | None] = set()
        """What was announced while nobody waited for it."""
        self._unsent: set[str | None] = set()
        self._sending: asyncio.Task[None] | None = None

    @property
    def delivers(self) -> bool:
        """False: `dequeue` returns no jobs."""
        return False

    @property
    def listener(self) -> Listener | None:
        """What hears other processes; None where that is switched off."""
        return self._listener

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Wake this process's waiters, and soon everybody else's."""
        announced = {None if job.task is None else job.queue for job in jobs}
        if not announced:
            return
        self._wake(announced)
        self._unsent |= announced
        if not runs_here(self._sending):
            self._sending = asyncio.get_running_loop().create_task(self._send(), name="fairlead wake-ups")

    async def dequeue(self, *, queues: Sequence[str], limit: int, wait_s: float) -> Sequence[Delivery]:
        """Wait until something is announced or `wait_s` seconds are over; always empty."""
        if self._listener is not None:
            self._listener.start()
        mine: frozenset[str | None] = frozenset((None, *queues))
        kept = self._kept & mine
        self._kept -= mine
        if kept or wait_s <= 0:
            return ()
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(wait_s, _finish, woken)
        self._waiting[woken] = mine
        try:
            await woken
        finally:
            timer.cancel()
            self._waiting.pop(woken, None)
        return ()

    async def complete(self, deliveries: Sequence[Delivery]) -> None:
        """Nothing is delivered, so there is nothing to acknowledge."""

    async def suspend(self, deliveries: Sequence[Delivery], *, delay_s: float) -> None:
        """Nothing is delivered, so there is nothing to put off."""

    async def fail(self, deliveries: Sequence[Delivery], *, reason: str) -> None:
        """Nothing is delivered, so there is nothing to put aside."""

    async def extend(self, deliveries: Sequence[Delivery], *, visibility_s: float) -> None:
        """Nothing is delivered, so there is nothing to keep."""

    async def aclose(self) -> None:
        """Send what is unsent, stop listening, and wake everyone who waits."""
        sending, self._sending = self._sending, None
        if runs_here(sending):
            await asyncio.wait({sending}, timeout=CLOSING_S)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if self._listener is not None:
            await self._listener.aclose()
        for woken in tuple(self._waiting):
            _finish(woken)

    def _wake(self, announced: Iterable[str | None]) -> None:
        unheard = set(announced)
        for woken, queues in tuple(self._waiting.items()):
            mine = queues.intersection(announced)
            if mine and not woken.done():
                woken.set_result(None)
                unheard -= mine
        self._kept |= unheard

    def _wake_all(self) -> None:
        """Wake everybody; whoever is about to wait looks once more before."""
        if not self._waiting:
            self._kept.add(None)
        for woken in self._waiting:
            _finish(woken)

    def _hear(self, payload: str | None) -> None:
        """Another process announced something, or may have while nobody listened."""
        message = _read(payload)
        if message is None:
            self._wake_all()
        elif message[0] != self._origin:
            self._wake(message[1])

    async def _send(self) -> None:
        pause_s = min(COALESCE_FIRST_S, self._coalesce_s)
        while self._unsent:
            await self._notify()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._coalesce_s)

    async def _notify(self) -> None:
        announced, self._unsent = self._unsent, set()
        if not announced:
            return
        payload = json.dumps([self._origin, *sorted(announced, key=str)], separators=(",", ":"))
        if len(payload.encode()) > PAYLOAD_BYTES_MAX:
            payload = ""
        try:
            await self._database.write("notify", {"channel": self._channel, "payload": payload})
        except AdapterError as error:  # recovers 32: a wake-up cannot be sent
            _log.info("a wake-up was not sent, other hosts will poll: %s", error)


def channel_of(schema: str) -> str:
    """The channel of a schema, within PostgreSQL's limit of 63 bytes and apart from every other schema's."""
    return schema if len(schema.encode()) < 40 else f"fairlead:{uuid.uuid5(uuid.NAMESPACE_OID, schema).hex}"


def _read(payload: str | None) -> tuple[str, set[str | None]] | None:
    """Who announced what; None where that is not known."""
    try:
        origin, *announced = json.loads(payload or "null")
    except (TypeError, ValueError):  # recovers 32: what is heard is not ours, or was too long to be said
        return None
    return str(origin), {None if queue is None else str(queue) for queue in announced}


def _finish(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
