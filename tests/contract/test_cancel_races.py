"""Cancel against everything else that changes a run, one step at a time: one of the serial orders comes out.

Each test stops one command before its commit and begins the other one. Whatever is first, the run is sound afterwards,
and after an acknowledged cancel nothing of it starts and no result is recorded (FAULTS 62, I23, I24).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fairlead.kernel import Flow, RunHandle, RunStatus
from fairlead.kernel.commands import CancelledRun, SettleTasks, Verdict
from fairlead.ports.records import ClaimedTask, Lease, LeaseAnswer
from fairlead.ports.statuses import TaskStatus
from tests.support.hands import Hands
from tests.support.races import Race, race_between
from tests.support.scenes import PATIENCE_S
from tests.support.subjects import StoreSubject


def pair() -> Flow[Any]:
    """A map over the input with two attempts for each task, and a step behind it."""
    flow = Flow("pair", version=1, max_attempts=2, base_delay=0)

    @flow.map(over="input")
    def each(item: object) -> object:
        return item

    @flow.step
    def after(each: list[object]) -> object:
        return each

    return flow


class CancelRace(Race):
    """Runs of that flow."""

    async def run(self, *elements: object) -> RunHandle:
        """A pending run."""
        return await self.kernel.start("pair", list(elements))

    async def running(self, *elements: object) -> tuple[RunHandle, list[ClaimedTask]]:
        """A run whose tasks are all claimed."""
        run = await self.run(*elements)
        await self.hands.claim_runs()
        return run, await self.hands.claim_tasks()

    async def slowly_settle(self, task: ClaimedTask, how: str) -> Verdict:
        """An outcome that is settled by the slow kernel."""
        if how == "complete":
            return await self.slow.complete(task, "result")
        return await self.slow.fail(task, retryable=how == "retry")


@pytest.fixture
async def race(store_subject: StoreSubject) -> AsyncGenerator[CancelRace]:
    """In the end every invariant holds."""
    yield await race_between(store_subject, pair(), CancelRace)

    assert await store_subject.store.check_invariants() == {}


@pytest.mark.fault(62)
@pytest.mark.parametrize("slots", [0, 10])
async def test_a_cancel_waits_for_the_claim_of_its_run(race: CancelRace, slots: int) -> None:
    """It finds the run running, and cancels what the claim has made: queued, or born leased to the claimer."""
    run = await race.run(1, 2)
    race.slow.slots = slots
    claiming = await race.halt(race.slow.claim_runs())
    cancelling = await race.behind(run.cancel())

    claimed, answer = await race.finish(claiming, cancelling)

    tasks = (await run.details()).tasks
    assert answer == CancelledRun(run_id=run.id, found=RunStatus.RUNNING, took_effect=True)
    assert len(claimed) == (2 if slots else 0)
    assert [(task.status, task.token) for task in tasks] == [(TaskStatus.CANCELLED, len(claimed) // 2)] * 2
    assert await race.hands.claim_tasks() == []
    heartbeat = await race.hands.heartbeat(*claimed)
    assert heartbeat.cancelled == {Lease(task.key, task.token) for task in claimed}


async def test_a_claim_leaves_a_run_that_is_being_cancelled(race: CancelRace) -> None:
    """Nobody waits for it, before its commit or after."""
    run = await race.run(1, 2)
    cancelling = await race.halt(race.slow.kernel.cancel(run.id))

    assert await race.hands.claimed_run_ids() == []
    (answer,) = await race.finish(cancelling)

    assert answer == CancelledRun(run_id=run.id, found=RunStatus.PENDING, took_effect=True)
    assert await race.hands.claimed_run_ids() == []
    assert list((await run.details()).tasks) == []


async def test_a_cancel_waits_for_the_claim_of_a_task(race: CancelRace) -> None:
    """A claim holds its row for a moment; the task is cancelled under the token that it was given."""
    if race.subject.hold_task is None:
        pytest.skip("this adapter cannot hold a task's lock")
    run, (task,) = await race.running(1)
    async with race.subject.hold_task(task.key):
        cancelling = await race.behind(run.cancel())

    assert await asyncio.wait_for(cancelling, PATIENCE_S)
    assert (await race.hands.heartbeat(task)).cancelled == {Lease(task.key, task.token)}


async def test_tasks_of_a_run_that_is_being_cancelled_are_not_claimed(race: CancelRace) -> None:
    """Before the commit they are locked, afterwards cancelled; a heartbeat does not know, and then it does."""
    run, (held, given_back) = await race.running(1, 2)
    await race.hands.release(given_back)
    cancelling = await race.halt(race.slow.kernel.cancel(run.id))

    during = await race.hands.heartbeat(held)
    assert await race.hands.claim_tasks() == []
    await race.finish(cancelling)

    nothing = frozenset[Lease]()
    assert during == LeaseAnswer(extended=nothing, lost=nothing, cancelled=nothing)
    assert await race.hands.claim_tasks() == []
    assert (await race.hands.heartbeat(held)).cancelled == {Lease(held.key, held.token)}


SETTLED: dict[str, tuple[RunStatus, TaskStatus, bool]] = {
    "complete": (RunStatus.RUNNING, TaskStatus.COMPLETED, True),
    "retry": (RunStatus.RUNNING, TaskStatus.CANCELLED, True),
    "give up": (RunStatus.FAILED, TaskStatus.FAILED, False),
}
"""What the cancel finds, what the task is in the end, and whether the cancel takes effect."""


@pytest.mark.fault(62)
@pytest.mark.parametrize("how", SETTLED)
async def test_a_cancel_waits_for_a_settle(race: CancelRace, how: str) -> None:
    """What was settled before is recorded; a retry is cancelled in its queue; a run that failed has ended."""
    run, (task, _) = await race.running(1, 2)
    settling = await race.halt(race.slowly_settle(task, how))
    cancelling = await race.behind(run.cancel())

    verdict, answer = await race.finish(settling, cancelling)

    found, status, took_effect = SETTLED[how]
    assert verdict is Verdict.SETTLED
    assert answer == CancelledRun(run_id=run.id, found=found, took_effect=took_effect)
    tasks = {row.key: row.status for row in (await run.details()).tasks}
    assert tasks.pop(task.key) is status
    assert set(tasks.values()) == {TaskStatus.CANCELLED}


async def test_the_last_result_may_be_quicker_than_a_cancel(race: CancelRace) -> None:
    """The run completes, and the cancel came too late."""
    run, (task,) = await race.running(1)
    await race.hands.complete(task)
    (last,) = await race.hands.claim_tasks()
    settling = await race.halt(race.slow.complete(last, "result"))
    cancelling = await race.behind(run.cancel())

    _, answer = await race.finish(settling, cancelling)

    assert answer == CancelledRun(run_id=run.id, found=RunStatus.COMPLETED, took_effect=False)
    assert await run.result() == {"after": "result"}


@pytest.mark.fault(28, 62)
@pytest.mark.parametrize("how", SETTLED)
async def test_a_settle_that_waits_for_a_cancel_is_stale(race: CancelRace, how: str) -> None:
    """Nothing of the result is kept."""
    run, (task, _) = await race.running(1, 2)
    cancelling = await race.halt(race.slow.kernel.cancel(run.id))
    quick = race.hands
    settling = await race.behind(quick.complete(task) if how == "complete" else quick.fail(task, retryable=True))

    answer, verdict = await race.finish(cancelling, settling)

    details = await run.details()
    assert answer == CancelledRun(run_id=run.id, found=RunStatus.RUNNING, took_effect=True)
    assert verdict is Verdict.STALE
    assert {(row.status, row.has_output, row.error) for row in details.tasks} == {("cancelled", False, None)}
    assert list(details.attempts) == []


async def test_a_settle_that_does_not_wait_is_deferred(race: CancelRace) -> None:
    """A batch leaves out the run that is being cancelled, and settles the others."""
    run, (task,) = await race.running(1)
    other, (beside,) = await race.running(2)
    cancelling = await race.halt(race.slow.kernel.cancel(run.id))
    outcomes = tuple(race.hands.completed(each, None) for each in (task, beside))

    settlement = await race.hands.kernel.dispatch(SettleTasks(outcomes=outcomes, capacity=race.hands.capacity()))
    await race.finish(cancelling)

    assert settlement.verdicts == {
        Lease(task.key, task.token): Verdict.DEFERRED,
        Lease(beside.key, beside.token): Verdict.SETTLED,
    }
    assert await other.status() is RunStatus.RUNNING
    assert await race.hands.complete(task) is Verdict.STALE


@pytest.mark.fault(62)
async def test_of_two_cancels_one_takes_effect(race: CancelRace) -> None:
    """The second finds the run cancelled, and the first one's reason stays."""
    run, _ = await race.running(1)
    first = await race.halt(race.slow.kernel.cancel(run.id, reason="first"))
    second = await race.behind(run.cancel(reason="second"))

    answers = await race.finish(first, second)

    assert [(answer.found, answer.took_effect) for answer in answers] == [
        (RunStatus.RUNNING, True),
        (RunStatus.CANCELLED, False),
    ]
    details = await run.details()
    assert details.run.reason == "first"
    assert [event.type for event in details.events].count("run.cancelled") == 1


