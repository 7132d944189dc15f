"""Machines: each runs one host after the other, each host in a process of its own."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Protocol

from ...adapters.memory import MemoryPersistence
from ...ports.clock import Clock
from ...ports.errors import AdapterError
from ..virtual import Process, VirtualLoop
from .clocks import MachineClock
from .ledger import Ledger
from .timeline import Timeline


class Incarnation:
    """One process: a host's, or a client's. Dead for good once it was killed.

    Args:
        name: what reports call it.
        timeline: where its death is told.
        ledger: where it is written down.
        handle: its connections to the store, which break when it dies.
        clock: what it believes the time to be.
    """

    def __init__(self, name: str, timeline: Timeline, ledger: Ledger, handle: MemoryPersistence, clock: Clock) -> None:
        self.name = name
        self.handle = handle
        self.clock = clock
        self.process = Process(name)
        self.still_until_s = 0.0
        """When it last went on, or will, in virtual seconds."""
        self.dead = asyncio.Event()
        """Set when it is killed."""
        self._timeline = timeline
        self._ledger = ledger

    @property
    def alive(self) -> bool:
        """False once it was killed."""
        return self.process.alive

    def die(self, why: str) -> None:
        """Be killed: nothing of it runs any more, and its connections break."""
        if not self.process.alive:
            return
        self._timeline.note(self.name, why)
        self._ledger.deaths[self.name] = self._timeline.time()
        self.process.kill()
        self.handle.disconnect()
        self.dead.set()

    def stand_still(self, duration_s: float) -> None:
        """Do nothing for a while, and then go on as if nothing was."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        def go_on() -> None:
            if self.process.alive:
                self._timeline.note(self.name, "goes on")
                loop.resume(self.process)

        self._timeline.note(self.name, f"stands still for {duration_s:.0f} s")
        self.process.paused = True
        self.still_until_s = loop.time() + duration_s
        loop.call_later(duration_s, go_on, context=contextvars.Context())  # a timer of its own would stand still, too

    def miscount(self, seconds: float) -> None:
        """Count seconds that did not pass; or, below 0, stand still for so long and do not count that."""
        if not isinstance(self.clock, MachineClock):
            return
        if seconds < 0:
            self.stand_still(-seconds)
        self._timeline.note(self.name, f"takes {seconds:+.0f} s for passed")
        self.clock.miscount(seconds)

    async def run(self, act: Callable[[], Awaitable[None]]) -> bool:
        """Do something in this process; answers False where it was killed before that was over.

        Raises:
            Exception: whatever that raises.
        """

        async def acting() -> None:
            await act()

        task = self.process.start(acting())
        dying = asyncio.ensure_future(self.dead.wait())
        try:
            await asyncio.wait([task, dying], return_when=asyncio.FIRST_COMPLETED)
        finally:
            dying.cancel()
        if not self.process.alive:
            return False
        await task
        return True


class Surroundings(Protocol):
    """The world, as machines see it."""

    timeline: Timeline

    def incarnate(self, name: str) -> Incarnation:
        """A new process."""
        ...


class Machine:
    """Keeps one host running: where its process dies, another one is started after a while.

    Args:
        world: where it stands.
        name: what reports call it.
        host: runs a host in a process until it is told to stop.
        random: how long it is down.
    """

    def __init__(
        self,
        world: Surroundings,
        name: str,
        host: Callable[[Incarnation, asyncio.Event], Awaitable[None]],
        random: Random,
    ) -> None:
        self.current: Incarnation | None = None
        """Its process; None while it is down."""
        self._world = world
        self._name = name
        self._host = host
        self._random = random
        self._number = 0
        self._stopping = asyncio.Event()
        """Of its host; set anew for each."""
        self._over = False

    async def keep_running(self) -> None:
        """Run hosts until stopped."""
        while not self._over:
            self._number += 1
            self._stopping = asyncio.Event()
            incarnation = self._world.incarnate(f"{self._name}.{self._number}")
            if not await self._run(incarnation, self._stopping):
                await self._wait(self._random.uniform(0.1, 10.0))

    async def _run(self, incarnation: Incarnation, stopping: asyncio.Event) -> bool:
        """Run one host; answers whether it ended in good order."""
        note = partial(self._world.timeline.note, incarnation.name)
        self.current = incarnation
        note("starts")
        try:
            ended = await incarnation.run(lambda: self._host(incarnation, stopping))
        except* AdapterError as errors:
            note(f"has failed: {errors.exceptions[0]}")
            ended = False
        finally:
            self.current = None
        if ended:
            note("has stopped")
        return ended

    async def _wait(self, duration_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(duration_s):
                await self._stopping.wait()

    def kill(self) -> bool:
        """Kill its process, whatever it does at the moment; answers whether there was one."""
        if self.current is None:
            return False
        self.current.die("is killed")
        return True

    def restart(self) -> None:
        """Let its host end in good order, and start another one."""
        self._stopping.set()

    def stop(self) -> None:
        """Let its host end in good order, and start no other."""
        self._over = True
        self._stopping.set()
