"""Acceptance behaviours 20-33: how steps follow one another, and maps."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from fairlead.kernel import Flow, Kernel, RunStatus, StepStatus
from fairlead.kernel.commands import Verdict
from fairlead.ports import Ports
from fairlead.ports.reading import OutputRequest
from tests.support.hands import Hands


def diamond() -> Flow[Any]:
    """One step, two that follow it, one that joins them."""
    flow = Flow("diamond", version=1)

    @flow.step
    def root(input: object) -> object:
        return input

    @flow.step
    def left(root: object) -> object:
        return root

    @flow.step
    def right(root: object) -> object:
        return root

    @flow.step
    def join(left: object, right: object) -> object:
        return [left, right]

    return flow


def fan() -> Flow[Any]:
    """A map over the input, then a reducer."""
    flow = Flow("fan", version=1)

    @flow.map(over="input")
    def each(item: object) -> object:
        return item

    @flow.step
    def total(each: list[object]) -> object:
        return each

    return flow


async def test_a_running_task_is_visible_while_its_handler_runs(world: Ports) -> None:
    """Behaviour 20: claimed means committed; `step.started` came when the step became ready."""
    kernel = Kernel(flows=[diamond()], ports=world)
    run = await kernel.start("diamond", 1)
    hands = Hands(kernel, slots=1)

    await hands.claim_runs()

    async with world.persistence.dedicated() as other:
        (task,) = await other.read_tasks(run.id)
    assert (task.status, task.worker, task.attempts, task.token) == ("running", "hands", 1, 1)
    assert [event.type for event in (await run.details()).events][-1] == "step.started"


@pytest.mark.parametrize("value", [0, False, "", [], {}, None])
async def test_empty_outputs_survive(world: Ports, value: object) -> None:
    """Behaviours 21 and 23: into dependents and the run's output, unchanged; a None output is present."""
    kernel = Kernel(flows=[diamond()], ports=world)
    run = await kernel.start("diamond", value)
    hands = Hands(kernel)

    await hands.drain(value)

    result = await run.result()
    assert result == {"join": value}
    assert type(result["join"]) is type(value)
    payloads = await world.persistence.read_payloads([run.id], [OutputRequest(run.id, "root")])
    assert payloads.outputs[OutputRequest(run.id, "root")].outputs == [payloads.runs[run.id].input]


@pytest.mark.fault(7)
async def test_the_last_dependency_makes_a_step_ready(world: Ports) -> None:
    """Behaviour 22: in the same transaction, and not before."""
    kernel = Kernel(flows=[diamond()], ports=world)
    run = await kernel.start("diamond", 1)
    hands = Hands(kernel)
    await hands.claim_runs()
    await hands.complete(await hands.claim_task(), 1)
    left, right = await hands.claim_tasks()

    await hands.complete(left, 1)
    before = {step.slug: step.status for step in (await run.details()).steps}
    await hands.complete(right, 1)
    after = {step.slug: step.status for step in (await run.details()).steps}

    assert before["join"] is StepStatus.CREATED
    assert after["join"] is StepStatus.RUNNING


@pytest.mark.fault(67)
async def test_two_siblings_that_finish_at_once_make_the_join_ready_once(world: Ports) -> None:
    """Behaviour 22, fault 67: two transactions at the same moment; one `step.started`, one task."""
    kernel = Kernel(flows=[diamond()], ports=world)
    run = await kernel.start("diamond", 1)
    one, two = Hands(kernel, "one"), Hands(kernel, "two")
    await one.claim_runs()
    await one.complete(await one.claim_task(), 1)
    (left,) = await one.claim_tasks(1)
    (right,) = await two.claim_tasks(1)

    verdicts = await asyncio.gather(one.complete(left, 1), two.complete(right, 1))

    details = await run.details()
    started = [event.step for event in details.events if event.type == "step.started"]
    assert tuple(verdicts) == (Verdict.SETTLED, Verdict.SETTLED)
    assert started.count("join") == 1
    assert [task.key.step for task in details.tasks].count("join") == 1


