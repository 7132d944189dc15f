"""Acceptance behaviours 8-18: starting and claiming runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from attrs import frozen

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.kernel import (
    Flow,
    IdempotencyConflict,
    InvalidInput,
    Kernel,
    RunHandle,
    RunStatus,
    Start,
    UnknownFlow,
)
from fairlead.kernel.commands import FlushOutbox
from fairlead.ports import Ports
from tests.support.hands import Hands


@frozen
class Line:
    """An element of the input."""

    sku: str
    quantity: int


@frozen
class Order:
    """The input."""

    customer: str
    lines: list[Line]


ORDER = Order("ada", [Line("rope", 2)])


def order_flow(slug: str = "fulfil", version: int = 1) -> Flow[Order]:
    """One step, then a map."""
    flow = Flow(slug, version=version, input=Order, input_name="order")

    @flow.step
    def charge(order: Order) -> str:
        return order.customer

    @flow.map(over="order.lines")
    def reserve(item: Line, charge: str) -> str:
        return item.sku + charge

    return flow


async def test_a_started_run_is_pending_with_one_event_and_nothing_is_published(
    world: Ports, sink: CollectingSink
) -> None:
    """Behaviour 8: `run.created` waits in the outbox; the sink has seen nothing yet."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)

    run = await kernel.start(flow, ORDER)

    details = await run.details()
    assert details.run.status is RunStatus.PENDING
    assert [event.type for event in details.events] == ["run.created"]
    assert details.steps == []
    assert sink.events == []
    await kernel.dispatch(FlushOutbox(worker="flusher", lease_duration=timedelta(seconds=10)))
    assert [event.type for event in sink.events] == ["run.created"]


async def test_an_unknown_flow_or_version_is_refused(world: Ports) -> None:
    """Behaviour 9: a typed error that names what there is; no run."""
    kernel = Kernel(flows=[order_flow()], ports=world)

    with pytest.raises(UnknownFlow, match=r"no flow 'fulfill'.*fulfil \(version 1\)"):
        await kernel.start("fulfill", ORDER)
    with pytest.raises(UnknownFlow, match="version '2'"):
        kernel.find_flow("fulfil", 2)

    assert (await kernel.runs()).runs == []


async def test_all_input_errors_are_reported_with_their_paths(world: Ports) -> None:
    """Behaviour 9: not only the first; and neither run nor outbox row exists."""
    kernel = Kernel(flows=[order_flow()], ports=world)
    wrong = {"customer": 7, "lines": [{"sku": "rope", "quantity": "two"}, {"quantity": 1}]}

    with pytest.raises(InvalidInput) as raised:
        await kernel.start("fulfil", wrong)

    paths = {path for path, _ in raised.value.problems}
    assert {"$.customer", "$.lines[0].quantity"} <= paths
    assert any(path.startswith("$.lines[1]") for path in paths)
    assert (await kernel.runs()).runs == []


async def test_a_misspelt_field_of_the_input_is_refused(world: Ports) -> None:
    """Behaviour 9: also deep inside, and also where the field it stands for has a default."""
    kernel = Kernel(flows=[order_flow()], ports=world)
    wrong = {"customer": "ada", "lines": [{"sku": "rope", "quantity": 2, "colour": "red"}], "urgent": True}

    with pytest.raises(InvalidInput) as raised:
        await kernel.start("fulfil", wrong)

    assert {path for path, _ in raised.value.problems} == {"$.urgent", "$.lines[0].colour"}


@pytest.mark.fault(53)
async def test_an_input_that_is_no_array_where_a_map_needs_one_is_refused(world: Ports) -> None:
    """Behaviour 31: for a root map, start is refused and no run exists."""
    flow = Flow("untyped", version=1)

    @flow.map(over="input.lines")
    def reserve(item: object) -> object:
        return item

    kernel = Kernel(flows=[flow], ports=world)

    with pytest.raises(InvalidInput, match=r"\$\.lines.*should be an array and is a number"):
        await kernel.start("untyped", {"lines": 5})

    assert (await kernel.runs()).runs == []


