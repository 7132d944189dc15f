"""The four ticks that every host runs: claim, dequeue, outbox flush and maintenance.

A tick does one bounded piece of work and answers how much it found. When it runs is the host's business; that one
failing step does not stop the others is settled here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from attrs import frozen

from ..kernel.commands import (
    CLOCK_SKEW_MAX,
    ClaimRuns,
    ClaimTasks,
    Command,
    ExpireRuns,
    Fired,
    FireScheduled,
    Flushed,
    FlushOutbox,
    ReapTasks,
    SweepJobs,
    WakeTasks,
)
from ..kernel.dispatch.announcing import ANY_QUEUE
from ..ports.errors import Unavailable
from ..ports.records import TaskKey
from ..ports.transport import Delivery
from .caring import Caretaker
from .jobs import is_served
from .sink_log import SinkLog
from .worker import Worker

logger = logging.getLogger(__name__)

REAP_BATCH = 200
"""Expired leases taken back in one transaction: bounded, since after an outage they come by the thousand."""

WAKE_BATCH = 200
"""Waits looked at in one transaction: bounded, since thousands may end at one time, or during an outage."""

EXPIRE_BATCH = 200
"""Runs failed in one transaction, since they did not end by their deadline."""

SWEEP_BATCH = 200
"""Jobs announced again at a time."""

FLUSH_LEASE = timedelta(seconds=30)
"""How long a flusher holds its shards at most: twice what a flush takes before it begins nothing new."""

FLUSH_BATCH = 500
"""Outbox rows read at a time."""

FIRE_MAX = 1_000
"""Scheduled commands carried out in one go: bounded, since after an outage they come by the thousand."""

COLLECT_SHARE = 0.8
"""How much of the time that a tick has left may go into looking at all blobs."""

FOREIGN_JOB_PAUSE_S = 5.0
"""When a job that this host does not serve is delivered again, to another one if possible."""

LOST_TASK_PAUSE_S = 5.0
"""When a task that lost a lease is delivered again, because the host already holds one."""


@frozen(kw_only=True)
class TickReport:
    """What the steps of a tick did. Every step is either counted or has failed."""

    counts: Mapping[str, int]
    """How much each step found, by its name."""
    errors: Mapping[str, Exception]
    """What each failed step raised, by its name."""


async def isolated(steps: Mapping[str, Callable[[], Awaitable[int]]]) -> TickReport:
    """Run the steps of a tick one after the other; one that raises is reported and stops no other."""
    counts: dict[str, int] = {}
    errors: dict[str, Exception] = {}
    for name, step in steps.items():
        try:
            counts[name] = await step()
        except Exception as error:  # recovers 76: a step of a tick fails, and stops no other
            logger.warning("maintenance: %s failed and is tried again later: %s: %s", name, type(error).__name__, error)
            errors[name] = error
    return TickReport(counts=counts, errors=errors)


class Ticks:
    """The ticks of one host."""

    def __init__(self, worker: Worker, *, sweep_after: timedelta) -> None:
        self._worker = worker
        self._kernel = worker.kernel
        self._ports = worker.kernel.ports
        self._sweep_after = sweep_after
        self._sink_log = SinkLog(worker.kernel.ports.clock)
        self._told_of_the_clock = False
        self._in_doubt_since: datetime | None = None
        """When the first claim began whose commit is unknown; None where every claim was answered."""

    @property
    def may_claim(self) -> bool:
        """Whether this host's clock is good enough for leases that others can rely on."""
        uncertainty_s = self._ports.clock.uncertainty_s
        good = uncertainty_s <= CLOCK_SKEW_MAX.total_seconds()
        if not good and not self._told_of_the_clock:  # recovers 43: the clock may be too wrong for leases
            logger.error("the clock may be %.1f s wrong: no lease is taken until it is synchronised", uncertainty_s)
        self._told_of_the_clock = not good
        return good

    # Claim and dequeue

    async def claim(self, slots: int, *, limit: int | None = None, only: Sequence[str] | None = None) -> int:
        """Claim pending runs; their first tasks start in slots that were taken for them, the rest is given back.

        Args:
            slots: taken for this.
            limit: of runs; as many as slots where None.
            only: these runs and no others.

        Returns:
            How many runs were claimed.
        """
        worker, used = self._worker, 0
        limit = limit or slots
        try:
            command = ClaimRuns(
                capacity=worker.capacity(slots), limit=limit, only=None if only is None else tuple(only)
            )
            with self._doubting():
                claimed = await self._kernel.dispatch(command)
            worker.remember_runs(claimed.runs)
            used = worker.adopt(claimed.tasks)
        finally:
            worker.slots.give(slots - used)
        if only is None:
            # Runs are claimed in order of priority, so none that waits has a higher one than the last.
            more = len(claimed.runs) >= limit
            worker.slots.note_waiting(ANY_QUEUE, min(run.priority for run in claimed.runs) if more else None)
        if claimed.queued:
            worker.overflowed()
        if claimed.put_off:
            worker.put_off()
        return len(claimed.runs)

    async def dequeue(self, queue: str, slots: int, *, only: Sequence[TaskKey] | None = None) -> int:
        """Claim queued tasks of one queue into slots that were taken for them; the rest is given back.

        Returns:
            How many were claimed.
        """
        worker, used = self._worker, 0
        try:
            command = ClaimTasks(
                capacity=worker.capacity(slots),
                queue=queue,
                lost_limit=worker.lost_limit,
                only=None if only is None else tuple(only),
            )
            with self._doubting():
                tasks = await self._kernel.dispatch(command)
            used = worker.adopt(tasks)
        finally:
            worker.slots.give(slots - used)
        if only is None:
            more = 0 < slots <= len(tasks)
            worker.slots.note_waiting(queue, min(task.priority for task in tasks) if more else None)
        return len(tasks)

    @contextmanager
    def _doubting(self) -> Generator[None]:
        """Remember a claim that may have leased tasks although no answer came."""
        began = self._ports.clock.now()
        try:
            with self._worker.asking():
                yield
        except (Unavailable, asyncio.CancelledError):
            # recovers 22: a claim may have leased tasks, although no answer came
            self._in_doubt_since = self._in_doubt_since or began
            raise

    async def recall(self) -> int:
        """Take on what was leased by claims whose answers were lost. To be called before any further claim.

        Returns:
            How many tasks.

        Raises:
            AdapterError: the store could not be reached; the next call asks again.
        """
        since = self._in_doubt_since
        if since is None:
            return 0
        recalled = await self._worker.recall(since)  # recovers 22: what such claims have leased is asked for
        self._in_doubt_since = None
        self._worker.overflowed()  # tasks that found no slot may have been queued as well
        return recalled

    async def claim_delivered(self, deliveries: Sequence[Delivery]) -> int:
        """Claim what a transport's messages name, and acknowledge them: from the claim on the lease decides.

        A job of a flow or queue that this host does not serve, one whose time has not come, and one for which there is
        no slot, is delivered again later. Whatever else cannot be claimed is somebody else's, over, or found again by
        the sweep.

        Returns:
            How many runs and tasks were claimed.
        """
        now = self._ports.clock.now()
        flow_ids, queues = self._kernel.flow_ids, self._worker.options.queues
        mine = [each for each in deliveries if is_served(each.job, flow_ids=flow_ids, queues=queues)]
        foreign = [each for each in deliveries if each not in mine]
        if foreign:  # recovers 59: messages name what this host has no code or queue for
            await self._ports.transport.suspend(foreign, delay_s=FOREIGN_JOB_PAUSE_S)
        early = [each for each in mine if each.job.not_before is not None and each.job.not_before > now]
        ready = [each for each in mine if each not in early]
        for each in early:  # recovers 39: a message comes before its time
            assert each.job.not_before is not None
            await self._ports.transport.suspend([each], delay_s=(each.job.not_before - now).total_seconds())
        claimed = await self._claim_delivered_runs([each for each in ready if each.job.task is None])
        by_queue: dict[str, list[Delivery]] = {}
        for each in ready:
            if each.job.task is not None:
                by_queue.setdefault(each.job.queue, []).append(each)
        for queue, of_queue in by_queue.items():
            claimed += await self._claim_delivered_tasks(queue, of_queue)
        return claimed

    async def decline(self, deliveries: Sequence[Delivery]) -> None:
        """Let others have these messages, at once."""
        if deliveries:
            await self._ports.transport.suspend(deliveries, delay_s=0.0)

    async def _claim_delivered_runs(self, deliveries: Sequence[Delivery]) -> int:
        if not deliveries:
            return 0
        slots = self._worker.slots
        run_ids = tuple(dict.fromkeys(each.job.run_id for each in deliveries))
        claimed = await self.claim(slots.take(slots.total), limit=len(run_ids), only=run_ids)
        await self._ports.transport.complete(deliveries)
        return claimed

    async def _claim_delivered_tasks(self, queue: str, deliveries: Sequence[Delivery]) -> int:
        worker = self._worker
        keys = tuple(dict.fromkeys(each.job.task for each in deliveries if each.job.task is not None))
        taken = worker.slots.take(len(keys))
        if not taken:  # recovers 52: a message comes, and no slot is free
            await self.decline(deliveries)
            return 0
        may_be_lost = worker.lost_limit > 0
        claimed = await self.dequeue(queue, taken, only=keys)
        held = {lease.key for lease in worker.held}
        rest = [each for each in deliveries if each.job.task not in held]
        if claimed == taken < len(keys):
            await self.decline(rest)
        elif rest and not (may_be_lost and worker.lost_limit):
            # recovers 19: a task that lost a lease waits for the end of another
            await self._ports.transport.suspend(rest, delay_s=LOST_TASK_PAUSE_S)
        else:
            rest = []
        await self._ports.transport.complete([each for each in deliveries if each not in rest])
        return claimed

    # Outbox flush

    async def flush(self) -> int:
        """Publish committed events through all sinks at the same time, so that one that hangs holds up no other.

        Returns:
            How many events were accepted.

        Raises:
            AdapterError: the store failed.
        """
        flushes = [self.flush_sink(name) for name in self._kernel.sink_names]
        answers = await asyncio.gather(*flushes, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer  # recovers 21: the store fails one of several flushes
        return sum(answer.accepted for answer in answers if isinstance(answer, Flushed))

    async def flush_sink(self, name: str) -> Flushed:
        """Publish committed events through one sink, for half of `FLUSH_LEASE` at most and one call of the sink."""
        command = FlushOutbox(
            worker=self._worker.options.worker, lease_duration=FLUSH_LEASE, sink=name, limit=FLUSH_BATCH
        )
        flushed = await self._kernel.dispatch(command)
        self._sink_log.note(name, flushed)
        return flushed

    # Maintenance

    async def reap(self) -> int:
        """Take back tasks whose leases ran out; none while this host's clock may be too far ahead to tell.

        Returns:
            How many.
        """
        reaped = await self._all_due(ReapTasks(limit=REAP_BATCH), REAP_BATCH)
        if reaped:  # recovers 3, 20: hosts lost their leases
            logger.warning("%d tasks were taken back from hosts that lost their leases", reaped)
        return reaped

    async def wake(self) -> int:
        """Look at waits whose time has come: queue checks, end sleeps, give up on what took too long.

        Returns:
            How many; none while this host's clock may be too far ahead to tell.
        """
        return await self._all_due(WakeTasks(limit=WAKE_BATCH), WAKE_BATCH)

    async def expire(self) -> int:
        """Fail runs that did not end by their deadline.

        Returns:
            How many; none while this host's clock may be too far ahead to tell.
        """
        expired = await self._all_due(ExpireRuns(limit=EXPIRE_BATCH), EXPIRE_BATCH)
        if expired:
            logger.warning("%d runs did not end in the time that their flows allow", expired)
        return expired

    async def _all_due(self, command: Command[int], batch: int) -> int:
        """Repeat a command that does what the time demands until a batch is not full; answers the sum."""
        total = 0
        while self.may_claim:
            done = await self._kernel.dispatch(command)
            total += done
            if done < batch:
                break
        return total

    async def sweep(self) -> int:
        """Announce again what nobody claimed, where a transport's messages can be lost.

        Returns:
            How many jobs.
        """
        if not self._ports.transport.delivers:
            return 0
        return await self._kernel.dispatch(SweepJobs(older_than=self._sweep_after, limit=SWEEP_BATCH))

    async def fire(self) -> int:
        """Carry out scheduled commands that are due; none while this host's clock may be too far ahead to tell.

        Returns:
            How many.
        """
        total = 0
        while self.may_claim and total < FIRE_MAX:
            fired = await self._kernel.dispatch(FireScheduled())
            total += fired.claimed
            _tell_firing(fired)
            if not fired.claimed:
                break
        return total

    async def synchronise(self) -> int:
        """Compare the clock with the one it follows. Always answers 0: there is nothing to count."""
        await self._ports.clock.synchronise()
        return 0

    async def _prune(self) -> int:
        """Remove a batch of the runs that have been kept as long as their flows say."""
        return await Caretaker(self._kernel).prune(batches_max=1)

    async def maintain(self, left_s: Callable[[], float] | None = None) -> TickReport:
        """Everything that has to be done now and then, each step on its own; first what keeps the runs alive that are
        there.

        Args:
            left_s: tells how much time there is; None for no end of it. What may take long comes last, and stops in
                time.
        """

        async def collect() -> int:
            patience_s = None if left_s is None else max(left_s() * COLLECT_SHARE, 0)
            return await Caretaker(self._kernel).collect(patience_s=patience_s)

        return await isolated(
            {
                "synchronise": self.synchronise,
                "reap": self.reap,
                "wake": self.wake,
                "expire": self.expire,
                "fire": self.fire,
                "sweep": self.sweep,
                "flush": self.flush,
                "prune": self._prune,
                "collect": collect,
            }
        )


def _tell_firing(fired: Fired) -> None:
    """Say in the log what an operator would look for: what is held, what fails, and which ticks are left out."""
    for name, left_out in fired.left_out:
        logger.warning(
            "schedule %r: its ticks from %s to %s were missed and are left out",
            name,
            left_out.first.isoformat(),
            left_out.last.isoformat(),
        )
    for trouble in fired.troubles:
        what = "is held until somebody looks at it" if trouble.held else "is tried again later"
        level = logging.ERROR if trouble.held else logging.WARNING
        logger.log(level, "%s could not be carried out and %s: %s", trouble.name, what, trouble.problem)
