"""What type checkers see of kernels and runs. These assertions are made at check time."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, assert_type

from attrs import frozen

from fairlead.kernel import (
    CallerConnection,
    CancelledRun,
    Deferred,
    Flow,
    Kernel,
    RunHandle,
    Schedule,
    SentSignal,
    Step,
    Suspend,
)


@frozen
class Order:
    lines: list[str]


@frozen
class Payment:
    cents: int


fulfil = Flow("fulfil", version=1, input=Order)


@fulfil.step
async def charge(input: Order) -> Payment:
    return Payment(1)


@fulfil.map(over="input.lines")
def reserve(item: str) -> int:
    return 1


@fulfil.step
async def lines(input: Order) -> AsyncIterable[str]:
    async def each() -> AsyncIterator[str]:
        for line in input.lines:
            yield line

    return each()


@fulfil.step
def sorted_lines(lines: Iterable[str]) -> Iterator[str]:
    return iter(sorted(lines))


paid = fulfil.branch(when={"charge": {"cents": 1}})


@paid.step
def ship(charge: Payment, reserve: list[int]) -> str:
    return ""


approval = fulfil.signal("approval", Payment, timeout=60)
nap = fulfil.sleep("nap", 60)


@fulfil.step
async def compute(approval: Payment) -> Payment | Suspend[int]:
    return approval


@fulfil.check(compute)
async def compute_is_ready(state: int) -> Payment:
    return Payment(state)


@fulfil.step
def compute_in_thread(approval: Payment) -> Suspend[int] | Payment:
    return approval


@fulfil.check(compute_in_thread)
def compute_in_thread_is_ready(state: int) -> Payment:
    return Payment(state)


def test_the_flow_is_one() -> None:
    """What is checked here is also true at run time."""
    fulfil.seal()

    steps = ["charge", "reserve", "lines", "sorted_lines", "ship", "approval", "nap", "compute", "compute_in_thread"]
    assert list(fulfil.steps) == steps


if TYPE_CHECKING:

    async def answers(kernel: Kernel, run: RunHandle, step: Step[Any], go: Step[None]) -> None:
        """What a step is sent is what it was declared to carry; a slug takes anything, and needs nothing."""
        await run.signal(approval, Payment(1), key="mail-7")
        await run.signal(go)
        await run.signal(step, {"cents": 1})
        await run.signal("approval", {"cents": 1})
        await run.signal("approval")
        await kernel.signal(run.id, approval, Payment(1))
        await kernel.signal(run.id, "approval", {"cents": 1})
        await run.signal(approval, "yes")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
        await run.signal(approval)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue]
        await kernel.signal(run.id, approval, 7)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]

    async def reads(kernel: Kernel, run: RunHandle, step: Step[Any]) -> None:
        """Outputs are typed as their handlers declare, and may be absent, each of them; slugs and steps are untyped."""
        assert_type(await run.output(charge), Payment | None)
        assert_type(await run.output(ship, timeout=30), str | None)
        assert_type(await run.outputs(reserve), list[int | None])
        assert_type(await run.output(lines), list[str] | None)
        assert_type(await run.output(sorted_lines), list[str] | None)
        assert_type(await run.output("charge"), Any)
        assert_type(await run.output(approval), Payment | None)
        assert_type(await run.output(nap), None)
        assert_type(await run.output(step), Any | None)
        assert_type(await run.output(compute), Payment | None)
        assert_type(await run.output(compute_in_thread), Payment | None)
        assert_type(await run.outputs(step), list[Any])
        assert_type(await kernel.start(fulfil, Order([])), RunHandle)
        assert_type(await kernel.start("fulfil", {"lines": []}), RunHandle)
        await kernel.start(fulfil, 3)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]

    async def control(kernel: Kernel, step: Step[Payment], connection: CallerConnection) -> None:
        """What is done at once answers with what it did; what is asked for in a transaction, with a handle on it."""
        assert_type(await kernel.cancel("id"), CancelledRun)
        assert_type(await kernel.request_cancel("id", connection=connection), Deferred)
        assert_type(kernel.request_cancel_sync("id", connection=connection), Deferred)
        assert_type(await kernel.signal("id", step, Payment(1)), SentSignal)
        assert_type(await kernel.request_signal("id", step, Payment(1), connection=connection), Deferred)
        assert_type(kernel.request_signal_sync("id", step, Payment(1), connection=connection), Deferred)
        await kernel.request_signal("id", step, 1, connection=connection)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]

    async def schedules(kernel: Kernel) -> None:
        """What is started later is typed as what is started now."""
        assert_type(await kernel.schedule(fulfil, cron="@daily", input=Order([])), Schedule)
        assert_type(await kernel.schedule("fulfil", cron="@daily", input={"lines": []}), Schedule)
        assert_type(await kernel.start_later(fulfil, Order([]), after=60), Deferred)
        await kernel.schedule(fulfil, cron="@daily", input=3)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert_type((await kernel.deferred())[0], Deferred)
        assert_type(await (await kernel.find_deferred("start/fulfil/k")).run(), RunHandle)
        await kernel.start_later(fulfil, 3, after=60)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
