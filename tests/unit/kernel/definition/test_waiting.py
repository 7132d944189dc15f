"""Signals, sleeps and suspending steps: what is compiled of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import frozen

from fairlead.kernel import Context, Flow, InvalidArgument, Resource, Suspend
from fairlead.kernel.definition import STATE
from fairlead.kernel.plan import INPUT, Consequence, Plan, StepKind, ValuePath
from fairlead.kernel.schema import ANY
from tests.support.bindings import binding_of


@frozen
class Mail:
    text: str
    send_at: datetime


@frozen
class Approval:
    approved: bool


@frozen
class Batch:
    job_id: str


@frozen
class Report:
    lines: int


class Service: ...


def new_flow() -> Flow[Mail]:
    return Flow("send", version=1, input=Mail, input_name="mail")


def sealed(flow: Flow[Any]) -> Plan:
    flow.seal()
    return flow.plan


def test_a_signal_is_a_step_without_a_handler() -> None:
    """It gives what it carries, stands wherever a step is named, and says how long it is waited for."""
    flow = new_flow()

    @flow.step
    def draft(mail: Mail) -> str:
        return mail.text

    approval = flow.signal("approval", Approval, after=[draft], timeout=timedelta(days=3), on_timeout="skip_cascade")
    flow.signal("go", None, when={"draft": "x"}, on_unmet="fail", requires=["draft"])

    @flow.step(requires=[approval])
    def send(approval: Approval) -> None: ...

    plan = sealed(flow)
    waiting = plan.steps["approval"]
    assert (waiting.kind, waiting.dependencies, waiting.wait_s) == (StepKind.SIGNAL, ("draft",), 3 * 86_400.0)
    assert waiting.on_timeout is Consequence.SKIP_CASCADE
    assert (plan.steps["go"].wait_s, plan.steps["go"].on_timeout) == (None, Consequence.FAIL)
    assert plan.steps["go"].on_unmet is Consequence.FAIL
    assert plan.steps["send"].requires == ("approval",)
    assert flow.step_named(approval) is approval is flow.steps["approval"]
    assert (approval.binding, approval.bindings, approval.check) == (None, (), None)
    assert (approval.output.name, approval.produced.name) == ("Approval", "Approval")


def test_a_sleep_lasts_for_a_time_or_until_one() -> None:
    """Its end is a duration, or a time in the input or in an output, on which it then depends."""
    flow = new_flow()

    @flow.step
    def plan_it(mail: Mail) -> datetime | None: ...

    first = flow.sleep("first", timedelta(hours=2))
    flow.sleep("second", 0.5, after=[first])
    flow.sleep("third", until="mail.send_at")
    flow.sleep("fourth", until=plan_it)
    flow.sleep("fifth", until="plan_it", unless={"mail": {"text": ""}})

    plan = sealed(flow)
    ends = {slug: (step.wait_s, step.until) for slug, step in plan.steps.items() if step.kind is StepKind.SLEEP}
    planned = ValuePath(name="plan_it")
    assert ends == {
        "first": (7200.0, None),
        "second": (0.5, None),
        "third": (None, ValuePath(name=INPUT, path=("send_at",))),
        "fourth": (None, planned),
        "fifth": (None, planned),
    }
    assert {slug: plan.steps[slug].dependencies for slug in ("second", "third", "fourth")} == {
        "second": ("first",),
        "third": (),
        "fourth": ("plan_it",),
    }
    assert (plan.questions["plan_it"].times, first.output.name) == ((planned,), "None")


def test_a_step_that_may_suspend() -> None:
    """Its output is the annotation without `Suspend`; its check sees the state and what the step depends on."""
    flow = new_flow()

    @flow.step
    def draft(mail: Mail) -> str:
        return mail.text

    @flow.step(after=[draft])
    async def compute(mail: Mail, service: Resource[Service]) -> Report | Suspend[Batch] | None:
        return None

    @flow.check(compute)
    def is_ready(state: Batch, mail: Mail, draft: str, ctx: Context, service: Resource[Service]) -> Report:
        return Report(len(draft))

    sealed(flow)
    step = flow.steps["compute"]
    assert (step.output.name, step.state_schema.name, step.suspends) == ("Report | None", "Batch", True)
    assert step.check is not None
    assert (step.check.name, step.check.binding.is_async, step.check.streamed) == ("is_ready", False, None)
    assert (binding_of(flow, "compute").is_async, step.check.binding.contexts) == (True, ("ctx",))
    assert step.check.binding.sources == {STATE, INPUT, "draft"}
    assert step.check.binding.resources == {"service": Service}
    assert step.dependencies == ("draft",)
    assert step.encode_state(Batch("7")) == b'{"job_id":"7"}'
    assert not flow.steps["draft"].suspends


def test_an_unannotated_step_may_have_a_check_or_none() -> None:
    """What it keeps is what its check says; nothing demands a check where nothing says that the step suspends."""
    flow = new_flow()
    for slug in ("plain", "compute", "other"):
        flow.step(lambda: 1, slug=slug)

    @flow.check("compute")
    def is_ready(state: Batch): ...  # type: ignore[no-untyped-def]

    flow.check(flow.steps["other"])(lambda: 1)

    sealed(flow)
    assert [step.suspends for step in flow.steps.values()] == [False, True, True]
    assert flow.steps["compute"].state_schema.annotation is Batch
    assert flow.steps["other"].state_schema is ANY
    check = flow.steps["other"].check
    assert check is not None
    assert check.name == "check of other"


def test_a_run_has_a_time_limit_where_its_flow_says_so() -> None:
    """It is compiled into the plan, and is no option of the steps."""
    flow: Flow[Any] = Flow("send", version=1, run_timeout=timedelta(days=1), timeout=5)
    flow.step(lambda: 1, slug="first")

    assert (sealed(flow).run_timeout_s, flow.plan.steps["first"].timeout_s) == (86_400.0, 5.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"check_after": -1}, "check_after must be at least 0 s, not -1"),
        ({"check_after": "5 s"}, "check_after must be a timedelta or a number of seconds, not '5 s'"),
        (
            {"check_after": 1, "give_up_after": float("inf")},
            "give_up_after must be a finite number of seconds, not inf",
        ),
    ],
)
def test_a_suspension_that_says_no_durations(arguments: Any, message: str) -> None:
    """The handler that makes it is told which one, and what it must be."""
    with pytest.raises(InvalidArgument) as raised:
        Suspend(state=None, **arguments)

    assert message == str(raised.value)


def test_a_suspension_tells_its_durations_in_seconds() -> None:
    """Whatever they were given as; two that say the same are equal."""
    given = Suspend(state=Batch("7"), check_after=timedelta(minutes=5), give_up_after=60)

    assert (given.check_after_s, given.give_up_after_s) == (300.0, 60.0)
    assert Suspend(state=1, check_after=1).give_up_after_s is None
    assert given == Suspend(state=Batch("7"), check_after=timedelta(minutes=5), give_up_after=60)
