"""Acceptance behaviour 33 and FLOWS, maps: tolerated failures, what they leave behind, and maps over such maps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.kernel import Flow, Kernel, RunHandle, RunStatus, StepStatus
from fairlead.kernel.commands import Verdict
from fairlead.kernel.failures import Exceeded, decode_failure
from fairlead.ports import Ports
from fairlead.ports.records import ClaimedTask
from fairlead.ports.statuses import TaskStatus
from tests.support.hands import Hands

Exhausted = Literal["fail", "skip", "skip_cascade"]


def reading(
    tolerance: int | float | Literal["all"],
    *,
    on_exhausted: Exhausted = "fail",
    window: int = 10_000,
    later_window: int = 10_000,
) -> Flow[Any]:
    """Pages that may fail to be read, a map over what was read, and a reducer."""
    flow = Flow("reading", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures=tolerance, on_exhausted=on_exhausted, max_concurrency=window)
    def read(item: object) -> object:
        return item

    @flow.map(over=read, max_concurrency=later_window)
    def embed(item: object) -> object:
        return item

    @flow.step
    def count(embed: list[object | None]) -> int:
        return len(embed)

    return flow


async def began(world: Ports, flow: Flow[Any], elements: int, *, slots: int = 0) -> tuple[RunHandle, Hands]:
    """A run over so many pages that a host has claimed."""
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow.slug, list(range(elements)))
    hands = Hands(kernel, slots=slots)
    await hands.claim_runs()
    return run, hands


async def end(hands: Hands, tasks: Sequence[ClaimedTask], failing: Sequence[int]) -> dict[int, Verdict]:
    """Settle tasks in one batch: some elements fail, the others give `page <index>`."""
    settlement = await hands.settle(
        hands.failed(task) if task.key.element in failing else hands.completed(task, f"page {task.key.element}")
        for task in tasks
    )
    return {lease.key.element: verdict for lease, verdict in settlement.verdicts.items()}


async def finish(hands: Hands) -> list[str]:
    """Complete everything; the tasks that ran, in order of their claim."""
    ran: list[str] = []
    while tasks := await hands.claim_tasks():
        await end(hands, tasks, ())
        ran += [f"{task.key.step}[{task.key.element}]" for task in tasks]
    return ran


@pytest.mark.parametrize(("tolerance", "failing"), [(2, (3, 7)), (0.2, (0, 9)), (0.29, (0, 9)), ("all", range(10))])
async def test_a_tolerant_map_completes_with_nulls(
    world: Ports, tolerance: int | float | Literal["all"], failing: Sequence[int]
) -> None:
    """Behaviour 33: up to so many elements fail, a fraction being rounded down; their outputs are null."""
    run, hands = await began(world, reading(tolerance), 10)
    await end(hands, await hands.claim_tasks(), failing)
    await finish(hands)

    expected = [None if index in failing else f"page {index}" for index in range(10)]
    details = await run.details()
    assert await run.outputs("read") == expected
    assert await run.outputs("embed") == expected
    assert await run.status() is RunStatus.COMPLETED
    assert [attempt.key.element for attempt in details.attempts] == list(failing)


@pytest.mark.fault(68)
@pytest.mark.parametrize(("tolerance", "failing"), [(2, (3, 7, 8)), (0.29, (0, 1, 2)), (0, (4,))])
async def test_one_failure_too_many_fails_the_map(
    world: Ports, tolerance: int | float | Literal["all"], failing: Sequence[int]
) -> None:
    """Behaviour 33: queued and running siblings are cancelled, and their late results are stale."""
    run, hands = await began(world, reading(tolerance), 10)
    tasks = {task.key.element: task for task in await hands.claim_tasks(9)}
    late = next(element for element in tasks if element not in failing)

    await end(hands, [tasks[element] for element in failing], failing)
    verdict = await end(hands, [tasks[late]], ())

    details = await run.details()
    step = {step.slug: step for step in details.steps}["read"]
    assert verdict == {late: Verdict.STALE}
    assert (details.run.status, details.run.reason) == (RunStatus.FAILED, "handler_failed")
    assert (step.status, step.failed_tasks) == (StepStatus.FAILED, len(failing))
    assert step.error is not None
    assert step.error == details.run.error
    told: dict[object, str] = {
        2: "3 of 10 elements of 'read' failed, 2 are tolerated; the last: ",
        0.29: "3 of 10 elements of 'read'",
    }
    assert str(decode_failure(step.error)).startswith(told.get(tolerance, "ValueError: "))
    assert "of 10" not in str(decode_failure(details.attempts[-1].error or b""))
    assert {task.key.element for task in details.tasks if task.status is TaskStatus.CANCELLED} == set(range(10)) - set(
        failing
    )


async def test_a_retry_counts_only_when_it_is_the_last(world: Ports, clock: ManualClock) -> None:
    """Tolerance is about elements that failed for good, not about attempts."""
    flow = Flow("retries", version=1, max_attempts=2, base_delay=1)

    @flow.map(over="input", tolerate_failures=1)
    def read(item: object) -> object:
        return item

    run, hands = await began(world, flow, 2)
    await end(hands, await hands.claim_tasks(), (0, 1))
    clock.advance(10)
    await end(hands, await hands.claim_tasks(), (1,))

    assert await run.outputs("read") == ["page 0", None]


@pytest.mark.parametrize("policy", ["skip", "skip_cascade"])
async def test_a_map_that_fails_too_often_may_be_skipped(world: Ports, policy: Exhausted) -> None:
    """`on_exhausted` applies once the tolerance is exceeded: siblings are cancelled, the run goes on."""
    run, hands = await began(world, reading(1, on_exhausted=policy, window=4), 10)
    tasks = await hands.claim_tasks(3)

    verdicts = await end(hands, tasks, (0, 1, 2))
    ran = await finish(hands)

    details = await run.details()
    steps = {step.slug: step for step in details.steps}
    assert (steps["read"].status, steps["read"].reason) == (StepStatus.SKIPPED, "handler_failed")
    assert steps["read"].error is not None
    exceeded = Exceeded(step="read", failed=2, elements=10, tolerated=1)
    assert decode_failure(steps["read"].error).exceeded == exceeded
    assert sorted(verdicts.values()) == [Verdict.SETTLED, Verdict.SETTLED, Verdict.STALE]
    assert {task.status for task in details.tasks if task.key.step == "read"} == {
        TaskStatus.FAILED,
        TaskStatus.CANCELLED,
    }
    assert len([task for task in details.tasks if task.key.step == "read"]) < 10
    assert ran == ([] if policy == "skip_cascade" else ["count[0]"])
    assert details.run.status is RunStatus.COMPLETED


async def test_what_ended_together_with_the_failure_too_many_still_counts_before_it(world: Ports) -> None:
    """One batch: what completed is settled, the failures up to the limit are, and the rest of the map is stale."""
    run, hands = await began(world, reading(1, on_exhausted="skip"), 5)

    verdicts = await end(hands, await hands.claim_tasks(), (0, 1, 2))

    assert sorted(verdicts.values()) == [Verdict.SETTLED] * 4 + [Verdict.STALE]
    assert (await finish(hands)) == ["count[0]"]
    assert await run.status() is RunStatus.COMPLETED


async def test_a_map_over_a_tolerant_map_makes_no_task_for_what_failed(world: Ports) -> None:
    """FLOWS: it stays null in place, and counts for nobody's tolerance; a successful None is an element like any."""
    run, hands = await began(world, reading("all"), 5)
    tasks = await hands.claim_tasks()
    await hands.settle(
        hands.failed(task) if task.key.element in (0, 3) else hands.completed(task, None) for task in tasks
    )

    ran = await finish(hands)

    embed = {step.slug: step for step in (await run.details()).steps}["embed"]
    assert ran == ["embed[1]", "embed[2]", "embed[4]", "count[0]"]
    assert await run.outputs("embed") == [None, "page 1", "page 2", None, "page 4"]
    assert (embed.elements, embed.gaps, embed.failed_tasks, embed.remaining_tasks) == (5, 2, 0, 0)


