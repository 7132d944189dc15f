"""Stubs stand in the place of handlers, and must give what these would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from fairlead.hosts.testing import FlowTest, InvalidStub, RunNeedsResources, UnknownStub, in_turn
from fairlead.kernel import Context, Flow, Resource, Suspend
from tests.support.tested_flows import (
    FakePayments,
    Order,
    Payment,
    approving,
    books_closed,
    charge,
    compute,
    compute_is_ready,
    fulfil,
    nightly,
    order,
    reserve,
    ship,
)


@pytest.mark.parametrize("name", ["charge", charge, fulfil.steps["charge"]], ids=["slug", "function", "step"])
def test_a_value_is_the_output(flow_test: FlowTest, name: object) -> None:
    """However the step is named; its resources are not needed, and JSON that fits is a value too."""
    run = flow_test.run(fulfil, order, stub={name: {"status": "paid", "reference": "r"}})

    assert run.output(charge) == Payment("paid", "r")
    (attempt,) = run.step(charge).attempts
    assert (attempt.stubbed, attempt.arguments) == (True, {})
    assert not run.step(reserve).attempts[0].stubbed


def test_a_flow_keeps_its_fingerprint(flow_test: FlowTest) -> None:
    """It is never touched: the next run calls its handlers again."""
    before = fulfil.shape.fingerprint
    flow_test.run(fulfil, order, stub={charge: Payment("paid", "stub")})

    run = flow_test.run(fulfil, order, resources={"payments": FakePayments()})

    assert run.output(charge).reference == "ref-Ada"
    assert fulfil.shape.fingerprint == before


@pytest.mark.parametrize("error", [ValueError("no"), ValueError], ids=["instance", "class"])
def test_an_exception_is_raised(flow_test: FlowTest, error: object) -> None:
    """At each attempt."""
    run = flow_test.run(fulfil, order, stub={charge: error})

    assert (run.status, run.reason) == ("failed", "handler_failed")
    assert [type(each.raised) for each in run.step(charge).attempts] == [ValueError] * 3


def test_each_attempt_may_meet_another_stub(flow_test: FlowTest) -> None:
    """The last one is for all that follow, and a rerun begins with the first."""
    run = flow_test.run(fulfil, order, stub={charge: in_turn(ConnectionError("down"), OSError, Payment("paid", "3"))})

    assert [type(each.raised) for each in run.step(charge).attempts] == [ConnectionError, OSError, type(None)]
    assert run.output(charge).reference == "3"
    run.assert_ran_once(charge)
    run.rerun(charge)
    run.wait()
    assert len(run.step(charge).attempts) == 6


def test_a_function_is_called_with_what_it_names(flow_test: FlowTest) -> None:
    """Of the handler's arguments, and the context; a plain one stands in for an async handler, and the other way."""
    seen: list[object] = []

    def fake_charge(order: Order, ctx: Context, fixed: str = "own default") -> Payment:
        seen.append((order, ctx.attempt, fixed))
        return Payment("paid", f"fake {order.customer}")

    async def fake_ship(charge: Payment) -> str:
        return charge.reference

    run = flow_test.run(fulfil, order, stub={charge: fake_charge, ship: fake_ship})

    assert run.result == {"ship": "fake Ada"}
    assert seen == [(order, 1, "own default")]
    assert run.step(ship).attempts[0].arguments == {"charge": Payment("paid", "fake Ada")}


def test_a_map_is_stubbed_element_by_element(flow_test: FlowTest) -> None:
    """By a function of the element or its index; a value is that of every element."""

    def numbered(item: int) -> str:
        return f"no. {item}"

    def placed(index: int) -> str:
        return f"at {index}"

    by_item = flow_test.run(fulfil, order, stub={reserve: numbered, charge: Payment("paid")})
    by_index = flow_test.run(fulfil, order, stub={reserve: placed, charge: Payment("paid")})
    alike = flow_test.run(fulfil, order, stub={reserve: "all", charge: Payment("paid")})

    assert by_item.outputs(reserve) == ["no. 1", "no. 2"]
    assert by_index.outputs(reserve) == ["at 0", "at 1"]
    assert alike.outputs(reserve) == ["all", "all"]


