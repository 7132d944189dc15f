"""Acceptance behaviours 31, 34, 35, 37 and 41: conditions and branches."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.kernel import Flow, Kernel, RunStatus, StepStatus
from fairlead.kernel.errors import InvalidInput
from fairlead.ports import Ports
from tests.support.courses import began, finish, reasons, statuses, told
from tests.support.hands import Hands


def order() -> Flow[Any]:
    """A charge, a shipment that depends on it, an apology for the opposite case, and a step behind them."""
    flow = Flow("order", version=1)

    @flow.step
    def charge(input: object) -> object:
        return input

    @flow.step(when={"charge": {"status": "paid"}})
    def ship(charge: object) -> object:
        return charge

    @flow.step(unless={"charge": {"status": "paid"}})
    def apologise(charge: object) -> object:
        return charge

    @flow.step
    def file(ship: object | None, apologise: object | None) -> object:
        return [ship, apologise]

    return flow


@pytest.mark.parametrize(
    ("charge", "ran", "skipped"),
    [
        ({"status": "paid", "cents": 5}, "ship", "apologise"),
        ({"status": "declined"}, "apologise", "ship"),
        ({}, "apologise", "ship"),
        ("paid", "apologise", "ship"),
    ],
)
async def test_opposite_conditions_run_exactly_one(world: Ports, charge: object, ran: str, skipped: str) -> None:
    """Behaviours 34 and 35: also where the key is missing. The other has no task, and its reason and event."""
    run, hands = await began(world, order())

    order_of_tasks = await finish(hands, {"charge": charge})

    details = await run.details()
    assert order_of_tasks == ["charge", ran, "file"]
    assert await reasons(run) == {skipped: "condition_unmet"}
    assert await told(run, "step.skipped") == [skipped]
    assert skipped not in await told(run, "step.started")
    assert details.run.status is RunStatus.COMPLETED


async def test_when_and_unless_together_must_both_hold(world: Ports) -> None:
    """Behaviour 35: several names are a conjunction; `unless` holds back only where all of its patterns are met."""
    flow = Flow("both", version=1)

    @flow.step
    def left(input: object) -> object:
        return input

    @flow.step
    def right(input: object) -> object:
        return input

    @flow.step(when={"left": {"a": 1}}, unless={"right": {"b": 1}})
    def one(left: object) -> None: ...

    @flow.step(when={"left": {"a": 1}, "right": {"b": 1}})
    def two(left: object) -> None: ...

    @flow.step(unless={"left": {"a": 1}, "right": {"b": 2}})
    def three(left: object) -> None: ...

    run, hands = await began(world, flow)
    await finish(hands, {"left": {"a": 1}, "right": {"b": 1}})

    assert await statuses(run) == {
        "left": StepStatus.COMPLETED,
        "right": StepStatus.COMPLETED,
        "one": StepStatus.SKIPPED,
        "two": StepStatus.COMPLETED,
        "three": StepStatus.COMPLETED,
    }


@pytest.mark.parametrize(("express", "skipped"), [(True, set[str]()), (False, {"rush"})])
async def test_a_condition_over_the_input_decides_at_the_claim(world: Ports, express: bool, skipped: set[str]) -> None:
    """Every path that can make a step ready evaluates its condition: here it is the claim."""
    flow = Flow("express", version=1, input_name="order")

    @flow.step(when={"order": {"express": True}})
    def rush(order: object) -> object:
        return order

    @flow.step
    def pack(order: object) -> object:
        return order

    run, hands = await began(world, flow, {"express": express})
    await finish(hands, {})

    assert set(await reasons(run)) == skipped
    assert await run.status() is RunStatus.COMPLETED


@pytest.mark.parametrize(("output", "without"), [({"b": 1}, False), ([1], True), (None, True)])
async def test_unless_an_object_holds_for_everything_else(world: Ports, output: object, without: bool) -> None:
    """Behaviour 37: `unless={"dep": {}}` holds exactly when `dep` was skipped or is not an object."""
    flow = Flow("objects", version=1)

    @flow.step
    def dep(input: object) -> object:
        return input

    @flow.step(when={"dep": {"never": "there"}})
    def gone(dep: object) -> object:
        return dep

    @flow.step(unless={"dep": {}})
    def without_dep() -> None: ...

    @flow.step(unless={"gone": {}})
    def without_gone() -> None: ...

    @flow.step(when={"gone": {}})
    def with_gone() -> None: ...

    run, hands = await began(world, flow)
    await finish(hands, {"dep": output})

    found = await statuses(run)
    assert (found["without_dep"] is StepStatus.COMPLETED) is without
    assert found["without_gone"] is StepStatus.COMPLETED
    assert found["with_gone"] is StepStatus.SKIPPED


@pytest.mark.parametrize(("mode", "ran"), [("fast", True), ("slow", False)])
async def test_a_step_behind_an_empty_map_has_its_condition_evaluated(world: Ports, mode: str, ran: bool) -> None:
    """Behaviour 41, and never again: a condition skipped because the step's parent was an empty map."""
    flow = Flow("behind", version=1)

    @flow.map(over="input.items")
    def each(item: object) -> object:
        return item

    @flow.step(when={"input": {"mode": "fast"}})
    def behind(each: list[object]) -> object:
        return each

    run, hands = await began(world, flow, {"items": [], "mode": mode})
    await finish(hands, {})

    assert ((await statuses(run))["behind"] is StepStatus.COMPLETED) is ran