async def test_where_everything_failed_a_map_over_it_has_nothing_to_do(world: Ports) -> None:
    """It completes at once, with nulls in place, and without having started."""
    run, hands = await began(world, reading("all"), 3)
    await end(hands, await hands.claim_tasks(), (0, 1, 2))
    ran = await finish(hands)

    details = await run.details()
    assert ran == ["count[0]"]
    assert await run.outputs("embed") == [None, None, None]
    assert [event.step for event in details.events if event.type == "step.started"] == ["read", "count"]


async def test_gaps_add_up_through_a_chain_of_tolerant_maps(world: Ports) -> None:
    """Each map makes tasks for what the one before it has given, and tolerates only failures of its own."""
    flow = Flow("chain", version=1, max_attempts=1)

    def same(item: object) -> object:
        return item

    flow.map(same, over="input", slug="map_0", tolerate_failures=1)
    for number in range(1, 6):
        flow.map(same, over=f"map_{number - 1}", slug=f"map_{number}", tolerate_failures=1)
    run, hands = await began(world, flow, 8)
    number = 0
    while tasks := await hands.claim_tasks():
        await end(hands, tasks, (number,))
        number += 1

    assert await run.outputs("map_5") == [*[None] * 6, "page 6", "page 7"]
    assert [step.gaps for step in (await run.details()).steps] == [0, 1, 2, 3, 4, 5]


