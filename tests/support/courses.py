"""Courses of runs that are gone through by hand, and what became of their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.kernel import Flow, Kernel, RunHandle, StepStatus
from fairlead.ports import Ports
from tests.support.hands import Hands


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
