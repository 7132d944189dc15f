"""Acceptance behaviours 31 and 34-42: conditions, branches, and what follows where a step does not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from fairlead.kernel import Flow, Kernel, RunHandle, RunStatus, StepStatus
from fairlead.kernel.errors import InvalidInput
from fairlead.ports import Ports
from tests.support.hands import Hands

Consequence = Literal["skip", "skip_cascade", "fail"]
Exhausted = Literal["fail", "skip", "skip_cascade"]


def order(*, on_unmet: Consequence = "skip") -> Flow[Any]:
    """A charge, a shipment that depends on it, an apology for the opposite case, and a step behind them."""
    flow = Flow("order", version=1)

    @flow.step
    def charge(input: object) -> object:
        return input

    @flow.step(when={"charge": {"status": "paid"}}, on_unmet=on_unmet)
    def ship(charge: object) -> object:
        return charge

    @flow.step(unless={"charge": {"status": "paid"}})
    def apologise(charge: object) -> object:
        return charge

    @flow.step
    def file(ship: object | None, apologise: object | None) -> object:
        return [ship, apologise]

    return flow


async def began(world: Ports, flow: Flow[Any], value: object = None, *, slots: int = 0) -> tuple[RunHandle, Hands]:
    """A run of a flow that a host has claimed."""
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow.slug, value)
    hands = Hands(kernel, slots=slots)
    await hands.claim_runs()
    return run, hands


async def finish(hands: Hands, values: Mapping[str, object]) -> list[str]:
    """Complete all that can be claimed with the output of its step; the steps in the order of their tasks."""
    ran: list[str] = []
    while tasks := await hands.claim_tasks():
        await hands.settle(hands.completed(task, values.get(task.key.step)) for task in tasks)
        ran += [task.key.step for task in tasks]
    return ran


async def statuses(run: RunHandle) -> dict[str, StepStatus]:
    """Where the steps stand."""
    return {step.slug: step.status for step in (await run.details()).steps}


async def reasons(run: RunHandle) -> dict[str, str | None]:
    """Why the steps that were skipped were."""
    steps = (await run.details()).steps
    return {step.slug: step.reason for step in steps if step.status is StepStatus.SKIPPED}


async def told(run: RunHandle, kind: str) -> list[str | None]:
    """The steps that events of one type are of."""
    return [event.step for event in (await run.details()).events if event.type == kind]


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


async def test_a_run_whose_steps_are_all_skipped_completes(world: Ports) -> None:
    """Behaviour 25: in the transaction of its claim; its output is empty."""
    flow = Flow("nothing", version=1)

    @flow.step(when={"input": {"go": True}})
    def first(input: object) -> object:
        return input

    @flow.step(requires=[first])
    def second(first: object) -> object:
        return first

    run, _ = await began(world, flow, {"go": False})

    assert await run.result() == {}
    assert await reasons(run) == {"first": "condition_unmet", "second": "dependency_skipped"}


async def test_a_step_waits_for_all_and_runs_with_what_was_skipped(world: Ports) -> None:
    """Behaviour 36: with two skipped it runs; with one skipped and one running it waits."""
    flow = Flow("join", version=1)

    @flow.step(when={"input": {"a": True}})
    def a(input: object) -> object:
        return input

    @flow.step(when={"input": {"b": True}})
    def b(input: object) -> object:
        return input

    @flow.step
    def slow(input: object) -> object:
        return input

    @flow.step
    def skipped_both(a: object | None, b: object | None) -> object:
        return [a, b]

    @flow.step
    def one_running(a: object | None, slow: object) -> object:
        return [a, slow]

    run, hands = await began(world, flow, {})

    assert await statuses(run) == {
        "a": StepStatus.SKIPPED,
        "b": StepStatus.SKIPPED,
        "slow": StepStatus.RUNNING,
        "skipped_both": StepStatus.RUNNING,
        "one_running": StepStatus.CREATED,
    }
    await finish(hands, {})
    assert (await statuses(run))["one_running"] is StepStatus.COMPLETED


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


async def test_a_map_over_a_skipped_step_is_empty(world: Ports) -> None:
    """Behaviour 38: it completes with `[]`, through any number of maps; a map that requires it is skipped."""
    flow = Flow("maps", version=1)

    @flow.step(when={"input": {"go": True}})
    def fetch(input: object) -> dict[str, list[int]]:
        return {"pages": []}

    @flow.map(over="fetch.pages")
    def read(item: int) -> int:
        return item

    @flow.map(over=read)
    def again(item: int) -> int:
        return item

    @flow.map(over="fetch.pages", requires=[fetch])
    def strict(item: int) -> int:
        return item

    @flow.step
    def total(again: list[int], strict: list[int]) -> int:
        return len(again) + len(strict)

    run, hands = await began(world, flow, {})
    await finish(hands, {"total": 0})

    assert await run.result() == {"total": 0}
    assert await run.outputs(again) == []
    assert await reasons(run) == {"fetch": "condition_unmet", "strict": "dependency_skipped"}
    assert await told(run, "step.started") == ["total"]


async def test_a_skip_cascades_to_all_that_depends_on_it(world: Ports) -> None:
    """Behaviour 39: also to steps with other, completed parents; independent branches go on."""
    flow = Flow("cascade", version=1)

    @flow.step
    def good(input: object) -> object:
        return input

    @flow.step(when={"input": {"go": True}}, on_unmet="skip_cascade")
    def bad(input: object) -> object:
        return input

    @flow.step
    def child(bad: object) -> object:
        return bad

    @flow.map(over=child)
    def grandchild(item: object) -> object:
        return item

    @flow.step
    def joined(good: object, grandchild: list[object]) -> object:
        return good

    @flow.step
    def independent(good: object) -> object:
        return good

    run, hands = await began(world, flow, {})
    await finish(hands, {})

    cascade = dict.fromkeys(["child", "grandchild", "joined"], "dependency_skipped")
    assert await reasons(run) == {"bad": "condition_unmet", **cascade}
    assert (await statuses(run))["independent"] is StepStatus.COMPLETED
    assert await run.status() is RunStatus.COMPLETED
    assert sorted(filter(None, await told(run, "step.skipped"))) == ["bad", "child", "grandchild", "joined"]


async def test_an_unmet_condition_can_fail_the_run_at_once(world: Ports) -> None:
    """Behaviour 40: what is queued is cancelled; the step and the run say why."""
    flow = Flow("strict", version=1)

    @flow.step
    def charge(input: object) -> object:
        return input

    @flow.step
    def other(input: object) -> object:
        return input

    @flow.step(when={"charge": {"status": "paid"}}, on_unmet="fail")
    def ship(charge: object) -> object:
        return charge

    run, hands = await began(world, flow)
    charged = {task.key.step: task for task in await hands.claim_tasks(1)}
    first = charged["charge"]
    await hands.complete(first, {"status": "declined"})

    details = await run.details()
    assert (details.run.status, details.run.reason) == (RunStatus.FAILED, "condition_unmet")
    assert {step.slug: (step.status, step.reason) for step in details.steps} == {
        "charge": (StepStatus.COMPLETED, None),
        "other": (StepStatus.CANCELLED, "run_failed"),
        "ship": (StepStatus.FAILED, "condition_unmet"),
    }
    assert [task.status for task in details.tasks] == ["completed", "cancelled"]
    assert details.run.error is not None
    assert b"on_unmet='fail'" in details.run.error


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


@pytest.mark.parametrize("policy", ["skip", "skip_cascade"])
async def test_an_exhausted_step_may_be_skipped(world: Ports, policy: Exhausted) -> None:
    """Behaviour 42: with its error kept; dependents' conditions are evaluated before they start."""
    flow = Flow("optional", version=1, base_delay=0)

    @flow.step(max_attempts=2, on_exhausted=policy)
    def enrich(input: object) -> object:
        return input

    @flow.step
    def plain(enrich: object | None) -> object:
        return enrich

    @flow.step(when={"enrich": {}})
    def picky(enrich: object) -> object:
        return enrich

    run, hands = await began(world, flow)
    await hands.fail(await hands.claim_task(), "one")
    await hands.fail(await hands.claim_task(), "two")
    ran = await finish(hands, {})

    details = await run.details()
    enriched = {step.slug: step for step in details.steps}["enrich"]
    below = "dependency_skipped" if policy == "skip_cascade" else "condition_unmet"
    assert ran == ([] if policy == "skip_cascade" else ["plain"])
    assert (await reasons(run))["enrich"] == "handler_failed"
    assert (await reasons(run))["picky"] == below
    assert enriched.error is not None
    assert b'"two"' in enriched.error
    assert [attempt.attempt for attempt in details.attempts] == [1, 2]
    assert details.run.status is RunStatus.COMPLETED


