"""`ServerlessHost`: runs work inside single calls, as functions in a cloud do. Nothing runs between two calls.

Each call has a deadline. It claims while there is time, and what it claimed it finishes, or gives back without
spending an attempt before the deadline comes. What is known between calls are the resources and the kernel; every call
has its own worker, slots and heartbeats.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeAlias

from attrs import evolve, frozen

from ..kernel import Kernel
from ..kernel.commands import CLOCK_SKEW_MAX, OutcomeKind
from ..kernel.durations import Duration
from ..ports.clock import Clock
from ..ports.errors import AdapterError
from ..ports.workers import HostKind
from .announcing import GOODBYE_S, Announcer
from .beside import Beside, HeartbeatsIn
from .claiming import Claiming
from .duties import beside
from .ending import SETTLE_S, within
from .errors import HostOptionError
from .executables import Executables, NewExecutables
from .jobs import Message, is_served, job_of
from .options import checked_count, checked_duration, checked_heartbeats, checked_queues, checked_worker, queues_of
from .resources import Resources, opened
from .threads import HandlerThreads, NewThreads
from .ticks import TickReport, Ticks, isolated
from .worker import Worker, WorkerOptions

logger = logging.getLogger(__name__)

CONCURRENCY_MAX = 1_000
"""Slots of one call: a function has a fraction of a machine."""

JOBS_MAX = 100_000
"""Attempts in one call: more than any function's time allows."""

Deadline: TypeAlias = Callable[[], float] | float
"""When a call must be over: what tells the seconds that are left, or a time of the kernel's monotonic clock."""


@frozen(kw_only=True)
class CallReport:
    """What a call did."""

    claimed: int
    """Runs and tasks that it claimed; tasks that were handed over to it are not among them."""
    completed: int
    """Attempts recorded as completed."""
    failed: int
    """Attempts recorded as failed; whether they are retried is their steps' business."""
    suspended: int
    """Attempts recorded as suspended: their steps wait, and a maintenance tick looks after them."""
    released: int
    """Tasks given back without spending an attempt, for want of time."""
    unfinished: int
    """Tasks whose handler could not be stopped, or whose outcome could not be recorded; their leases run out."""
    acknowledged: bool
    """Whether the message has done its work and may be deleted. Otherwise it is to be delivered again."""


DECLINED = CallReport(claimed=0, completed=0, failed=0, suspended=0, released=0, unfinished=0, acknowledged=False)
"""The report of a call that takes nothing on, so that its message goes to another."""


