"""One world: a store, a transport, a blob store, a sink, and the processes that come and go around them.

A world has two phases. In the first, faults strike, and only safety is asked for: whatever is committed is sound. Then
the world is healed: whoever was killed comes again, nothing fails any more, and what was begun has to end. Where all
wait for a time that is far, time jumps there, in both phases: faults strike what happens then, too.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Self, TypeVar

from ...adapters.calling import PatientCaller
from ...adapters.memory import (
    CollectingSink,
    MemoryPersistence,
    MemoryTransport,
    MemoryWakeups,
    SequentialIds,
)
from ...adapters.memory.store import Store
from ...kernel import Flow, Kernel
from ...kernel.references import INLINE_BYTES_MAX
from ...ports import Ports
from ...ports.errors import AdapterError, UsageError
from ...ports.records import Lease
from ...ports.scheduler import KeptCommand, ScheduledCommand
from ...ports.statuses import TERMINAL_RUN, RunStatus
from ..virtual import LoopClock, TurnThreads, VirtualLoop
from .broken import Broken, NotOver
from .checks import RowChecks
from .clocks import MachineClock, clock_error_s
from .fate import Fate
from .healing import Healing
from .hosting import Hosting
from .keeping import KeptBlobs
from .leases import LeaseChecks
from .leaving import left_open
from .ledger import Ledger
from .logs import Logs
from .machines import Incarnation, Machine
from .patience import Patience, Standing
from .scheduling import RememberingScheduler
from .setting import Setting
from .striking import Calls, Strikes, StruckBlobs, StruckPersistence, StruckSink, StruckTransport
from .timeline import Timeline
from .troubles import Troubles
from .unfinished import unfinished
from .watching import Watch, WatchedExecutables

T = TypeVar("T")

LOOK_S = 0.5
"""How often it is looked whether all has ended."""

HELD_UP_S = 60.0
"""By how much longer than a lease, a round of maintenance and a poll work may lie there: hosts sweep every 30 s."""

QUIET_S = 10.0
"""How long before a time that is waited for nothing happens yet: hosts' clocks differ by seconds."""

FAR_S = 120.0
"""What is due later than this is not waited for by hosts that poll in vain: the time jumps there."""

STRIKING_S = 1.0
"""How long before that time the jump ends where faults strike: they are for what happens then, not for the wait."""

RETURNS_MAX = 2
"""How often a storm goes on after a jump, as long as at first: some flows wait again and again."""

PAUSED_LEASES = 3.5
"""How many times the duration of its leases a process that is struck stands still."""