async def test_one_event_for_each_ending(world: Ports) -> None:
    """Behaviour 26: exactly one `step.completed` per step and one terminal event per run; sequence 1…n."""
    kernel = Kernel(flows=[diamond()], ports=world)
    run = await kernel.start("diamond", 1)

    await Hands(kernel).drain(1)

    events = (await run.details()).events
    assert sorted(event.step or "" for event in events if event.type == "step.completed") == [
        "join",
        "left",
        "right",
        "root",
    ]
    assert [event.type for event in events].count("run.completed") == 1
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def test_a_map_has_a_task_for_every_element(world: Ports) -> None:
    """Behaviour 27: indices 0…n-1; only top-level elements count, null ones too."""
    kernel = Kernel(flows=[fan()], ports=world)
    run = await kernel.start("fan", [1, None, [2, 3], {"a": [4]}])
    hands = Hands(kernel)

    await hands.claim_runs()

    tasks = await world.persistence.read_tasks(run.id)
    assert [task.key.element for task in tasks] == [0, 1, 2, 3]


async def test_outputs_are_in_order_of_index_whatever_finishes_first(world: Ports) -> None:
    """Behaviours 28 and 29: completion order is shuffled; the reducer starts when all are settled."""
    kernel = Kernel(flows=[fan()], ports=world)
    run = await kernel.start("fan", list(range(20)))
    hands = Hands(kernel)
    await hands.claim_runs()
    tasks = await hands.claim_tasks()
    random.Random(7).shuffle(tasks)

    for task in tasks:
        assert {step.slug: step.status for step in (await run.details()).steps}["total"] == "created"
        await hands.complete(task, task.key.element * 10)

    assert await run.outputs("each") == [n * 10 for n in range(20)]
    assert {step.slug: step.status for step in (await run.details()).steps}["total"] == "running"


async def test_one_failing_element_retries_alone(world: Ports) -> None:
    """Behaviour 29: its siblings complete; the step waits for its second attempt."""
    flow = Flow("fan", version=1, base_delay=0)

    @flow.map(over="input")
    def each(item: object) -> object:
        return item

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start("fan", [1, 2, 3])
    hands = Hands(kernel)
    await hands.claim_runs()
    first, second, third = await hands.claim_tasks()
    await hands.fail(second)
    await hands.complete_all([first, third], "ok")

    again = await hands.claim_task()
    await hands.complete(again, "late")

    assert (again.key, again.attempt) == (second.key, 2)
    assert await run.result() == {"each": ["ok", "late", "ok"]}


@pytest.mark.fault(58)
async def test_an_empty_array_completes_at_once(world: Ports) -> None:
    """Behaviour 30: `[]`, no task, `step.completed` and no `step.started`."""
    kernel = Kernel(flows=[fan()], ports=world)
    run = await kernel.start("fan", [])
    hands = Hands(kernel)

    tasks = await hands.claim_runs() + await hands.claim_tasks()

    details = await run.details()
    of_map = [event.type for event in details.events if event.step == "each"]
    assert [task.key.step for task in tasks] == ["total"]
    assert of_map == ["step.completed"]
    assert await run.outputs("each") == []


def chain_of_maps(length: int) -> Flow[Any]:
    """Maps over maps, and a reducer."""
    flow = Flow("chain", version=1)

    def each(item: object) -> object:
        return item

    flow.map(over="input", slug="map_0")(each)
    for number in range(1, length):
        flow.map(over=f"map_{number - 1}", slug=f"map_{number}")(each)

    @flow.step(after=[f"map_{length - 1}"])
    def end() -> int:
        return 1

    return flow


async def test_a_thousand_empty_maps_complete_in_the_claim(world: Ports) -> None:
    """Behaviour 30: the cascade has any length, in one transaction."""
    kernel = Kernel(flows=[chain_of_maps(1_000)], ports=world)
    run = await kernel.start("chain", [])
    hands = Hands(kernel)

    await hands.claim_runs()

    record = await run.read()
    assert record.remaining_steps == 1
    assert (await hands.claim_task()).key.step == "end"


