"""Acceptance behaviour 64: a sleep costs nothing while it lasts, and is over once, however many hosts look."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, InvalidInput, Kernel, RunHandle, RunStatus, StepStatus
from fairlead.kernel.decisions.retrying import END_OF_TIME
from fairlead.ports import Ports
from tests.support.courses import began, finish, statuses, told
from tests.support.hands import Hands

DAYS_30 = timedelta(days=30)


def patient(duration: timedelta | float = DAYS_30) -> Flow[Any]:
    """A sleep and a step behind it."""
    flow = Flow("patient", version=1)
    pause = flow.sleep("pause", duration)

    @flow.step(after=[pause])
    def act() -> None: ...

    return flow


def until(place: str = "plan.send_at") -> Flow[Any]:
    """A step that says when, a sleep until then, and a step behind it."""
    flow = Flow("campaign", version=1)

    @flow.step
    def plan() -> dict[str, Any]:
        return {}

    pause = flow.sleep("pause", until=place)

    @flow.step(after=[pause])
    def send() -> None: ...

    return flow


async def planned(world: Ports, value: object) -> tuple[RunHandle, Hands]:
    """A run whose plan has this output."""
    run, hands = await began(world, until())
    await hands.complete(await hands.claim_task(), value)
    return run, hands


async def events_of(run: RunHandle, step: str = "pause") -> list[str]:
    """What was told of a step."""
    return [event.type for event in (await run.details()).events if event.step == step]


async def test_a_sleep_lasts_as_long_as_it_says(world: Ports, clock: ManualClock) -> None:
    """Not a moment less; then its dependents are queued in one transaction with its end."""
    run, hands = await began(world, patient())
    clock.advance(DAYS_30 - timedelta(microseconds=1))
    early = await hands.wake()
    clock.advance(timedelta(microseconds=1))

    woken = await hands.wake()

    assert (early, woken) == (0, 1)
    assert await statuses(run) == {"pause": "completed", "act": "running"}
    assert [task.key.step for task in await hands.claim_tasks()] == ["act"]
    assert await events_of(run) == ["step.started", "step.suspended", "step.resumed", "step.completed"]


async def test_a_sleep_holds_nothing(world: Ports, clock: ManualClock) -> None:
    """No slot, lease or attempt; a host that asks is told when it is over, and finds nothing else."""
    run, hands = await began(world, patient(), slots=5)
    clock.advance(timedelta(days=29))

    due = await world.persistence.due(
        flow_ids=hands.kernel.flow_ids, queues=("default",), now=clock.now(), expired_before=clock.now()
    )

    (task,) = (await run.details()).tasks
    assert (task.status, task.attempts, task.worker, task.lease_until) == ("suspended", 0, None, None)
    assert await hands.claim_tasks() == []
    assert await hands.reap() == 0
    assert (due.waits, due.tasks, due.expired) == (False, False, False)
    assert due.next_at == clock.now() + timedelta(days=1)


@pytest.mark.fault(69)
async def test_a_sleep_is_over_once(world: Ports, clock: ManualClock) -> None:
    """With five hosts that all look at the same moment, and look again."""
    run, hands = await began(world, patient())
    others = [Hands(Kernel(flows=[patient()], ports=world), f"host-{number}") for number in range(4)]
    for other in others:
        await other.kernel.register()
    clock.advance(DAYS_30)

    woken = await asyncio.gather(*(host.wake() for host in (hands, *others)))
    again = [await host.wake() for host in (hands, *others)]

    assert (sum(woken), sum(again)) == (1, 0)
    assert await events_of(run) == ["step.started", "step.suspended", "step.resumed", "step.completed"]
    assert len(await hands.claim_tasks()) == 1


async def test_a_sleep_is_left_to_hosts_that_have_its_flow(world: Ports, clock: ManualClock) -> None:
    """P8: what comes after it is decided by the flow's code."""
    run, hands = await began(world, patient())
    other = Hands(Kernel(flows=[until()], ports=world))
    await other.kernel.register()
    clock.advance(DAYS_30)

    assert await other.wake() == 0
    assert await hands.wake() == 1
    assert (await statuses(run))["pause"] == StepStatus.COMPLETED


async def test_many_sleeps_are_over_in_bounded_batches(world: Ports, clock: ManualClock) -> None:
    """The earliest first, so that none is left behind."""
    kernel = Kernel(flows=[patient(60)], ports=world)
    hands = Hands(kernel)
    runs: list[RunHandle] = []
    for _ in range(3):
        runs.append(await kernel.start("patient", None))
        await hands.claim_runs()
        clock.advance(1)
    clock.advance(60)

    counts = [await hands.wake(limit=2), await hands.wake(limit=2), await hands.wake(limit=2)]

    assert counts == [2, 1, 0]
    assert [(await statuses(run))["pause"] for run in runs] == [StepStatus.COMPLETED] * 3


async def test_a_sleep_that_is_the_last_step(world: Ports, clock: ManualClock) -> None:
    """Its end is that of the run; its output is null."""
    flow = Flow("nap", version=1)
    flow.sleep("nap", 5)
    run, hands = await began(world, flow)
    clock.advance(5)

    await hands.wake()

    assert await run.result() == {"nap": None}
    assert await run.output("nap") is None
    assert await run.status() == RunStatus.COMPLETED


