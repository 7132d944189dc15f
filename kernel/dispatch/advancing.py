"""Advancing runs: settling outcomes and taking back lost leases, each batch in one transaction.

Load under lock, decide, apply, commit. This is the busiest path of all: two round trips, whatever the size of the
batch; one more for each time that a decision asks for what was not loaded: steps that a cascade reaches, elements of a
map with gaps, signals that were sent early.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ...ports.errors import AdapterError, CommitUnknown, UnstorableValue
from ...ports.records import LoadRequest, Snapshot
from ..commands import CLOCK_SKEW_MAX, Outcome, OutcomeKind, ReapTasks, Settlement, SettleTasks, Verdict
from ..decisions.handover import NOBODY, HandOver
from ..decisions.settle import reap_tasks, settle_tasks
from ..decisions.settled import Settled
from ..decisions.state import as_claimed
from ..failures import encode_failure
from .deciding import decide_and_apply, neighbours
from .means import Handlers, Means
from .paging import Page, page_of, past_locked_runs

SETTLE_PATIENCE_S = 1.0
"""After this long no settle is tried again: it ran into a lock rather than a deadlock, and its host has others to
settle meanwhile."""


class Advancing:
    """Carries out `SettleTasks` and `ReapTasks`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {SettleTasks: self.settle, ReapTasks: self.reap}

    async def settle(self, command: SettleTasks) -> Settlement:
        """Settle a batch; where the store refuses a value in it, find the culprit by halving and fail its task."""
        try:
            return await self._settle_patiently(command)
        except UnstorableValue as refusal:  # recovers 53: the store refuses a value of a batch
            if len(command.outcomes) == 1:
                unstorable = replace(command, outcomes=(_unstorable(command.outcomes[0], refusal),))
                settlement = await self._settle_patiently(unstorable)
                return replace(settlement, unrecorded=frozenset(settlement.verdicts))
        middle = len(command.outcomes) // 2
        first = await self.settle(replace(command, outcomes=command.outcomes[:middle]))
        slots = max(0, command.capacity.slots - len(first.continuations))
        rest = replace(command, outcomes=command.outcomes[middle:], capacity=replace(command.capacity, slots=slots))
        try:
            second = await self.settle(rest)
        except AdapterError as error:  # recovers 21, 22: half of a batch is recorded, and the other half cannot be
            raise CommitUnknown("one half of a batch is recorded, the other is not; repeat all of it") from error
        return Settlement(
            verdicts={**first.verdicts, **second.verdicts},
            continuations=first.continuations + second.continuations,
            queued=first.queued or second.queued,
            put_off=first.put_off or second.put_off,
            unrecorded=first.unrecorded | second.unrecorded,
        )

    async def _settle_patiently(self, command: SettleTasks) -> Settlement:
        patience_s = SETTLE_PATIENCE_S if command.patience_s is None else command.patience_s
        return await self._means.from_the_top(lambda: self._settle_batch(command), patience_s=patience_s)

    async def _settle_batch(self, command: SettleTasks) -> Settlement:
        outcomes = command.outcomes
        request = LoadRequest(
            runs=tuple(sorted({outcome.key.run_id for outcome in outcomes})),
            steps=neighbours(self._means.plans, ((outcome.key, outcome.flow_id) for outcome in outcomes)),
            tasks=tuple(sorted({outcome.key for outcome in outcomes})),
            wait=command.wait,
            patience_s=command.patience_s,
            leased_to=command.capacity.worker if command.repeated else None,
        )
        async with self._means.persistence.transaction() as transaction:
            snapshot = await transaction.load(request)
            now = self._means.clock.now()

            def decide(snapshot: Snapshot) -> Settled:
                return settle_tasks(
                    outcomes,
                    snapshot,
                    self._means.plans,
                    now=now,
                    hand_over=HandOver(command.capacity, now),
                    absent=Verdict.STALE if command.wait else Verdict.DEFERRED,
                )

            settled = await decide_and_apply(transaction, snapshot, self._means.plans, decide)
        await self._means.wake_for(settled.changes, snapshot.runs, now)
        mine = {outcome.key for outcome in outcomes}
        adopted = (as_claimed(task) for task in snapshot.leased if task.key not in mine)
        return Settlement(
            verdicts=settled.verdicts,
            continuations=(*settled.changes.claimed, *adopted),
            queued=settled.changes.queues_tasks or command.repeated,
            put_off=settled.changes.puts_off or command.repeated,
            unrecorded=frozenset(settled.unrecorded),
        )

    async def reap(self, command: ReapTasks) -> int:
        """Take back what lost its lease."""

        async def turn(leave_out: Sequence[str]) -> Page:
            return await self._means.from_the_top(lambda: self._reap_once(command, leave_out))

        return await past_locked_runs(turn)

    async def _reap_once(self, command: ReapTasks, leave_out: Sequence[str]) -> Page:
        before = self._means.clock.now() - CLOCK_SKEW_MAX
        expired = await self._means.persistence.find_expired(
            before, flow_ids=self._means.flow_ids, limit=command.limit, leave_out=leave_out
        )
        if not expired:
            return Page()
        request = LoadRequest(
            runs=tuple(sorted({task.key.run_id for task in expired})),
            steps=neighbours(self._means.plans, ((task.key, task.flow_id) for task in expired)),
            tasks=tuple(sorted(task.key for task in expired)),
            lock_tasks=True,
        )
        async with self._means.persistence.transaction() as transaction:
            snapshot = await transaction.load(request)
            now = self._means.clock.now()

            def decide(snapshot: Snapshot) -> Settled:
                return reap_tasks(
                    expired,
                    snapshot,
                    self._means.plans,
                    now=now,
                    before=before,
                    hand_over=HandOver(NOBODY, now),
                )

            settled = await decide_and_apply(transaction, snapshot, self._means.plans, decide)
        await self._means.wake_for(settled.changes, snapshot.runs, now)
        return page_of(expired, snapshot, done=len(settled.verdicts), limit=command.limit)


def _unstorable(outcome: Outcome, refusal: UnstorableValue) -> Outcome:
    """The outcome that takes the place of one whose values the store refuses."""
    return replace(
        outcome,
        kind=OutcomeKind.FAILED,
        output=None,
        facts=None,
        state=None,
        error=encode_failure(type="UnstorableOutput", message=str(refusal)),
        reason="unstorable_output",
        retryable=False,
    )
