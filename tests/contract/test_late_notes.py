"""Late notes: what an attempt says counts until its lease ended, and nothing is left of a run that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.notes import LogLevel, NewLogEntry, ProgressRecord
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import ClaimedTask, FlowRow, TaskKey
from tests.support.records import (
    at,
    attempt,
    cancellation,
    completed,
    failed,
    load_request,
    retried,
    run_id,
    step_cancellation,
    task_claim,
)
from tests.support.scenes import apply, complete_run, lose_lease, run_with_tasks, take_over
from tests.support.waits import queued_again, suspension

TASK = TaskKey(run_id(1), "pack", 1, 0)


def entry(seconds: float, *, of: TaskKey = TASK, token: int = 1, sequence: int | None = None) -> NewLogEntry:
    """An entry that says when it was noted."""
    number = int(seconds) if sequence is None else sequence
    return NewLogEntry(
        key=of, token=token, attempt=token, sequence=number, at=at(seconds), level=LogLevel.INFO, message=f"{seconds:g}"
    )


def progress(seconds: float, *, of: TaskKey = TASK, token: int = 1) -> ProgressRecord:
    """Progress that says when it was told."""
    return ProgressRecord(key=of, token=token, attempt=token, at=at(seconds), done=seconds)


async def note(store: Persistence, *seconds: float, token: int = 1) -> None:
    """Write down what the first attempt noted at these times."""
    await store.write_notes(
        [entry(each, token=token) for each in seconds], [progress(each, token=token) for each in seconds]
    )


async def noted(store: Persistence) -> tuple[list[str], list[float]]:
    """What can be read of it: the log, and the progress."""
    logs = await store.read_logs(run_id(1), limit=100)
    return [each.message for each in logs], [each.done for each in await store.read_progress(run_id(1), limit=100)]


@pytest.fixture
async def task(store: Persistence, flow: FlowRow) -> ClaimedTask:
    """A task that runs."""
    await run_with_tasks(store, flow, steps={"pack": 2})
    (claimed,) = await store.claim_tasks(task_claim(flow, only=[TASK]))
    return claimed


Loss = Callable[[Persistence, FlowRow], Any]

LOSSES: dict[str, Loss] = {
    "the run is cancelled": lambda store, flow: apply(
        store, run_id(1), Changes(cancellations=(cancellation(run_id(1)),))
    ),
    "the step is cancelled": lambda store, flow: apply(
        store, run_id(1), Changes(cancellations=(step_cancellation(run_id(1), "pack"),))
    ),
    "the lease is lost": lambda store, flow: lose_lease(store, TASK, ready_at=at(9)),
    "somebody else has the task": lambda store, flow: take_over(store, flow, TASK, seconds=9),
}
"""How an attempt loses its task at `at(9)`."""


@pytest.mark.fault(42)
@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("loss", LOSSES)
async def test_nothing_is_noted_after_the_loss_and_nothing_before_is_lost(
    store: Persistence, flow: FlowRow, loss: str
) -> None:
    """What was noted before stays, and counts even where it is written late; what comes after is dropped."""
    await note(store, 1, 2)
    await LOSSES[loss](store, flow)
    await note(store, 10)
    await note(store, 8, 9, 9.5)

    assert await noted(store) == (["1", "2", "8", "9"], [9])


@pytest.mark.parametrize("how", ["completed", "failed", "retried"])
async def test_notes_may_come_after_their_outcome(
    store: Persistence, flow: FlowRow, task: ClaimedTask, how: str
) -> None:
    """An outcome that did not wait for its notes, since they could not be written; the clocks may differ a little."""
    changes = {
        "completed": Changes(tasks=(completed(task),)),
        "failed": Changes(tasks=(failed(task),), attempts=(attempt(task),)),
        "retried": Changes(tasks=(retried(task, ready_at=at(0)),), attempts=(attempt(task),)),
    }
    await apply(store, run_id(1), changes[how])
    if how == "retried":
        await store.claim_tasks(task_claim(flow, only=[TASK]))
    await note(store, 1, 2)

    assert await noted(store) == (["1", "2"], [2])


@pytest.mark.parametrize("then", ["waits", "is checked", "has ended"])
async def test_notes_may_come_after_their_attempt_was_suspended(
    store: Persistence, flow: FlowRow, task: ClaimedTask, then: str
) -> None:
    """However far its check is by then: suspending is an outcome like others."""
    await apply(store, run_id(1), Changes(suspensions=(suspension(TASK, wake_at=at(0)),)))
    if then != "waits":
        await apply(store, run_id(1), Changes(resumptions=(queued_again(TASK, 1, ready_at=at(0)),)))
        (check,) = await store.claim_tasks(task_claim(flow, only=[TASK]))
        if then == "has ended":
            await apply(store, run_id(1), Changes(tasks=(completed(check),)))
    await note(store, 1, 2)

    assert await noted(store) == (["1", "2"], [2])


@pytest.mark.usefixtures("task")
async def test_whoever_has_the_task_notes_on(store: Persistence, flow: FlowRow) -> None:
    """The next attempt is not held to the end of the one before."""
    await take_over(store, flow, TASK, seconds=9)
    await note(store, 1, 20, token=2)

    assert await noted(store) == (["1", "20"], [20])


@pytest.mark.usefixtures("task")
async def test_who_never_had_a_lease_notes_nothing(store: Persistence) -> None:
    """A token that was not given out, a task that nobody has claimed, one that does not exist."""
    await note(store, 1, token=2)
    for other in (TASK._replace(element=1), TASK._replace(element=2), TASK._replace(generation=2)):
        await store.write_notes([entry(1, of=other)], [progress(1, of=other)])

    assert await noted(store) == ([], [])


@pytest.mark.usefixtures("task")
async def test_late_notes_take_no_others_with_them(store: Persistence, flow: FlowRow) -> None:
    """One write has notes of many attempts: those that count are numbered without a gap."""
    other = await complete_run(store, flow, 2)
    await apply(store, run_id(1), Changes(cancellations=(cancellation(run_id(1)),)))
    theirs = TaskKey(other, "pack", 1, 0)
    await store.write_notes([entry(10), entry(1, of=theirs), entry(11), entry(2, of=theirs)], [])

    assert await noted(store) == ([], [])
    assert [each.number for each in await store.read_logs(other, limit=10)] == [1, 2]


async def test_nothing_is_left_of_a_run_that_is_removed_while_somebody_notes(store: Persistence, flow: FlowRow) -> None:
    """Whichever comes first, notes go with their runs; a removal that finds the run held leaves it for the next."""
    runs = [await complete_run(store, flow, number) for number in range(1, 21)]

    async def write(sequence: int) -> None:
        of = [TaskKey(run, "pack", 1, 0) for run in runs]
        await store.write_notes(
            [entry(sequence, of=each) for each in of], [progress(sequence, of=each) for each in reversed(of)]
        )

    async def remove() -> None:
        left = set(runs)
        while left:
            left.difference_update(await store.delete_runs(sorted(left)[:1], ended_before=at(1000)))

    async with asyncio.timeout(60):
        await asyncio.gather(remove(), *(write(sequence) for sequence in range(1, 41)))

    left = [(await store.read_logs(run, limit=1), await store.read_progress(run, limit=1)) for run in runs]
    assert left == [([], [])] * len(runs)


@pytest.mark.usefixtures("task")
async def test_a_run_that_is_held_for_its_settling_takes_notes(store: Persistence) -> None:
    """Until the commit the attempt holds its lease."""
    async with store.transaction() as transaction:
        await transaction.load(load_request(run_id(1)))
        await transaction.apply(Changes(cancellations=(cancellation(run_id(1)),)))
        async with asyncio.timeout(5):
            await note(store, 10)
    await note(store, 11)

    assert await noted(store) == (["10"], [10])