@pytest.mark.fault(44)
async def test_a_sleep_of_no_time(world: Ports) -> None:
    """It is over at once, in the transaction in which it begins, and nobody has to look."""
    run, hands = await began(world, patient(0))

    assert await statuses(run) == {"pause": "completed", "act": "running"}
    assert await events_of(run) == ["step.started", "step.completed"]
    assert await finish(hands, {}) == ["act"]
    assert await run.status() == RunStatus.COMPLETED


# Until a time that is data


async def test_a_sleep_until_a_time(world: Ports, clock: ManualClock) -> None:
    """In whatever zone it is written."""
    run, hands = await planned(world, {"send_at": "2026-01-01T12:00:00+02:00"})
    clock.advance(timedelta(hours=10) - timedelta(seconds=1))
    early = await hands.wake()
    clock.advance(1)

    woken = await hands.wake()

    assert (early, woken) == (0, 1)
    assert await statuses(run) == {"plan": "completed", "pause": "completed", "send": "running"}


@pytest.mark.parametrize("time", [None, "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
async def test_a_sleep_until_a_time_that_is_past(world: Ports, time: str | None) -> None:
    """Or until none at all: over at once."""
    run, _ = await planned(world, {"send_at": time})

    assert (await statuses(run))["pause"] == StepStatus.COMPLETED
    assert await events_of(run) == ["step.started", "step.completed"]


@pytest.mark.fault(44)
async def test_a_sleep_until_the_end_of_time(world: Ports, clock: ManualClock) -> None:
    """Fault 44: the year 9999 is stored and read back, in any zone; the run waits."""
    run, hands = await planned(world, {"send_at": "9999-12-31T23:59:59.999999-12:00"})
    clock.advance(timedelta(days=365 * 100))

    assert await hands.wake() == 0
    (task,) = [task for task in (await run.details()).tasks if task.key.step == "pause"]
    assert task.wake_at is not None
    assert task.wake_at <= END_OF_TIME


@pytest.mark.parametrize("value", [{"send_at": "tomorrow"}, {"send_at": "2026-01-01T00:00:00"}, {"send_at": 5}, {}, []])
async def test_what_is_no_time_fails_the_step_that_made_it(world: Ports, value: object) -> None:
    """At its settle, naming the sleep, not retried."""
    run, _ = await planned(world, value)

    details = await run.details()
    plan = next(step for step in details.steps if step.slug == "plan")
    assert (details.run.status, details.run.reason) == (RunStatus.FAILED, "not_a_time")
    assert (plan.status, plan.reason) == (StepStatus.FAILED, "not_a_time")
    assert b"the sleep 'pause' lasts until 'plan.send_at'" in (plan.error or b"")
    assert await told(run, "task.retrying") == []


async def test_no_time_is_needed_where_the_sleep_does_not_run(world: Ports) -> None:
    """Its own condition rules it out, by the same value."""
    flow = Flow("maybe", version=1)

    @flow.step
    def plan() -> dict[str, Any]:
        return {}

    flow.sleep("pause", until="plan.send_at", when={"plan": {"later": True}})
    run, hands = await began(world, flow)

    await hands.complete(await hands.claim_task(), {"later": False})

    assert await statuses(run) == {"plan": "completed", "pause": "skipped"}


async def test_a_sleep_until_a_time_of_a_skipped_step(world: Ports) -> None:
    """There is nothing to wait for."""
    flow = Flow("maybe", version=1)

    @flow.step(when={"input": {"plan": True}})
    def plan() -> dict[str, Any]:
        return {}

    flow.sleep("pause", until="plan.send_at")
    run, _ = await began(world, flow, {"plan": False})

    assert await statuses(run) == {"plan": "skipped", "pause": "completed"}
    assert await run.status() == RunStatus.COMPLETED


async def test_a_sleep_until_a_time_of_the_input(world: Ports, clock: ManualClock) -> None:
    """What is no time is refused at the start, with its path."""
    flow = Flow("reminder", version=1)
    flow.sleep("pause", until="input.at")
    run, hands = await began(world, flow, {"at": "2026-01-01T00:00:05Z"})

    with pytest.raises(InvalidInput, match=r"\$\.at"):
        await hands.kernel.start("reminder", {"at": "soon"})
    clock.advance(5)

    assert await hands.wake() == 1
    assert await run.status() == RunStatus.COMPLETED


async def test_a_cancelled_sleep_is_never_over(world: Ports, clock: ManualClock) -> None:
    """I24: the run ends, and what it waited for with it."""
    run, hands = await began(world, patient())
    await run.cancel()
    clock.advance(DAYS_30)

    assert await hands.wake() == 0
    assert await statuses(run) == {"pause": "cancelled", "act": "cancelled"}
    assert (await events_of(run))[-1] == "step.suspended"


async def test_sleeps_and_signals_beside_each_other(world: Ports, clock: ManualClock) -> None:
    """Every wait of a run is looked at in one transaction; those that end well count before one that ends the run."""
    flow = Flow("both", version=1)
    flow.sleep("pause", 60)
    flow.signal("answer", int, timeout=60)
    run, hands = await began(world, flow)
    clock.advance(60)

    woken = await hands.wake()

    assert woken == 2
    assert await statuses(run) == {"pause": "completed", "answer": "failed"}
    assert await run.status() == RunStatus.FAILED