async def test_a_thousand_empty_maps_behind_a_step_complete_in_its_settle(world: Ports) -> None:
    """Behaviour 30: also where the steps have to be loaded after the first look."""
    flow = Flow("behind", version=1)

    @flow.step
    def root() -> list[int]:
        return []

    def each(item: object) -> object:
        return item

    flow.map(over="root", slug="map_0")(each)
    for number in range(1, 1_000):
        flow.map(over=f"map_{number - 1}", slug=f"map_{number}")(each)
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start("behind", None)
    hands = Hands(kernel)
    await hands.claim_runs()

    await hands.complete(await hands.claim_task(), [])

    assert await run.status() is RunStatus.COMPLETED
    assert await run.result() == {"map_999": []}


async def test_an_output_that_is_no_array_fails_its_own_task(world: Ports) -> None:
    """Behaviour 31: not retried, and the error says which map wanted an array and what it got."""
    flow = Flow("untyped", version=1)

    @flow.step
    def fetch() -> object:
        return None

    @flow.map(over="fetch.pages")
    def read(item: object) -> object:
        return item

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start("untyped", None)
    hands = Hands(kernel)
    await hands.claim_runs()

    await hands.complete(await hands.claim_task(), {"pages": "twelve"})

    details = await run.details()
    failed = {task.key.step: task for task in details.tasks}["fetch"]
    assert (details.run.status, details.run.reason) == (RunStatus.FAILED, "not_an_array")
    assert failed.status == "failed"
    assert failed.error is not None
    assert b"the map 'read' works over 'fetch.pages'" in failed.error
    assert b"a string" in failed.error


async def test_a_chain_of_ten_maps_keeps_order_and_length(world: Ports) -> None:
    """Behaviour 32: element i of the last is made from element i of the first."""
    kernel = Kernel(flows=[chain_of_maps(10)], ports=world)
    run = await kernel.start("chain", ["a", "b", "c"])
    hands = Hands(kernel)
    await hands.claim_runs()
    while tasks := [task for task in await hands.claim_tasks() if task.key.step != "end"]:
        await hands.settle(hands.completed(task, f"{task.key.step}:{task.key.element}") for task in reversed(tasks))

    assert await run.outputs("map_9") == ["map_9:0", "map_9:1", "map_9:2"]


async def test_max_concurrency_bounds_what_is_in_flight_across_hosts(world: Ports) -> None:
    """Behaviour 33: never more than k of a map's tasks exist that are not settled; a retry keeps its place."""
    flow = Flow("narrow", version=1, base_delay=0)

    @flow.map(over="input", max_concurrency=3)
    def each(item: object) -> object:
        return item

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start("narrow", list(range(10)))
    hosts = [Hands(kernel, f"host-{n}") for n in range(2)]
    await hosts[0].claim_runs()
    done = 0
    failed_once = False
    while done < 10:
        mine, theirs = await hosts[0].claim_tasks(2), await hosts[1].claim_tasks(2)
        live = [task for task in await world.persistence.read_tasks(run.id) if task.status in ("queued", "running")]
        assert len(mine) + len(theirs) <= 3
        assert len(live) <= 3
        if not failed_once:
            await hosts[0].fail(mine.pop())
            failed_once = True
        await hosts[0].complete_all(mine, 1)
        await hosts[1].complete_all(theirs, 1)
        done += len(mine) + len(theirs)

    assert await run.result() == {"each": [1] * 10}


@pytest.mark.fault(58)
async def test_a_map_of_many_elements_materialises_a_window(world: Ports) -> None:
    """SEMANTICS §4: 25,000 elements have 10,000 live tasks at most, and all of them run."""
    kernel = Kernel(flows=[fan()], ports=world)
    run = await kernel.start("fan", [0] * 25_000)
    hands = Hands(kernel)
    await hands.claim_runs()
    tasks = await hands.claim_tasks(500)

    record = {step.slug: step for step in (await run.details()).steps}["each"]
    assert (record.cursor, record.elements, record.remaining_tasks) == (10_000, 25_000, 25_000)
    await hands.complete_all(tasks, 0)
    record = {step.slug: step for step in (await run.details()).steps}["each"]

    assert (record.cursor, record.remaining_tasks) == (10_500, 24_500)
