"""The loops that keep a node host going, each its own asyncio task with one purpose.

A loop is a step that is repeated: wait for an occasion, then do one bounded piece of work with the store. It is
stopped between two steps, never within one, so that no claim is lost whose answer was on its way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from ...kernel.commands import CLOCK_SKEW_MAX
from ...ports.reading import Due
from ...ports.transport import Delivery
from ..announcing import Announcer
from ..backoff import Backoff
from ..cancelling import ends_task
from ..claiming import Claiming
from ..ticks import FLUSH_BATCH, Ticks, isolated
from ..worker import Worker

logger = logging.getLogger(__name__)

T = TypeVar("T")

LISTEN_S = 60.0
"""How long one call waits for the transport; it returns earlier when there is something."""

DELIVERIES_MAX = 100
"""Messages taken from the transport at a time, however many slots are free."""

POLL_FIRST_S = 0.05
"""The pause before the first probe after activity; it doubles up to the host's `poll_interval`."""

DUE_SPREAD_S = 0.02
"""Up to so long after the time of a task or a wait a host looks for it, at random: of many hosts that know of it, one
asks first, and the others find nothing left to do."""

FLUSH_PAUSE_S = 0.05
"""The pause between two flushes of a busy host: events of that time are published together."""

CLOCK_PAUSE_S = 1.0
"""How long a host whose clock is uncertain waits before it looks at it again."""

SWEEP_GROWTH_MAX = 16
"""How many times longer than at first the pause between two sweeps becomes at most, while every slot is taken."""

SYNCHRONISE_S = 60.0
"""How often the clock is compared with the one it follows: quartz drifts by some milliseconds in that time."""


class Occasion:
    """Something to wait for, by one loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._end = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether the loop is to end."""
        return self._end.is_set()

    def arise(self) -> None:
        """Let the waiting loop go on, or the next wait return at once."""
        self._event.set()

    def stop(self) -> None:
        """Let every wait return at once from now on."""
        self._end.set()
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait until the occasion arises, at most `timeout_s` seconds."""
        await _wait_for(self._event, timeout_s)
        if not self.stopped:
            self._event.clear()

    async def pause(self, duration_s: float) -> None:
        """Wait, whatever arises, unless the loop is to end."""
        await _wait_for(self._end, duration_s)


async def _wait_for(event: asyncio.Event, timeout_s: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class Loop(Protocol):
    """One of a host's loops."""

    @property
    def occasion(self) -> Occasion:
        """What it waits for, and how it is stopped."""
        ...

    async def step(self) -> None:
        """Wait for the occasion, then do one bounded piece of work."""
        ...


async def keep_going(step: Callable[[], Awaitable[None]], occasion: Occasion, backoff: Backoff) -> None:
    """Repeat a step until its occasion is stopped; after one that fails, by whatever it raises, pause."""
    while not occasion.stopped:
        try:
            await step()
        except BaseException as error:
            if ends_task(error):
                raise
            pause_s = backoff.pause_s()  # recovers 21, 76: a step of a loop fails
            if backoff.failures == 1:
                name = getattr(step, "__qualname__", repr(step))
                logger.warning("%s failed and goes on trying: %s: %s", name, type(error).__name__, error)
            await occasion.pause(pause_s)
        else:
            backoff.reset()


async def kept_up(loop: Callable[[], Awaitable[None]], over: Callable[[], bool], backoff: Backoff) -> None:
    """Run a loop until it is over; where it ends before, by whatever, say so and begin it again after a pause."""
    name = getattr(loop, "__qualname__", repr(loop))
    while True:
        problem: BaseException | None = None
        try:
            await loop()
        except BaseException as error:
            if ends_task(error):
                if not over():
                    logger.error("%s was ended from outside although its host goes on", name, exc_info=error)
                raise
            problem = error  # recovers 76: a loop ends although its host goes on
        if over():
            return
        logger.error("%s has ended although its host goes on, and is begun again", name, exc_info=problem)
        await asyncio.sleep(backoff.pause_s())


class Receiver:
    """Waits for the transport, and can be told to wait no more: then it answers nothing."""

    def __init__(self, worker: Worker) -> None:
        self._transport = worker.kernel.ports.transport
        self._queues = worker.options.queues
        self._waiting: asyncio.Future[Any] | None = None
        self._interrupted = False

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """What the transport delivers within `LISTEN_S`."""
        return await self._unless_interrupted(
            self._transport.dequeue(queues=self._queues, limit=limit, wait_s=LISTEN_S), ()
        )

    async def hear(self) -> Collection[str | None]:
        """Where something may wait, as the transport hints within `LISTEN_S`."""
        return await self._unless_interrupted(self._transport.listen(queues=self._queues, wait_s=LISTEN_S), ())

    async def _unless_interrupted(self, coming: Coroutine[Any, Any, T], otherwise: T) -> T:
        if self._interrupted:
            coming.close()
            return otherwise
        waiting = asyncio.ensure_future(coming)
        self._waiting = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._interrupted and waiting.cancelled():  # recovers 17: a host stops that waits for messages
                return otherwise
            waiting.cancel()
            raise
        finally:
            self._waiting = None

    def interrupt(self) -> None:
        """Do not wait for further messages. What the transport had begun to deliver, it delivers again."""
        self._interrupted = True
        if self._waiting is not None:
            self._waiting.cancel()