class World:
    """One world, made for one seed: `with World(…) as world: world.play(…)`.

    Args:
        flows: what every host serves.
        setting: what was drawn.
        random: the source of all chance in it.
        resources: makes what handlers ask for; shared by all hosts, since it stands for the world outside.
        inline_bytes_max: the largest payload that stands in its row.
        fate: decides what happens at calls of ports; None for chance, as the setting has it.
        sink: is given the events; None for one that takes whatever it gets.
        prepared: is given each kernel before it is used.
    """

    def __init__(
        self,
        flows: Sequence[Flow[Any]],
        setting: Setting,
        random: Random,
        *,
        resources: Mapping[str, object] | None = None,
        inline_bytes_max: int = INLINE_BYTES_MAX,
        fate: Fate | None = None,
        sink: CollectingSink | None = None,
        prepared: Callable[[Kernel], None] | None = None,
    ) -> None:
        self.setting = setting
        self.random = random
        self.loop = VirtualLoop(random)
        self.timeline = Timeline(self.loop.time)
        self._logs = Logs(self.timeline, lambda problem: self._break([problem]))
        self.ledger = Ledger()
        self.resources: Mapping[str, object] = {} if resources is None else resources
        self.sink = CollectingSink() if sink is None else sink
        self.clock = LoopClock(self.loop)
        """The right time."""
        self.strikes = Strikes(
            setting.weather,
            random,
            self.timeline,
            fate=fate,
            kills_left=setting.kills,
            pause_s=PAUSED_LEASES * setting.lease.total_seconds(),
        )
        self.flows = tuple(flows)
        self._rows = Store()
        self.store = MemoryPersistence(self._rows)
        error_s = clock_error_s(setting.weather)
        self.checks = RowChecks(self._rows, self.ledger, self.flows, self.timeline, clock_error_s=error_s)
        self._healing = Healing(lease_s=setting.lease.total_seconds(), machines=setting.machines)
        self._starving_s_max = (
            setting.lease.total_seconds() + setting.maintenance_s + setting.poll_interval_s + HELD_UP_S
        )
        self._leases = LeaseChecks(self._rows, self.ledger, self.clock)
        self.blobs = KeptBlobs(self.clock, self._rows, self._break)
        self._scheduler = RememberingScheduler(self._rows)
        self._transport = MemoryTransport(self.clock) if setting.delivers else MemoryWakeups(self.clock)
        self._ids = SequentialIds()
        self._inline_bytes_max = inline_bytes_max
        self._prepared = prepared
        self._threads: list[TurnThreads] = []
        self._open = ExitStack()
        self._broken: asyncio.Future[None] | None = None
        self.jumps = 0
        """How often time has jumped."""
        self._stragglers: Sequence[Incarnation] = ()
        """Processes that stand still while the world is healed."""
        self.machines = [
            Machine(self, f"host-{number}", self._host, random) for number in range(1, setting.machines + 1)
        ]

    # Playing

    def play(self, clients: Callable[[World], Coroutine[Any, Any, None]], *, lull: int = 0) -> None:
        """Let clients act while faults strike, heal the world, and return when all has ended.

        Args:
            clients: what acts from outside; ends when all of it was acknowledged.
            lull: nothing strikes before time has jumped so often.

        Raises:
            Broken: a promise does not hold.
            Deadlock: nothing can go on.
        """
        self.watch(self._course(clients, lull))

    def watch(self, acting: Coroutine[Any, Any, T]) -> T:
        """Let somebody act, and check whatever is committed meanwhile. No host runs but those that they run.

        Raises:
            Broken: a promise does not hold.
            Deadlock: nothing can go on.
        """
        return self.loop.run_until_complete(self._watched(acting))

    async def _watched(self, course: Coroutine[Any, Any, T]) -> T:
        self._broken = self.loop.create_future()
        acting = asyncio.ensure_future(course)
        either: list[asyncio.Future[Any]] = [acting, self._broken]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._broken.done():
            self._broken.result()
        return await acting

    async def _course(self, clients: Callable[[World], Coroutine[Any, Any, None]], lull: int) -> None:
        self.strikes.calm = lull > 0
        running = [asyncio.ensure_future(machine.keep_running()) for machine in self.machines]
        for keeping in running:
            keeping.add_done_callback(self._machine_ended)
        befalling = Troubles(self.setting, self.random, self.strikes, self.machines)
        troubles = [asyncio.ensure_future(trouble) for trouble in befalling.going_on()]
        acting = asyncio.ensure_future(clients(self))
        await self._lull(acting, lull)
        await self._storm(acting)
        for trouble in troubles:
            trouble.cancel()
        self.strikes.calm = True
        current = [machine.current for machine in self.machines if machine.current is not None]
        self._stragglers = [each for each in current if each.still_until_s > self.loop.time()]
        self._healing.begin(max([self.loop.time(), *(each.still_until_s for each in self._stragglers)]))
        self.timeline.note("world", "is healed")
        for machine in self.machines:
            machine.restart()
        await self._until_over(acting)
        await acting
        for machine in self.machines:
            machine.stop()
        await asyncio.gather(*running)

    def _machine_ended(self, machine: asyncio.Future[None]) -> None:
        """A host ends in good order, is killed, or lacks a port as it begins; nothing else ends a machine."""
        error = None if machine.cancelled() else machine.exception()
        if isinstance(error, UsageError):  # a resource that is missing, say: that is for who simulates
            self._end(error)
        elif error is not None:
            self._break([f"a host has failed: {''.join(traceback.format_exception_only(error)).strip()}"])

    async def _lull(self, acting: asyncio.Future[None], jumps: int) -> None:
        """Wait until time has jumped so often, while nothing strikes."""
        patience = Patience()
        while self.jumps < jumps and not self._is_over(acting) and not patience.is_over:
            standing = Standing.of(self._rows, self.clock.now())
            self._jump(standing, short_s=STRIKING_S)
            await asyncio.sleep(LOOK_S)
            patience.spend(standing, LOOK_S)
        self.strikes.calm = False

    async def _storm(self, acting: asyncio.Future[None]) -> None:
        """Let faults strike while there is something that they could strike; and again where time has jumped."""
        ends_s, returns = self.loop.time() + self.setting.storm_s, RETURNS_MAX
        await asyncio.wait([acting], timeout=self.setting.storm_s)
        while not self._is_over(acting) and self.loop.time() < ends_s:
            await asyncio.sleep(LOOK_S)
            if returns and acting.done() and self._jump(Standing.of(self._rows, self.clock.now()), short_s=STRIKING_S):
                ends_s, returns = self.loop.time() + self.setting.storm_s, returns - 1

    async def _until_over(self, acting: asyncio.Future[None]) -> None:
        """Wait until clients have done what they do and every run has ended, those of stragglers included."""
        patience = Patience()
        while not self._is_over(acting) or self._straggles:
            standing = Standing.of(self._rows, self.clock.now())
            if patience.is_over:
                raise NotOver(
                    [
                        "I31: the faults are over, and what was begun does not end",
                        *await unfinished(self._rows, self.reader(), self.clock.now()),
                    ]
                )
            self._jump(standing)
            states, runs = self.checks.states, len(self._rows.runs)
            is_quiet = acting.done() and self._is_quiet(standing)
            await asyncio.sleep(LOOK_S)
            is_quiet = is_quiet and len(self._rows.runs) == runs  # what is old may be removed
            if is_quiet and self.checks.states != states:
                self._break([f"I36: something was written while everything waits until {standing.next_at}"])
            patience.spend(standing, LOOK_S)
            if self._healing.is_well(self.loop.time()):
                patience.starve(standing, len(self.machines), LOOK_S)
            if patience.starving_s > self._starving_s_max:
                self._break([f"I35: {patience.owed} waits for a host since {patience.starving_s:.0f} s; one is idle"])

    def _is_over(self, acting: asyncio.Future[None]) -> bool:
        """Whether clients have done what they do and all has ended; raises what they raise."""
        return acting.done() and acting.result() is None and self.over()

    @property
    def _straggles(self) -> bool:
        """Whether a process has not ended that stood still when the world was healed: it may yet begin something."""
        return any(machine.current in self._stragglers for machine in self.machines)

    def _is_quiet(self, standing: Standing) -> bool:
        """Whether there is nothing to do, and nothing will be for a while, whatever hosts believe the time to be."""
        if standing.busy or not standing.waits or standing.next_at is None or self._rows.outbox.unpublished:
            return False
        if any(shard.worker for sink in self._rows.outbox.sinks.values() for shard in sink.shards):
            return False
        left_s = (standing.next_at - self.clock.now()).total_seconds()
        return left_s > QUIET_S and self._healing.is_well(self.loop.time())

    def _jump(self, standing: Standing, *, short_s: float = FAR_S / 2) -> bool:
        """Where everybody waits for a time that is far, go there, or to `short_s` before; answers whether it did.

        Not while an answer is delayed: it would come too late by as much as is jumped over.
        """
        if standing.next_at is None or standing.busy or not standing.waits:
            return False
        if self.loop.time() < self.strikes.delayed_until_s:
            return False
        first_s = (standing.next_at - self.clock.now()).total_seconds()
        if first_s <= FAR_S:
            return False
        self.loop.jump(self.loop.time() + first_s - short_s)
        self._healing.jumped(self.loop.time())
        self.jumps += 1
        return True

    def exists(self, run_id: str) -> bool:
        """Whether a run was started."""
        return run_id in self._rows.runs

    def has_ended(self, run_id: str) -> bool:
        """Whether a run stands in a terminal status."""
        return self.status_of(run_id) in TERMINAL_RUN

    def status_of(self, run_id: str) -> RunStatus | None:
        """How a run stands; None where there is none."""
        stored = self._rows.runs.get(run_id)
        return None if stored is None else stored.row.status

    def scheduled(self, name: str) -> KeptCommand | None:
        """What is scheduled under a name."""
        return self._rows.scheduled.get(name)

    @property
    def commands_put_back(self) -> Sequence[ScheduledCommand]:
        """All scheduled commands that were put back so far, each as it was then."""
        return self._scheduler.put_back_so_far

    @property
    def has_dead_letters(self) -> bool:
        """Whether some sink has never accepted some event."""
        return any(True for sink in self._rows.outbox.sinks.values() for _ in sink.letters())

    def over(self) -> bool:
        """Whether every run has ended and every event was published."""
        ended = all(stored.row.status in TERMINAL_RUN for stored in self._rows.runs.values())
        return ended and not self._rows.outbox.unpublished

    # Processes

    def incarnate(self, name: str) -> Incarnation:
        """A new process."""
        weather = self.setting.weather
        offset = timedelta(seconds=self.random.uniform(-weather.clock_offset_s, weather.clock_offset_s))
        if weather.machine_clock_offset_s:
            return self._incarnate_by_machine_clock(name)
        clock = LoopClock(self.loop)
        clock.offset = offset
        self.ledger.clocks[name] = offset
        return Incarnation(name, self.timeline, self.ledger, self.store.connect(), clock)

    def _incarnate_by_machine_clock(self, name: str) -> Incarnation:
        """A process that knows no time but its machine's until it has asked the store."""

        async def right_time() -> datetime:
            return self.clock.now()

        async def ask() -> datetime:
            return await self.strikes.at(incarnation, "clock.read_time", right_time)

        offset_s = self.setting.weather.machine_clock_offset_s
        offset = timedelta(seconds=self.random.uniform(-offset_s, offset_s))
        clock = MachineClock(self.loop, ask, start=self.clock.now() + offset)
        incarnation = Incarnation(name, self.timeline, self.ledger, self.store.connect(), clock)  # `ask` needs its name
        return incarnation

    async def insist(self, name: str, act: Callable[[Kernel], Awaitable[bool]]) -> None:
        """Let a client do something, again in a new process where it was killed or did not learn what became of it.

        Args:
            name: of the client.
            act: answers whether it was done; raises `AdapterError` where it does not know.
        """
        number = 0
        while True:
            number += 1
            incarnation = self.incarnate(f"{name}.{number}")
            done = False

            async def acting(incarnation: Incarnation = incarnation) -> None:
                nonlocal done
                done = await act(self.kernel(incarnation))

            with suppress(AdapterError):
                await incarnation.run(acting)
            if done:
                return
            await asyncio.sleep(self.random.uniform(0.1, 3.0))

    async def send(self, key: str, step: str, payload: object) -> None:
        """Let a client send a signal until it knows what became of it."""

        async def act(kernel: Kernel) -> bool:
            await kernel.run(self.ledger.runs[key]).signal(step, payload, key="of the client")
            return True

        await asyncio.sleep(self.random.uniform(0, 30))
        await self.insist("client", act)

    def reader(self) -> Kernel:
        """A kernel for whoever looks at what was left, once it is over."""
        self.strikes.calm = True
        return self.kernel(self.incarnate("reader"))

    def kernel(self, incarnation: Incarnation, flows: Sequence[Flow[Any]] | None = None) -> Kernel:
        """A kernel in a process, with all flows or some of them."""
        kernel = Kernel(
            flows=self.flows if flows is None else flows,
            ports=self.ports(incarnation),
            inline_bytes_max=self._inline_bytes_max,
        )
        if self._prepared is not None:
            self._prepared(kernel)
        return kernel

    def ports(self, caller: Incarnation) -> Ports:
        """What a process has of the world: all of it may be struck."""
        strikes = self.strikes
        persistence: Any = StruckPersistence(caller.handle, caller, strikes, self.written)
        transport: Any = StruckTransport(self._transport, caller, strikes, "transport")
        blobs: Any = StruckBlobs(self.blobs, caller, strikes, "blobs")
        scheduler: Any = Calls(self._scheduler, caller, strikes, "scheduler")
        sink: Any = StruckSink(self.sink, caller, strikes, "sink")
        return Ports(
            persistence=persistence,
            transport=transport,
            blobs=blobs,
            scheduler=scheduler,
            clock=caller.clock,
            new_id=self._ids,
            new_secret=self._ids,
            new_caller=PatientCaller,
            sink=sink,
        )

    async def _host(self, incarnation: Incarnation, stopping: asyncio.Event) -> None:
        """One host in its process, until it is told to stop; which flows it serves differs while deploys go on."""
        watch = Watch(incarnation, self.ledger, self.strikes)
        flows = self._flows_served()
        if len(flows) < len(self.flows):
            self.timeline.note(incarnation.name, f"serves {', '.join(flow.slug for flow in flows)} only")
        hosting = Hosting(
            kernel=self.kernel(incarnation, flows),
            worker=incarnation.name,
            setting=self.setting,
            resources=self.resources,
            new_threads=self._new_threads,
            new_executables=partial(WatchedExecutables, watch),
        )
        serverless = self.random.random() < self.setting.serverless
        await (hosting.run_serverless(stopping) if serverless else hosting.run_node(stopping))
        left = list(left_open(incarnation))
        if left:
            self._break([f"I37: {incarnation.name} has stopped and left open {', '.join(left)}"])

    def _flows_served(self) -> Sequence[Flow[Any]]:
        """All flows; while deploys go on, perhaps only some."""
        if self.strikes.calm or self.setting.weather.restart_every_s is None or self.random.random() < 0.5:
            return self.flows
        return self.random.sample(self.flows, self.random.randint(1, len(self.flows)))

    def _new_threads(self, name: str) -> TurnThreads:
        threads = TurnThreads(name)
        self._threads.append(threads)
        return threads

    # Checks

    async def written(self, heartbeat: Collection[Lease] | None = None) -> None:
        """Something may have been committed: look whether everything still holds."""
        problems = [*self._leases.problems(), *self.checks.problems(heartbeat)]
        problems += self._healing.problems(self.checks.changes, self.loop.time())
        self._break(problems)

    def _break(self, problems: Sequence[str]) -> None:
        """A promise does not hold, where there are problems."""
        if problems:
            self._end(Broken(problems))

    def _end(self, error: BaseException) -> None:
        """The course ends here."""
        if self._broken is not None and not self._broken.done() and not self.timeline.is_closed:
            self._broken.set_exception(error)

    # Ends

    def __enter__(self) -> Self:
        self._open.enter_context(self._logs.kept())
        return self

    def __exit__(self, *_: object) -> None:
        """Take everything apart. What handlers do now is not looked at any more."""
        self.timeline.close()
        with self._open:
            for machine in self.machines:
                machine.kill()
            for threads in self._threads:
                threads.close()
            self.loop.end()
            self.loop.bury()