def test_each_element_has_its_own_attempts(flow_test: FlowTest) -> None:
    """In turn means attempt by attempt at one task."""
    run = flow_test.run(fulfil, order, stub={reserve: in_turn(OSError, "late"), charge: Payment("paid")})

    assert run.outputs(reserve) == ["late", "late"]
    assert sorted((each.element, each.number) for each in run.step(reserve).attempts) == [
        (0, 1),
        (0, 2),
        (1, 1),
        (1, 2),
    ]


def test_mocks_are_functions(flow_test: FlowTest) -> None:
    """They are called with all of the handler's arguments."""
    plain = Mock(return_value="shipped")
    asynchronous = AsyncMock(return_value=Payment("paid", "m"))

    run = flow_test.run(fulfil, order, stub={charge: asynchronous, ship: plain}, resources={"payments": FakePayments()})

    assert run.result == {"ship": "shipped"}
    plain.assert_called_once_with(charge=Payment("paid", "m"), reserve=["reserved 1", "reserved 2"])
    assert set(asynchronous.await_args.kwargs) == {"order", "payments", "ctx"}  # type: ignore[union-attr]


def test_waiting_is_stubbed(flow_test: FlowTest) -> None:
    """A stub may suspend as its handler may, and a check has stubs of its own, by function or name."""
    waiting = Suspend(state=7, check_after=60)

    def found(state: int) -> str:
        return f"state {state}"

    by_function = flow_test.run(nightly, "today", stub={compute: waiting, compute_is_ready: in_turn(waiting, found)})
    by_name = flow_test.run(nightly, "today", stub={"compute": "at once", "compute_is_ready": AssertionError})

    assert by_function.result == {"compute": "state 7"}
    assert [each.phase for each in by_function.step(compute).attempts] == ["run", "check", "check"]
    assert by_name.result == {"compute": "at once"}


def test_streams_reach_stubs_and_come_from_them(flow_test: FlowTest) -> None:
    """Where a handler takes or makes its array element by element."""
    flow: Flow[Any] = Flow("streaming", version=1, input=int, input_name="count")

    @flow.step
    def numbers(count: int) -> Iterable[int]:
        return iter(range(count))

    @flow.step
    def total(numbers: Iterable[int]) -> int:
        return sum(numbers)

    def twice(count: int) -> Iterable[int]:
        return iter([count, count])

    def largest(numbers: Iterable[int]) -> int:
        return max(numbers)

    listed = flow_test.run(flow, 3, stub={numbers: [1, 2, 3, 4]})
    made = flow_test.run(flow, 3, stub={numbers: twice})
    taken = flow_test.run(flow, 3, stub={total: largest})

    assert [each.output("total") for each in (listed, made, taken)] == [10, 6, 2]


def test_what_does_not_fit_is_said_before_the_run(flow_test: FlowTest) -> None:
    """Values of another type, classes, functions that ask for what there is not, empty turns."""

    def misspelt(ordr: Order) -> Payment:
        return Payment("paid")

    wrong: list[tuple[object, str]] = [
        (Payment, "class Payment; pass an instance"),
        ({"status": "maybe"}, r"\$\.status"),
        (Suspend(state=1, check_after=1), "it suspends"),
        (misspelt, "asks for 'ordr'.*did you mean 'order'"),
        ([OSError, Payment("paid")], r"for another stub at each attempt, write in_turn\(…\)"),
        (in_turn(), "at least one"),
        (in_turn(Payment("paid"), 3), "Expected `object`, got `int`"),
    ]
    for stub, message in wrong:
        with pytest.raises(InvalidStub, match=message):
            flow_test.run(fulfil, order, stub={charge: stub})
    with pytest.raises(InvalidStub, match="output of one element, a function of `item`"):
        flow_test.run(fulfil, order, stub={reserve: ["a", "b"]})

    assert flow_test.runs() == []


def test_what_a_function_returns_must_fit(flow_test: FlowTest) -> None:
    """It is a mistake of the test, and raised there, though it is found only when the function returns."""

    def counts(order: Order) -> int:
        return 3

    with pytest.raises(InvalidStub, match=r"stub of step 'charge' of flow 'fulfil'.*got `int`"):
        flow_test.run(fulfil, order, stub={charge: counts})

    assert flow_test.run(fulfil, order, stub={charge: Payment("paid")}).status == "completed"


