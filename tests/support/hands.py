"""A host worked by hand: a test claims, completes, fails and loses tasks exactly when it says so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from fairlead.kernel import Kernel
from fairlead.kernel.commands import (
    Capacity,
    ClaimRuns,
    ClaimTasks,
    ExpireRuns,
    Fired,
    FireScheduled,
    HeartbeatTasks,
    Outcome,
    OutcomeKind,
    ReapTasks,
    SendSignal,
    SentSignal,
    Settlement,
    SettleTasks,
    Verdict,
    WakeTasks,
)
from fairlead.kernel.facts import facts_of
from fairlead.kernel.failures import encode_failure
from fairlead.kernel.references import digest_of
from fairlead.ports.records import ClaimedTask, Lease, LeaseAnswer

LEASE = timedelta(seconds=30)


class Hands:
    """One worker. Handlers are never executed; the test says what they return.

    Args:
        kernel: whose flows it serves.
        worker: its worker id.
        slots: how many tasks are handed over to it; 0 queues everything.
        queues: the queues it serves.
    """

    def __init__(
        self, kernel: Kernel, worker: str = "hands", *, slots: int = 0, queues: Sequence[str] = ("default",)
    ) -> None:
        self.kernel = kernel
        self.worker = worker
        self.slots = slots
        self.queues = tuple(queues)

    def capacity(self, slots: int | None = None) -> Capacity:
        """What it can take on."""
        return Capacity(
            worker=self.worker,
            flow_ids=self.kernel.flow_ids,
            queues=self.queues,
            slots=self.slots if slots is None else slots,
            lease_duration=LEASE,
        )

    async def claim_runs(self, limit: int = 100) -> list[ClaimedTask]:
        """Claim pending runs; the tasks that came with them."""
        await self.kernel.register()
        claimed = await self.kernel.dispatch(ClaimRuns(capacity=self.capacity(), limit=limit))
        return list(claimed.tasks)

    async def claimed_run_ids(self, limit: int = 100) -> list[str]:
        """Claim pending runs; their ids in order of claim."""
        await self.kernel.register()
        claimed = await self.kernel.dispatch(ClaimRuns(capacity=self.capacity(), limit=limit))
        return [run.id for run in claimed.runs]

    async def claim_tasks(
        self, limit: int = 1_000, *, queue: str = "default", lost_limit: int = 1
    ) -> list[ClaimedTask]:
        """Claim queued tasks."""
        command = ClaimTasks(capacity=self.capacity(limit), queue=queue, lost_limit=lost_limit)
        return list(await self.kernel.dispatch(command))

    async def claim_task(self, *, lost_limit: int = 1) -> ClaimedTask:
        """Claim the one task that is there."""
        tasks = await self.claim_tasks(lost_limit=lost_limit)

        assert len(tasks) == 1, tasks
        return tasks[0]

    async def settle(self, outcomes: Iterable[Outcome], *, repeated: bool = False) -> Settlement:
        """Settle outcomes in one batch."""
        command = SettleTasks(outcomes=tuple(outcomes), capacity=self.capacity(), wait=True, repeated=repeated)
        return await self.kernel.dispatch(command)

    async def complete(self, task: ClaimedTask, value: Any = None) -> Verdict:
        """Settle a task with an output."""
        return _only(await self.settle([self.completed(task, value)]))

    async def complete_all(self, tasks: Sequence[ClaimedTask], value: Any = None) -> None:
        """Settle tasks with one output each, in one batch."""
        settlement = await self.settle([self.completed(task, value) for task in tasks])

        assert set(settlement.verdicts.values()) <= {Verdict.SETTLED}

    async def fail(self, task: ClaimedTask, message: str = "no", **named: Any) -> Verdict:
        """Settle a task with an error."""
        return _only(await self.settle([self.failed(task, message, **named)]))

    async def release(self, task: ClaimedTask) -> Verdict:
        """Give a task back."""
        outcome = Outcome(key=task.key, token=task.token, flow_id=task.flow_id, kind=OutcomeKind.RELEASED)
        return _only(await self.settle([outcome]))

    async def heartbeat(self, *tasks: ClaimedTask) -> LeaseAnswer:
        """Extend leases."""
        leases = tuple(Lease(task.key, task.token) for task in tasks)
        return await self.kernel.dispatch(HeartbeatTasks(leases=leases, lease_duration=LEASE))

    async def suspend(
        self,
        task: ClaimedTask,
        state: Any = None,
        *,
        check_after: timedelta,
        give_up_after: timedelta | None = None,
    ) -> Verdict:
        """Settle a task that has to wait for slow work elsewhere."""
        outcome = self.suspended(task, state, check_after=check_after, give_up_after=give_up_after)
        return _only(await self.settle([outcome]))

    async def wake(self, *, limit: int = 200) -> int:
        """Look at waits whose time has come."""
        return await self.kernel.dispatch(WakeTasks(limit))

    async def signal(self, run_id: str, step: str, value: Any = None, *, key: str = "key") -> SentSignal:
        """Send a signal whose payload nobody checks."""
        data = json.dumps(value, separators=(",", ":")).encode()
        run = await self.kernel.run(run_id).read()
        questions = self.kernel.find_flow(run.flow, run.version).plan.questions[step]
        command = SendSignal(
            run_id=run_id, step=step, key=key, payload=data, facts=facts_of(questions, data), digest=digest_of(data)
        )
        return await self.kernel.dispatch(command)

    async def expire(self) -> int:
        """Fail runs that are past their deadline."""
        return await self.kernel.dispatch(ExpireRuns())

    async def reap(self) -> int:
        """Take back what lost its lease."""
        return await self.kernel.dispatch(ReapTasks())

    async def fire(self, limit: int = 20) -> Fired:
        """Carry out what is due."""
        return await self.kernel.dispatch(FireScheduled(limit))

    async def drain(self, value: Any = None, *, rounds: int = 10_000) -> int:
        """Claim and complete until nothing is left; how many tasks that were."""
        done = 0
        for _ in range(rounds):
            tasks = await self.claim_runs() + await self.claim_tasks()
            if not tasks:
                return done
            await self.complete_all(tasks, value)
            done += len(tasks)
        raise AssertionError(f"still working after {rounds} rounds")

    def completed(self, task: ClaimedTask, value: Any) -> Outcome:
        """The outcome of a handler that returned `value`."""
        data = json.dumps(value, separators=(",", ":")).encode()
        questions = self.kernel.plan_of(task.flow_id).questions[task.key.step]
        return Outcome(
            key=task.key,
            token=task.token,
            flow_id=task.flow_id,
            kind=OutcomeKind.COMPLETED,
            output=data,
            facts=facts_of(questions, data),
        )

    def suspended(
        self, task: ClaimedTask, state: Any, *, check_after: timedelta, give_up_after: timedelta | None = None
    ) -> Outcome:
        """The outcome of a handler, or a check, that returned `Suspend`."""
        return Outcome(
            key=task.key,
            token=task.token,
            flow_id=task.flow_id,
            kind=OutcomeKind.SUSPENDED,
            state=json.dumps(state, separators=(",", ":")).encode(),
            check_after=check_after,
            give_up_after=give_up_after,
        )

    def failed(
        self,
        task: ClaimedTask,
        message: str = "no",
        *,
        retryable: bool = True,
        retry_after: timedelta | None = None,
    ) -> Outcome:
        """The outcome of a handler that raised."""
        return Outcome(
            key=task.key,
            token=task.token,
            flow_id=task.flow_id,
            kind=OutcomeKind.FAILED,
            error=encode_failure(type="ValueError", message=message, attempt=task.attempt),
            reason="handler_failed",
            retryable=retryable,
            retry_after=retry_after,
        )


def _only(settlement: Settlement) -> Verdict:
    (verdict,) = settlement.verdicts.values()
    return verdict