async def test_the_same_key_and_payload_give_the_same_run(world: Ports) -> None:
    """Behaviour 10: one run, one id, one `run.created`."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)

    first = await kernel.start(flow, ORDER, key="order-1")
    second = await kernel.start(flow, ORDER, key="order-1")

    assert (second.id, first.created, second.created) == (first.id, True, False)
    assert len((await kernel.runs()).runs) == 1
    assert [event.type for event in (await first.details()).events] == ["run.created"]


@pytest.mark.fault(66)
async def test_a_hundred_starts_with_one_key_at_once_make_one_run(world: Ports) -> None:
    """Behaviour 10, fault 66: concurrency changes nothing about it."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.register()

    runs = await asyncio.gather(*(kernel.start(flow, ORDER, key="order-1") for _ in range(100)))

    assert len({run.id for run in runs}) == 1
    assert sum(run.created for run in runs) == 1
    assert len((await kernel.runs()).runs) == 1


async def test_the_same_key_with_another_payload_is_a_conflict(world: Ports) -> None:
    """Behaviour 10: the error shows the existing run's id; priority is no part of the payload."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    first = await kernel.start(flow, ORDER, key="order-1")

    with pytest.raises(IdempotencyConflict) as raised:
        await kernel.start(flow, Order("bob", []), key="order-1")

    assert raised.value.run_id == first.id
    assert (await kernel.start(flow, ORDER, key="order-1", priority=5)).id == first.id


async def test_the_same_key_under_another_flow_is_another_run(world: Ports) -> None:
    """Behaviour 10: keys belong to a flow, whatever its version."""
    one, two, newer = order_flow("one"), order_flow("two"), order_flow("one", version=2)
    kernel = Kernel(flows=[one, two, newer], ports=world)

    first = await kernel.start(one, ORDER, key="k")
    other = await kernel.start(two, ORDER, key="k")
    repeated = await kernel.start(newer, ORDER, key="k")

    assert other.id != first.id
    assert repeated.id == first.id


async def test_a_batch_with_a_conflict_starts_nothing(world: Ports) -> None:
    """Behaviour 11: a command that raises leaves no run, no outbox row and no idempotency record."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    held = await kernel.start(flow, ORDER, key="taken")

    with pytest.raises(IdempotencyConflict):
        await kernel.start_many(flow, [Start(input=ORDER, key="new"), Start(input=Order("bob", []), key="taken")])

    assert [run.id for run in (await kernel.runs()).runs] == [held.id]
    assert (await kernel.start(flow, Order("eve", []), key="new")).created


async def test_many_runs_start_in_order(world: Ports) -> None:
    """A bulk start answers in the order of its requests, repetitions inside it included."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)

    runs = await kernel.start_many(flow, [Start(input=ORDER, key=key) for key in ("a", "b", "a", None)])

    assert runs[0].id == runs[2].id
    assert len({run.id for run in runs}) == 3
    records = [await run.read() for run in runs]
    assert [record.key for record in records] == ["a", "b", "a", None]


async def test_a_claimed_run_has_a_row_for_every_step_and_tasks_for_those_that_are_ready(world: Ports) -> None:
    """Behaviour 13: running, `run.started`, and tasks only for ready steps."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, ORDER)

    await Hands(kernel).claim_runs()

    details = await run.details()
    assert details.run.status is RunStatus.RUNNING
    assert {step.slug: step.status for step in details.steps} == {"charge": "running", "reserve": "created"}
    assert [task.key.step for task in details.tasks] == ["charge"]
    assert [event.type for event in details.events] == ["run.created", "run.started", "step.started"]


