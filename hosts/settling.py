"""Group commit: recording outcomes in batches, one transaction at a time, or two where many wait.

Whatever has ended while one transaction was under way goes into the next one together, so a busy host settles many
tasks per commit and an idle one settles each at once. Where many wait nevertheless, a second batch, of other runs, is
settled meanwhile: the host decides on the one while the store writes the other. Nothing is dropped: an outcome stays
until the store has said what became of it, however often it takes.

A run that somebody else's transaction holds for long is set apart: its outcomes are settled by a task of their own,
which waits for the run, while those of all other runs go on. It waits in the store for moments only, so that its turn
comes where many want the run, and with no connection between them: however few there are, others need them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from attrs import define
from msgspec.structs import replace

from ..kernel import Kernel
from ..kernel.commands import SETTLE_BATCH_MAX, Capacity, Outcome, OutcomeKind, Settlement, SettleTasks, Verdict
from ..ports.errors import AdapterError, CommitUnknown, Contention
from ..ports.records import ClaimedTask, Lease
from .backoff import Backoff
from .cancelling import ends_task
from .slots import Slots

logger = logging.getLogger(__name__)

SETTLE_BYTES_MAX = 32 * 2**20
"""Outputs, states and errors in one batch, in bytes: far below what a statement carries, however large each may be."""

SECOND_FROM = 100
"""Outcomes that wait before a second batch is settled meanwhile, or as many as there are slots, if these are fewer.
Below, its round trips cost more than deciding meanwhile gains; measured with runs of five steps."""

MISSES_MAX = 3
"""How often an outcome waits for the next batch because its run was locked; then its run is set apart."""

APART_AT_A_TIME = 1
"""Runs set apart that are settled at a time: each keeps a connection while it waits in the store."""

APART_PATIENCE_S = 0.05
"""How long a run that is set apart is waited for in the store at a time: several transactions of those who only work on
it."""

APART_PAUSE_S_MAX = 0.5
"""The longest pause between two tries, so that outcomes are recorded soon after the lock is gone."""

APART_TRIES_UNSAID = 5
"""After so many tries, within about a second, it is said that a run is locked: one that is only busy is not."""

MISS_PAUSE_S = 0.002
"""The pause before a batch of nothing but outcomes that were deferred: about as long as a transaction takes."""


class SettlingHost(Protocol):
    """Who is told what became of outcomes."""

    def capacity(self, slots: int) -> Capacity:
        """The host's capacity with that many slots for tasks that are handed over."""
        ...

    def recorded(self, lease: Lease, output: bytes) -> None:
        """An output is recorded, and is what its task has given for ever. Told before what follows from it."""
        ...

    def settled(self, lease: Lease, kind: OutcomeKind, verdict: Verdict) -> None:
        """The store has said what became of an outcome; the lease is no longer held."""
        ...

    def overflowed(self) -> None:
        """Tasks may wait in their queues that were not handed over."""
        ...

    def put_off(self) -> None:
        """Something is to be looked at later, at a time that only the store knows."""
        ...

    def asking(self) -> AbstractContextManager[None]:
        """Ask for tasks that are handed over; the answer is adopted before anything else is done."""
        ...

    def adopt(self, tasks: Sequence[ClaimedTask]) -> int:
        """Tasks that were handed over; answers how many the host did not know yet, each of which takes a slot."""
        ...


@define(eq=False)
class _Waiting:
    """An outcome that is not settled yet."""

    outcome: Outcome
    lease: Lease
    keeps_slot: bool
    misses: int = 0
    unknown_since: datetime | None = None
    """When a try of it began whose commit is unknown, and may have handed tasks over; until the store has answered."""
    apart: bool = False
    """Whether its run is set apart."""

    @property
    def size_bytes(self) -> int:
        """What it adds to a statement."""
        outcome = self.outcome
        return sum(len(each) for each in (outcome.output, outcome.state, outcome.error) if each is not None)


