"""The part of a host that runs claimed tasks: from the claim's answer to the settled outcome.

A task is *held* from the moment its claim is known until the store has said what became of its outcome. While it is
held its lease is kept alive by heartbeats, whether its handler waits for its input, runs, or has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from random import Random

from attrs import field, frozen

from ..kernel import Kernel
from ..kernel.commands import Capacity, Outcome, OutcomeKind, RecallTasks, Verdict
from ..kernel.failures import decode_failure
from ..ports.records import ClaimedTask, Lease, PendingRun
from .backoff import Backoff
from .errands import Errands
from .executables import Executables, NewExecutables
from .execution import Execution, Stop
from .kept import KEPT_BYTES_MAX
from .loading import Loading
from .notebook import AttemptNotes, Notebook
from .outcomes import host_failed, released
from .payloads import Payloads
from .settling import Settler
from .slots import Slots
from .spilling import Spilling
from .threads import HandlerThreads, NewThreads

logger = logging.getLogger(__name__)

UNSETTLED_PER_SLOT = 2
"""Outcomes per slot that may wait for the store before nothing more is claimed: enough to claim while settling, and a
bound on what a killed process has to repeat."""

APART_PER_SLOT = 20
"""As many again may wait for runs that somebody else has locked, since those must not hold the others up."""

NOTES_PATIENCE_S = 5.0
"""How long an outcome waits for what its attempt noted, while that cannot be written: longer than a restart of the
database takes, and far shorter than a lease."""

DROPPED_MAX = 10_000
"""Leases let go unsettled that are remembered: more than a host loses before the reaper has taken them back."""


@frozen(kw_only=True)
class WorkerOptions:
    """What distinguishes one worker from another."""

    worker: str
    """The worker id, unique among all hosts."""
    concurrency: int
    queues: tuple[str, ...]
    lease_duration: timedelta
    cancel_grace_s: float
    """How long a handler that was stopped may take to end before its slot is given to another."""
    kept_bytes_max: int = field(default=KEPT_BYTES_MAX)
    new_threads: NewThreads = field(default=HandlerThreads)
    new_executables: NewExecutables = field(default=Executables)


class Worker:
    """Runs claimed tasks in its slots. Belongs to one event loop, and must be made inside it.

    Args:
        kernel: whose tasks it runs.
        options: what distinguishes it.
        resources: what handlers may ask for.
        attempts_max: how many attempts it makes in all; None for as many as there are.
    """

    def __init__(
        self,
        kernel: Kernel,
        options: WorkerOptions,
        resources: Mapping[str, object],
        *,
        attempts_max: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.options = options
        self.resources = resources
        self.loop = asyncio.get_running_loop()
        self.random = Random(options.worker)
        self.threads = options.new_threads(f"fairlead-{options.worker}")
        self.slots = Slots(options.concurrency, attempts_max=attempts_max)
        self.held: dict[Lease, Execution] = {}
        """Changed by this worker's loop alone."""
        self.settler = Settler(kernel, self, self.slots, Backoff(self.random))
        self.when_overflowed: Callable[[], None] = lambda: None
        self.when_put_off: Callable[[], None] = lambda: None
        self.started = 0
        """How many attempts have been started so far."""
        self.tally = dict.fromkeys(OutcomeKind, 0)
        """How many outcomes of each kind were recorded so far."""
        self.draining = False
        """Whether nothing new is begun; whatever is claimed nevertheless is given back at once."""
        self.short_of_time: Callable[[], bool] = lambda: False
        """Whether nothing may be handed over any more, because it could not be finished."""
        self._clock = kernel.ports.clock
        self._lease_s = options.lease_duration.total_seconds()
        self._executables = options.new_executables(kernel)
        self._payloads = Payloads(kernel.ports.persistence, kernel.ports.blobs, size_bytes_max=options.kept_bytes_max)
        self.spilling = Spilling(kernel, self._payloads, self.threads)
        self.errands = Errands()
        self.notebook = Notebook(self._clock)
        self._awaiting_notes = 0
        """How many outcomes wait for what their attempts noted to be written."""
        self._loading = Loading(self._payloads, self.random, self.errands)
        self._written_off: set[Execution] = set()
        """Stopped attempts whose handlers go on although their slots were given up."""
        self._lossy: set[Lease] = set()
        self._dropped: dict[Lease, None] = {}
        """Leases let go that the store may still show as this worker's, oldest first: they are not taken on again."""
        self._questions = 0
        """How many were asked whose answers name what is leased to this worker."""
        self._asked: dict[int, None] = {}
        """The numbers of those whose answers are under way, oldest first."""
        self._settled_meanwhile: dict[Lease, int] = {}
        """Leases that were settled while such an answer was under way, each with the number of the last question asked
        before, oldest first: these answers must not have them begun again."""
        self._changed = asyncio.Event()
        """Set whenever a task is no longer held."""

    @property
    def cancel_grace_s(self) -> float:
        """How long a handler that was stopped may take to end before its slot is given to another."""
        return self.options.cancel_grace_s

    @property
    def lost_limit(self) -> int:
        """How many tasks that lost a lease before may be claimed: one at a time is held, since it may be a killer."""
        return 0 if self._lossy else 1

    @property
    def congested(self) -> bool:
        """Whether so many outcomes wait for the store that nothing more should be claimed."""
        settler, total = self.settler, self.slots.total
        apart = settler.unsettled_apart
        together = settler.unsettled - apart + self._awaiting_notes
        return together >= UNSETTLED_PER_SLOT * total or apart >= APART_PER_SLOT * total

    def leases(self) -> tuple[Lease, ...]:
        """The leases of all that is held. May be called from any thread."""
        while True:
            try:
                return tuple(self.held)
            except RuntimeError:  # it changed while it was copied
                continue

    def capacity(self, slots: int) -> Capacity:
        """This worker as a claim or settle sees it, with that many slots to fill."""
        return Capacity(
            worker=self.options.worker,
            flow_ids=self.kernel.flow_ids,
            queues=self.options.queues,
            slots=0 if self.draining or self.short_of_time() else slots,
            lease_duration=self.options.lease_duration,
            minimum_priority=self.slots.minimum_priority,
        )

    # Taking tasks on

    def remember_runs(self, runs: Iterable[PendingRun]) -> None:
        """Keep what claimed runs brought with them."""
        for run in runs:
            self._payloads.remember_run(run)

    def adopt(self, tasks: Sequence[ClaimedTask], *, lease_s: float | None = None) -> int:
        """Run claimed tasks; those that are held already are left out. Their slots must have been taken before.

        Args:
            tasks: leased to this worker.
            lease_s: how long their leases last from now on, in seconds; None where they were taken just now.

        Returns:
            How many were new.
        """
        to_load: list[Execution] = []
        ends_s = self._clock.monotonic() + (self._lease_s if lease_s is None else lease_s)
        adopted = 0
        for task in tasks:
            lease = Lease(task.key, task.token)
            if lease in self.held or lease in self._dropped or lease in self._settled_meanwhile:
                continue  # recovers 22: a task is known already, or was let go
            adopted += 1
            try:
                execution = self._take_on(task, lease, ends_s)
            except Exception as error:
                # recovers 76: the others must not be left behind, whatever is the matter with this one
                self._refuse(task, lease, error)
            else:
                if execution is not None:
                    to_load.append(execution)
        if to_load:
            self._loading.begin(to_load)
        return adopted

    def _take_on(self, task: ClaimedTask, lease: Lease, ends_s: float) -> Execution | None:
        """Hold one task and begin its attempt; answers it where its input has to be read first."""
        executable = self._executables.of(task)
        execution = Execution(task, lease, executable, self)
        execution.lease_ends_s = ends_s
        self._hold(lease, execution)
        if self.draining:  # recovers 17: a task is claimed while the host drains
            execution.stop(Stop.DRAINED)
            return None
        self.started += 1
        values = self._payloads.find(task, executable)
        if values is None:
            return execution
        execution.start(values)
        return None

    def _refuse(self, task: ClaimedTask, lease: Lease, error: Exception) -> None:
        """A task cannot even be begun: fail its attempt, whose slot is free again at once."""
        logger.error("task %s cannot be begun", task.key, exc_info=error)
        execution = self.held.get(lease)
        if execution is not None:
            execution.refuse(error)
        else:
            self._free_slot()
            self.settler.add(host_failed(task, error), lease)

    @contextmanager
    def asking(self) -> Generator[None]:
        """Ask for what is leased to this worker; the answer is adopted before anything else is done.

        Claims, settles that are repeated and recalls tell of each other's leases. So the answer that is quicker may
        have a task begun, which is settled already when the other one comes.
        """
        self._questions += 1
        number = self._questions
        self._asked[number] = None
        oldest = next(iter(self._asked))
        while self._settled_meanwhile and next(iter(self._settled_meanwhile.values())) < oldest:
            del self._settled_meanwhile[next(iter(self._settled_meanwhile))]
        try:
            yield
        finally:
            del self._asked[number]

    async def recall(self, since: datetime) -> int:
        """Adopt what was leased to this worker by commits whose answers were lost; it takes slots, free or not.

        Args:
            since: when the first of them began. Leases of an earlier process of the same name end before one that
                was taken then.

        Returns:
            How many tasks it did not know of.
        """
        with self.asking():
            leased = await self.kernel.dispatch(RecallTasks(self.options.worker))
        now, until = self._clock.now(), since + self.options.lease_duration
        alive = [task for task in leased if task.lease_until >= until and task.lease_until > now]
        ends_at = min((task.lease_until for task in alive), default=now)
        adopted = self.adopt(alive, lease_s=(ends_at - now).total_seconds())
        self.slots.force(adopted)
        if adopted:  # recovers 22: tasks were leased by claims whose answers were lost
            logger.info("%d tasks were leased by claims whose answers were lost", adopted)
        return adopted

    def _hold(self, lease: Lease, execution: Execution) -> None:
        self.held[lease] = execution
        if execution.claimed.losses:
            self._lossy.add(lease)

    def _let_go(self, lease: Lease, *, settled: bool) -> None:
        self.held.pop(lease, None)
        if settled and self._asked:  # recovers 22: an answer that is under way may still name it
            self._settled_meanwhile[lease] = self._questions
        if not settled:  # recovers 22, 42: the store may still show a lease that was let go
            self._dropped[lease] = None
            if len(self._dropped) > DROPPED_MAX:
                del self._dropped[next(iter(self._dropped))]
        if lease in self._lossy:
            self._lossy.discard(lease)
            self.overflowed()
        self._changed.set()

    # How attempts end

    def ended(self, execution: Execution, outcome: Outcome | None, *, running: bool) -> None:
        """An attempt is over: free its slot, and settle its outcome."""
        if outcome is None:  # recovers 42, 62: nothing is to be recorded of an attempt
            cancelled = execution.stopped is Stop.CANCELLED
            level, why = (logging.INFO, "it was cancelled") if cancelled else (logging.WARNING, "its lease is lost")
            logger.log(level, "%s was stopped: %s", execution, why)
            if execution.notes is not None:
                self.notebook.end(execution.notes, None)
            self._let_go(execution.lease, settled=cancelled)
            if not running:
                self._free_slot()
            return
        executable = execution.executable
        if outcome.kind is OutcomeKind.FAILED:
            _tell_failure(execution, outcome)
        continues = outcome.kind is OutcomeKind.COMPLETED and (executable.is_map or executable.has_dependents)
        free = not running and self.slots.renew()
        # The elements of a map that wait in the store are claimed, rather than handed over one by one.
        keeps_slot = free and continues and not (executable.is_map and self.slots.contended)
        if free and not keeps_slot:
            self.slots.give(1)
        settle = partial(self.settler.add, outcome, execution.lease, keeps_slot=keeps_slot)
        if execution.notes is None:
            settle()
        else:
            self._settle_after_notes(execution.notes, settle)

    def _settle_after_notes(self, notes: AttemptNotes, settle: Callable[[], None]) -> None:
        """Settle an outcome when what its attempt noted is written, or cannot be written for too long."""

        def settle_now() -> None:
            patience.cancel()
            self._awaiting_notes -= 1
            settle()

        patience = self.loop.call_later(NOTES_PATIENCE_S, self._settle_without, notes)
        self._awaiting_notes += 1
        if not self.notebook.end(notes, settle_now):
            settle_now()

    def _settle_without(self, notes: AttemptNotes) -> None:
        settle = self.notebook.release(notes)
        if settle is not None:  # recovers 24: an outcome does not wait for its notes any longer
            logger.warning("the outcome of task %s is recorded before all of its notes", notes.lease.key)
            settle()

    def end_settling(self) -> None:
        """Let settling end once everything is settled; what waits for notes waits no longer."""
        for notes in self.notebook.waiting():
            self._settle_without(notes)
        self.settler.close()

    def gone(self, execution: Execution, *, running: bool) -> None:
        """A handler that outlived its attempt has ended, or did not within its grace.

        As many handlers as there are slots may go on beside those that fill the slots; further ones keep theirs, so
        that handlers which never end cannot pile up without bound.
        """
        if running:  # recovers 73: a handler does not end within its grace
            if len(self._written_off) < self.slots.total:
                self._written_off.add(execution)
                self._free_slot()
        elif execution in self._written_off:  # recovers 73: a handler that was written off has ended
            self._written_off.remove(execution)
        else:
            self._free_slot()

    def _free_slot(self) -> None:
        if self.slots.renew():
            self.slots.give(1)

    def recorded(self, lease: Lease, output: bytes) -> None:
        """An output is recorded: what becomes ready by it may need it at once."""
        execution = self.held.get(lease)
        if execution is not None:
            self._payloads.remember_output(execution.claimed, execution.executable, output)

    def settled(self, lease: Lease, kind: OutcomeKind, verdict: Verdict) -> None:
        """The store has said what became of an outcome."""
        if verdict is Verdict.SETTLED:
            self.tally[kind] += 1
        else:
            # recovers 20, 39, 42: an outcome comes too late
            logger.info("the outcome of task %s came too late: its lease was lost, or the task cancelled", lease.key)
        self._let_go(lease, settled=verdict is Verdict.SETTLED)

    def overflowed(self) -> None:
        """Tasks may wait in the store that this worker could not take until now."""
        self.when_overflowed()

    def put_off(self) -> None:
        """Something that this worker did is to be looked at later, at a time that only the store knows."""
        self.when_put_off()

    # How a worker ends

    def stop(self, leases: Iterable[Lease], why: Stop) -> None:
        """Leases are lost, or tasks cancelled: stop these attempts and discard what they return."""
        for lease in leases:
            execution = self.held.get(lease)
            if execution is not None:
                execution.stop(why)

    def stop_attempts(self, *, only_waiting: bool = False) -> None:
        """Give back every attempt that has not ended (or has not begun) without spending it."""
        for execution in list(self.held.values()):
            if not (only_waiting and execution.begun):
                execution.stop(Stop.DRAINED)

    def release_the_rest(self) -> int:
        """Give back attempts whose handlers cannot be stopped. Only for a process that ends right after."""
        stuck = [execution for execution in self.held.values() if not execution.ended]
        for execution in stuck:  # recovers 18: the process ends, and threads with it
            self.settler.add(released(execution.claimed), execution.lease)
        return len(stuck)

    async def until_empty(self) -> None:
        """Return when nothing is held."""
        while self.held:
            await self.until_changed()

    async def until_stopped(self) -> None:
        """Return when every attempt that was stopped has ended and is settled. Threads are not waited for."""
        while any(execution.stopped is Stop.DRAINED for execution in self.held.values()):
            await self.until_changed()

    async def until_changed(self) -> None:
        """Return when a task is no longer held, or somebody nudged."""
        self._changed.clear()
        await self._changed.wait()

    def nudge(self) -> None:
        """Let whoever waits for a change look again."""
        self._changed.set()

    async def close(self) -> None:
        """Close what the worker opened. Handlers that go on are left behind, and nothing is done for them any more."""
        for execution in self.held.values():
            execution.leave()
        await self.errands.close()
        await self._payloads.close()
        self.threads.close()


def _tell_failure(execution: Execution, outcome: Outcome) -> None:
    """Say in the log what an operator would look for: which attempt failed and why, loudly if it was the last."""
    most = execution.executable.step.policy.max_attempts
    final = not outcome.retryable or execution.claimed.attempt >= most
    failure = None if outcome.error is None else decode_failure(outcome.error)
    logger.log(
        logging.WARNING if final else logging.INFO,
        "task %s: attempt %d of %d failed (%s)%s%s",
        execution.claimed.key,
        execution.claimed.attempt,
        most,
        outcome.reason,
        "" if failure is None else f": {failure.type}: {failure.message}",
        ", for good" if final else "",
    )