class ServerlessHost:
    """Runs a kernel's flows in single calls.

    Args:
        kernel: whose flows it runs.
        concurrency: how many handlers one call runs at a time.
        queues: the queues it serves; None for every queue that a step of its flows names.
        resources: what handlers ask for with `Resource[…]`; see `NodeHost`. Opened by the first call that needs them,
            left by `aclose`.
        worker: the worker id, to which each call adds a number; None makes one.
        lease_duration: how long a task stays a call's after the last heartbeat. It decides how soon work goes on
            elsewhere when a function is killed.
        heartbeats: `"thread"`, which ends with its call, or `"loop"` where threads are not allowed; then a handler
            that blocks the event loop for longer than a lease loses it.
        new_threads: makes the threads in which plain functions run; tests in virtual time have their own.
        new_executables: makes what is called for the tasks of a kernel; tests put stubs in the place of handlers.
        claim_margin: with less time left than this, a call takes on nothing new.
        stop_margin: with less time left than this, it stops its handlers and gives their tasks back.

    Raises:
        HostOptionError: an option is out of bounds.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        concurrency: int = 10,
        queues: Sequence[str] | None = None,
        resources: Resources | None = None,
        worker: str | None = None,
        lease_duration: Duration = timedelta(seconds=30),
        heartbeats: HeartbeatsIn = "thread",
        new_threads: NewThreads = HandlerThreads,
        new_executables: NewExecutables = Executables,
        claim_margin: Duration = timedelta(seconds=10),
        stop_margin: Duration = timedelta(seconds=3),
    ) -> None:
        self._stop_margin_s = checked_duration("stop_margin", stop_margin, least_s=0.01)
        self._claim_margin_s = checked_duration("claim_margin", claim_margin, least_s=0.01)
        if self._claim_margin_s < self._stop_margin_s:
            raise HostOptionError("claim_margin", "at least stop_margin: what is claimed must not be stopped at once")
        self._heartbeats_in: HeartbeatsIn = checked_heartbeats(heartbeats)
        self.kernel = kernel
        self._resources = resources
        self._opened: tuple[Mapping[str, object], AsyncExitStack] | None = None
        self._opening = asyncio.Lock()
        self._calls = itertools.count(1)
        self._options = WorkerOptions(
            worker=checked_worker(worker),
            concurrency=checked_count("concurrency", concurrency, most=CONCURRENCY_MAX),
            queues=checked_queues("queues", queues) or queues_of(kernel),
            lease_duration=timedelta(seconds=checked_duration("lease_duration", lease_duration, least_s=0.1)),
            cancel_grace_s=self._stop_margin_s / 3,
            new_threads=new_threads,
            new_executables=new_executables,
        )
        self._announcer = Announcer(
            kernel,
            worker=self._options.worker,
            kind=HostKind.SERVERLESS,
            queues=self._options.queues,
            slots=self._options.concurrency,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the resources. The kernel's ports stay open."""
        await within(GOODBYE_S, isolated({"announce": self._announcer.say_goodbye}))
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[1].aclose()

    async def handle_job(self, message: Message, *, deadline: Deadline | None = None) -> CallReport:
        """Run what a message names, and whatever of its run becomes ready meanwhile, as far as the time goes.

        A message may come late, twice, or for work that is over: then there is nothing to claim, and it has done its
        work.

        Args:
            message: a `Job`, or its message as an object or JSON text.
            deadline: when the call must be over; None for no deadline.

        Raises:
            MalformedJob: the message is no job and never will be.
            ResourceProblem: handlers ask for resources that are missing or of another class.
            AdapterError: the store cannot be reached; the message is to be delivered again.
        """
        job = job_of(message)
        await self._prepare()
        clock = self.kernel.ports.clock
        early = job.not_before is not None and job.not_before > clock.now()
        served = is_served(job, flow_ids=self.kernel.flow_ids, queues=self._options.queues)
        time = _Time(clock, deadline)
        if early or not served or time.left_s() < self._claim_margin_s:
            return DECLINED
        async with self._call(time) as call:
            if not call.ticks.may_claim:  # recovers 43: a function's clock may be too wrong for leases
                return DECLINED
            slots = call.worker.slots
            if job.task is None:
                claimed = await call.ticks.claim(slots.take(slots.total), limit=1, only=(job.run_id,))
            else:
                claimed = await call.ticks.dequeue(job.queue, slots.take(1), only=(job.task,))
            await call.until_done()
        return call.report(claimed)

    async def process_available_jobs(self, max_jobs: int, *, deadline: Deadline | None = None) -> CallReport:
        """Claim and run what waits, until there is nothing more, `max_jobs` were run, or the time is over.

        Args:
            max_jobs: how many attempts are made at most, 1 to `JOBS_MAX`.
            deadline: when the call must be over; None for no deadline.

        Raises:
            HostOptionError: `max_jobs` is out of bounds.
            ResourceProblem, AdapterError: as for `handle_job`.
        """
        checked_count("max_jobs", max_jobs, most=JOBS_MAX)
        await self._prepare()
        time = _Time(self.kernel.ports.clock, deadline)
        async with self._call(time, attempts_max=max_jobs) as call:
            claimed = await call.claim_until_done()
        return call.report(claimed)

    async def run_maintenance_tick(self, *, deadline: Deadline | None = None) -> TickReport:
        """Do what is due although no message says so, each step on its own.

        Take back expired leases, carry out what is scheduled, look at waits whose time has come (checks become
        available jobs, sleeps end), fail runs past their deadline, announce lost jobs again, publish events. Remove
        runs that have been kept as long as their flows say and, once a day, blobs that nobody refers to, as far as
        there is time.

        The clock is synchronised, too.
        A step that fails stops no other.

        Returns:
            What each step found, and the errors of those that failed.

        Raises:
            TimeoutError: the deadline has come. What was done stays done, and the next tick does the rest.
        """
        await self.kernel.register()
        time = _Time(self.kernel.ports.clock, deadline)

        def left_s() -> float:
            return time.left_s() - self._stop_margin_s

        async with asyncio.timeout(max(left_s(), 0) if time.bounded else None):
            worker = Worker(self.kernel, self._options_of_call(), {})
            ticks = Ticks(worker, sweep_after=self._options.lease_duration)
            return await ticks.maintain(left_s if time.bounded else None)

    async def _prepare(self) -> None:
        """See that flows are registered and that the clock is good for leases: nobody looks at it between calls."""
        clock = self.kernel.ports.clock
        if clock.uncertainty_s > CLOCK_SKEW_MAX.total_seconds():
            await clock.synchronise()
        await self.kernel.register()

    @asynccontextmanager
    async def _call(self, time: _Time, *, attempts_max: int | None = None) -> AsyncGenerator[_Call]:
        worker = Worker(self.kernel, self._options_of_call(), await self._open_resources(), attempts_max=attempts_max)
        call = _Call(
            worker,
            self._beside(worker),
            time,
            claim_margin_s=self._claim_margin_s,
            stop_margin_s=self._stop_margin_s,
        )
        call.begin()
        try:
            async with self._announced(time):
                yield call
        finally:
            await call.end()

    @asynccontextmanager
    async def _announced(self, time: _Time) -> AsyncGenerator[None]:
        """Say meanwhile that this host is there, if it has not said so for a while: it is one, however many calls."""
        if self._announcer.due_in_s > 0:
            yield
            return
        telling = asyncio.create_task(isolated({"announce": self._announcer.announce}))
        try:
            yield
        finally:
            await asyncio.wait([telling], timeout=min(max(time.left_s() / 2, 0), GOODBYE_S))
            telling.cancel()
            await asyncio.wait([telling])

    def _beside(self, worker: Worker) -> Beside:
        # What a store that hangs does not let go is dropped in time for the response.
        interval_s = worker.options.lease_duration.total_seconds() / 3
        return beside(worker, place=self._heartbeats_in, interval_s=interval_s, stop_s=self._stop_margin_s / 3)

    def _options_of_call(self) -> WorkerOptions:
        return evolve(self._options, worker=f"{self._options.worker}-{next(self._calls)}")

    async def _open_resources(self) -> Mapping[str, object]:
        async with self._opening:
            if self._opened is None:
                async with AsyncExitStack() as stack:
                    resources = await stack.enter_async_context(opened(self._resources))
                    self._options.new_executables(self.kernel).check(resources, queues=self._options.queues)
                    self._opened = resources, stack.pop_all()
            return self._opened[0]


