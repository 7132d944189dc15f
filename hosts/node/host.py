"""`NodeHost`: its options, its start, its drain and its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self

from ...kernel import Kernel
from ...kernel.durations import Duration
from ...ports.workers import HostKind
from ..announcing import Announcer
from ..beside import HeartbeatsIn
from ..duties import beside
from ..errors import HostOptionError
from ..executables import Executables, NewExecutables
from ..options import checked_count, checked_duration, checked_heartbeats, checked_queues, checked_worker, queues_of
from ..resources import Resources, opened
from ..threads import HandlerThreads, NewThreads
from ..worker import Worker, WorkerOptions
from .running import Running
from .signals import StopSignals

logger = logging.getLogger(__name__)

CONCURRENCY_MAX = 10_000
"""Slots of one host: past this a process is better started twice."""


class NodeHost:
    """Runs a kernel's flows in this process; `async with NodeHost(kernel): …`, or `run_until_signal` in a worker.

    Several hosts may live in one process. The kernel's ports stay open when the host ends.

    Args:
        kernel: whose flows it runs.
        concurrency: how many handlers run at a time.
        queues: the queues it serves; None for every queue that a step of its flows names.
        resources: what handlers ask for with `Resource[…]`, by parameter name, or a callable that returns an async
            context manager yielding that mapping: entered before the first claim, left after the drain.
        worker: the worker id, unique among all hosts; None makes one of host name, process id and a random part.
        lease_duration: how long a task stays this host's after the last heartbeat.
        heartbeat_interval: time between heartbeats; None for a third of the lease.
        heartbeats: `"thread"`, or `"loop"` where threads are not allowed; then a handler that blocks the event loop
            for longer than a lease loses it.
        new_threads: makes the threads in which plain functions run; tests in virtual time have their own.
        new_executables: makes what is called for the tasks of a kernel; tests put stubs in the place of handlers.
        poll_interval: the longest pause between two looks at the store when nothing wakes the host.
        drain_timeout: how long running handlers may take to end when the host stops.
        cancel_grace: how long a handler that was stopped may take to end before its slot is given to another.
        sweep_interval: how often jobs that nobody claimed are announced again, where the transport delivers; ever more
            rarely, up to sixteen times as long, while every slot is taken.

    Raises:
        HostOptionError: an option is out of bounds.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        concurrency: int = 50,
        queues: Sequence[str] | None = None,
        resources: Resources | None = None,
        worker: str | None = None,
        lease_duration: Duration = timedelta(seconds=30),
        heartbeat_interval: Duration | None = None,
        heartbeats: HeartbeatsIn = "thread",
        new_threads: NewThreads = HandlerThreads,
        new_executables: NewExecutables = Executables,
        poll_interval: Duration = timedelta(seconds=1),
        drain_timeout: Duration = timedelta(seconds=30),
        cancel_grace: Duration = timedelta(seconds=5),
        sweep_interval: Duration = timedelta(seconds=30),
    ) -> None:
        lease_s = checked_duration("lease_duration", lease_duration, least_s=0.1)
        self._heartbeat_s = lease_s / 3
        if heartbeat_interval is not None:
            self._heartbeat_s = checked_duration("heartbeat_interval", heartbeat_interval, least_s=0.01)
        if self._heartbeat_s > lease_s / 2:
            raise HostOptionError("heartbeat_interval", "at most half of the lease, so that one may be missed")
        self._heartbeats_in: HeartbeatsIn = checked_heartbeats(heartbeats)
        self._poll_s = checked_duration("poll_interval", poll_interval, least_s=0.01)
        self._drain_s = checked_duration("drain_timeout", drain_timeout, least_s=0)
        self._sweep_s = checked_duration("sweep_interval", sweep_interval, least_s=0.1)
        self.kernel = kernel
        self._resources = resources
        self._queues = checked_queues("queues", queues) or queues_of(kernel)
        self._options = WorkerOptions(
            worker=checked_worker(worker),
            concurrency=checked_count("concurrency", concurrency, most=CONCURRENCY_MAX),
            queues=self._queues,
            lease_duration=timedelta(seconds=lease_s),
            cancel_grace_s=checked_duration("cancel_grace", cancel_grace, least_s=0),
            new_threads=new_threads,
            new_executables=new_executables,
        )
        self._running: Running | None = None
        self._changing = asyncio.Lock()
        """Held while it starts or stops, so that it does one of them at a time."""

    @property
    def worker(self) -> str:
        """The worker id, as leases name it."""
        return self._options.worker

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues it serves."""
        return self._queues

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._running is not None

    @property
    def held(self) -> int:
        """How many tasks it has at hand: their handlers run, or what came of them is not recorded yet."""
        return 0 if self._running is None else self._running.held

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Register the flows, open and check the resources, and begin to claim.

        Raises:
            FlowShapeConflict: the store has another shape under a flow's slug and version.
            ResourceProblem: handlers ask for resources that are missing or of another class.
            AdapterError: the store cannot be reached.
        """
        async with self._changing:
            if self._running is not None:
                raise RuntimeError("the host is running already")
            await self._start()
        logger.info(
            "host %s runs: %d slots, queues %s", self.worker, self._options.concurrency, ", ".join(self._queues)
        )

    async def _start(self) -> None:
        await self.kernel.ports.clock.synchronise()  # before anything is recorded with a time
        await self.kernel.register()
        async with AsyncExitStack() as stack:
            resources = await stack.enter_async_context(opened(self._resources))
            self._options.new_executables(self.kernel).check(resources, queues=self._queues)
            self._running = self._begin(resources, stack)

    def _begin(self, resources: Mapping[str, object], opened: AsyncExitStack) -> Running:
        """Begin to run; what was `opened` is the running host's from then on, and not before."""
        worker = Worker(self.kernel, self._options, resources)
        duties = beside(worker, place=self._heartbeats_in, interval_s=self._heartbeat_s, own_handle=True)
        owned = AsyncExitStack()
        announcer = Announcer(
            self.kernel,
            worker=self.worker,
            kind=HostKind.NODE,
            queues=self._queues,
            slots=self._options.concurrency,
        )
        running = Running(
            worker,
            duties,
            announcer,
            owned,
            poll_interval_s=self._poll_s,
            sweep_s=self._sweep_s,
            drain_s=self._drain_s,
        )
        running.start()
        owned.push_async_exit(opened.pop_all())
        return running

    async def stop(self, *, exiting: bool = False) -> None:
        """Claim no more, let handlers end, give back what does not, and close what was opened.

        Args:
            exiting: the process ends right after. Only then is a task given back whose handler cannot be stopped,
                since otherwise it would run twice at a time.
        """
        async with self._changing:
            running, self._running = self._running, None
            if running is None:
                return
            await running.stop(exiting=exiting)
        logger.info("host %s has ended", self.worker)

    async def run_until_signal(self) -> signal.Signals:
        """Run until SIGTERM or SIGINT, then stop; a second signal ends the process at once.

        Returns:
            The signal. The process should end soon after: handlers in threads may still be running.
        """
        with StopSignals() as signals:
            await self.start()
            try:
                return await signals.first()
            finally:
                await self.stop(exiting=True)
