"""A run that is not over in time fails, whatever it is at; counted from its claim."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, RunDidNotComplete, RunHandle, RunStatus, decode_failure
from fairlead.kernel.commands import ExpireRuns, Verdict
from fairlead.kernel.decisions.expire import expire_runs
from fairlead.kernel.decisions.state import ChangeSet
from fairlead.kernel.dispatch import waiting
from fairlead.kernel.dispatch.waiting import EXPIRED_TOGETHER_MAX
from fairlead.ports import Ports
from fairlead.ports.records import Lease, RunRow
from tests.support.courses import began, finish, statuses, told
from tests.support.hands import Hands

HOUR = timedelta(hours=1)


def hasty(run_timeout: timedelta | None = HOUR) -> Flow[Any]:
    """Two steps beside each other, a signal, a sleep, and a step behind all."""
    flow = Flow("hasty", version=1) if run_timeout is None else Flow("hasty", version=1, run_timeout=run_timeout)

    @flow.step
    def first() -> None: ...

    @flow.step
    def second() -> None: ...

    asked = flow.signal("asked", int)
    nap = flow.sleep("nap", timedelta(days=1))

    @flow.step(after=[first, second, asked, nap])
    def last() -> None: ...

    return flow


async def deadline(run: RunHandle) -> Any:
    """When it has to be over."""
    return (await run.read()).deadline_at


async def test_a_run_that_is_not_over_in_time_fails(world: Ports, clock: ManualClock) -> None:
    """With everything that is live in it, running, queued or waiting; nothing of it counts later."""
    run, hands = await began(world, hasty())
    first, _ = await hands.claim_tasks()
    clock.advance(HOUR - timedelta(microseconds=1))
    early = await hands.expire()
    clock.advance(timedelta(microseconds=1))

    expired = await hands.expire()

    details = await run.details()
    assert (early, expired) == (0, 1)
    assert (details.run.status, details.run.reason, details.run.ended_at) == ("failed", "timed_out", clock.now())
    failure = decode_failure(details.run.error or b"")
    assert failure.message == "the run was not over by 2026-01-01 01:00:00 UTC, when its run_timeout ended"
    assert {step.status for step in details.steps} == {"cancelled"}
    assert {(task.status, task.reason) for task in details.tasks} == {("cancelled", "run_failed")}
    assert (await told(run, "run.failed"), details.events[-1].type) == ([None], "run.failed")
    answer = await hands.heartbeat(first)
    assert answer.cancelled == {Lease(first.key, first.token)}
    assert await hands.complete(first) is Verdict.STALE
    assert (await hands.expire(), await hands.wake()) == (0, 0)


async def test_a_run_that_is_over_in_time_has_no_deadline_any_more(world: Ports, clock: ManualClock) -> None:
    """Nothing is left to look at."""
    flow = Flow("quick", version=1, run_timeout=HOUR)

    @flow.step
    def only() -> None: ...

    run, hands = await began(world, flow)
    during = await deadline(run)
    await finish(hands, {})
    clock.advance(HOUR * 2)

    assert during == clock.now() - HOUR
    assert await deadline(run) is None
    assert await hands.expire() == 0
    assert await run.status() == RunStatus.COMPLETED


async def test_a_pending_run_has_all_its_time_before_it(world: Ports, clock: ManualClock) -> None:
    """However long it waits for a host: a backlog is not the run's fault."""
    kernel = Kernel(flows=[hasty()], ports=world)
    run, hands = await kernel.start("hasty", None), Hands(kernel)
    clock.advance(HOUR * 5)

    waited = await hands.expire()
    await hands.claim_runs()

    assert waited == 0
    assert await deadline(run) == clock.now() + HOUR


async def test_a_run_without_a_timeout_takes_as_long_as_it_needs(world: Ports, clock: ManualClock) -> None:
    """No deadline is kept for it."""
    run, hands = await began(world, hasty(None))
    clock.advance(timedelta(days=365))

    assert await deadline(run) is None
    assert await hands.expire() == 0
    assert await run.status() == RunStatus.RUNNING


async def test_no_code_is_needed_to_fail_a_run_in_time(world: Ports, clock: ManualClock) -> None:
    """Whichever host looks ends it, so that a flow that nobody serves any more does not keep runs for ever."""
    run, _ = await began(world, hasty())
    clock.advance(HOUR)

    expired = await Hands(Kernel(flows=[], ports=world)).expire()

    assert expired == 1
    assert await run.status() == RunStatus.FAILED


@pytest.mark.fault(69)
async def test_a_run_fails_once_however_many_look(world: Ports, clock: ManualClock) -> None:
    """Five hosts at the same moment."""
    run, _ = await began(world, hasty())
    clock.advance(HOUR)

    counts = await asyncio.gather(*(Hands(Kernel(flows=[], ports=world)).expire() for _ in range(5)))

    assert sum(counts) == 1
    assert len(await told(run, "run.failed")) == 1
    assert await statuses(run) == dict.fromkeys(("first", "second", "asked", "nap", "last"), "cancelled")


async def test_whoever_waits_for_it_is_told(world: Ports, clock: ManualClock) -> None:
    """What the run came to, and why."""
    run, hands = await began(world, hasty())
    clock.advance(HOUR)
    await hands.expire()

    with pytest.raises(RunDidNotComplete, match=r"is failed \(timed_out\): RunTimedOut: the run was not over by"):
        await run.result(timeout=0)


@pytest.mark.fault(64)
async def test_the_last_moment_belongs_to_whoever_is_first(world: Ports, clock: ManualClock) -> None:
    """What was recorded before anybody looked counts; a run that completes late is completed."""
    flow = Flow("quick", version=1, run_timeout=HOUR)

    @flow.step
    def only() -> None: ...

    run, hands = await began(world, flow)
    task = await hands.claim_task()
    clock.advance(HOUR * 2)
    await hands.complete(task)

    assert await hands.expire() == 0
    assert await run.status() == RunStatus.COMPLETED


async def test_a_new_generation_has_its_time_anew(world: Ports, clock: ManualClock) -> None:
    """From its own claim on."""
    run, hands = await began(world, hasty())
    clock.advance(HOUR)
    await hands.expire()
    clock.advance(HOUR)

    await run.rerun("first")

    assert await deadline(run) == clock.now() + HOUR
    assert await hands.expire() == 0


async def test_runs_that_are_over_together_end_few_at_a_time(
    world: Ports, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take tasks by the ten thousand with it, and no transaction may outlast the store's patience."""
    flow = hasty()
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    for _ in range(2 * EXPIRED_TOGETHER_MAX + 1):
        await kernel.start(flow, None)
    await hands.claim_runs()
    clock.advance(HOUR)
    together: list[int] = []

    def counting(runs: Collection[RunRow], *, now: datetime) -> ChangeSet:
        together.append(len(runs))
        return expire_runs(runs, now=now)

    monkeypatch.setattr(waiting, "expire_runs", counting)
    expired = await kernel.dispatch(ExpireRuns())

    assert (expired, together) == (2 * EXPIRED_TOGETHER_MAX + 1, [EXPIRED_TOGETHER_MAX, EXPIRED_TOGETHER_MAX, 1])
