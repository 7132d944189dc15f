"""A node host between its start and its end: which loops it has, and in which order they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta

from ..announcing import GOODBYE_S, Announcer
from ..backoff import Backoff
from ..beside import Beside
from ..caring import Caretaker
from ..claiming import Claiming
from ..ending import SETTLE_S, within
from ..ticks import Ticks, isolated
from ..worker import Worker
from .caring import CareLoop
from .loops import ClaimLoop, FlushLoop, ListenLoop, Loop, ReceiveLoop, Receiver, WatchLoop, keep_going, kept_up

logger = logging.getLogger(__name__)


class Running:
    """The loops of one host around its worker."""

    def __init__(
        self,
        worker: Worker,
        beside: Beside,
        announcer: Announcer,
        resources: AsyncExitStack,
        *,
        poll_interval_s: float,
        sweep_s: float,
        drain_s: float,
    ) -> None:
        ports = worker.kernel.ports
        self._worker = worker
        self._beside = beside
        self._announcer = announcer
        self._resources = resources
        self._drain_s = drain_s
        self._closing = False
        self._ticks = Ticks(worker, sweep_after=timedelta(seconds=sweep_s))
        self._receiver = Receiver(worker)
        self._settling: list[asyncio.Task[None]] = []
        self._claims: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._flushing: dict[str, asyncio.Task[None]] = {}
        self._flushes = {
            name: FlushLoop(self._ticks, name, Backoff(worker.random)) for name in worker.kernel.sink_names
        }
        """By the name of its sink."""
        stir: Callable[..., None] | None = None
        if ports.transport.delivers:
            receive = ReceiveLoop(worker, self._receiver, self._ticks, when_claimed=self._flush_soon)
            self._claiming: tuple[ReceiveLoop | ClaimLoop | ListenLoop, ...] = (receive,)
        else:
            claiming = Claiming(worker, self._ticks)
            claim = ClaimLoop(worker, claiming, self._ticks, when_claimed=self._flush_soon)
            stir = claim.stir
            self._claiming = (claim, ListenLoop(self._receiver, stir=stir))
        self._watch = WatchLoop(
            worker,
            self._ticks,
            announcer,
            stir=stir,
            flush=self._flush,
            poll_interval_s=poll_interval_s,
            sweep_s=sweep_s,
        )
        self._care = CareLoop(Caretaker(worker.kernel), worker.random)
        self._caring: asyncio.Task[None] | None = None
        worker.settler.when_settled = self._flush_soon
        worker.when_put_off = self._watch.hurry

    @property
    def held(self) -> int:
        """How many tasks the worker has at hand."""
        return len(self._worker.held)

    def start(self) -> None:
        """Begin."""
        self._beside.start()
        settler = self._worker.settler
        self._settling = [self._keep_settling(settler.run), self._keep_settling(settler.run_second)]
        self._claims = [self._going(loop) for loop in self._claiming]
        self._watching = self._going(self._watch)
        self._caring = self._going(self._care)
        self._flushing = {name: self._going(flush) for name, flush in self._flushes.items()}

    def _keep_settling(self, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        settler, backoff = self._worker.settler, Backoff(self._worker.random)
        settling = kept_up(run, lambda: settler.closed or self._closing, backoff)
        return asyncio.create_task(settling, name=f"fairlead-{run.__qualname__}")

    def _going(self, loop: Loop) -> asyncio.Task[None]:
        async def steps() -> None:
            await keep_going(loop.step, loop.occasion, Backoff(self._worker.random))

        steps.__qualname__ = type(loop).__name__
        going = kept_up(steps, lambda: loop.occasion.stopped, Backoff(self._worker.random))
        return asyncio.create_task(going, name=f"fairlead-{type(loop).__name__}")

    def _flush_soon(self) -> None:
        self._flush(self._flushes)

    def _flush(self, sinks: Iterable[str]) -> None:
        for name in sorted(sinks):
            self._flushes[name].occasion.arise()

    async def stop(self, *, exiting: bool) -> None:
        """Drain, then close; what is left open by an error in between is closed all the same."""
        try:
            await self._drain(exiting=exiting)
        finally:
            await self._close()

    async def _drain(self, *, exiting: bool) -> None:
        worker = self._worker
        worker.draining = True
        for loop in self._claiming:
            loop.occasion.stop()
        self._receiver.interrupt()
        worker.stop_attempts(only_waiting=True)
        # A claim whose answer is on its way may still bring tasks, which are given back at once.
        await asyncio.wait(self._claims, timeout=SETTLE_S)
        await within(SETTLE_S, isolated({"recall": self._ticks.recall}))
        await within(self._drain_s, worker.until_empty())
        if worker.held:  # recovers 17: tasks do not end while their host drains
            logger.warning("%d tasks did not end within %g s and are given back", len(worker.held), self._drain_s)
            worker.stop_attempts()
            await within(worker.cancel_grace_s, worker.until_stopped())
        if exiting:
            worker.release_the_rest()
        worker.end_settling()
        if self._settling:
            await asyncio.wait(self._settling, timeout=SETTLE_S)
        for lease, execution in worker.held.items():  # recovers 18: tasks are left to their leases
            what = "its outcome is not recorded" if execution.ended else "its handler still runs"
            logger.error("task %s: %s; its lease will run out", lease.key, what)
        await self._flush_the_rest()

    async def _flush_the_rest(self) -> None:
        """Publish what the last outcomes committed, once nobody else in this host does.

        Two flushes at a time would share their shards, and give the sink one run's events twice at once.
        """
        for flush in self._flushes.values():
            flush.occasion.stop()
        await asyncio.gather(*(self._flush_last(name) for name in self._flushing))

    async def _flush_last(self, sink: str) -> None:
        async def flush() -> int:
            return (await self._ticks.flush_sink(sink)).accepted

        ended, _ = await asyncio.wait([self._flushing[sink]], timeout=SETTLE_S)
        if ended:
            await within(SETTLE_S, isolated({"flush": flush}))

    async def _close(self) -> None:
        """End every loop and thread, then what they work with."""
        for loop in (*self._claiming, self._watch, self._care, *self._flushes.values()):
            loop.occasion.stop()
        self._closing = True
        others = (self._watching, self._caring)
        ending = [
            *self._claims,
            *self._settling,
            *self._flushing.values(),
            *(each for each in others if each is not None),
        ]
        await asyncio.wait(ending, timeout=SETTLE_S)
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        await within(GOODBYE_S, isolated({"announce": self._announcer.say_goodbye}))
        async with self._resources:
            await self._beside.stop()
            await self._worker.close()
