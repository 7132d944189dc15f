"""Waiting for a run: whoever does is told of its end. No time passes here, so no look by the clock would ever come."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import ManualClock, memory_ports
from fairlead.kernel import Flow, Kernel, RunStatus
from tests.support.hands import Hands
from tests.support.scenes import PATIENCE_S


def _flow() -> Flow[Any]:
    flow = Flow("one", version=1, run_timeout=timedelta(hours=1))

    @flow.step
    def step() -> int:
        return 1

    return flow


@pytest.mark.parametrize("end", [RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED])
async def test_whoever_waits_is_told_of_the_end(end: RunStatus) -> None:
    """However the run ends: by its last outcome, by a cancel, by its deadline."""
    clock = ManualClock()
    kernel = Kernel(flows=[_flow()], ports=memory_ports(clock=clock))
    hands = Hands(kernel, slots=1)
    run = await kernel.start("one", None)
    (task,) = await hands.claim_runs()
    if end is RunStatus.FAILED:
        clock.advance(3600)
    waiting = asyncio.create_task(run.wait())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()

    if end is RunStatus.COMPLETED:
        await hands.complete(task, 1)
    elif end is RunStatus.CANCELLED:
        await run.cancel()
    else:
        await hands.expire()

    assert (await asyncio.wait_for(waiting, PATIENCE_S)).status is end
