"""A flow is run to its end in virtual time, and everything that became of it can be looked at."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, assert_type

import pytest
from attrs import frozen

from fairlead.hosts.testing import FlowTest, NoOutput, NotAFlow, NotEndedInTime
from fairlead.kernel import Flow, FlowDefinitionError, RunDidNotComplete, WaitTimeout
from fairlead.kernel.events import RunCompleted, StepCompleted, TaskRetrying
from tests.support.tested_flows import FakePayments, Payment, charge, compute, fulfil, nightly, order, reserve, ship


def test_a_run_goes_to_its_end(flow_test: FlowTest) -> None:
    """Async and plain handlers, a map, a condition, a resource; outputs are typed."""
    payments = FakePayments()

    run = flow_test.run(fulfil, order, resources={"payments": payments})

    assert run.status == "completed"
    assert run.result == {"ship": "ref-Ada: reserved 1, reserved 2"}
    assert run.output(charge).reference == "ref-Ada"
    assert run.outputs(reserve) == ["reserved 1", "reserved 2"]
    assert run.step("reserve").output == ["reserved 1", "reserved 2"]
    assert run.step(ship).output == run.result["ship"]
    assert payments.charged == ["Ada"]
    assert (run.reason, run.error, run.generation) == (None, None, 1)


def test_delays_between_attempts_pass_at_once_and_at_their_time(flow_test: FlowTest) -> None:
    """Two retries after ten and twenty minutes cost half a virtual hour and no real ones; each attempt is seen."""
    began_s = time.monotonic()

    run = flow_test.run(fulfil, order, resources={"payments": FakePayments(failures=2)})

    assert time.monotonic() - began_s < 30
    assert run.status == "completed"
    attempts = run.step(charge).attempts
    assert [(each.number, each.completed, each.reason) for each in attempts] == [
        (1, False, "handler_failed"),
        (2, False, "handler_failed"),
        (3, True, None),
    ]
    assert isinstance(attempts[0].raised, ConnectionError)
    assert attempts[0].error is not None
    assert attempts[0].error.message == "the line is down"
    assert attempts[2].returned == Payment("paid", "ref-Ada")
    assert attempts[2].arguments["order"] == order
    waits = [(late.began_at - early.began_at) / timedelta(minutes=10) for early, late in pairwise(attempts)]
    assert waits == pytest.approx([1, 2], abs=0.001)
    assert [event.attempt for event in run.events if isinstance(event, TaskRetrying)] == [1, 2]


def test_a_month_of_waiting_and_checks_pass(flow_test: FlowTest) -> None:
    """A sleep of 30 days and checks after it; the clock shows them."""
    run = flow_test.run(nightly, "today")

    assert run.result == {"compute": "report of today"}
    attempts = run.step(compute).attempts
    assert [each.phase for each in attempts] == ["run", "check", "check", "check"]
    assert [each.completed for each in attempts] == [False, False, False, True]
    passed = flow_test.now - datetime(2026, 1, 1, tzinfo=UTC)
    assert timedelta(days=30, minutes=15) <= passed < timedelta(days=30, minutes=16)
    run.assert_ran_once(compute)


def test_events_logs_annotations_and_tasks_are_there(flow_test: FlowTest) -> None:
    """Everything that is kept of a run, in order."""
    run = flow_test.run(fulfil, order, resources={"payments": FakePayments()})

    assert run.events[-1] == RunCompleted()
    assert [each.step for each in run.events if isinstance(each, StepCompleted)] == ["reserve", "charge", "ship"]
    assert [(each.message, each.fields) for each in run.logs] == [("charging", {"customer": "Ada"})]
    assert run.annotations == {"customer": "Ada"}
    assert [(each.step, each.element, each.status, each.attempts) for each in run.tasks] == [
        ("reserve", 0, "completed", 1),
        ("reserve", 1, "completed", 1),
        ("charge", 0, "completed", 1),
        ("ship", 0, "completed", 1),
    ]
    assert list(run.steps) == ["reserve", "charge", "ship"]
    assert run.steps["reserve"].elements == 2
    assert [event.type for event in flow_test.events] == [event.type for event in run.events]
    assert run.details.run.id == run.id


def test_a_failed_run_says_why(flow_test: FlowTest) -> None:
    """A view of a run that failed shows the error, and what is not there is refused with the reason."""
    run = flow_test.run(fulfil, order, resources={"payments": FakePayments(failures=3)})

    assert (run.status, run.reason) == ("failed", "handler_failed")
    assert run.error is not None
    assert run.error.type == "ConnectionError"
    assert "failed (handler_failed): ConnectionError: the line is down" in repr(run)
    assert run.step(ship).status == "cancelled"
    with pytest.raises(RunDidNotComplete):
        _ = run.result
    with pytest.raises(NoOutput, match="step 'charge' is failed"):
        run.output(charge)
    with pytest.raises(NoOutput):
        _ = run.step(ship).output


def test_a_skipped_step_has_no_output(flow_test: FlowTest) -> None:
    """Its status and reason say so."""
    run = flow_test.run(fulfil, order, stub={charge: Payment("declined")})

    assert run.status == "completed"
    assert (run.step("ship").status, run.step("ship").reason) == ("skipped", "condition_unmet")
    with pytest.raises(NoOutput, match="skipped"):
        run.output(ship)


def test_what_is_no_flow_is_refused(flow_test: FlowTest) -> None:
    """By all that takes one, with what was found: a step is not run by itself."""
    takers: list[Any] = [flow_test.run, flow_test.start, flow_test.use, flow_test.runs]
    takers += [partial(flow_test.stub, stub={charge: 1}), partial(flow_test.schedule, cron="@daily")]
    for take in takers:
        with pytest.raises(NotAFlow, match=r"expected a Flow, found 'charge', a function.*in a run of its flow"):
            take(charge)
    with pytest.raises(NotAFlow, match="found 'ship', a Step"):
        takers[0](fulfil.steps["ship"])


def test_a_step_that_is_not_over_has_no_output_yet(flow_test: FlowTest) -> None:
    """It is said how the run goes on."""
    run = flow_test.start(nightly, "today")

    with pytest.raises(NoOutput, match=r"step 'compute' is created and has no output yet; run\.wait\(\) lets"):
        run.output(compute)
    with pytest.raises(NotEndedInTime, match=r"has not ended; run\.wait\(\) lets it go on to its end:"):
        _ = run.result


def test_a_name_that_no_step_has_is_answered_with_the_nearest(flow_test: FlowTest) -> None:
    """Wherever a step is named."""
    run = flow_test.run(fulfil, order, resources={"payments": FakePayments()})

    with pytest.raises(FlowDefinitionError, match="did you mean 'charge'"):
        run.step("chrage")
    with pytest.raises(FlowDefinitionError, match="did you mean 'ship'"):
        run.assert_ran_once("shop")


def test_a_step_that_did_not_run_once_is_convicted(flow_test: FlowTest) -> None:
    """Skipped, failed or rerun: the assertion fails and lists the attempts."""
    skipped = flow_test.run(fulfil, order, stub={charge: Payment("declined")})
    rerun = flow_test.run(fulfil, order, resources={"payments": FakePayments()})
    assert rerun.ran_once(charge)
    rerun.assert_ran_once(reserve)

    rerun.rerun(charge)

    assert rerun.status == "completed"
    with pytest.raises(AssertionError, match="never called"):
        skipped.assert_ran_once(ship)
    with pytest.raises(AssertionError, match=r"(?s)generation 1.*completed.*generation 2.*completed"):
        rerun.assert_ran_once(charge)
    assert not rerun.ran_once(charge)
    rerun.assert_ran_once(reserve)


def test_virtual_time_may_be_limited(flow_test: FlowTest) -> None:
    """A run that needs longer is reported with what it waits for, and can go on."""
    with pytest.raises(NotEndedInTime, match="sleeps, and wakes in 29 days") as caught:
        flow_test.run(nightly, "today", timeout=timedelta(days=1))

    (run,) = flow_test.runs(nightly)
    assert (caught.value.run_id, caught.value.waited_s) == (run.id, 86400)
    with pytest.raises(NotEndedInTime):
        _ = run.result
    assert run.wait().status == "completed"


def test_a_timeout_strikes_in_virtual_time(flow_test: FlowTest) -> None:
    """A handler that waits for what never comes is stopped after a minute that nobody waits for."""
    flow: Flow[None] = Flow("stuck", version=1, input=type(None), max_attempts=1)

    @flow.step
    async def waits() -> None:
        await asyncio.Event().wait()

    run = flow_test.run(flow)

    assert (run.status, run.reason) == ("failed", "timed_out")
    assert flow_test.now - datetime(2026, 1, 1, tzinfo=UTC) < timedelta(minutes=2)


def test_the_same_key_is_the_same_run(flow_test: FlowTest) -> None:
    """It keeps what it was arranged with; config and annotations go with the start."""
    first = flow_test.run(fulfil, order, key="a", stub={charge: Payment("paid", "1")}, annotations={"of": "a test"})
    again = flow_test.run(fulfil, order, key="a", stub={charge: Payment("paid", "2")})

    assert (again.id, again.created, first.created) == (first.id, False, True)
    assert again.output(charge) == Payment("paid", "1")
    assert first.annotations == {"of": "a test"}


def test_config_is_passed_on(flow_test: FlowTest) -> None:
    """As for any start."""

    @frozen
    class Settings:
        dpi: int = 100

    flow: Flow[Any] = Flow("configured", version=1)

    @flow.step
    def scan(input: str, config: Settings) -> int:
        return config.dpi

    run = flow_test.run(flow, "page", config={"scan": {"dpi": 300}})

    assert run.output(scan) == 300


def test_a_handle_that_waits_in_virtual_time(flow_test: FlowTest) -> None:
    """`call` is the way to everything that the kernel can do."""
    flow_test.use(nightly)
    handle = flow_test.call(flow_test.kernel.start(nightly, "today"))

    with pytest.raises(WaitTimeout):
        flow_test.call(handle.wait(timeout=60))

    assert flow_test.call(flow_test.kernel.doctor()).healthy


def test_what_is_read_is_typed(flow_test: FlowTest) -> None:
    """As the handlers are annotated, without what they suspend with."""
    run = flow_test.run(fulfil, order, stub={charge: Payment("paid", "r")})
    waited = flow_test.run(nightly, "today")

    assert_type(run.output(charge), Payment)
    assert_type(run.outputs(reserve), list[str | None])
    assert_type(run.step(charge).output, Payment)
    assert_type(waited.output(compute), str)
    assert_type(run.output(fulfil.steps["charge"]), Any)
    assert run.output(fulfil.steps["charge"]) == run.output("charge") == Payment("paid", "r")


def test_a_run_is_read_again_when_something_may_have_happened(flow_test: FlowTest) -> None:
    """Two views of one run agree, whichever of them was used."""
    run = flow_test.start(nightly, "today")
    flow_test.run_until_idle()
    (same,) = flow_test.runs()
    assert (run.status, same.status) == ("running", "running")

    same.cancel()

    assert (run.status, same.status) == ("cancelled", "cancelled")