class _Time:
    """How much time a call has left."""

    def __init__(self, clock: Clock, deadline: Deadline | None) -> None:
        self._clock = clock
        self._deadline = deadline

    @property
    def bounded(self) -> bool:
        """Whether there is a deadline."""
        return self._deadline is not None

    def left_s(self) -> float:
        """The seconds until the deadline; infinite without one."""
        if self._deadline is None:
            return float("inf")
        return self._deadline() if callable(self._deadline) else self._deadline - self._clock.monotonic()


class _Call:
    """One call: a worker, its heartbeats, and the deadline that ends both."""

    def __init__(
        self,
        worker: Worker,
        beside: Beside,
        time: _Time,
        *,
        claim_margin_s: float,
        stop_margin_s: float,
    ) -> None:
        self.worker = worker
        self.ticks = Ticks(worker, sweep_after=worker.options.lease_duration)
        self._time = time
        self._claim_margin_s = claim_margin_s
        self._stop_margin_s = stop_margin_s
        self._beside = beside
        self._settling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        worker.short_of_time = lambda: time.left_s() < claim_margin_s
        self._unfinished = 0

    def begin(self) -> None:
        """Beat, settle and watch the time from now on; where there is no thread to be had, none of it."""
        self._beside.start()
        # One batch at a time: a call has few tasks, and deciding on a second one would slow its handlers.
        self._settling = asyncio.create_task(self.worker.settler.run())
        if self._time.bounded:
            self._watch_time()

    def _watch_time(self) -> None:
        """Do what the time that is left demands, and look again when it demands more."""
        left_s = self._time.left_s()
        self.worker.draining = self.worker.draining or left_s < self._claim_margin_s
        if left_s < self._stop_margin_s:  # recovers 47: the time of a call is over
            self._over = True
            self.worker.nudge()
            return
        margin_s = self._stop_margin_s if self.worker.draining else self._claim_margin_s
        self._timer = self.worker.loop.call_later(max(left_s - margin_s, 0) + 0.001, self._watch_time)

    async def until_done(self) -> None:
        """Return when nothing is held any more, or when what is held must be given back."""
        while self.worker.held and not self._over:
            await self.worker.until_changed()

    async def claim_until_done(self) -> int:
        """Claim whenever a slot is free, until there is nothing more or the time is over.

        Returns:
            How many runs and tasks were claimed.

        Raises:
            AdapterError: not even the first claim reached the store.
        """
        worker, claimed = self.worker, 0
        claiming, queues = Claiming(worker, self.ticks), worker.options.queues
        worker.when_overflowed = lambda: claiming.stir(queues=queues)
        worker.slots.when_free = worker.nudge
        claiming.stir(runs=True, queues=queues)
        while not self._over:
            if claiming.possible and self._takes_on:
                try:
                    claimed += await claiming.claim()
                except AdapterError as error:
                    if not claimed:
                        raise
                    # recovers 21: the store fails in the middle of a call
                    logger.warning("no further claims in this call: %s", error)
                    worker.draining = True
            elif worker.held:
                await worker.until_changed()
            else:
                break
        return claimed

    @property
    def _takes_on(self) -> bool:
        return not self.worker.draining and not self.worker.short_of_time() and self.ticks.may_claim

    async def end(self) -> None:
        """Leave nothing behind that runs: give back what is left, record what has ended, close what was opened."""
        worker = self.worker
        if self._timer is not None:
            self._timer.cancel()
        worker.draining = True
        try:
            worker.stop_attempts()
            await within(self._settle_s, isolated({"recall": self.ticks.recall}))
            await within(worker.cancel_grace_s, worker.until_stopped())
            worker.end_settling()
            if self._settling is not None:
                await asyncio.wait([self._settling], timeout=self._settle_s)
        finally:
            self._unfinished = len(worker.held)
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.wait([self._settling])
            await self._beside.stop()
            await worker.close()
        for lease in worker.held:  # recovers 21, 47: a task cannot be given back in time
            logger.error("task %s is not finished and cannot be given back; its lease will run out", lease.key)

    @property
    def _settle_s(self) -> float:
        """How long a call that ends may ask the store for one thing more."""
        return min(max(self._time.left_s() / 2, 0), SETTLE_S)

    def report(self, claimed: int) -> CallReport:
        """What the call did."""
        tally = self.worker.tally
        return CallReport(
            claimed=claimed,
            completed=tally[OutcomeKind.COMPLETED],
            failed=tally[OutcomeKind.FAILED],
            suspended=tally[OutcomeKind.SUSPENDED],
            released=tally[OutcomeKind.RELEASED],
            unfinished=self._unfinished,
            acknowledged=True,
        )
