"""Group commit: recording outcomes in batches, one transaction at a time.

Whatever has ended while one transaction was under way goes into the next one together, so a busy host settles many
tasks per commit and an idle one settles each at once. Nothing is dropped: an outcome stays until the store has said
what became of it, however often it takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import define

from ..kernel import Kernel
from ..kernel.commands import SETTLE_BATCH_MAX, Capacity, Outcome, OutcomeKind, Settlement, SettleTasks, Verdict
from ..ports.errors import AdapterError, CommitUnknown, Contention
from ..ports.records import ClaimedTask, Lease
from .backoff import Backoff
from .slots import Slots

logger = logging.getLogger(__name__)

MISSES_MAX = 3
"""How often an outcome waits for the next batch because its run was locked; then its run is settled alone."""

MISS_PAUSE_S = 0.002
"""The pause before a batch of nothing but outcomes that were deferred: about as long as a transaction takes."""


class SettlingHost(Protocol):
    """Who is told what became of outcomes."""

    def capacity(self, slots: int) -> Capacity:
        """The host's capacity with that many slots for tasks that are handed over."""
        ...

    def settled(self, lease: Lease, kind: OutcomeKind, verdict: Verdict) -> None:
        """The store has said what became of an outcome; the lease is no longer held."""
        ...

    def overflowed(self) -> None:
        """Tasks may wait in their queues that were not handed over."""
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
    repeated: bool = False
    """Whether a commit of it is unknown that may have handed tasks over; until the store has answered."""


class Settler:
    """Settles outcomes for one host. Belongs to one event loop."""

    def __init__(self, kernel: Kernel, host: SettlingHost, slots: Slots, backoff: Backoff) -> None:
        self._kernel = kernel
        self._host = host
        self._slots = slots
        self._backoff = backoff
        self._waiting: deque[_Waiting] = deque()
        self._under_way = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self.when_settled: Callable[[Sequence[Outcome]], None] = lambda outcomes: None
        """Called after each batch."""

    @property
    def unsettled(self) -> int:
        """How many outcomes the store has not answered yet."""
        return len(self._waiting) + self._under_way

    def add(self, outcome: Outcome, lease: Lease, *, keeps_slot: bool = False) -> None:
        """Settle an outcome with the next batch.

        Args:
            outcome: how the attempt ended.
            lease: of the attempt.
            keeps_slot: whether its slot was kept for one of them.
        """
        self._waiting.append(_Waiting(outcome, lease, keeps_slot))
        self._arrived.set()

    def close(self) -> None:
        """Let `run` return once everything is settled."""
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        """Settle until closed."""
        while True:
            if self._waiting:
                await self._settle_next()
            elif self._closing:
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    async def _settle_next(self) -> None:
        first = self._waiting[0]
        if first.misses >= MISSES_MAX:
            batch = self._take_run(first.outcome.key.run_id)
            await self._settle(batch, wait=True)
            return
        if first.misses and all(item.misses for item in self._waiting):
            await asyncio.sleep(MISS_PAUSE_S * first.misses)
        count = min(len(self._waiting), SETTLE_BATCH_MAX)
        await self._settle([self._waiting.popleft() for _ in range(count)], wait=False)

    def _take_run(self, run_id: str) -> list[_Waiting]:
        """Take the outcomes of one run out of the queue, as many as fit into a batch."""
        taken: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        for item in self._waiting:
            fits = item.outcome.key.run_id == run_id and len(taken) < SETTLE_BATCH_MAX
            (taken if fits else others).append(item)
        self._waiting = others
        return taken

    async def _settle(self, batch: list[_Waiting], *, wait: bool) -> None:
        """Settle a batch, or find the part of it that cannot be settled and drop that alone."""
        kept = sum(item.keeps_slot for item in batch)
        offered = self._slots.offer(kept) if kept else 0
        used = 0
        self._under_way += len(batch)
        try:
            settlement = await self._answered(batch, offered, wait=wait)
            used = self._host.adopt(settlement.continuations)
            self._conclude(batch, settlement)
            if settlement.queued:
                self._host.overflowed()
        except Contention:  # the run is locked for longer than a transaction may wait: others go first
            for item in batch:
                item.misses = 1
                item.keeps_slot = False
            self._waiting.extend(batch)
        except Exception:
            await self._isolate(batch, wait=wait)
        finally:
            self._under_way -= len(batch)
            self._slots.give(offered - used)
        self.when_settled([item.outcome for item in batch])
        if self._slots.free > 0:
            self._slots.when_free()

    async def _answered(self, batch: Sequence[_Waiting], slots: int, *, wait: bool) -> Settlement:
        """Dispatch until the store answers; the same batch again where it is unknown whether it was committed."""
        outcomes = tuple(item.outcome for item in batch)
        while True:
            repeated = any(item.repeated for item in batch)
            command = SettleTasks(outcomes=outcomes, capacity=self._host.capacity(slots), wait=wait, repeated=repeated)
            try:
                settlement = await self._kernel.dispatch(command)
            except Contention:
                raise
            except AdapterError as error:
                if not error.retryable:
                    raise
                if isinstance(error, CommitUnknown):
                    for item in batch:
                        item.repeated = True
                pause_s = self._backoff.pause_s()
                if self._backoff.failures == 1:
                    logger.warning("cannot settle %d tasks for now, trying on: %s", len(outcomes), error)
                await asyncio.sleep(pause_s)
            else:
                if self._backoff.failures:
                    logger.info("settling works again after %d tries", self._backoff.failures)
                    self._backoff.reset()
                return settlement

    def _conclude(self, batch: Sequence[_Waiting], settlement: Settlement) -> None:
        for item in batch:
            verdict = settlement.verdicts.get(item.lease, Verdict.STALE)
            if verdict is Verdict.DEFERRED:
                item.misses += 1
                item.keeps_slot = False
                self._waiting.append(item)
            else:
                self._host.settled(item.lease, item.outcome.kind, verdict)

    async def _isolate(self, batch: list[_Waiting], *, wait: bool) -> None:
        """Something in the batch cannot be settled at all: halve it until the culprit is alone, and let that go."""
        if len(batch) == 1:
            lease = batch[0].lease
            logger.exception("the outcome of task %s cannot be settled; its lease will run out", lease.key)
            self._host.settled(lease, batch[0].outcome.kind, Verdict.STALE)
            return
        for item in batch:
            item.keeps_slot = False
        middle = len(batch) // 2
        await self._settle(batch[:middle], wait=wait)
        await self._settle(batch[middle:], wait=wait)
