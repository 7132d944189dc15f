"""The world of one test: a store in memory, hosts that run its flows, and a time that passes when the test says so.

The world stands still between two calls. Within one, it goes on like this: whatever can go on at the present time does.
While a host has work at hand, or finds some, the time passes from timer to timer, as it would. When nothing goes on any
more, it jumps to what the store says is due next: hosts would only have polled meanwhile. So a month of waiting costs
as little as a second, and whatever happens, happens at its time.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from ...adapters.memory import SequentialIds, memory_ports
from ...kernel import Flow, Kernel
from ...kernel.commands import CLOCK_SKEW_MAX
from ...ports import Ports
from ...ports.reading import Due, RunFilter
from ...ports.sink import EventSink
from ...ports.statuses import TERMINAL_RUN, RunStatus
from ..node import NodeHost
from ..options import queues_of
from ..resources import Resources
from ..virtual import LoopClock, Process, TurnThreads, VirtualLoop, place_of
from .arranging import ArrangedExecutables, Arrangements
from .errors import NotAFlow, RealTimeLimit, blames_the_test
from .stage import Stage

__tracebackhide__ = blames_the_test

T = TypeVar("T")

TestResources: TypeAlias = Resources | Callable[[], Mapping[str, object]]
"""As for hosts; or what makes the resources, as for `simulate`."""

FOR_EVER = float("inf")

CALLBACKS_MAX = 20_000
"""Callbacks between two looks at the real clock: some hundredths of a second."""

LATENCY_S = 0.5
"""What is due at the end of a span of virtual time may take so much longer to be carried out: hosts look for it a
little late, and write notes twice a second."""

POLL_INTERVAL = timedelta(seconds=30)
"""Hosts in memory are told of whatever is to be done, so they need not look for it often."""


class Halt(enum.Enum):
    """Why the world stands still again."""

    DONE = "what was waited for is there"
    IDLE = "nothing will happen any more"
    TIME = "the time is over"


class World:
    """Everything of one test. Its methods belong to the thread of its stage.

    Args:
        stage: the thread.
        start: the wall time at which it begins.
        sink: where events are published.
    """

    def __init__(self, stage: Stage, *, start: datetime, sink: EventSink | Mapping[str, EventSink] | None) -> None:
        self._stage = stage
        self._loop = VirtualLoop()
        self.clock = LoopClock(self._loop, start=start)
        self.arrangements = Arrangements(self.clock, SequentialIds())
        self.ports: Ports = memory_ports(clock=self.clock, sink=sink, new_id=self.arrangements.new_id)
        self.kernel = Kernel(flows=[], ports=self.ports)
        """Of all flows that are used so far."""
        self.moves = 0
        """How often anything may have changed."""
        self._process = Process("host")
        self._hosts: dict[Flow[Any], NodeHost] = {}
        self._queues: tuple[str, ...] = ()
        self._opened: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        """What holds resources open, and how it is told to close them."""

    # Setting up and closing

    def use(self, *flows: Flow[Any]) -> None:
        """Let flows be run here, in one kernel and by a host each.

        Raises:
            NotAFlow: one is something else.
            FlowDefinitionError: one cannot be sealed, or another one has its slug and version.
        """
        for flow in flows:
            if not isinstance(flow, Flow):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise NotAFlow(flow)
        new = [flow for flow in dict.fromkeys(flows) if flow not in self._hosts]
        if not new:
            return
        kernel = Kernel(flows=[*self._hosts, *new], ports=self.ports)
        for flow in new:
            own = kernel if len(kernel.flows) == 1 else Kernel(flows=[flow], ports=self.ports)
            host = self._host(own, len(self._hosts) + 1)
            self._call_as_host(host.start())
            self._hosts[flow] = host
        self.kernel = kernel
        self._queues = queues_of(kernel)
        self.call(kernel.register())

    def _host(self, kernel: Kernel, number: int) -> NodeHost:
        return NodeHost(
            kernel,
            worker=f"flow-test-{number}",
            heartbeats="loop",
            new_threads=lambda name: TurnThreads(f"{self._stage.name} {name}"),
            new_executables=lambda kernel: ArrangedExecutables(kernel, self.arrangements),
            poll_interval=POLL_INTERVAL,
            drain_timeout=0,
        )

    def open(self, source: TestResources | None) -> Mapping[str, object]:
        """Open or make resources; what is opened stays open as long as the world."""
        made = source() if callable(source) else source or {}
        return made if isinstance(made, Mapping) else self._opened_within(made)

    def _opened_within(self, manager: AbstractAsyncContextManager[Mapping[str, object]]) -> Mapping[str, object]:
        ready: asyncio.Future[Mapping[str, object]] = self._loop.create_future()
        end = asyncio.Event()

        async def hold() -> None:  # one task enters and leaves, as some context managers insist
            try:
                async with manager as resources:
                    ready.set_result(resources)
                    await end.wait()
            except Exception as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        async def until_ready() -> Mapping[str, object]:
            return await ready

        self._opened.append((self._loop.create_task(hold(), name="resources"), end))
        return self.call(until_ready())

    def close(self) -> list[str]:
        """End everything; answers what handlers have left behind."""
        for host in self._hosts.values():
            self._call_as_host(host.stop())
        left = self._left_behind()
        for task, end in reversed(self._opened):
            end.set()
            self._finish(task)
        self.call(self.ports.aclose())
        self._loop.end()
        return left

    def _left_behind(self) -> list[str]:
        holding = {task for task, _ in self._opened}
        return [
            f"task {task.get_name()} in {place_of(task) or task.get_coro().__qualname__}"  # type: ignore[union-attr]
            for task in self._loop.living_tasks()
            if task not in holding
        ]

    # Going on

    @property
    def live_runs(self) -> int:
        """How many runs have not ended."""
        chosen = RunFilter(statuses=frozenset(RunStatus) - TERMINAL_RUN)
        return len(self.read(self.kernel.runs(chosen)).runs)

    @property
    def now_s(self) -> float:
        """Virtual seconds since the world was made."""
        return self._loop.time()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine of the test.

        Raises:
            Deadlock: it waits for something that will never be.
        """
        task: asyncio.Task[T] = self._loop.create_task(coroutine)
        try:
            return self._finish(task)
        finally:
            if task.cancel():
                self._run_ready()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine that waits for nobody, and do not wait for what comes of it."""
        self.moves += 1
        return self._loop.run_until_complete(coroutine)

    def read(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine that reads the store: in memory it waits for nobody, so nothing else goes on."""
        try:
            coroutine.send(None)
        except StopIteration as ended:
            answer: T = ended.value
            return answer
        coroutine.close()
        raise AssertionError("what is read in memory is there at once")

    def _call_as_host(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine of a host's: all that it begins is the hosts' own."""
        task: asyncio.Task[T] = self._process.within(lambda: self._loop.create_task(coroutine))
        return self._finish(task)

    def _finish(self, task: asyncio.Task[T]) -> T:
        """Go on until a task is done."""
        while True:
            ended = self._run_ready()
            if task.done():
                return task.result()
            if ended:
                self._wait()

    def _wait(self) -> None:
        """Let the time pass to what a task of the test may wait for."""
        if self._loop.waits_for_time() or not self._hosts:
            self._pass_time(FOR_EVER)
        elif not self.step(FOR_EVER):
            raise self._loop.deadlock()

    def go_on(
        self,
        done: Callable[[], bool],
        *,
        until_s: float = FOR_EVER,
        forlorn: Callable[[World], bool] = lambda _: False,
    ) -> Halt:
        """Let everything happen, in its time, until something is the case.

        Args:
            done: what is waited for; looked at whenever nothing more happens at a time.
            until_s: when the waiting ends at the latest, in seconds of this world.
            forlorn: whether it will never be, although something else may happen; asked before a wait.

        Raises:
            RealTimeLimit: it takes too much real time.
            FlowTestProblem: something in a run is a mistake of the test.
        """
        while True:
            self.settle()
            if done():
                return Halt.DONE
            if self.now_s >= until_s:
                return Halt.TIME
            if not self.step(until_s, forlorn):
                return Halt.IDLE

    def idle(self) -> None:
        """Let happen what does not have to wait for its time."""
        self.settle()
        while self._is_busy(self._due()):
            self._pass_time(FOR_EVER)
            self.settle()

    def advance(self, duration_s: float) -> None:
        """Let so much time pass, and all that is due by then happen."""
        until_s = self.now_s + duration_s
        if self.go_on(lambda: False, until_s=until_s) is Halt.IDLE:
            self._loop.jump(until_s)
        latest_s = until_s + LATENCY_S
        self.settle()
        while self.now_s < latest_s and self._is_busy(self._due()):
            next_s = self._loop.next_timer_s
            if next_s is None or next_s > latest_s:
                return
            self._loop.jump(next_s)
            self.settle()

    def settle(self) -> None:
        """Run whatever can go on at this time."""
        while not self._run_ready():
            pass
        problem, self.arrangements.problem = self.arrangements.problem, None
        if problem is not None:
            raise problem

    def step(self, until_s: float, forlorn: Callable[[World], bool] = lambda _: False) -> bool:
        """Let the time pass to when something happens, at most until then; False if nothing ever will."""
        due = self._due()
        if self._is_busy(due):
            self._pass_time(until_s)
        elif due.next_at is not None and not forlorn(self):
            wait_s = (due.next_at - self.clock.now()) / timedelta(seconds=1)
            self._loop.jump(min(self.now_s + max(wait_s, 0.0), until_s))
        else:
            return False
        return True

    def _pass_time(self, until_s: float) -> None:
        next_s = self._loop.next_timer_s
        if next_s is None:
            raise self._loop.deadlock()
        self._loop.jump(min(next_s, until_s))

    def _run_ready(self) -> bool:
        self.moves += 1
        ended = self._loop.run_ready(CALLBACKS_MAX)
        if self._stage.late:
            raise RealTimeLimit(limit_s=self._stage.limit_s, where=self.places())
        return ended

    def places(self) -> tuple[str, ...]:
        """Where the tasks are that wait in code of handlers."""
        places = ((task.get_name(), place_of(task)) for task in self._loop.living_tasks())
        return tuple(f"task {name} in {place}" for name, place in places if place is not None)

    def _due(self) -> Due:
        """What hosts would find now."""
        now = self.clock.now()
        looking = self.ports.persistence.due(
            flow_ids=self.kernel.flow_ids,
            queues=self._queues,
            sinks=self.kernel.sink_names,
            now=now,
            expired_before=now - CLOCK_SKEW_MAX,
        )
        return self.read(looking)

    def _is_busy(self, due: Due) -> bool:
        found = due.runs, due.tasks, due.expired, due.waits, due.overdue, due.scheduled, due.outbox
        return any(found) or any(host.held for host in self._hosts.values())