async def test_a_window_moves_over_gaps(world: Ports) -> None:
    """`max_concurrency` counts tasks, not places: every refill finds the elements behind the last."""
    failing = (0, 1, 2, 3, 7, 11, 19)
    run, hands = await began(world, reading("all", later_window=3), 20)
    await end(hands, await hands.claim_tasks(), failing)
    live_most = 0
    ran: list[int] = []
    while tasks := await hands.claim_tasks(2):
        embedding = [
            task
            for task in await hands.kernel.ports.persistence.read_tasks(run.id, step="embed")
            if task.status in (TaskStatus.QUEUED, TaskStatus.RUNNING)
        ]
        live_most = max(live_most, len(embedding))
        ran += [task.key.element for task in tasks if task.key.step == "embed"]
        await end(hands, tasks, ())

    assert ran == [element for element in range(20) if element not in failing]
    assert live_most == 3
    assert await run.status() is RunStatus.COMPLETED


async def test_tasks_over_gaps_are_handed_over(world: Ports) -> None:
    """The transaction that ends the source starts the map on elements that ended in it, already leased."""
    _, hands = await began(world, reading("all"), 6)
    tasks = await hands.claim_tasks()
    hands.slots = 4
    earlier, later = tasks[:2], tasks[2:]
    await end(hands, earlier, (1,))
    settlement = await hands.settle(
        hands.failed(task) if task.key.element == 3 else hands.completed(task, task.key.element) for task in later
    )

    assert [(task.key.step, task.key.element) for task in settlement.continuations] == [
        ("embed", 0),
        ("embed", 2),
        ("embed", 4),
        ("embed", 5),
    ]


async def test_a_lost_lease_may_be_the_tolerated_failure(world: Ports, clock: ManualClock) -> None:
    """The reaper knows tolerance too: the last task of the map ends by loss, and the next map starts."""
    run, hands = await began(world, reading(1), 2)
    first, _ = await hands.claim_tasks()
    await end(hands, [first], ())
    clock.advance(timedelta(hours=1).total_seconds())

    assert await hands.reap() == 1
    ran = await finish(hands)

    assert ran == ["embed[0]", "count[0]"]
    assert await run.outputs("embed") == ["page 0", None]


async def test_a_condition_sees_a_failed_element_as_null(world: Ports) -> None:
    """`[null]` is met where an element failed, or was no task at all, and not where all went well."""
    flow = Flow("nulls", version=1, max_attempts=1)

    @flow.map(over="input", tolerate_failures="all")
    def read(item: object) -> object:
        return item

    @flow.map(over=read)
    def embed(item: object) -> object:
        return item

    @flow.step(when={"embed": [None]})
    def report(embed: list[object | None]) -> None: ...

    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    for failing, status in (((1,), StepStatus.COMPLETED), ((), StepStatus.SKIPPED), ((0, 1), StepStatus.COMPLETED)):
        run = await kernel.start("nulls", [0, 1])
        await hands.claim_runs()
        await end(hands, await hands.claim_tasks(), failing)
        await finish(hands)

        assert {step.slug: step.status for step in (await run.details()).steps}["report"] is status