async def test_branches_share_their_condition_and_have_an_exact_complement(world: Ports) -> None:
    """FLOWS, branches: each step of a branch is skipped with it, nested ones too; the other side runs."""
    flow = Flow("branches", version=1)

    @flow.step
    def judge(input: object) -> object:
        return input

    good = flow.branch(when={"judge": {"verdict": "good"}})

    @good.step
    def publish(judge: object) -> object:
        return judge

    @good.step
    def announce(publish: object) -> object:
        return publish

    loud = good.branch(when={"judge": {"loud": True}})

    @loud.step
    def shout(publish: object) -> object:
        return publish

    @loud.otherwise().step
    def whisper(publish: object) -> object:
        return publish

    @good.otherwise().step
    def quarantine(judge: object) -> object:
        return judge

    @flow.step
    def close(publish: object | None, quarantine: object | None) -> object:
        return [publish, quarantine]

    cases: dict[str, tuple[object, set[str]]] = {
        "loud": ({"verdict": "good", "loud": True}, {"whisper", "quarantine"}),
        "quiet": ({"verdict": "good"}, {"shout", "quarantine"}),
        "bad": ({"verdict": "bad", "loud": True}, {"publish", "announce", "shout", "whisper"}),
    }
    kernel = Kernel(flows=[flow], ports=world)
    hands = Hands(kernel)
    for verdict, skipped in cases.values():
        run = await kernel.start("branches", None)
        await hands.claim_runs()
        await finish(hands, {"judge": verdict})

        assert await reasons(run) == dict.fromkeys(skipped, "condition_unmet")
        assert await run.status() is RunStatus.COMPLETED


async def test_a_condition_over_a_map_asks_what_any_element_contains(world: Ports) -> None:
    """Arrays by "contains": decided by the facts of each task, a batch at a time, in any order."""
    flow = Flow("elements", version=1)

    @flow.map(over="input")
    def check(item: object) -> object:
        return item

    @flow.step(when={"check": [{"ok": False}]})
    def repair(check: list[object]) -> object:
        return check

    @flow.step(unless={"check": [{"ok": False}]})
    def ship(check: list[object]) -> object:
        return check

    run, hands = await began(world, flow, [1, 2, 3])
    first, second, third = await hands.claim_tasks()
    await hands.complete(second, {"ok": False})
    await hands.complete(third, {"ok": True})
    await hands.complete(first, {"ok": True})
    await finish(hands, {})

    assert await reasons(run) == {"ship": "condition_unmet"}


async def test_no_array_is_needed_by_a_map_that_will_not_run(world: Ports) -> None:
    """Behaviour 31: unless that map's own condition on the value is unmet; of a root map too, where start asks."""
    flow = Flow("arrays", version=1)

    @flow.map(over="input.lines", when={"input": {"kind": "list"}})
    def each(item: object) -> object:
        return item

    @flow.step
    def fetch(input: object) -> object:
        return input

    @flow.map(over="fetch.pages", when={"fetch": {"found": True}})
    def read(item: object) -> object:
        return item

    run, hands = await began(world, flow, {"kind": "single", "lines": 3})
    await finish(hands, {"fetch": {"found": False, "pages": None}})

    assert await reasons(run) == {"each": "condition_unmet", "read": "condition_unmet"}
    assert await run.status() is RunStatus.COMPLETED
    with pytest.raises(InvalidInput, match=r"\$\.lines: the map 'each' works over 'input\.lines'"):
        await hands.kernel.start("arrays", {"kind": "list", "lines": 3})


async def test_what_an_unmet_condition_of_the_map_cannot_excuse_fails_the_producer(world: Ports) -> None:
    """Behaviour 31: the condition is met, so the output must hold the array; neither tolerance nor policy covers it."""
    flow = Flow("starved", version=1)

    @flow.step(on_exhausted="skip")
    def fetch(input: object) -> object:
        return input

    @flow.map(over="fetch.pages", when={"fetch": {"found": True}})
    def read(item: object) -> object:
        return item

    run, hands = await began(world, flow)
    await hands.complete(await hands.claim_task(), {"found": True, "pages": None})

    assert ((await run.read()).status, (await run.read()).reason) == (RunStatus.FAILED, "not_an_array")