class ClaimLoop:
    """Claims by polling whenever there may be work and there is a slot for it."""

    def __init__(self, worker: Worker, claiming: Claiming, ticks: Ticks, *, when_claimed: Callable[[], None]) -> None:
        self.occasion = Occasion()
        self._claiming = claiming
        self._ticks = ticks
        self._when_claimed = when_claimed
        worker.slots.when_free = self._look
        worker.when_overflowed = lambda: self.stir(queues=worker.options.queues)

    def stir(self, *, runs: bool = False, queues: Iterable[str] = ()) -> None:
        """Something may wait."""
        self._claiming.stir(runs=runs, queues=queues)
        self._look()

    def _look(self) -> None:
        if self._claiming.possible:
            self.occasion.arise()

    async def step(self) -> None:
        """Claim once, as soon as it makes sense."""
        if not self._claiming.possible:
            await self.occasion.wait()
        elif not self._ticks.may_claim:  # recovers 43: a host that polls does not trust its clock
            await self.occasion.pause(CLOCK_PAUSE_S)
        elif await self._claiming.claim():
            self._when_claimed()


class ListenLoop:
    """Waits for a transport that hints, and stirs the claims where it does."""

    def __init__(self, receiver: Receiver, *, stir: Callable[..., None]) -> None:
        self.occasion = Occasion()
        self._receiver = receiver
        self._stir = stir

    async def step(self) -> None:
        """Wait for one hint."""
        heard = await self._receiver.hear()
        if heard:
            self._stir(runs=None in heard, queues=[queue for queue in heard if queue is not None])
        # A transport that never waits must not keep everything else from running.
        await asyncio.sleep(0)


class ReceiveLoop:
    """Takes messages from a transport that delivers, and claims what they name."""

    def __init__(self, worker: Worker, receiver: Receiver, ticks: Ticks, *, when_claimed: Callable[[], None]) -> None:
        self.occasion = Occasion()
        self._worker = worker
        self._slots = worker.slots
        self._receiver = receiver
        self._ticks = ticks
        self._when_claimed = when_claimed
        worker.slots.when_free = self.occasion.arise

    async def step(self) -> None:
        """Take some messages, as soon as there is a slot, and claim what they name."""
        if self._slots.free <= 0 or self._worker.congested:
            await self.occasion.wait()
        elif not self._ticks.may_claim:  # recovers 43: a host that takes messages does not trust its clock
            await self.occasion.pause(CLOCK_PAUSE_S)
        elif await self._ticks.recall():  # recovers 22: a host that takes messages recalls tasks
            self._when_claimed()
        elif (free := self._slots.free) > 0:  # asked again: recalling takes time, in which others take slots
            deliveries = await self._receiver.receive(min(free, DELIVERIES_MAX))
            if self.occasion.stopped:  # recovers 17: messages come while their host stops
                await self._ticks.decline(deliveries)
            elif deliveries and await self._ticks.claim_delivered(deliveries):
                self._when_claimed()


class FlushLoop:
    """Publishes events to one sink soon after they were committed, by this host or, as the probe tells, by another."""

    def __init__(self, ticks: Ticks, sink: str, backoff: Backoff) -> None:
        self.occasion = Occasion()
        self._ticks = ticks
        self._sink = sink
        self._backoff = backoff

    async def step(self) -> None:
        """Publish what there is, as soon as there may be something."""
        await self.occasion.wait()
        if self.occasion.stopped:
            return
        flushed = await self._ticks.flush_sink(self._sink)
        if flushed.idle:  # recovers 69, 75: others flush, or the sink is given a pause
            await self.occasion.pause(self._backoff.pause_s())
            return
        self._backoff.reset()
        if flushed.accepted >= FLUSH_BATCH:
            self.occasion.arise()
        await self.occasion.pause(FLUSH_PAUSE_S)


