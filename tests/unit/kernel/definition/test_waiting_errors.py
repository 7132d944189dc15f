"""Signals, sleeps and checks that are written down wrongly: what is said, and that nothing of them is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, cast

import msgspec
import pytest
from attrs import frozen

from fairlead.kernel import Flow, FlowDefinitionError, Suspend
from tests.support.wrong_steps import named


@frozen
class Order:
    customer: str
    lines: list[str]
    due: datetime
    local: Annotated[datetime, msgspec.Meta(tz=False)]
    day: date
    maybe: datetime | None = None


@frozen
class Approval:
    approved: bool


@frozen
class Batch:
    job_id: str


@frozen
class Parcel:
    number: int


@frozen
class Report:
    lines: int


@frozen
class Settings:
    dpi: int = 300


@frozen
class OtherSettings:
    language: str = "en"


def new_flow() -> Any:
    """Return a flow of which anything can be tried, whose step `compute` suspends and has no check yet."""
    flow = Flow("fulfil", version=1, input=Order, input_name="order")

    @flow.step
    def assess(order: Order) -> Approval | None: ...

    @flow.map(over="order.lines")
    def reserve(item: str) -> Parcel:
        return Parcel(len(item))

    @flow.step(after=[assess])
    def compute(order: Order, config: Settings) -> Report | Suspend[Batch]:
        return Report(1)

    flow.signal("approval", Approval)
    return flow


def a_slug_that_is_no_name(flow: Any) -> None:
    flow.signal("the approval", Approval)


def a_slug_that_is_no_text(flow: Any) -> None:
    flow.sleep(timedelta(hours=1))


def a_reserved_slug(flow: Any) -> None:
    flow.sleep("state", 1)


def the_name_of_the_input(flow: Any) -> None:
    flow.signal("order", Approval)


def a_second_step_of_that_name(flow: Any) -> None:
    flow.signal("assess", Approval)


def a_type_by_name(flow: Any) -> None:
    flow.signal("wait", "Approval")


def a_type_that_is_none(flow: Any) -> None:
    flow.signal("wait", 3)


def a_type_that_is_no_value(flow: Any) -> None:
    flow.signal("wait", Suspend[Batch])


def a_type_of_functions(flow: Any) -> None:
    flow.signal("wait", Callable[[], None])


def a_negative_timeout(flow: Any) -> None:
    flow.signal("wait", Approval, timeout=-1)


def no_timeout_at_all(flow: Any) -> None:
    flow.signal("wait", Approval, timeout=0)


def a_timeout_that_is_a_truth(flow: Any) -> None:
    flow.signal("wait", Approval, timeout=True)


def a_timeout_that_is_no_number(flow: Any) -> None:
    flow.signal("wait", Approval, timeout=float("nan"))


def a_consequence_that_is_none(flow: Any) -> None:
    flow.signal("wait", Approval, timeout=1, on_timeout="ignore")


def a_consequence_without_a_timeout(flow: Any) -> None:
    flow.signal("wait", Approval, on_timeout="skip")


def an_option_of_handlers(flow: Any) -> None:
    flow.signal("wait", Approval, max_attempts=3)


def an_option_of_maps(flow: Any) -> None:
    flow.sleep("wait", 1, max_concurrency=3)


def a_misspelt_option(flow: Any) -> None:
    flow.signal("wait", Approval, time_out=3)


def a_slug_twice(flow: Any) -> None:
    flow.signal("wait", Approval, slug="other")


def an_option_of_signals_on_a_sleep(flow: Any) -> None:
    flow.sleep("wait", 1, timeout=3)


def an_option_of_signals_on_a_step(flow: Any) -> None:
    flow.step(lambda: 1, slug="wait", on_timeout="skip")


def an_option_of_flows_on_a_step(flow: Any) -> None:
    flow.step(lambda: 1, slug="wait", run_timeout=3)


def on_unmet_without_a_condition(flow: Any) -> None:
    flow.signal("wait", Approval, on_unmet="fail")


def an_unknown_dependency(flow: Any) -> None:
    flow.signal("wait", Approval, after=["asess"])


def a_dependency_on_itself(flow: Any) -> None:
    flow.sleep("wait", 1, requires=["wait"])


def a_condition_that_is_never_met(flow: Any) -> None:
    flow.signal("wait", Approval, when={"assess": {"aproved": True}})


def no_end(flow: Any) -> None:
    flow.sleep("wait")


def two_ends(flow: Any) -> None:
    flow.sleep("wait", 1, until="order.due")


def a_duration_that_is_none(flow: Any) -> None:
    flow.sleep("wait", "1h")


def a_duration_that_is_a_truth(flow: Any) -> None:
    flow.sleep("wait", True)


def a_duration_beyond_all_bounds(flow: Any) -> None:
    flow.sleep("wait", timedelta(days=3651))


def a_negative_duration(flow: Any) -> None:
    flow.sleep("wait", timedelta(seconds=-1))


def a_duration_without_end(flow: Any) -> None:
    flow.sleep("wait", float("inf"))


def an_end_that_is_a_time(flow: Any) -> None:
    flow.sleep("wait", until=datetime(2030, 1, 1))


def an_end_that_is_not_there(flow: Any) -> None:
    flow.sleep("wait", until="order.du")


def an_end_in_something_unknown(flow: Any) -> None:
    flow.sleep("wait", until="oder.due")


def an_end_that_is_no_path(flow: Any) -> None:
    flow.sleep("wait", until="order..due")


def an_end_that_is_a_day(flow: Any) -> None:
    flow.sleep("wait", until="order.day")


def an_end_that_is_text(flow: Any) -> None:
    flow.sleep("wait", until="order.customer")


def an_end_without_an_offset(flow: Any) -> None:
    flow.sleep("wait", until="order.local")


def an_end_in_a_map(flow: Any) -> None:
    flow.sleep("wait", until="reserve")


def an_end_that_is_its_own(flow: Any) -> None:
    flow.sleep("wait", until="wait")


WRONG_WAITS = {
    a_slug_that_is_no_name: (
        None,
        "step slug 'the approval' must consist of letters, digits and underscores, not beginning with a digit; name it "
        "otherwise",
    ),
    a_slug_that_is_no_text: (
        None,
        "step slug datetime.timedelta(seconds=3600) must be a str, not timedelta; name it otherwise",
    ),
    a_reserved_slug: (
        None,
        "step slug 'state' is reserved (as are input, config, ctx, item, index, run); name it otherwise",
    ),
    the_name_of_the_input: (None, "step slug 'order' is the name of the flow's input; name it otherwise"),
    a_second_step_of_that_name: ("assess", "there are two steps 'assess'; name this one otherwise"),
    a_type_by_name: ("wait", "pass the type of what the signal carries itself, not its name 'Approval'"),
    a_type_that_is_none: ("wait", "the type of what the signal carries: 3: Type '3' is not supported"),
    a_type_that_is_no_value: (
        "wait",
        "the type of what the signal carries: Suspend[…] is what a step returns, not a value that is "
        "carried; write what "
        "stands in it",
    ),
    a_slug_twice: (
        "wait",
        "unknown option 'slug'; known: 'on_unmet', 'timeout', 'on_timeout', 'after', 'requires', 'when', 'unless'",
    ),
    a_type_of_functions: (
        "wait",
        "the type of what the signal carries: Callable[[], None]: at $: JSON cannot carry Callable; "
        "pass data, not code",
    ),
    a_negative_timeout: ("wait", "option 'timeout' must be at least 0 s, not -1 s"),
    no_timeout_at_all: ("wait", "option 'timeout' must be more than 0 s, not 0 s"),
    a_timeout_that_is_a_truth: ("wait", "option 'timeout' must be a timedelta or a number of seconds, not True"),
    a_timeout_that_is_no_number: ("wait", "option 'timeout' must be a finite number of seconds, not nan"),
    a_duration_that_is_a_truth: ("wait", "the duration must be a timedelta or a number of seconds, not True"),
    a_duration_beyond_all_bounds: ("wait", "the duration must be at most 3650 days, not 3.15446e+08 s"),
    a_consequence_that_is_none: (
        "wait",
        "option 'on_timeout' must be 'fail', 'skip' or 'skip_cascade', not 'ignore'",
    ),
    a_consequence_without_a_timeout: (
        "wait",
        "option 'on_timeout' says what follows where the signal is late, but it has no timeout",
    ),
    an_option_of_handlers: (
        "wait",
        "option 'max_attempts' belongs to steps that have a handler, and a signal has none",
    ),
    an_option_of_maps: ("wait", "option 'max_concurrency' belongs to steps that have a handler, and a sleep has none"),
    a_misspelt_option: ("wait", "unknown option 'time_out'; did you mean 'timeout'?"),
    an_option_of_signals_on_a_sleep: (
        "wait",
        "option 'timeout' belongs to steps that have a handler, and a sleep has none",
    ),
    an_option_of_signals_on_a_step: ("wait", "option 'on_timeout' belongs to signals: pass it to flow.signal(…)"),
    an_option_of_flows_on_a_step: ("wait", "option 'run_timeout' belongs to the flow: pass it to Flow(…)"),
    on_unmet_without_a_condition: (
        "wait",
        "option 'on_unmet' says what follows where the step's own condition is unmet, but it has no when or unless",
    ),
    an_unknown_dependency: ("wait", "after: there is no earlier step 'asess'; did you mean 'assess'?"),
    a_dependency_on_itself: (
        "wait",
        "requires: 'wait' is the step itself; a step may only refer to earlier ones",
    ),
    a_condition_that_is_never_met: (
        "wait",
        "when: the pattern for 'assess' can never be met, at $.aproved: Approval has no 'aproved'; did you mean "
        "'approved'?",
    ),
    no_end: (
        "wait",
        "a sleep needs either its duration or until=…, and has neither; write it like "
        "flow.sleep('wait', timedelta(hours=1)) or flow.sleep('wait', until='plan.send_at')",
    ),
    two_ends: (
        "wait",
        "a sleep needs either its duration or until=…, and has both; write it like "
        "flow.sleep('wait', timedelta(hours=1)) or flow.sleep('wait', until='plan.send_at')",
    ),
    a_duration_that_is_none: ("wait", "the duration must be a timedelta or a number of seconds, not '1h'"),
    a_negative_duration: ("wait", "the duration must be at least 0 s, not -1 s"),
    a_duration_without_end: ("wait", "the duration must be a finite number of seconds, not inf"),
    an_end_that_is_a_time: (
        "wait",
        "until: name a step by its function or slug, not by datetime.datetime(2030, 1, 1, 0, 0)",
    ),
    an_end_that_is_not_there: ("wait", "until: order is Order, which has no 'du'; did you mean 'due'?"),
    an_end_in_something_unknown: (
        "wait",
        "until: 'oder' is neither the input nor an earlier step; did you mean 'order'?",
    ),
    an_end_that_is_no_path: ("wait", "until: 'order..due' is no dotted path; write it like 'plan.send_at'"),
    an_end_that_is_a_day: ("wait", "until: order.day is date, not a datetime"),
    an_end_that_is_text: ("wait", "until: order.customer is str, not a datetime"),
    an_end_without_an_offset: (
        "wait",
        "until: order.local is a datetime without its offset from UTC, which is another time in every time zone; let "
        "it have one",
    ),
    an_end_in_a_map: ("wait", "until: reserve is list[Parcel], not a datetime"),
    an_end_that_is_its_own: ("wait", "until: 'wait' is the step itself; a step may only refer to earlier ones"),
}


@pytest.mark.parametrize(("define", "wrong"), WRONG_WAITS.items(), ids=named)
def test_a_wrong_wait(define: Callable[[Any], None], wrong: tuple[str | None, str]) -> None:
    """The error names flow and step, says what is wrong and what to do, and no step is left behind."""
    step, message = wrong
    flow = new_flow()
    before = list(flow.steps)

    with pytest.raises(FlowDefinitionError) as raised:
        define(flow)

    place = "flow 'fulfil'" if step is None else f"flow 'fulfil', step {step!r}"
    assert f"{place}: {message}" == str(raised.value)
    assert raised.value.step == step
    assert list(flow.steps) == before


def test_a_time_that_may_be_missing_may_end_a_sleep() -> None:
    """None ends it at once; of untyped data it is known only when it is there."""
    flow = new_flow()
    flow.step(lambda: None, slug="untyped")

    flow.sleep("maybe", until="order.maybe")
    flow.sleep("anything", until="untyped.plan.send_at")
    flow.sleep("itself", until="untyped")

    assert list(flow.steps)[-3:] == ["maybe", "anything", "itself"]


def test_an_end_in_an_input_whose_type_comes_later() -> None:
    """What the annotations say of the input is compared with the sleep when the flow is sealed."""
    flow: Flow[Any] = Flow("fulfil", version=1)
    flow.sleep("wait", until="input.customer")
    flow.step(lambda: 1, slug="first")

    def last(input: Order) -> None: ...

    flow.step(last)
    with pytest.raises(FlowDefinitionError) as raised:
        flow.seal()

    assert str(raised.value) == "flow 'fulfil', step 'wait': until: input.customer is str, not a datetime"


def a_check_of_a_map(flow: Any) -> None:
    flow.check("reserve")(lambda: 1)


def a_check_of_a_signal(flow: Any) -> None:
    flow.check("approval")(lambda: 1)


def a_check_of_a_step_that_never_suspends(flow: Any) -> None:
    flow.check("assess")(lambda: 1)


def a_class(flow: Any) -> None:
    flow.check("compute")(Batch)


def a_generator(flow: Flow[Any]) -> None:
    @flow.check("compute")
    async def is_ready(state: Batch) -> AsyncIterator[int]:
        yield 1


def stars(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(*args: Batch) -> Report:
        return Report(1)


def an_unknown_name(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(stat: Batch) -> Report:
        return Report(1)


def the_output_of_its_step(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(compute: Report) -> Report:
        return compute


def a_step_that_its_step_does_not_wait_for(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Batch, reserve: list[Parcel]) -> Report:
        return Report(len(reserve))


def an_element(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(item: str) -> Report:
        return Report(1)


def what_may_be_none(flow: Flow[Any]) -> None:
    flow.signal("late", Approval, timeout=1, on_timeout="skip")

    @flow.step(slug="other")
    def other(late: Approval | None) -> Report | Suspend[Batch]:
        return Report(1)

    @flow.check("other")
    def is_ready(late: Approval) -> Report:
        return Report(1)


def another_state(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Parcel) -> Report:
        return Report(1)


def the_suspension_for_its_state(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Suspend[Batch]) -> Report:
        return Report(1)


def another_state_next_time(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Batch) -> Report | Suspend[Parcel]:
        return Report(1)


def another_output(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Batch) -> Parcel:
        return Parcel(1)


def an_output_that_may_be_none(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Batch) -> Report | Suspend[Batch] | None: ...


def other_settings(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Batch, config: OtherSettings) -> Report:
        return Report(1)


def settings_that_are_none(flow: Flow[Any]) -> None:
    @flow.check("compute")
    def is_ready(state: Batch, config: int) -> Report:
        return Report(1)


WRONG_CHECKS = {
    a_check_of_a_map: (
        "reserve",
        "check: a map has no check, since its tasks cannot suspend; let a step suspend",
    ),
    a_check_of_a_signal: (
        "approval",
        "check: a signal has no check, since it has no handler that could suspend",
    ),
    a_check_of_a_step_that_never_suspends: (
        "assess",
        "check: its handler never suspends; let it say so, as in Approval | None | Suspend[…], or leave the check out",
    ),
    a_class: ("compute", "check 'Batch': Batch is a class; decorate a function, or pass an instance's method"),
    a_generator: (
        "compute",
        "check 'is_ready': the handler is a generator (it contains `yield`), which runs only while "
        "somebody goes through it; put "
        "the `yield` into an inner function, return what calling that gives, and annotate AsyncIterable[…]",
    ),
    stars: (
        "compute",
        "check 'is_ready': parameter '*args' cannot be bound by name; name every parameter (a "
        "decorator without functools.wraps?)",
    ),
    an_unknown_name: (
        "compute",
        "check 'is_ready': parameter 'stat' names neither an earlier step nor anything else that a check can ask for; "
        "did you mean 'state'? (what the app provides is marked Resource[…])",
    ),
    the_output_of_its_step: (
        "compute",
        "check 'is_ready': parameter 'compute' names the step that it checks, which has no output yet; what it keeps "
        "is `state`",
    ),
    a_step_that_its_step_does_not_wait_for: (
        "compute",
        "check 'is_ready': parameter 'reserve' names a step on which 'compute' does not depend, so that it may not be "
        "there yet; let 'compute' ask for it, or come after=[reserve]",
    ),
    an_element: (
        "compute",
        "check 'is_ready': parameter 'item' belongs to maps: use @flow.map(over=…), or rename it",
    ),
    what_may_be_none: (
        "other",
        "check 'is_ready': parameter 'late' is Approval, but step 'late' may be skipped (it says on_timeout='skip') "
        "and is None then; write Approval | None, give it a default, or skip this step too with requires=[late]",
    ),
    another_state: (
        "compute",
        "check 'is_ready': parameter 'state' is Parcel, but what step 'compute' keeps is Batch: "
        "$.number: the required field is missing in Batch",
    ),
    the_suspension_for_its_state: (
        "compute",
        "check 'is_ready': parameter 'state' is Suspend[Batch], but receives what stands in it: write Batch",
    ),
    another_state_next_time: (
        "compute",
        "check 'is_ready': it suspends with Parcel, but the step keeps Batch: "
        "$.job_id: the required field is missing in Parcel",
    ),
    another_output: (
        "compute",
        "check 'is_ready': the return value is Parcel, but the step gives Report: "
        "$.lines: the required field is missing in Parcel",
    ),
    an_output_that_may_be_none: (
        "compute",
        "check 'is_ready': the return value may be None, but the step gives Report; return Suspend(…) while there is "
        "nothing yet, or let the step give None too",
    ),
    other_settings: (
        "compute",
        "check 'is_ready': parameter 'config' is OtherSettings, but the step's own settings are Settings; they are the "
        "same, so annotate them alike",
    ),
    settings_that_are_none: (
        "compute",
        "check 'is_ready': parameter 'config' must be annotated with a class of named fields (attrs, dataclass, "
        "TypedDict, msgspec, pydantic), not int",
    ),
}


@pytest.mark.parametrize(("define", "wrong"), WRONG_CHECKS.items(), ids=named)
def test_a_wrong_check(define: Callable[[Any], None], wrong: tuple[str, str]) -> None:
    """The error names flow, step and check; the step has no check then, and can still get one."""
    step, message = wrong
    flow: Flow[Any] = new_flow()

    with pytest.raises(FlowDefinitionError) as raised:
        define(flow)

    assert f"flow 'fulfil', step {step!r}: {message}" == str(raised.value)
    assert (raised.value.step, flow.steps[step].check) == (step, None)

    @flow.check("compute")
    def is_ready(state: Batch) -> Report:
        return Report(1)

    assert flow.steps["compute"].state_schema.annotation is Batch
    check = flow.steps["compute"].check
    assert check is not None
    assert check.name == "is_ready"


def test_what_a_check_may_name() -> None:
    """Its own function is no step, its step is known before it is decorated, and a step has one."""
    flow: Flow[Any] = new_flow()

    @flow.check("compute")
    def is_ready(state: Batch) -> Report:
        return Report(1)

    with pytest.raises(FlowDefinitionError) as raised:
        flow.check(is_ready)
    assert (
        str(raised.value) == "flow 'fulfil': check: function 'is_ready' is the check of step 'compute'; name that step"
    )
    with pytest.raises(
        FlowDefinitionError, match=r"^flow 'fulfil': check: there is no earlier step 'comptue'; did you"
    ):
        flow.check("comptue")
    with pytest.raises(FlowDefinitionError, match=r"^flow 'fulfil': check: function 'named' is no step of this flow"):
        flow.check(named)
    with pytest.raises(
        FlowDefinitionError, match=r"^flow 'fulfil', step 'late': after: function 'is_ready' is the chec"
    ):
        flow.sleep("late", 1, after=[is_ready])
    with pytest.raises(FlowDefinitionError) as raised:
        flow.check("compute")(lambda: 1)
    assert str(raised.value) == (
        "flow 'fulfil', step 'compute': check: there is one already, 'is_ready'; a step has one check"
    )


def test_a_step_that_says_it_may_suspend_needs_a_check() -> None:
    """It is missed when the flow is sealed: a check stands behind its step."""
    with pytest.raises(FlowDefinitionError) as raised:
        new_flow().seal()

    assert str(raised.value) == (
        "flow 'fulfil', step 'compute': it may return Suspend, but has no check; write one below @flow.check(compute), "
        "or leave Suspend out"
    )


def only_suspends(order: Order) -> Suspend[Batch]:
    return Suspend(state=Batch(""), check_after=1)


def suspends_inside(order: Order) -> list[Suspend[Batch]]:
    return []


def suspends_inside_a_side(order: Order) -> Report | list[Suspend[Batch]]:
    return []


def keeps_functions(order: Order) -> Report | Suspend[Callable[[], None]]:
    return Report(1)


WRONG_RETURNS = {
    only_suspends: "the return value is Suspend[Batch] alone; say what its check gives in the end, as in "
    "Report | Suspend[Batch], or None | Suspend[Batch] where that is nothing",
    suspends_inside: "the return value: Suspend[…] must be one side of the union, as in Report | Suspend[Batch]",
    suspends_inside_a_side: "the return value: Suspend[…] must be one side of the union, as in Report | Suspend[Batch]",
    keeps_functions: "the state in the return value: Callable[[], None]: at $: JSON cannot carry "
    "Callable; pass data, not code",
}


@pytest.mark.parametrize(("handler", "message"), WRONG_RETURNS.items(), ids=named)
def test_a_wrong_return_annotation(handler: Callable[..., object], message: str) -> None:
    """What may be returned beside `Suspend` is known, and what is kept is JSON."""
    flow = new_flow()
    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(handler)

    assert f"flow 'fulfil', step {handler.__name__!r}: {message}" == str(raised.value)


def test_what_else_cannot_suspend() -> None:
    """A map's tasks cannot, and outside of checks there is no state."""
    flow = new_flow()

    def each(item: str) -> Report | Suspend[Batch]:
        return Report(1)

    def kept(state: Batch) -> Report:
        return Report(1)

    with pytest.raises(FlowDefinitionError) as raised:
        flow.map(each, over="order.lines")
    assert str(raised.value) == (
        "flow 'fulfil', step 'each': the return value: the tasks of a map cannot suspend; let a step "
        "suspend, or a flow "
        "of its own"
    )
    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(kept)
    assert str(raised.value) == (
        "flow 'fulfil', step 'kept': parameter 'state' is what a suspended step keeps for its check: use "
        "@flow.check(…), or rename it"
    )