def test_a_name_that_nobody_has_is_answered_with_the_nearest(flow_test: FlowTest) -> None:
    """Steps and checks are known."""
    with pytest.raises(UnknownStub, match="no step or check 'chrage'; did you mean 'charge'") as caught:
        flow_test.run(fulfil, order, stub={"chrage": Payment("paid")})
    assert (caught.value.flow, caught.value.name) == ("fulfil", "chrage")
    with pytest.raises(UnknownStub, match="did you mean 'compute_is_ready'"):
        flow_test.run(nightly, "today", stub={"compute_is_redy": "x"})
    for other in (charge, fulfil.steps["charge"]):
        with pytest.raises(
            UnknownStub, match="flow 'nightly' has no step or check 'charge', which may be one of another"
        ):
            flow_test.run(nightly, "today", stub={other: "x"})


def test_what_has_no_handler_is_not_stubbed(flow_test: FlowTest) -> None:
    """Signals are sent, and sleeps pass."""
    with pytest.raises(InvalidStub, match=r"answer it with signals=\{'approval': …\}"):
        flow_test.run(approving, "x", stub={"approval": {"approved": True}})
    with pytest.raises(InvalidStub, match="virtual time passes by itself"):
        flow_test.run(nightly, "today", stub={books_closed: None})


def test_missing_resources_are_said_before_the_run(flow_test: FlowTest) -> None:
    """By name and class; stubs need those that they name."""

    def pays(payments: FakePayments) -> Payment:
        return Payment("paid")

    with pytest.raises(RunNeedsResources, match="'payments': expected an instance of Payments, found no resource"):
        flow_test.run(fulfil, order)
    with pytest.raises(RunNeedsResources, match="found one of str"):
        flow_test.run(fulfil, order, resources={"payments": "cash"})
    with pytest.raises(RunNeedsResources):
        flow_test.run(fulfil, order, stub={charge: pays})

    assert flow_test.runs() == []


def test_a_stub_that_takes_everything_asks_for_no_resource(flow_test: FlowTest) -> None:
    """It is handed those that are there."""

    def takes_all(**_: object) -> Payment:
        return Payment("paid")

    for stub in (Mock(return_value=Payment("paid")), takes_all):
        assert flow_test.run(fulfil, order, stub={charge: stub}).status == "completed"
    payments, mock = FakePayments(), AsyncMock(return_value=Payment("paid"))

    flow_test.run(fulfil, order, stub={charge: mock}, resources={"payments": payments})

    assert mock.call_args.kwargs["payments"] is payments
    assert mock.call_args.kwargs["order"] == order


def test_a_check_asks_for_resources_of_its_own(flow_test: FlowTest) -> None:
    """A stub of its step does not stand in for it, and the message says whose they are."""
    flow = Flow("checked", version=1)

    @flow.step
    async def compute() -> int | Suspend[int]:
        return Suspend(state=0, check_after=60)

    @flow.check(compute)
    async def ready(state: int, payments: Resource[FakePayments]) -> int:
        return 1

    suspended: Suspend[int] = Suspend(state=0, check_after=60)
    with pytest.raises(RunNeedsResources, match="step 'compute', check 'ready', parameter 'payments'"):
        flow_test.run(flow, stub={compute: suspended})
    assert flow_test.run(flow, stub={compute: suspended, ready: 2}).output("compute") == 2


def test_stubs_of_all_runs_of_a_flow(flow_test: FlowTest) -> None:
    """They hold whoever starts the run; what a run is given itself goes first."""
    flow_test.stub(fulfil, {charge: Payment("paid", "usual"), reserve: "r"})
    flow_test.stub(fulfil, {reserve: "s"})

    usual = flow_test.run(fulfil, order)
    own = flow_test.run(fulfil, order, stub={charge: Payment("paid", "own")})
    handle = flow_test.call(flow_test.kernel.start(fulfil, order))
    flow_test.run_until_idle()

    assert [usual.result, own.result] == [{"ship": "usual: s, s"}, {"ship": "own: s, s"}]
    assert flow_test.call(handle.result()) == {"ship": "usual: s, s"}


def test_what_a_handlers_run_lacks_is_told(flow_test: FlowTest) -> None:
    """A run that nobody arranged, since the test did not start it, fails the call in which it would begin."""
    flow_test.use(fulfil)
    flow_test.call(flow_test.kernel.start(fulfil, order))

    with pytest.raises(RunNeedsResources, match="'payments'"):
        flow_test.run_until_idle()
