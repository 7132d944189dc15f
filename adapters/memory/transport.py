"""A transport that delivers: a message queue with visibility timeouts, receipts and dead letters, as SQS has them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from attrs import define, frozen

from ...ports.clock import Clock
from ...ports.transport import Delivery, Job, RunWatch
from .waking import Waiter

VISIBILITY_S = 30.0
"""How long a delivered message stays invisible unless it is extended: the default of the queues this one imitates."""

_Place: TypeAlias = tuple[datetime, int]
"""When a message can be delivered, and its number."""


@frozen(kw_only=True)
class DeadLetter:
    """A job that was taken out of the way, and why."""

    job: Job
    reason: str
    deliveries: int


@define(eq=False, weakref_slot=False)
class _Message:
    number: int
    job: Job
    visible_at: datetime
    deliveries: int = 0
    receipt: str | None = None


class MemoryTransport:
    """`JobTransport` for hosts of one process, in any number of event loops and threads.

    Args:
        clock: measures delays, visibility and how long a `dequeue` waits.
        visibility_s: how long a delivered message stays invisible, in seconds.
    """

    def __init__(self, clock: Clock, *, visibility_s: float = VISIBILITY_S) -> None:
        if visibility_s <= 0:
            raise ValueError(f"visibility_s must be positive, not {visibility_s}")
        self.dead: list[DeadLetter] = []
        self._clock = clock
        self._visibility_s = visibility_s
        self._lock = threading.Lock()
        self._messages: dict[int, _Message] = {}
        self._places: dict[str | None, list[_Place]] = {}
        """Heaps by queue, with lazy deletion; None stands for pending runs, which every caller gets."""
        self._numbers = count(1)
        self._waiting: dict[Waiter, None] = {}
        self._closed = 0

    @property
    def delivers(self) -> bool:
        """True: jobs arrive as messages."""
        return True

    @property
    def pending(self) -> int:
        """How many messages are neither acknowledged nor dead, visible or not."""
        return len(self._messages)

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Put one message for each job."""
        now = self._clock.now()
        with self._lock:
            for job in jobs:
                message = _Message(next(self._numbers), job, now)
                self._messages[message.number] = message
                self._show(message, now if job.not_before is None else max(now, job.not_before))
            self._wake_all()

    async def dequeue(self, *, queues: Sequence[str], limit: int, wait_s: float) -> Sequence[Delivery]:
        """Wait for messages of `queues` or for pending runs, and take at most `limit`."""
        channels = (None, *dict.fromkeys(queues))
        closed = self._closed
        deadline = self._clock.monotonic() + wait_s
        while True:
            now = self._clock.now()
            remaining_s = deadline - self._clock.monotonic()
            with self._lock:
                deliveries = self._take(channels, limit, now)
                if deliveries or remaining_s <= 0 or closed != self._closed:
                    return deliveries
                next_at = self._next_visible_at(channels)
                waiter = Waiter()
                self._waiting[waiter] = None
            if next_at is not None:
                remaining_s = min(remaining_s, (next_at - now).total_seconds())
            try:
                await waiter.wait_by(self._clock, remaining_s)
            finally:
                with self._lock:
                    self._waiting.pop(waiter, None)

    async def listen(self, *, queues: Sequence[str], wait_s: float) -> Collection[str | None]:
        """Nothing: messages are delivered."""
        return ()

    async def complete(self, deliveries: Sequence[Delivery]) -> None:
        """Delete these messages."""
        with self._lock:
            for message in self._held(deliveries):
                del self._messages[message.number]

    async def suspend(self, deliveries: Sequence[Delivery], *, delay_s: float) -> None:
        """Give these messages back, to be delivered after `delay_s` seconds."""
        visible_at = self._clock.now() + timedelta(seconds=delay_s)
        with self._lock:
            for message in self._held(deliveries):
                message.receipt = None
                self._show(message, visible_at)
            self._wake_all()

    async def fail(self, deliveries: Sequence[Delivery], *, reason: str) -> None:
        """Move these messages to `dead`."""
        with self._lock:
            for message in self._held(deliveries):
                del self._messages[message.number]
                self.dead.append(DeadLetter(job=message.job, reason=reason, deliveries=message.deliveries))

    async def extend(self, deliveries: Sequence[Delivery], *, visibility_s: float) -> None:
        """Keep these messages invisible from now on for `visibility_s` seconds."""
        visible_at = self._clock.now() + timedelta(seconds=visibility_s)
        with self._lock:
            for message in self._held(deliveries):
                self._show(message, visible_at)

    async def tell_ended(self, run_ids: Sequence[str]) -> None:
        """Nobody is told: a queue gives each message to one consumer."""

    def watch(self, run_id: str) -> AbstractContextManager[RunWatch | None]:
        """None: see `tell_ended`."""
        return nullcontext()

    async def aclose(self) -> None:
        """Wake everyone who waits. The messages stay."""
        with self._lock:
            self._closed += 1
            self._wake_all()

    def _show(self, message: _Message, visible_at: datetime) -> None:
        message.visible_at = visible_at
        channel = None if message.job.task is None else message.job.queue
        heappush(self._places.setdefault(channel, []), (visible_at, message.number))

    def _take(self, channels: Iterable[str | None], limit: int, now: datetime) -> list[Delivery]:
        taken: list[Delivery] = []
        for channel in channels:
            places = self._places.get(channel, [])
            while places and places[0][0] <= now and len(taken) < limit:
                message = self._message_at(heappop(places))
                if message is not None:
                    taken.append(self._deliver(message, now))
        return taken

    def _deliver(self, message: _Message, now: datetime) -> Delivery:
        message.deliveries += 1
        message.receipt = f"{message.number}.{message.deliveries}"
        self._show(message, now + timedelta(seconds=self._visibility_s))
        return Delivery(job=message.job, receipt=message.receipt, deliveries=message.deliveries)

    def _next_visible_at(self, channels: Iterable[str | None]) -> datetime | None:
        tops: list[datetime] = []
        for channel in channels:
            places = self._places.get(channel, [])
            while places and self._message_at(places[0]) is None:
                heappop(places)
            if places:
                tops.append(places[0][0])
        return min(tops, default=None)

    def _message_at(self, place: _Place) -> _Message | None:
        """The message that stands at this place, unless it has gone or stands elsewhere now."""
        message = self._messages.get(place[1])
        return message if message is not None and message.visible_at == place[0] else None

    def _held(self, deliveries: Sequence[Delivery]) -> list[_Message]:
        """The messages whose latest delivery is among these; stale receipts are ignored."""
        found: list[_Message] = []
        for delivery in deliveries:
            number = delivery.receipt.partition(".")[0]
            message = self._messages.get(int(number)) if number.isdecimal() else None
            if message is not None and message.receipt == delivery.receipt and message not in found:
                found.append(message)
        return found

    def _wake_all(self) -> None:
        for waiter in self._waiting:
            waiter.wake()
        self._waiting.clear()
