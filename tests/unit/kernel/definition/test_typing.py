"""What type checkers see. These tests assert at check time; running them shows that nothing raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_type

from attrs import frozen

from fairlead.kernel.context import Context
from fairlead.kernel.definition import Branch, Flow, Group, Resource, Step
from fairlead.kernel.suspend import Suspend


@frozen
class Order:
    lines: list[str]


@frozen
class Approval:
    until: datetime


@frozen
class Batch:
    job_id: str


class Warehouse:
    def reserve(self, sku: str) -> int:
        return len(sku)


def test_a_flow_knows_the_type_of_its_input() -> None:
    """`Flow(input=Order)` is a `Flow[Order]`; without it anything may be started."""
    assert_type(Flow("fulfil", version=1, input=Order), Flow[Order])
    assert_type(Flow("fulfil", version=1, input=list[Order], timeout=3), Flow[list[Order]])
    assert_type(Flow("fulfil", version=1), Flow[Any])
    assert_type(Flow("fulfil", version="dev", input=Order | None), Flow[Any])


def test_decorators_keep_exact_types() -> None:
    """Parameters, defaults and results stay known."""
    flow = Flow("fulfil", version=1, input=Order, input_name="order")

    @flow.step
    def assess(order: Order) -> int:
        return len(order.lines)

    @flow.step(max_attempts=5, after=[assess])
    async def charge(order: Order, assess: int, ctx: Context) -> str:
        return ""

    @flow.map(over="order.lines", max_concurrency=3)
    def reserve(item: str, index: int, warehouse: Resource[Warehouse]) -> int:
        assert_type(warehouse, Warehouse)
        return warehouse.reserve(item)

    assert_type(assess(Order([])), int)
    assert_type(reserve("abc", 0, Warehouse()), int)
    checked: Callable[[str, int, Warehouse], int] = reserve
    assert checked("abc", 0, Warehouse()) == 3
    assert_type(flow.step_named(charge), Step[Any])


def test_branches_keep_exact_types() -> None:
    """A branch has the decorators of its flow, and so have its complement and the branches in it."""
    flow = Flow("fulfil", version=1, input=Order, input_name="order")

    @flow.step
    def assess(order: Order) -> str:
        return "low"

    low = flow.branch(when={"assess": "low"}, unless={"order": {"lines": ["x"]}})
    assert_type(low, Branch)
    assert_type(low.otherwise(), Branch)
    assert_type(low.branch(when={"order": {}}), Branch)

    @low.step
    async def charge(order: Order) -> int:
        return 1

    @low.map(over="order.lines", tolerate_failures=0.1, requires=[charge, "assess"], on_exhausted="skip_cascade")
    def reserve(item: str, charge: int) -> float:
        return charge / 2

    @low.otherwise().step(slug="turn_down", when={"order": {}}, on_unmet="fail", after=[flow.steps["assess"]])
    def refuse(order: Order, charge: int | None = None) -> None: ...

    assert_type(reserve("x", 1), float)
    checked: Callable[[Order], Awaitable[int]] = charge
    refusing: Callable[[Order], None] = refuse
    group: Group = low

    assert (checked, refusing, group) == (charge, refuse, low)
    assert list(flow.steps) == ["assess", "charge", "reserve", "turn_down"]


def test_what_waits_has_a_type() -> None:
    """A signal is a step of what it carries, a sleep one of nothing; a check keeps its exact type."""
    flow = Flow("fulfil", version=1, input=Order, input_name="order", run_timeout=timedelta(days=7))
    branch = flow.branch(unless={"order": {"lines": []}})

    approval = flow.signal("approval", Approval, timeout=timedelta(days=3), on_timeout="skip")
    assert_type(approval, Step[Approval])
    assert_type(
        branch.signal("lines", list[str], after=[approval], on_unmet="fail", when={"order": {}}), Step[list[str]]
    )
    assert_type(flow.signal("either", Approval | None), Step[Any])
    assert_type(flow.sleep("nap", 3600, requires=[approval]), Step[None])
    assert_type(branch.sleep("night", until="approval.until"), Step[None])

    @flow.step(after=[approval])
    async def compute(order: Order) -> int | Suspend[Batch]:
        return Suspend(state=Batch("1"), check_after=60, give_up_after=timedelta(hours=1))

    @flow.check(compute)
    def is_ready(state: Batch) -> int | Suspend[Batch]:
        return len(state.job_id)

    assert_type(is_ready(Batch("1")), int | Suspend[Batch])
    assert_type(Suspend(state=Batch("1"), check_after=1), Suspend[Batch])
    flow.seal()


if TYPE_CHECKING:

    def wrong_waits(flow: Flow[Order]) -> None:
        """Each line is an error; an ignore that is not needed would be one too."""
        flow.signal("late")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.signal("late", Approval, max_attempts=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.signal("late", Approval, on_timeout="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        flow.sleep("late")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.sleep("late", 1, until="order.due")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.sleep("late", "1h")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        flow.sleep("late", 1, timeout=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.step(run_timeout=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        Suspend(check_after=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    def wrong_uses(flow: Flow[Order]) -> None:
        """Each line is an error; an ignore that is not needed would be one too."""
        flow.step(max_concurrency=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.step(tmeout=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.map(lambda: 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.step(timeout="3s")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        flow.step(tolerate_failures=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        flow.step(on_unmet="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        flow.step(when="paid")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        flow.step(requires=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        flow.branch({"charge": {}})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        flow.otherwise()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        Flow("fulfil", version="2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
