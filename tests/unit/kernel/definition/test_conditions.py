"""Conditions: how `when`, `unless`, `requires` and branches reach the plan, and how wrong ones are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from attrs import frozen

from fairlead.kernel import Branch
from fairlead.kernel.definition import Flow
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.plan import INPUT, Condition, Consequence, Pattern, StepPlan


@frozen
class Line:
    sku: str


@frozen
class Order:
    total: int
    lines: list[Line]


@frozen
class Payment:
    status: Literal["paid", "declined"]


PAID = Pattern("charge", b'{"status":"paid"}')
LARGE = Pattern(INPUT, b'{"total":100}')


def assess(order: Order) -> str:
    return ""


def charge(order: Order) -> Payment:
    return Payment("paid")


def new_flow() -> Any:
    """Return a flow with the steps `assess` and `charge`, untyped, so that anything can be tried."""
    flow: Any = Flow("fulfil", version=1, input=Order, input_name="order")
    flow.step(assess)
    flow.step(charge)
    return flow


def handler() -> None: ...


def planned(flow: Any, slug: str = "handler") -> StepPlan:
    flow.seal()
    plan: StepPlan = flow.plan.steps[slug]
    return plan


def test_a_condition_of_a_step() -> None:
    """Patterns are canonical, named by the canonical input or a slug, and what they ask about is waited for."""
    flow = new_flow()
    flow.step(handler, when={"order": {"total": 100}, "charge": {"status": "paid"}}, unless={"assess": "high"})

    step = planned(flow)

    assert step.condition == Condition(when=(PAID, LARGE), unless=(Pattern("assess", b'"high"'),))
    assert step.dependencies == ("assess", "charge")
    assert (step.branches, step.requires, step.on_unmet) == ((), (), Consequence.SKIP)


def test_the_order_of_names_does_not_matter() -> None:
    """Conditions are equal whatever the order in which they are written."""
    one, other = new_flow(), new_flow()
    one.step(handler, when={"order": {"total": 100}, "charge": {"status": "paid"}})
    other.step(handler, when={"charge": {"status": "paid"}, "order": {"total": 100}})

    assert planned(one).condition == planned(other).condition


def test_a_pattern_written_as_an_instance() -> None:
    """Whatever can be a payload can be a pattern."""
    flow = new_flow()
    flow.step(handler, when={"charge": Payment("paid")})

    assert planned(flow).condition == Condition(when=(PAID,))


def test_required_steps() -> None:
    """They are named by function, slug or step, stand once in order of definition, and are waited for."""
    flow = new_flow()

    def publish() -> None: ...

    flow.step(publish)
    flow.step(handler, requires=[flow.steps["charge"], publish, "assess", "charge"])

    step = planned(flow)

    assert step.requires == step.dependencies == ("assess", "charge", "publish")


def test_consequences() -> None:
    """What is written reaches the plan."""
    flow = new_flow()
    flow.step(handler, unless={"assess": "high"}, on_unmet="fail", on_exhausted="skip_cascade")

    step = planned(flow)

    assert (step.on_unmet, step.on_exhausted) == (Consequence.FAIL, Consequence.SKIP_CASCADE)


def test_a_branch() -> None:
    """Its steps are under its condition and wait for what it asks about; `otherwise` is the exact complement."""
    flow = new_flow()
    good = flow.branch(when={"charge": {"status": "paid"}})
    poor = good.otherwise()
    good.step(handler)
    poor.map(handler, over="order.lines", slug="refuse")
    poor.otherwise().step(handler, slug="again")

    step, refuse, again = planned(flow), planned(flow, "refuse"), planned(flow, "again")

    assert isinstance(good, Branch)
    assert step.branches == again.branches == (Condition(when=(PAID,)),)
    assert refuse.branches == (Condition(when=(PAID,), negated=True),)
    assert (step.condition, refuse.condition) == (None, None)
    assert step.dependencies == refuse.dependencies == ("charge",)


def test_branches_nest() -> None:
    """A step stands in all branches around it, outermost first; `otherwise` is that of the innermost alone."""
    flow = new_flow()
    paid = flow.branch(when={"charge": {"status": "paid"}})
    large = paid.branch(unless={"assess": "low"})
    large.step(handler, when={"order": {"total": 100}})
    large.otherwise().step(handler, slug="small")

    step, small = planned(flow), planned(flow, "small")
    outer, inner = Condition(when=(PAID,)), Condition(unless=(Pattern("assess", b'"low"'),))

    assert step.branches == (outer, inner)
    assert step.condition == Condition(when=(LARGE,))
    assert step.dependencies == ("assess", "charge")
    assert small.branches == (outer, Condition(unless=inner.unless, negated=True))


def test_functions_of_a_branch_stay_what_they_are() -> None:
    """As with those of a flow."""
    flow = new_flow()
    good = flow.branch(when={"charge": {"status": "paid"}})

    assert good.step(handler) is handler
    assert good.step(slug="again", max_attempts=1)(handler) is handler
    assert good.map(over="order.lines", slug="mapped")(handler) is handler


NAMES = "known: 'order', 'assess', 'charge'"

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"when": "paid"}, "when: takes patterns by name, as in when={'charge': {'status': 'paid'}}"),
    ({"when": ["charge"]}, "when: takes patterns by name, as in when={'charge': {'status': 'paid'}}"),
    ({"unless": {}}, "unless: there is no pattern in it; name what it asks about, or leave it out"),
    ({"when": {"chrage": {}}}, "when: 'chrage' is neither the input nor an earlier step; did you mean 'charge'?"),
    ({"unless": {"zzz": {}}}, f"unless: 'zzz' is neither the input nor an earlier step; {NAMES}"),
    ({"when": {handler: {}}}, "when: write the slug of a step or the name of the input, not the function 'handler'"),
    ({"when": {3: {}}}, "when: write the slug of a step or the name of the input, not 3"),
    ({"when": {"handler": {}}}, "when: 'handler' is the step itself; a step may only refer to earlier ones"),
    ({"when": {"input": {}}}, "when: the input of this flow is called 'order'"),
    ({"when": {"charge.status": "paid"}}, "when: 'charge.status' is a path; write {'charge': {'status': …}}"),
    (
        {"when": {"config": {}}},
        "when: 'config' cannot be asked about; settings decide nothing: put what decides into the input, or into a "
        "step's output",
    ),
    (
        {"when": {"item": {}}},
        "when: 'item' cannot be asked about; a condition holds for the whole map, not for one element",
    ),
    (
        {"when": {"ctx": {}}},
        "when: 'ctx' cannot be asked about; the context belongs to an attempt, and a condition is evaluated before "
        "the first",
    ),
    (
        {"when": {"charge": {"status": {1, "a"}, "x": [object()]}}},
        "when: the pattern for 'charge' is not JSON, at $.x[0]: an object is not JSON; use an attrs class, "
        "a dataclass, or plain dicts, lists, strings and numbers",
    ),
    (
        {"when": {"charge": float("nan")}},
        "when: the pattern for 'charge' is not JSON, at $: NaN is not JSON; use None or leave it out",
    ),
    ({"requires": "charge"}, "requires: takes a list of steps, as in requires=[reserve]"),
    ({"requires": ["chrage"]}, "requires: there is no earlier step 'chrage'; did you mean 'charge'?"),
    ({"requires": [handler]}, "requires: 'handler' is the step itself; a step may only refer to earlier ones"),
    ({"requires": ["order"]}, "requires: 'order' is the input, not a step; it is there from the beginning"),
    (
        {"on_unmet": "skip"},
        "option 'on_unmet' says what follows where the step's own condition is unmet, but it has no when or unless",
    ),
    ({"whne": {}}, "unknown option 'whne'; did you mean 'when'?"),
    (
        {"tolerate_failures": 1},
        "option 'tolerate_failures' belongs to maps: use @flow.map(over=…, tolerate_failures=…), or leave it out",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_condition(arguments: dict[str, Any], message: str) -> None:
    """The message names flow, step and place, says what is wrong there, and what to write instead."""
    flow = new_flow()

    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(handler, **arguments)

    assert f"flow 'fulfil', step 'handler': {message}" == str(raised.value)
    assert "handler" not in flow.steps


def test_a_step_that_is_not_there_yet() -> None:
    """Conditions look back only, so a flow has no cycles."""
    flow = new_flow()
    with pytest.raises(FlowDefinitionError, match=r"when: 'later' is neither the input nor an earlier step"):
        flow.step(handler, when={"later": {}})
    with pytest.raises(FlowDefinitionError, match=r"requires: there is no earlier step 'later'"):
        flow.step(handler, requires=["later"])


def test_wrong_branches() -> None:
    """They are refused where they are made."""
    flow = new_flow()
    good = flow.branch(when={"charge": {}})
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: flow.branch(), "a branch needs its condition: write flow.branch(when=…) or flow.branch(unless=…)"),
        (
            lambda: good.branch(unless={"chrage": {}}),
            "unless: 'chrage' is neither the input nor an earlier step; did you mean 'charge'?",
        ),
        (
            lambda: flow.branch(when={"handler": {}}),
            f"when: 'handler' is neither the input nor an earlier step; {NAMES}",
        ),
    ]
    for make, message in wrong:
        with pytest.raises(FlowDefinitionError) as raised:
            make()
        assert str(raised.value) == f"flow 'fulfil': {message}"


def test_what_follows_an_unmet_branch_is_not_for_its_steps_to_say() -> None:
    """A step without a condition of its own has nothing that could be unmet but the branch's."""
    good = new_flow().branch(when={"charge": {}})

    with pytest.raises(FlowDefinitionError) as raised:
        good.step(handler, on_unmet="fail")

    assert str(raised.value) == (
        "flow 'fulfil', step 'handler': option 'on_unmet' says what follows where the step's own condition is unmet, "
        "but it has no when or unless; a branch whose condition is unmet skips its steps, always"
    )


def test_a_sealed_flow_takes_no_branches_and_no_steps_of_branches() -> None:
    """A kernel has taken it."""
    flow = new_flow()
    good = flow.branch(when={"charge": {}})
    flow.seal()

    with pytest.raises(FlowDefinitionError, match=r"^flow 'fulfil': the flow is sealed"):
        flow.branch(when={"charge": {}})
    with pytest.raises(FlowDefinitionError, match=r"step 'handler': the flow is sealed"):
        good.step(handler)
