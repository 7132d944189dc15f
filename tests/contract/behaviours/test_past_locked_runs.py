"""Locked runs with much to do stand before no other: their lost leases, their waits and their deadlines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, RunHandle, RunStatus
from fairlead.kernel.commands import ExpireRuns, ReapTasks, WakeTasks
from fairlead.ports import Ports
from fairlead.ports.statuses import TaskStatus
from tests.support.hands import LEASE, Hands
from tests.support.locked import locked

PAGE = 3


def map_flow() -> Flow[Any]:
    """One map over the input."""
    flow: Flow[Any] = Flow("map", version=1, input=list[int], input_name="items")

    @flow.map(over="items")
    async def each(item: int) -> int:
        return item

    return flow


def resting_flow() -> Flow[Any]:
    """Sleeps that end at one time."""
    flow: Flow[Any] = Flow("resting", version=1, input=int, input_name="n")
    for number in range(2 * PAGE + 1):
        flow.sleep(f"rest{number}", 60)
    return flow


def short_flow() -> Flow[Any]:
    """A long sleep in a run that may not take long."""
    flow: Flow[Any] = Flow("short", version=1, input=int, input_name="n", run_timeout=60)
    flow.sleep("rest", 3600)
    return flow


@pytest.mark.fault(24, 51)
async def test_lost_leases_of_a_locked_run_stand_before_no_other(world: Ports, clock: ManualClock) -> None:
    """However many there are, those of other runs are taken back at once, and its own when the lock is gone."""
    kernel = Kernel(flows=[map_flow()], ports=world)
    dead, runs = Hands(kernel, "dead"), list[RunHandle]()
    for count in (2 * PAGE, PAGE, 1):
        runs.append(await kernel.start("map", list(range(count))))
        await dead.claim_runs()
        assert len(await dead.claim_tasks()) == count
        clock.advance(1)
    first, second, third = runs
    clock.advance(LEASE + timedelta(minutes=1))

    async with locked(world, first.id, second.id):
        reaped = await kernel.dispatch(ReapTasks(limit=PAGE))

    (task,) = await world.persistence.read_tasks(third.id)
    assert (reaped, task.status) == (1, TaskStatus.QUEUED)
    while await kernel.dispatch(ReapTasks(limit=PAGE)):
        pass
    for run in (first, second):
        assert {task.status for task in await world.persistence.read_tasks(run.id)} == {TaskStatus.QUEUED}


@pytest.mark.fault(24, 51)
async def test_waits_of_a_locked_run_stand_before_no_other(world: Ports, clock: ManualClock) -> None:
    """However many are over, those of other runs end in time, and its own when the lock is gone."""
    kernel = Kernel(flows=[resting_flow()], ports=world)
    first = await kernel.start("resting", 1)
    await Hands(kernel).claim_runs()
    clock.advance(1)
    second = await kernel.start("resting", 2)
    await Hands(kernel).claim_runs()
    clock.advance(60)

    async with locked(world, first.id):
        woken = await kernel.dispatch(WakeTasks(limit=PAGE))
        while await kernel.dispatch(WakeTasks(limit=PAGE)):
            pass
        assert (await second.read()).status is RunStatus.COMPLETED

    assert woken >= PAGE
    assert (await first.read()).status is RunStatus.RUNNING
    while await kernel.dispatch(WakeTasks(limit=PAGE)):
        pass
    assert (await first.read()).status is RunStatus.COMPLETED


@pytest.mark.fault(24, 51)
async def test_locked_runs_past_their_deadline_stand_before_no_other(world: Ports, clock: ManualClock) -> None:
    """However many there are, the others fail in time, and they when the locks are gone."""
    kernel = Kernel(flows=[short_flow()], ports=world)
    runs = list[RunHandle]()
    for number in range(2 * PAGE + 1):
        runs.append(await kernel.start("short", number))
        await Hands(kernel).claim_runs()
        clock.advance(1)
    clock.advance(60)
    *firsts, last = runs

    async with locked(world, *(run.id for run in firsts)):
        expired = await kernel.dispatch(ExpireRuns(limit=PAGE))

    assert (expired, await last.status()) == (1, RunStatus.FAILED)
    assert {await run.status() for run in firsts} == {RunStatus.RUNNING}
    assert await kernel.dispatch(ExpireRuns(limit=PAGE)) == PAGE
    assert await kernel.dispatch(ExpireRuns(limit=2 * PAGE)) == PAGE
    assert {await run.status() for run in firsts} == {RunStatus.FAILED}
