"""Acceptance behaviours 36, 38-40 and 42: what follows where a step does not run."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from fairlead.kernel import Flow, RunStatus, StepStatus
from fairlead.ports import Ports
from tests.support.courses import began, finish, reasons, statuses, told

Exhausted = Literal["fail", "skip", "skip_cascade"]


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