class WatchLoop:
    """Asks the store with one statement whether any tick would find something, and runs those that would."""

    def __init__(
        self,
        worker: Worker,
        ticks: Ticks,
        announcer: Announcer,
        *,
        stir: Callable[..., None] | None,
        flush: Callable[[Iterable[str]], None],
        poll_interval_s: float,
        sweep_s: float,
    ) -> None:
        self.occasion = Occasion()
        self._worker = worker
        self._ticks = ticks
        self._announcer = announcer
        self._stir = stir
        self._flush = flush
        self._ports = worker.kernel.ports
        self._clock = worker.kernel.ports.clock
        self._poll_interval_s = poll_interval_s
        self._sweep_first_s = self._sweep_s = sweep_s
        self._pause_s = self._wait_s = 0.0
        self._started = 0
        self._hurried = False
        now_s = self._clock.monotonic()
        self._synchronise_at_s = now_s + SYNCHRONISE_S
        self._sweep_at_s = now_s + sweep_s

    def hurry(self) -> None:
        """Something was put off to a time that only the store knows: look for it soon."""
        self._hurried = True
        if self._wait_s > POLL_FIRST_S:
            self.occasion.arise()

    async def step(self) -> None:
        """Probe once, after a pause that is short after activity."""
        await self.occasion.wait(self._wait_s)
        if self.occasion.stopped:
            return
        self._hurried = False
        self._pause_s = min(self._pause_s * 2, self._poll_interval_s)
        self._wait_s = self._spread(self._pause_s)  # also where the probe fails
        now = self._clock.now()
        due = await self._ports.persistence.due(
            flow_ids=self._worker.kernel.flow_ids,
            queues=self._worker.options.queues,
            sinks=self._worker.kernel.sink_names,
            now=now,
            expired_before=now - CLOCK_SKEW_MAX,
        )
        moved = await self._act_on(due)
        self._pause_s = self._next_pause_s(active=moved or due.expired)
        self._wait_s = self._spread(self._pause_s)
        if due.next_at is not None:
            until_s = (due.next_at - self._clock.now()) / timedelta(seconds=1)
            self._wait_s = min(self._wait_s, max(until_s, 0) + DUE_SPREAD_S * self._worker.random.random())

    async def _act_on(self, due: Due) -> bool:
        """Run the ticks that would find something; answers whether that put tasks into their queues."""
        if self._stir is not None and (due.runs or due.tasks):
            self._stir(runs=due.runs, queues=self._worker.options.queues if due.tasks else ())
        self._flush(due.outbox)
        steps: dict[str, Callable[[], Awaitable[int]]] = {}
        now_s = self._clock.monotonic()
        if due.expired:  # recovers 3, 20: leases ran out
            steps["reap"] = self._ticks.reap
        if due.waits:
            steps["wake"] = self._ticks.wake
        if due.overdue:
            steps["expire"] = self._ticks.expire
        if due.scheduled:  # behind what keeps the runs alive that are there
            steps["fire"] = self._ticks.fire
        if now_s >= self._synchronise_at_s:
            self._synchronise_at_s = now_s + SYNCHRONISE_S
            steps["synchronise"] = self._ticks.synchronise
        if self._announcer.due_in_s <= 0:
            steps["announce"] = self._announcer.announce
        if now_s >= self._sweep_at_s:
            self._sweep_at_s = now_s + self._next_sweep_s()
            steps["sweep"] = self._ticks.sweep
        report = await isolated(steps)
        fired, woken = report.counts.get("fire", 0) > 0, report.counts.get("wake", 0) > 0
        if (fired or woken) and self._stir is not None:
            self._stir(runs=fired, queues=self._worker.options.queues if woken else ())
        if woken:
            self._flush(self._worker.kernel.sink_names)
        return fired or woken

    def _next_sweep_s(self) -> float:
        """How long until the next sweep: ever longer while every slot is taken.

        What waits then waits for slots. Announced at every interval, it would leave a heap of messages behind a long
        handler, and the slot that becomes free is offered all those that others have dealt with before one of use.
        """
        longest_s = self._sweep_first_s * SWEEP_GROWTH_MAX
        free = self._worker.slots.free > 0
        self._sweep_s = self._sweep_first_s if free else min(self._sweep_s * 2, longest_s)
        return self._sweep_s

    def _next_pause_s(self, *, active: bool) -> float:
        """How long until the next probe, if nothing is due before: short after activity, at most the interval."""
        worker = self._worker
        active = active or worker.started != self._started or self._hurried
        self._started = worker.started
        if active and not worker.slots.contended:
            return min(POLL_FIRST_S, self._poll_interval_s)
        pause_s = max(self._pause_s, POLL_FIRST_S)
        return min(pause_s, self._poll_interval_s, max(self._announcer.due_in_s, POLL_FIRST_S))

    def _spread(self, pause_s: float) -> float:
        """A pause that is not the same for all hosts."""
        return pause_s * (1 + 0.1 * self._worker.random.random())
