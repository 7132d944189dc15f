"""Attempts that the store has fenced off: what they returned reaches nobody, on their own host as elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.adapters.system import SystemClock
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel, StepStatus
from fairlead.kernel.commands import SettleTasks
from tests.support.hands import Hands
from tests.unit.hosts.conftest import MakeKernel

TIMEOUT_S = 30.0
LATER = timedelta(hours=1)


class LeapingClock(SystemClock):
    """The system's clock, which can leap on for everybody at once."""

    leapt = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.leapt


def robbed(flow: Flow[Any], steal: Callable[[Hands], Awaitable[object]]) -> Kernel:
    """A kernel whose first settle comes too late: its leases have run out, and somebody else has gone on."""
    clock = LeapingClock()
    kernel = Kernel(flows=[flow], ports=memory_ports(clock=clock))
    dispatch = kernel.dispatch
    thief = Hands(Kernel(flows=[flow], ports=kernel.ports), "thief")
    settled = 0

    async def late_dispatch(command: Any) -> Any:
        nonlocal settled
        if isinstance(command, SettleTasks):
            settled += 1
            if settled == 1:
                clock.leapt = LATER
                await thief.kernel.register()
                await thief.reap()
                await steal(thief)
        return await dispatch(command)

    kernel.dispatch = late_dispatch  # type: ignore[method-assign]
    return kernel


@pytest.mark.fault(20, 39)
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_dependent_gets_what_is_recorded() -> None:
    """Behaviour 52, fault 20: the zombie's host runs the next step, with the output of the attempt that counts."""
    flow = Flow("echo", version=1)

    @flow.step
    async def one(ctx: Context) -> str:
        return f"attempt {ctx.attempt}"

    @flow.step
    async def two(one: str) -> str:
        return f"two saw {one}"

    async def steal(thief: Hands) -> None:
        await thief.complete(await thief.claim_task(), "attempt 2")

    async with robbed(flow, steal) as kernel, NodeHost(kernel):
        run = await kernel.start(flow, None)

        assert await run.result(timeout=TIMEOUT_S) == {"two": "two saw attempt 2"}


@pytest.mark.fault(20)
@pytest.mark.usefixtures("nothing_left_open")
async def test_a_map_over_a_map_gets_what_is_recorded() -> None:
    """Element by element, by the same host and also where it has read all of the elements before."""
    flow = Flow("elements", version=1)

    @flow.map(over="input")
    async def one(item: int, ctx: Context) -> str:
        return f"{item}: attempt {ctx.attempt}"

    @flow.map(over=one)
    async def two(item: str) -> str:
        return f"two saw {item}"

    async def steal(thief: Hands) -> None:
        for task in await thief.claim_tasks(lost_limit=2):
            await thief.complete(task, f"{task.key.element}: attempt 2")

    async with robbed(flow, steal) as kernel, NodeHost(kernel):
        run = await kernel.start(flow, [0, 1])

        assert await run.result(timeout=TIMEOUT_S) == {"two": ["two saw 0: attempt 2", "two saw 1: attempt 2"]}


@pytest.mark.usefixtures("nothing_left_open")
async def test_a_step_that_was_skipped_after_all_gives_nothing() -> None:
    """The zombie completed, the attempt that counts failed for good, and the step may: its dependent gets None."""
    flow = Flow("optional", version=1, max_attempts=2)

    @flow.step(on_exhausted="skip")
    async def one(ctx: Context) -> str:
        return f"attempt {ctx.attempt}"

    @flow.step
    async def two(one: str | None, ctx: Context) -> list[str | None]:
        return [one, ctx.status("one")]

    async def steal(thief: Hands) -> None:
        await thief.fail(await thief.claim_task())

    async with robbed(flow, steal) as kernel, NodeHost(kernel):
        run = await kernel.start(flow, None)

        assert await run.result(timeout=TIMEOUT_S) == {"two": [None, StepStatus.SKIPPED]}


@pytest.mark.parametrize("refused", [True, False])
async def test_an_output_that_the_rules_refuse_reaches_nobody(make_kernel: MakeKernel, refused: bool) -> None:
    """Settled under its own lease, and failed nevertheless: what a map found no array in is not kept for others."""
    flow = Flow("refused", version=1)

    @flow.step
    async def fetch() -> object:
        return {"pages": "none" if refused else [1]}

    @flow.map(over="fetch.pages")
    async def read(item: int) -> int:
        return item

    kernel = make_kernel(flow)
    told: list[bool] = []
    dispatch = kernel.dispatch

    async def listening_dispatch(command: Any) -> Any:
        answer = await dispatch(command)
        if isinstance(command, SettleTasks) and command.outcomes[0].key.step == "fetch":
            told.append(bool(answer.unrecorded))
        return answer

    kernel.dispatch = listening_dispatch  # type: ignore[method-assign]
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        await run.wait(timeout=TIMEOUT_S)

    assert told == [refused]
