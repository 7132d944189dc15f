"""Cancelling, rerunning and retrying many runs by what they are, and telling what would be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.kernel import (
    Flow,
    FlowDefinitionError,
    InvalidArgument,
    Kernel,
    NothingToRerun,
    RunFilter,
    RunHandle,
    RunNotEnded,
    RunStatus,
    UnknownFlow,
)
from fairlead.kernel.api.control import BULK_PAGE_RUNS
from fairlead.kernel.commands import CancelRun
from fairlead.ports import Ports
from fairlead.ports.errors import Contention
from tests.support.hands import Hands

ALL = RunFilter(statuses=frozenset(RunStatus))


def one_step(slug: str) -> Flow[Any]:
    """A flow of one step."""
    flow = Flow(slug, version=1, max_attempts=1)

    @flow.step
    def only() -> object:
        return None

    return flow


async def some(world: Ports) -> tuple[Kernel, Hands, dict[str, RunHandle]]:
    """A run that is pending, one that is running, and one for each way to end, of one flow; and one of another."""
    kernel = Kernel(flows=[one_step("orders"), one_step("bills")], ports=world)
    hands = Hands(kernel)
    runs = {name: await kernel.start("orders", None) for name in ("completed", "failed", "running")}
    await hands.claim_runs()
    tasks = {task.key.run_id: task for task in await hands.claim_tasks()}
    await hands.complete(tasks[runs["completed"].id])
    await hands.fail(tasks[runs["failed"].id])
    runs["cancelled"] = await kernel.start("orders", None)
    await runs["cancelled"].cancel()
    runs["pending"] = await kernel.start("orders", None)
    runs["other"] = await kernel.start("bills", None)
    return kernel, hands, runs


async def statuses(runs: dict[str, RunHandle]) -> dict[str, str]:
    """How all of them stand."""
    return {name: str(await run.status()) for name, run in runs.items()}


async def test_what_is_live_is_cancelled(world: Ports) -> None:
    """Of the flow that is meant; what has ended is not even looked at, unless its status is named."""
    kernel, _, runs = await some(world)
    of_orders = RunFilter(flow="orders")

    trial = [each async for each in kernel.cancel_runs(of_orders, dry_run=True)]
    before = await statuses(runs)
    done = [each async for each in kernel.cancel_runs(of_orders, reason="closed")]
    named = RunFilter(flow="orders", statuses=frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED}))
    again = [each.answer async for each in kernel.cancel_runs(named)]

    assert [each.run.id for each in trial] == [runs["pending"].id, runs["running"].id]
    assert [each.answer is not None and each.answer.took_effect for each in trial] == [False, False]
    assert (before["pending"], before["running"]) == ("pending", "running")
    assert [each.answer is not None and each.answer.took_effect for each in done] == [True, True]
    after = await statuses(runs)
    assert (after["pending"], after["running"], after["other"]) == ("cancelled", "cancelled", "pending")
    assert (await runs["running"].read()).reason == "closed"
    assert [answer is not None and answer.took_effect for answer in again] == [False] * 4


async def test_a_wrong_reason_is_refused_before_anything_happens(world: Ports) -> None:
    """It would be for every run."""
    kernel, _, runs = await some(world)

    with pytest.raises(InvalidArgument, match="reason"):
        await anext(kernel.cancel_runs(ALL, reason=""))
    assert (await statuses(runs))["pending"] == "pending"


async def test_failed_runs_are_retried(world: Ports) -> None:
    """Only these, unless statuses are named."""
    kernel, hands, runs = await some(world)

    trial = [each async for each in kernel.retry_runs(RunFilter(), dry_run=True)]
    done = [each async for each in kernel.retry_runs(RunFilter())]
    cancelled = [each async for each in kernel.retry_runs(RunFilter(statuses=frozenset({RunStatus.CANCELLED})))]

    assert [each.run.id for each in trial] == [each.run.id for each in done] == [runs["failed"].id]
    assert [each.answer is not None and each.answer.took_effect for each in (*trial, *done)] == [False, True]
    assert [each.run.id for each in cancelled] == [runs["cancelled"].id]
    assert await hands.drain() == 4
    assert set((await statuses(runs)).values()) == {"completed", "running"}


async def test_a_run_that_is_refused_keeps_no_other_back(world: Ports) -> None:
    """Each is told with its reason: live, nothing to do, of a flow that is not known, or without that step."""
    _, _, runs = await some(world)
    kernel = Kernel(flows=[one_step("orders")], ports=world)

    retried = {each.run.id: each async for each in kernel.retry_runs(ALL)}
    rerun = {each.run.id: each async for each in kernel.rerun_runs(RunFilter(flow="orders"), "onyl")}

    assert {name: type(retried[run.id].refusal) for name, run in runs.items()} == {
        "completed": NothingToRerun,
        "failed": type(None),
        "running": RunNotEnded,
        "cancelled": type(None),
        "pending": RunNotEnded,
        "other": UnknownFlow,
    }
    assert rerun == {}
    completed = RunFilter(statuses=frozenset({RunStatus.COMPLETED}))
    (wrong,) = [each async for each in kernel.rerun_runs(completed, "onyl")]
    assert isinstance(wrong.refusal, FlowDefinitionError)
    (right,) = [each async for each in kernel.rerun_runs(completed, "only")]
    assert right.answer


async def test_more_runs_than_a_page_are_met_once_each(world: Ports) -> None:
    """Though they change, and others are started, while they are gone through."""
    kernel = Kernel(flows=[one_step("orders")], ports=world)
    runs = [await kernel.start("orders", None) for _ in range(BULK_PAGE_RUNS + 5)]

    met: list[str] = []
    async for each in kernel.cancel_runs(RunFilter(flow="orders")):
        met.append(each.run.id)
        if len(met) == 3:
            await kernel.start("orders", None)

    assert sorted(met) == sorted(run.id for run in runs)
    assert len([each async for each in kernel.cancel_runs(RunFilter(flow="orders"))]) == 1


@pytest.mark.fault(69)
async def test_two_that_retry_the_same_runs_share_them(world: Ports) -> None:
    """Each run begins anew once; the other finds it running, or does not meet it."""
    kernel = Kernel(flows=[one_step("orders")], ports=world)
    hands = Hands(kernel)
    runs = [await kernel.start("orders", None) for _ in range(20)]
    await hands.claim_runs()
    for task in await hands.claim_tasks():
        await hands.fail(task)

    async def retry() -> list[str]:
        return [each.run.id async for each in kernel.retry_runs(RunFilter()) if each.answer]

    one, other = await asyncio.gather(retry(), retry())

    assert sorted(one + other) == sorted(run.id for run in runs)
    assert {(await run.read()).generation for run in runs} == {2}


async def test_a_run_that_somebody_holds_keeps_no_other_back(world: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with the reason, and the others are dealt with."""
    kernel, _, runs = await some(world)
    dispatch = kernel.dispatch

    async def held(command: Any) -> Any:
        if isinstance(command, CancelRun) and command.run_id == runs["running"].id:
            raise Contention("somebody holds it")
        return await dispatch(command)

    monkeypatch.setattr(kernel, "dispatch", held)
    answers = [each async for each in kernel.cancel_runs(RunFilter(flow="orders"))]

    refused = {each.run.id: str(each.refusal) for each in answers if each.refusal is not None}
    assert refused == {runs["running"].id: "somebody holds it"}
    assert await runs["pending"].status() is RunStatus.CANCELLED
