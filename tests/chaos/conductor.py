"""Does harm to a campaign, by the dice of one seed: kills, pauses, restarts, ended sessions, a misbehaving proxy.

Each kind of harm has a stream of its own, so that one which is slow holds up no other. The seed settles what is done to
whom and when; what the processes are doing at that moment, it cannot.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field, frozen

from fairlead.kernel.commands import CLOCK_SKEW_MAX
from tests.chaos.proxy import Proxy, ProxyFault
from tests.chaos.server import Server
from tests.chaos.workers import Worker, Workers

LOOK_S = 0.1
STOP_TIMEOUT_S = 60.0
"""How long a worker that was told to stop may take: its own patience, and a machine that is busy."""


@frozen(kw_only=True)
class Pace:
    """Seconds between two harms of a kind, on average."""

    kill_s: float = 1.3
    stop_s: float = 8.0
    zombie_s: float = 6.5
    restart_s: float = 13.0
    terminate_s: float = 6.0
    proxy_s: float = 2.0


@define(eq=False)
class Conductor:
    """Harms until it is cancelled; `heal` makes everything good again.

    Args:
        workers: whom it kills and stops.
        workers_count: how many it keeps alive.
        server: what it restarts.
        proxies: what it makes misbehave.
        seed: of everything.
        pace: how often.
    """

    workers: Workers
    workers_count: int
    server: Server
    proxies: Sequence[Proxy]
    seed: int
    pace: Pace
    done: Counter[str] = field(factory=Counter[str])
    """What was done, by kind."""
    _restarting: asyncio.Lock = field(factory=asyncio.Lock)
    _stopping: set[asyncio.Task[None]] = field(factory=set[asyncio.Task[None]])
    """Workers that were told to stop and have not ended."""

    @asynccontextmanager
    async def harming(self) -> AsyncGenerator[None]:
        """Do harm during the block; afterwards the database runs again, and no other harm is left half done."""
        pace = self.pace
        streams = [
            self._stream("kill", pace.kill_s, self._kill),
            self._stream("stop", pace.stop_s, self._stop),
            self._stream("zombie", pace.zombie_s, self._make_zombie),
            self._stream("restart", pace.restart_s, self._restart),
            self._stream("terminate", pace.terminate_s, self._terminate),
            self._stream("proxy", pace.proxy_s, self._misdirect),
        ]
        tasks = [asyncio.create_task(stream) for stream in streams]
        try:
            yield
        finally:
            async with self._restarting:
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*self._stopping)
        for task in tasks:
            if not task.cancelled():
                task.result()

    @property
    def has_done_all_kinds(self) -> bool:
        """Whether there was each kind of harm that makes a campaign worth its name."""
        lost = sum(proxy.lost[ProxyFault.LOSE_COMMIT] for proxy in self.proxies)
        return min(lost, *(self.done[kind] for kind in ("kills", "stops", "zombies", "restarts"))) > 0

    async def keep_alive(self) -> None:
        """Start workers for those that are gone, until it is cancelled."""
        while True:
            self.workers.notice_deaths()
            while len(self.workers.lasting()) < self.workers_count:
                self.workers.start()
            await asyncio.sleep(LOOK_S)

    def heal(self) -> None:
        """Let everybody work undisturbed."""
        for proxy in self.proxies:
            proxy.heal()
        for worker in self.workers.running:
            if worker.stopped:
                self.workers.resume(worker)

    async def _stream(
        self, name: str, mean_s: float, harm: Callable[[random.Random], Coroutine[Any, Any, None]]
    ) -> None:
        drawn = random.Random(f"{self.seed}/{name}")
        async with asyncio.TaskGroup() as lasting:
            while True:
                await asyncio.sleep(mean_s * drawn.uniform(0.5, 1.5))
                # Each harm has dice of its own, so that those that last do not shift the dice of the later ones.
                lasting.create_task(harm(random.Random(drawn.random())))

    async def _victim(self, drawn: random.Random) -> Worker:
        while not (able := self.workers.able()):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        return drawn.choice(able)

    async def _kill(self, drawn: random.Random) -> None:
        self.workers.kill(await self._victim(drawn))
        self.done["kills"] += 1

    async def _stop(self, drawn: random.Random) -> None:
        """A rolling deploy: one is told to stop, and another one starts meanwhile."""
        stopping = asyncio.create_task(self.workers.stop(await self._victim(drawn), STOP_TIMEOUT_S))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        self.done["stops"] += 1

    async def _make_zombie(self, drawn: random.Random) -> None:
        """Stop a worker until its leases have certainly been taken back, which is when clocks agree that they ended."""
        victim = await self._victim(drawn)
        self.workers.pause(victim)
        await asyncio.sleep(self.workers.lease_s + CLOCK_SKEW_MAX.total_seconds() + drawn.uniform(1, 4))
        if victim in self.workers.running:
            self.workers.resume(victim)
            self.done["zombies"] += 1

    async def _restart(self, drawn: random.Random) -> None:
        async with self._restarting:
            await self.server.restart(drawn.choice((0.0, 0.0, 0.5, 2.0)))
            self.done["restarts"] += 1

    async def _terminate(self, drawn: random.Random) -> None:
        self.done["terminated"] += await self.server.terminate_backends(drawn, drawn.choice((0.1, 0.3, 1.0)))

    async def _misdirect(self, drawn: random.Random) -> None:
        proxy = drawn.choice(self.proxies)
        fault = drawn.choice([*ProxyFault, ProxyFault.LOSE_COMMIT, ProxyFault.LOSE_COMMIT])
        match fault:
            case ProxyFault.DELAY:
                proxy.delay_s = drawn.uniform(0.02, 0.3)
                await asyncio.sleep(drawn.uniform(0.5, 3))
                proxy.delay_s = 0.0
            case ProxyFault.STALL:
                proxy.stall(drawn.uniform(0.5, 2.5 * self.workers.lease_s))
            case ProxyFault.CUT:
                self.done["connections cut"] += proxy.cut(drawn.choice((0.3, 1.0)))
            case ProxyFault.DROP:
                self.done["connections dropped"] += proxy.drop(drawn.choice((0.2, 0.5)))
            case ProxyFault.LOSE_COMMIT | ProxyFault.LOSE_WRITE:
                proxy.lose(fault)
        self.done[f"proxy: {fault}"] += 1