RUNS = 24
TURNS = 12
"""How often each host claims; afterwards it ends what it was handed over."""


@pytest.mark.fault(62)
async def test_many_cancels_race_with_work(race: CancelRace) -> None:
    """Two hosts work while clients cancel: each run has one end, and what was acknowledged is so in the end.

    The first run is cancelled before anybody works, the last after everything was done.
    """
    chosen = random.Random(5)
    runs = [await race.run(*range(chosen.randrange(4))) for _ in range(RUNS)]
    acknowledged: dict[str, CancelledRun] = {}

    async def work(hands: Hands) -> None:
        mine: list[ClaimedTask] = []
        for turn in itertools.count():
            if turn < TURNS:
                mine += await hands.claim_runs(3) + await hands.claim_tasks(5)
            elif not mine:
                return
            settlement = await hands.settle(
                hands.failed(task, retryable=False) if chosen.random() < 0.1 else hands.completed(task, None)
                for task in mine
            )
            mine = list(settlement.continuations)

    async def cancel(run: RunHandle) -> None:
        for _ in range(chosen.randrange(8)):
            await run.status()
        acknowledged[run.id] = await run.cancel()

    first, *others, last = runs
    await cancel(first)
    await asyncio.gather(
        *(work(Hands(race.kernel, f"worker-{number}", slots=number)) for number in range(2)),
        *(cancel(run) for run in others),
    )
    await race.hands.drain()
    await cancel(last)

    ended = {run.id: await run.status() for run in runs}
    told = {run_id: RunStatus.CANCELLED if each.took_effect else each.found for run_id, each in acknowledged.items()}
    assert told == ended
    assert (ended[first.id], acknowledged[last.id].took_effect) == (RunStatus.CANCELLED, False)
