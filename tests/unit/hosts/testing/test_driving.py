"""A run is driven: it is signalled, cancelled, done again, and time passes when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import CollectingSink
from fairlead.hosts.testing import FlowTest, WaitsForEver
from fairlead.kernel import Flow, InvalidSignal, Kernel, Resource, ResumeTokenUnknown, RunNotEnded, SignalNotAwaited
from tests.support.tested_flows import (
    Approval,
    FakePayments,
    Payment,
    approval,
    approving,
    ask,
    charge,
    decide,
    fulfil,
    nightly,
    order,
    ship,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_run_waits_for_its_signal(flow_test: FlowTest) -> None:
    """It is started, waits, is answered and goes on."""
    run = flow_test.start(approving, "a holiday")
    assert run.status in ("pending", "running")
    assert run.step(decide).status == "created"
    flow_test.run_until_idle()
    assert (run.status, run.step(approval).status) == ("running", "suspended")

    sent = run.signal(approval, Approval(approved=True))

    assert sent.fate == "delivered"
    assert run.status == "completed"
    assert run.output(decide) == "a holiday: yes"
    assert run.output(approval) == Approval(approved=True)


def test_a_signal_may_come_before_the_step_waits(flow_test: FlowTest) -> None:
    """Right after the start, or with it."""
    early = flow_test.start(approving, "one")
    early.signal("approval", {"approved": False})
    with_it = flow_test.run(approving, "two", signals={approval: Approval(approved=True)})

    assert early.output(decide) == "one: no"
    assert with_it.output(decide) == "two: yes"


def test_a_run_that_waits_for_ever_says_for_what(flow_test: FlowTest) -> None:
    """And what the test can do; the run can still be answered."""
    with pytest.raises(WaitsForEver, match="approval waits for a signal") as caught:
        flow_test.run(approving, "a holiday")

    assert "signals={'approval': …}" in str(caught.value)
    assert "it takes Approval" in str(caught.value)
    (run,) = flow_test.runs()
    assert run.id == caught.value.run_id
    assert [cause.kind for cause in run.why().causes] == ["signal"]
    run.signal(approval, Approval(approved=True))
    assert run.wait().status == "completed"


def test_a_schedule_does_not_keep_a_run_waiting_without_end(flow_test: FlowTest) -> None:
    """Something always happens then, and yet nothing that would move the run."""
    flow_test.schedule(fulfil, cron="@daily", input=order)
    flow_test.stub(fulfil, {charge: Payment("declined")})

    with pytest.raises(WaitsForEver):
        flow_test.run(approving, "a holiday")


def test_wrong_signals_are_refused(flow_test: FlowTest) -> None:
    """As the kernel refuses them."""
    run = flow_test.start(approving, "x")
    with pytest.raises(InvalidSignal):
        run.signal("approval", {"approved": "perhaps"})
    run.signal(approval, Approval(approved=True))
    with pytest.raises(SignalNotAwaited):
        run.signal(approval, Approval(approved=True))


def test_a_token_that_a_handler_gave_out_resumes(flow_test: FlowTest) -> None:
    """So does one that the test made; another one does not."""
    run = flow_test.start(approving, "a holiday")
    flow_test.run_until_idle()

    flow_test.resume(run.output(ask), Approval(approved=True))

    assert run.output(decide) == "a holiday: yes"
    other = flow_test.start(approving, "another")
    flow_test.resume(other.resume_token(approval, expires_in=60), {"approved": False})
    assert other.output(decide) == "another: no"
    with pytest.raises(ResumeTokenUnknown):
        flow_test.resume("no token")


def test_time_passes_when_it_is_told_to(flow_test: FlowTest) -> None:
    """What is due by then happens, and nothing that is due later."""
    run = flow_test.start(nightly, "today")

    flow_test.advance(timedelta(days=29))
    assert run.status == "running"
    assert run.step("books_closed").status == "suspended"
    assert flow_test.now - START < timedelta(days=29, seconds=1)

    flow_test.advance(timedelta(days=1))
    assert run.step("compute").status == "suspended"
    assert flow_test.now - START < timedelta(days=30, seconds=2)

    flow_test.advance(15 * 60)
    assert run.status == "completed"


def test_time_passes_where_nothing_is(flow_test: FlowTest) -> None:
    """Exactly so much of it."""
    flow_test.advance(3600)
    flow_test.advance(timedelta(days=1))

    assert flow_test.now == START + timedelta(days=1, hours=1)


def test_advancing_reaches_what_was_put_off(flow_test: FlowTest) -> None:
    """A retry is due at the end of the span."""
    run = flow_test.start(fulfil, order, resources={"payments": FakePayments(failures=1)})
    flow_test.run_until_idle()
    assert len(run.step(charge).attempts) == 1

    flow_test.advance(601)

    assert run.status == "completed"


def test_a_run_is_cancelled(flow_test: FlowTest) -> None:
    """With everything in it that waits."""
    run = flow_test.start(approving, "a holiday")
    flow_test.run_until_idle()

    assert run.cancel(reason="rain").took_effect

    assert (run.status, run.reason, run.step(decide).status) == ("cancelled", "rain", "cancelled")


def test_an_attempt_that_a_cancel_stopped_says_so(flow_test: FlowTest) -> None:
    """It is over, and nothing is recorded of it."""
    flow = Flow("slow", version=1)

    @flow.step(timeout=timedelta(hours=2))
    async def works() -> None:
        await asyncio.sleep(3600)

    run = flow_test.start(flow)
    flow_test.advance(10)
    assert "attempt 1: not over" in run.report()
    run.cancel()
    flow_test.advance(60)

    (attempt,) = run.attempts
    assert (attempt.reason, type(attempt.raised)) == (None, asyncio.CancelledError)
    assert "attempt 1: stopped, and nothing is recorded of it" in run.report()


def test_a_run_is_done_again(flow_test: FlowTest) -> None:
    """From a step, or where it failed."""
    payments = FakePayments(failures=3)
    run = flow_test.run(fulfil, order, resources={"payments": payments})
    assert run.status == "failed"

    assert run.retry().generation == 2

    assert run.status == "completed"
    run.assert_ran_once(charge)
    run.rerun(ship)
    assert (run.generation, run.status) == (3, "completed")
    assert payments.charged == ["Ada"]
    waiting = flow_test.start(approving, "x")
    with pytest.raises(RunNotEnded):
        waiting.rerun(decide)


def test_schedules_start_runs(flow_test: FlowTest) -> None:
    """One at each tick that passes; their steps are stubbed as those of all runs of the flow."""
    flow_test.stub(fulfil, {charge: Payment("declined")})
    schedule = flow_test.schedule(fulfil, cron="0 6 * * *", input=order, name="mornings")

    flow_test.advance(timedelta(days=3))

    assert [run.status for run in flow_test.runs(fulfil)] == ["completed"] * 3
    assert [run.details.run.created_at.hour for run in flow_test.runs(fulfil)] == [6, 6, 6]
    flow_test.call(schedule.pause())
    flow_test.advance(timedelta(days=3))
    assert len(flow_test.runs()) == 3


def test_flows_start_flows(flow_test: FlowTest) -> None:
    """Several live in one world, and a handler that has its kernel starts runs of others, which are listed too."""
    parent: Flow[Any] = Flow("parent", version=1, input=str, input_name="name")

    @parent.step
    async def begin(name: str, kernel: Resource[Kernel]) -> str:
        return (await kernel.start("child", name)).id

    child: Flow[Any] = Flow("child", version=1, input=str, input_name="name")

    @child.step
    def greet(name: str) -> str:
        return f"hello {name}"

    flow_test.use(parent, child)
    run = flow_test.run(parent, "Ada", resources={"kernel": flow_test.kernel})
    flow_test.run_until_idle()

    (begun,) = flow_test.runs(child)
    assert begun.id == run.output(begin)
    assert begun.result == {"greet": "hello Ada"}
    assert {event.type for event in flow_test.events} >= {"run.created", "run.completed"}


def test_resources_are_opened_in_the_world_and_closed_with_it() -> None:
    """By one task, as some context managers insist; those of the world and of a run are put together."""
    seen: list[str] = []

    @asynccontextmanager
    async def opening() -> AsyncGenerator[Mapping[str, object]]:
        seen.append("opened")
        yield {"payments": FakePayments()}
        seen.append("closed")

    with FlowTest(resources=opening) as flow_test:
        assert flow_test.run(fulfil, order).status == "completed"
        flow_test.provide({"payments": FakePayments(failures=3)})
        assert flow_test.run(fulfil, order).status == "failed"
        assert flow_test.run(fulfil, order, resources=opening).status == "completed"
        assert seen == ["opened", "opened"]

    assert seen == ["opened", "opened", "closed", "closed"]


def test_resources_are_made_as_for_a_simulation(flow_test: FlowTest) -> None:
    """By a function, which is called for each run."""
    made: list[FakePayments] = []

    def make() -> Mapping[str, object]:
        made.append(FakePayments())
        return {"payments": made[-1]}

    flow_test.run(fulfil, order, resources=make)
    flow_test.run(fulfil, order, resources=make)

    assert [each.charged for each in made] == [["Ada"], ["Ada"]]


def test_a_signal_to_a_step_that_is_skipped_is_told(flow_test: FlowTest) -> None:
    """The report says that nobody uses it."""
    flow: Flow[Any] = Flow("asks", version=1, input=int)

    @flow.step
    def assess(input: int) -> int:
        return input

    approval = flow.signal("approval", bool, when={"assess": 2})
    asked = flow_test.run(flow, 2, signals={approval: True})
    unasked = flow_test.run(flow, 1, signals={approval: True})

    assert "  step approval: completed\n" in f"{asked.report()}\n"
    assert "  step approval: skipped (condition_unmet); the signal that was sent to it is not used" in unasked.report()


def test_resources_that_cannot_be_opened_fail_the_test() -> None:
    """With their own error, and the world can go on or be left."""

    @asynccontextmanager
    async def failing() -> AsyncGenerator[Mapping[str, object]]:
        raise ConnectionError("no database")
        yield {}

    with pytest.raises(ConnectionError, match="no database"), FlowTest(resources=failing):
        raise AssertionError("it does not open")


def test_events_reach_sinks() -> None:
    """As they do anywhere else."""
    sink = CollectingSink()

    with FlowTest(sink=sink, now=datetime(2030, 5, 1, tzinfo=UTC)) as flow_test:
        run = flow_test.run(fulfil, order, stub={charge: Payment("declined")})
        flow_test.run_until_idle()

        assert [each.type for each in sink.of_run(run.id)] == [each.type for each in run.events]
        assert sink.events[0].at.year == 2030