def test_a_sealed_flow_takes_no_more() -> None:
    """Neither signals nor sleeps nor checks, each of which is told."""
    flow = new_flow()
    flow.check("compute")(lambda: Report(1))
    flow.seal()
    sealed = "the flow is sealed: a kernel has taken it; define all steps before the kernel is made"

    for define in (
        lambda: flow.signal("late", Approval),
        lambda: flow.sleep("late", 1),
        lambda: flow.check("assess"),
    ):
        with pytest.raises(FlowDefinitionError) as raised:
            cast("Callable[[], object]", define)()
        assert str(raised.value).endswith(sealed)


def a_step(approval: Literal["yes"]) -> None: ...


def a_reducer(nap: Iterable[str]) -> None: ...


def test_what_dependents_make_of_a_wait() -> None:
    """A signal's type is compared with what its dependents say; a sleep gives None, and nothing else."""
    flow = new_flow()
    flow.sleep("nap", 1)

    with pytest.raises(
        FlowDefinitionError, match=r"parameter 'approval' is Literal\['yes'\], but step 'approval' gives"
    ):
        flow.step(a_step)
    with pytest.raises(FlowDefinitionError, match=r"parameter 'nap' is Iterable\[str\], but step 'nap' gives None"):
        flow.step(a_reducer)
    with pytest.raises(FlowDefinitionError, match=r"over: approval is Approval, not an array"):
        flow.map(lambda: 1, slug="each", over="approval")