async def test_a_lost_worker_exhausts_attempts_too(world: Ports, clock: Any) -> None:
    """Behaviour 42 with 53: a step that kills its hosts is skipped like one that raises."""
    flow = Flow("killer", version=1)

    @flow.step(max_attempts=1, on_exhausted="skip")
    def kill(input: object) -> object:
        return input

    @flow.step
    def after(kill: object | None) -> object:
        return kill

    run, hands = await began(world, flow)
    await hands.claim_task()
    clock.advance(3600)
    await hands.reap()
    ran = await finish(hands, {})

    assert ran == ["after"]
    assert await reasons(run) == {"kill": "handler_failed"}


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

    assert ((await run.record()).status, (await run.record()).reason) == (RunStatus.FAILED, "not_an_array")


async def test_empty_and_skipped_maps_cascade_through_a_thousand_steps(world: Ports) -> None:
    """Behaviours 30, 38 and 39: in the one transaction of the claim, whatever the depth."""
    flow = Flow("deep", version=1)

    @flow.step(when={"input": {"go": True}})
    def start(input: object) -> list[int]:
        return []

    def same(item: int) -> int:
        return item

    flow.map(same, over=start, slug="map_0")
    for number in range(1, 1000):
        flow.map(same, over=f"map_{number - 1}", slug=f"map_{number}")

    run, _ = await began(world, flow, {})

    assert await run.result() == {"map_999": []}
    assert len(await told(run, "step.completed")) == 1000