class Settler:
    """Settles outcomes for one host. Belongs to one event loop. `run` is enough; `run_second` may run too."""

    def __init__(self, kernel: Kernel, host: SettlingHost, slots: Slots, backoff: Backoff) -> None:
        self._kernel = kernel
        self._host = host
        self._slots = slots
        self._backoff = backoff
        self._random = backoff.random
        self._waiting: deque[_Waiting] = deque()
        self._under_way: set[str] = set()
        """The runs of the one or two batches that are being settled, but for those set apart."""
        self._behind: list[_Waiting] = []
        """Outcomes of these runs: they would find them locked, so they wait for the end of the batch."""
        self._apart: dict[str, tuple[deque[_Waiting], asyncio.Task[None]]] = {}
        """The outcomes of each run that is set apart, and the task that settles them."""
        self._apart_turns = asyncio.Semaphore(APART_AT_A_TIME)
        self.unsettled = 0
        """How many outcomes the store has not answered yet."""
        self.unsettled_apart = 0
        """How many of them belong to runs that are set apart."""
        self._arrived = asyncio.Event()
        self._many = asyncio.Event()
        """Set when enough wait for a second batch, or when nothing will any more."""
        self._second_from = min(SECOND_FROM, slots.total)
        self._closing = False
        self.when_settled: Callable[[], None] = lambda: None
        """Called after each batch."""

    def add(self, outcome: Outcome, lease: Lease, *, keeps_slot: bool = False) -> None:
        """Settle an outcome with the next batch.

        Args:
            outcome: how the attempt ended.
            lease: of the attempt.
            keeps_slot: whether its slot was kept for one of them.
        """
        item = _Waiting(outcome, lease, keeps_slot)
        self.unsettled += 1
        if outcome.key.run_id in self._apart:  # recovers 24: for how long is unknown, so its slot goes to others
            item.keeps_slot = False
            self._slots.give(int(keeps_slot))
        self._put_back([item])

    def close(self) -> None:
        """Let `run` and `run_second` return once everything is settled."""
        self._closing = True
        self._put_back(())

    @property
    def closed(self) -> bool:
        """Whether it was closed and everything is settled."""
        return self._closing and not self.unsettled

    async def run(self) -> None:
        """Settle until closed; where it is cancelled, what was set apart is left too."""
        try:
            while True:
                if self._waiting:
                    await self._settle_next()
                elif self.closed and not self._apart:
                    return
                else:
                    self._arrived.clear()
                    await self._arrived.wait()
        except asyncio.CancelledError as error:
            if ends_task(error):
                await self._leave_apart()
            raise

    async def run_second(self) -> None:
        """Settle a second batch beside that of `run` whenever many outcomes wait, until closed."""
        while not self.closed:
            if len(self._waiting) >= self._second_from:
                await self._settle_next()
            else:
                self._many.clear()
                await self._many.wait()

    async def _leave_apart(self) -> None:
        tasks = [task for _, task in self._apart.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _settle_next(self) -> None:
        first = self._waiting[0]
        if first.misses >= MISSES_MAX:  # recovers 24: a run stays locked, and is set apart
            self._set_apart(first.outcome.key.run_id)
            return
        if first.misses and all(item.misses for item in self._waiting):
            # recovers 24: nothing waits but outcomes of locked runs
            await asyncio.sleep(MISS_PAUSE_S * first.misses)
        batch = _taken(self._waiting)
        if not batch:  # the other of `run` and `run_second` has taken it meanwhile
            return
        runs = {item.outcome.key.run_id for item in batch}
        self._under_way |= runs
        self._sort_again()
        try:
            await self._settle(batch, wait=False)
        finally:
            self._under_way -= runs
            behind, self._behind = self._behind, []
            self._put_back(behind)

    # Runs that are locked

    def _set_apart(self, run_id: str) -> None:
        """Let a task of their own settle the outcomes of one run, those to come included, until none is left."""
        task = asyncio.get_running_loop().create_task(self._settle_apart(run_id), name=f"fairlead-Settler-{run_id}")
        self._apart[run_id] = deque(), task
        task.add_done_callback(lambda _: self._end_apart(run_id))
        self._sort_again()

    async def _settle_apart(self, run_id: str) -> None:
        items, _ = self._apart[run_id]
        backoff = Backoff(self._random, longest_s=APART_PAUSE_S_MAX)
        while items:
            for item in items:
                item.misses = 0
            async with self._apart_turns:
                await self._settle(_taken(items), wait=True)
            if any(item.misses for item in items):
                # recovers 24: a run is locked for longer than a transaction may wait
                if backoff.failures == APART_TRIES_UNSAID:
                    logger.warning("run %s is locked by somebody else; its outcomes wait, trying on", run_id)
                await asyncio.sleep(backoff.pause_s())

    def _end_apart(self, run_id: str) -> None:
        """The run is one like any other again."""
        items, task = self._apart.pop(run_id)
        if not task.cancelled() and task.exception() is not None:
            # recovers 76: the task of a run that is set apart raises
            logger.error("settling run %s failed and is begun again", run_id, exc_info=task.exception())
        for item in items:
            item.misses, item.apart = 0, False
            self.unsettled_apart -= 1
        self._put_back(items)

    def _sort_again(self) -> None:
        """Let what waits wait where its run does by now."""
        waiting, self._waiting = self._waiting, deque()
        self._put_back(waiting)

    def _put_back(self, items: Iterable[_Waiting]) -> None:
        """Let outcomes wait where those of their runs do, and both loops look again."""
        for item in items:
            run_id = item.outcome.key.run_id
            if (place := self._apart.get(run_id)) is not None:
                place[0].append(item)
                if not item.apart:
                    item.apart = True
                    self.unsettled_apart += 1
            elif run_id in self._under_way:
                self._behind.append(item)
            else:
                self._waiting.append(item)
        self._arrived.set()
        if len(self._waiting) >= self._second_from or self.closed:
            self._many.set()

    # Batches

    async def _settle(self, batch: list[_Waiting], *, wait: bool) -> None:
        """Settle a batch, or find the part of it that cannot be settled and drop that alone."""
        kept = sum(item.keeps_slot for item in batch)
        offered = self._slots.offer(kept) if kept else 0
        used = 0
        try:
            settlement = await self._answered(batch, offered, wait=wait)
            self._tell_recorded(batch, settlement)
            used = self._host.adopt(settlement.continuations)
            self._conclude(batch, settlement)
            if settlement.queued:
                self._host.overflowed()
            if settlement.put_off:
                self._host.put_off()
        except Contention:  # recovers 23, 24: something is locked for long: find out which run
            self._miss(batch, misses=MISSES_MAX)
        except BaseException as error:
            if ends_task(error):
                self._give_up(batch)
                raise
            await self._isolate(batch, wait=wait)  # recovers 53: something in a batch cannot be settled at all
        finally:
            self._slots.give(offered - used)
        self.when_settled()
        if self._slots.free > 0:
            self._slots.when_free()

    async def _answered(self, batch: Sequence[_Waiting], slots: int, *, wait: bool) -> Settlement:
        """Dispatch until the store answers; the same batch again where it is unknown whether it was committed."""
        outcomes = tuple(item.outcome for item in batch)
        while True:
            since = min((item.unknown_since for item in batch if item.unknown_since is not None), default=None)
            capacity, repeated = self._host.capacity(slots), since is not None
            command = SettleTasks(
                outcomes=outcomes,
                capacity=capacity,
                wait=wait,
                patience_s=APART_PATIENCE_S if wait else None,
                repeated=repeated,
            )
            began = self._kernel.ports.clock.now()
            try:
                with self._host.asking():
                    settlement = await self._kernel.dispatch(command)
            except (AdapterError, asyncio.CancelledError) as error:
                if isinstance(error, Contention) or ends_task(error):
                    raise
                if isinstance(error, AdapterError) and not error.retryable:
                    raise
                if not isinstance(error, AdapterError) or isinstance(error, CommitUnknown):
                    # recovers 22: outcomes may be recorded
                    for item in batch:
                        item.unknown_since = item.unknown_since or began
                pause_s = self._backoff.pause_s()  # recovers 21: the store cannot be reached, and outcomes stay
                if self._backoff.failures == 1:
                    logger.warning("cannot settle %d tasks for now, trying on: %s", len(outcomes), error)
                await asyncio.sleep(pause_s)
            else:
                if self._backoff.failures:
                    logger.info("settling works again after %d tries", self._backoff.failures)
                    self._backoff.reset()
                return settlement if since is None else _of_this_process(settlement, since + capacity.lease_duration)

    def _tell_recorded(self, batch: Sequence[_Waiting], settlement: Settlement) -> None:
        """Tell of the outputs that count: those of attempts that the store has fenced off must not reach anybody."""
        for item in batch:
            output = item.outcome.output
            settled = settlement.verdicts.get(item.lease) is Verdict.SETTLED
            if output is not None and settled and item.lease not in settlement.unrecorded:
                self._host.recorded(item.lease, output)

    def _conclude(self, batch: Sequence[_Waiting], settlement: Settlement) -> None:
        for item in batch:
            verdict = settlement.verdicts.get(item.lease, Verdict.STALE)
            if verdict is Verdict.DEFERRED:  # recovers 24: somebody else has locked the run
                self._miss([item], misses=item.misses + 1)
            else:
                self._settled(item, verdict)

    def _miss(self, items: Sequence[_Waiting], *, misses: int) -> None:
        for item in items:
            item.misses = misses
        self._give_up(items)

    def _give_up(self, items: Sequence[_Waiting]) -> None:
        """Let outcomes wait for a later batch; what was kept for them has been given back."""
        for item in items:
            item.keeps_slot = False
        self._put_back(items)

    def _settled(self, item: _Waiting, verdict: Verdict) -> None:
        self.unsettled -= 1
        self.unsettled_apart -= item.apart
        self._host.settled(item.lease, item.outcome.kind, verdict)

    async def _isolate(self, batch: list[_Waiting], *, wait: bool) -> None:
        """Something in the batch cannot be settled at all: halve it until the culprit is alone, and let that go."""
        if len(batch) == 1:  # recovers 53: one outcome cannot be settled at all
            lease = batch[0].lease
            logger.exception("the outcome of task %s cannot be settled; its lease will run out", lease.key)
            self._settled(batch[0], Verdict.STALE)
            return
        for item in batch:
            item.keeps_slot = False
        middle = len(batch) // 2
        rest = batch[middle:]
        try:
            await self._settle(batch[:middle], wait=wait)
        except BaseException:  # recovers 18: the host ends while a batch is taken apart
            self._give_up(rest)
            raise
        await self._settle(rest, wait=wait)


def _of_this_process(settlement: Settlement, until: datetime) -> Settlement:
    """A settlement without what an earlier process of the same name had leased, whose leases end before that time: it
    may be at work still, and nobody has claimed for us what it held."""
    mine = tuple(task for task in settlement.continuations if task.lease_until >= until)
    return replace(settlement, continuations=mine)


def _taken(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Take the next batch out of a queue: at least one outcome if any waits, no more than a statement carries."""
    taken: list[_Waiting] = []
    size_bytes = 0
    while waiting and len(taken) < SETTLE_BATCH_MAX:
        size_bytes += waiting[0].size_bytes
        if taken and size_bytes > SETTLE_BYTES_MAX:
            break
        taken.append(waiting.popleft())
    return taken