async def test_one_of_two_hosts_gets_a_run(world: Ports) -> None:
    """Behaviour 14: a pending run is claimed once."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    await kernel.start(flow, ORDER)

    claims = await asyncio.gather(*(Hands(kernel, f"host-{n}").claimed_run_ids() for n in range(2)))

    assert sorted(len(claimed) for claimed in claims) == [0, 1]


async def test_ten_claims_on_three_runs(world: Ports) -> None:
    """Behaviour 14: three successes, all different."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    started = [await kernel.start(flow, ORDER) for _ in range(3)]

    claims = await asyncio.gather(*(Hands(kernel, f"host-{n}").claimed_run_ids(1) for n in range(10)))

    claimed = [run_id for claim in claims for run_id in claim]
    assert sorted(claimed) == sorted(run.id for run in started)


async def test_runs_are_claimed_by_priority_then_first_come(world: Ports, clock: ManualClock) -> None:
    """Behaviour 15: higher first, then by time; a limit of two out of five leaves three pending."""
    flow = order_flow()
    kernel = Kernel(flows=[flow], ports=world)
    runs: list[RunHandle] = []
    for priority in (0, 5, 0, 9, 5):
        runs.append(await kernel.start(flow, ORDER, priority=priority))
        clock.advance(1)
    hands = Hands(kernel)

    first = await hands.claimed_run_ids(2)
    statuses = [await run.status() for run in runs]
    rest = await hands.claimed_run_ids()

    assert first == [runs[3].id, runs[1].id]
    assert statuses.count(RunStatus.PENDING) == 3
    assert rest == [runs[4].id, runs[0].id, runs[2].id]


async def test_a_run_that_cannot_be_claimed_fails_alone(world: Ports) -> None:
    """Behaviour 16: the flow of one run raises while it is evaluated; the others of the batch are claimed."""
    good, bad = order_flow("good"), order_flow("bad")
    kernel = Kernel(flows=[good, bad], ports=world)
    runs = [await kernel.start(flow, ORDER) for flow in (good, bad, good)]
    broken = bad.plan
    object.__setattr__(broken, "steps", {**broken.steps, "charge": None})

    await Hands(kernel).claim_runs()

    statuses = [await run.status() for run in runs]
    assert statuses == [RunStatus.RUNNING, RunStatus.FAILED, RunStatus.RUNNING]
    assert (await runs[1].read()).reason == "internal_error"


@pytest.mark.fault(59)
async def test_a_run_of_a_flow_that_the_host_does_not_serve_stays_pending(world: Ports) -> None:
    """Behaviour 17: another flow and another version are left alone."""
    kernel = Kernel(flows=[order_flow("mine"), order_flow("theirs"), order_flow("mine", version=2)], ports=world)
    runs = [await kernel.start("theirs", ORDER), await kernel.start("mine", ORDER)]
    narrow = Kernel(flows=[order_flow("mine")], ports=world)

    claimed = await Hands(narrow).claimed_run_ids()

    assert claimed == []
    assert [await run.status() for run in runs] == [RunStatus.PENDING] * 2


async def test_a_start_delay_holds_back_the_first_try_and_adds_up_along_a_chain(
    world: Ports, clock: ManualClock
) -> None:
    """Behaviour 18: each step waits its own delay after the one before; a retry has its own delay."""
    flow = Flow("slow", version=1, base_delay=7, jitter=0)

    @flow.step(start_delay=10)
    def first() -> int:
        return 1

    @flow.step(start_delay=20)
    def second(first: int) -> int:
        return first

    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel, slots=10)
    await kernel.start("slow", None)
    assert await hands.claim_runs() == []
    clock.advance(9.9)
    assert await hands.claim_tasks() == []
    clock.advance(0.1)
    await hands.fail(await hands.claim_task())
    clock.advance(6.9)
    assert await hands.claim_tasks() == []
    clock.advance(0.1)
    await hands.complete(await hands.claim_task(), 1)
    clock.advance(19.9)
    assert await hands.claim_tasks() == []
    clock.advance(0.1)

    assert (await hands.claim_task()).key.step == "second"
