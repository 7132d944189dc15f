"""The None rule: which dependencies may have been skipped when a handler is called, and what is demanded then."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from attrs import frozen

from fairlead.kernel.definition import Flow
from fairlead.kernel.definition.absence import certain, why_none
from fairlead.kernel.errors import FlowDefinitionError


@frozen
class Order:
    total: int
    pages: list[str]


@frozen
class Payment:
    status: Literal["paid", "declined"]
    pages: list[str]


PAID = {"charge": {"status": "paid"}}
DECLINED = {"charge": {"status": "declined"}}
LARGE = {"order": {"total": 100}}

CONDITION = "it has a condition of its own"
EXHAUSTED = "it says on_exhausted='skip'"
BRANCH = "it stands in a branch that this step is not in"


def assess(order: Order) -> str:
    return ""


def charge(order: Order) -> Payment:
    return Payment("paid", [])


def new_flow() -> Any:
    """Return a flow with the steps `assess` and `charge`, neither of which is ever skipped."""
    flow: Any = Flow("fulfil", version=1, input=Order, input_name="order")
    flow.step(assess)
    flow.step(charge)
    return flow


def nothing() -> Any: ...


def add(group: Any, slug: str, **arguments: Any) -> None:
    group.map(nothing, slug=slug, **arguments) if "over" in arguments else group.step(nothing, slug=slug, **arguments)


def reason(flow: Any, giver: str, group: Any = None, **arguments: Any) -> str | None:
    """Return why `giver` may be None in a step that is added to the flow or one of its branches."""
    add(group or flow, "last", after=[giver], **arguments)
    return why_none(flow.steps["last"], flow.steps[giver], flow.steps)


# Reasons


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, None),
        ({"when": PAID}, CONDITION),
        ({"unless": PAID}, CONDITION),
        ({"when": PAID, "on_unmet": "fail"}, None),
        ({"when": PAID, "on_unmet": "skip_cascade"}, None),
        ({"on_exhausted": "skip"}, EXHAUSTED),
        ({"on_exhausted": "skip_cascade"}, None),
        ({"when": PAID, "on_unmet": "skip_cascade", "on_exhausted": "skip"}, EXHAUSTED),
        ({"requires": ["charge"]}, None),
        ({"over": "order.pages", "when": PAID, "on_exhausted": "skip"}, None),
    ],
    ids=str,
)
def test_reasons_of_its_own(arguments: dict[str, Any], expected: str | None) -> None:
    """A condition and used-up attempts count where they skip the step alone; a map's list is never None."""
    flow = new_flow()
    add(flow, "ship", **arguments)

    assert reason(flow, "ship") == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, None),
        ({"timeout": 60}, None),
        ({"timeout": 60, "on_timeout": "skip_cascade"}, None),
        ({"timeout": 60, "on_timeout": "skip"}, "it says on_timeout='skip'"),
        ({"when": PAID}, CONDITION),
        ({"when": PAID, "on_unmet": "fail", "timeout": 60, "on_timeout": "skip"}, "it says on_timeout='skip'"),
    ],
    ids=str,
)
def test_a_signal_that_is_late(arguments: dict[str, Any], expected: str | None) -> None:
    """The end of the time for it counts like attempts that are used up; without one it is waited for as long as it
    takes."""
    flow = new_flow()
    flow.signal("approval", bool, **arguments)

    assert reason(flow, "approval") == expected
    assert reason(new_flow_with_signal(arguments), "approval", requires=["approval"]) is None
    assert reason(new_flow_with_signal(arguments), "approval", when={"approval": True}) is None


def new_flow_with_signal(arguments: dict[str, Any]) -> Any:
    flow = new_flow()
    flow.signal("approval", bool, **arguments)
    return flow


def test_a_sleep_that_may_be_skipped() -> None:
    """Its output is None at all times, so nothing is demanded of those who ask for it."""
    flow = new_flow()
    flow.sleep("nap", 1, when=PAID)

    def after(nap: None) -> None: ...

    flow.step(after)

    assert why_none(flow.steps["after"], flow.steps["nap"], flow.steps) == CONDITION


def test_a_step_that_requires_one_that_may_be_skipped() -> None:
    """May be skipped with it, through any number of steps; one that cascades takes the dependent along."""
    flow = new_flow()
    add(flow, "pack", when=PAID)
    add(flow, "label", requires=["pack"])
    add(flow, "ship", requires=["charge", "label"])
    add(flow, "weigh", when=PAID, on_unmet="skip_cascade")
    add(flow, "stamp", requires=["weigh"])

    assert reason(flow, "ship") == "it requires 'label', which requires 'pack', which has a condition of its own"
    assert why_none(flow.steps["stamp"], flow.steps["weigh"], flow.steps) is None


def test_requiring_a_map_that_may_be_skipped() -> None:
    """Its list is never None, but it may be skipped, and with it what requires it."""
    flow = new_flow()
    add(flow, "read", over="order.pages", when=PAID)
    add(flow, "ship", requires=["read"])

    assert reason(flow, "ship") == "it requires 'read', which has a condition of its own"


def test_a_skipped_dependency_does_not_skip() -> None:
    """A step that depends on a skipped one runs, so it is not None itself."""
    flow = new_flow()
    add(flow, "pack", when=PAID)
    add(flow, "ship", after=["pack"])

    assert reason(flow, "ship") is None


def test_a_map_over_a_step_that_may_be_skipped() -> None:
    """The map has no elements then, so nothing of it is skipped, nor what requires it."""
    flow = new_flow()
    add(flow, "fetch", when=PAID)
    add(flow, "read", over="fetch.pages")
    add(flow, "ship", requires=["read"])

    assert reason(flow, "ship") is None


# What excludes them


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"requires": ["ship"]}, None),
        ({"when": {"ship": {"done": True}}}, None),
        ({"when": {"ship": {"done": True}}, "on_unmet": "fail"}, None),
        ({"when": {"ship": {"done": True}}, "unless": {"assess": "low"}}, None),
        ({"unless": {"ship": {"done": False}}}, CONDITION),
        ({"when": LARGE}, CONDITION),
        ({"when": PAID}, None),
        ({"when": {"charge": {"status": "paid", "pages": []}}}, None),
        ({"when": {"charge": {"pages": []}}}, CONDITION),
        ({"when": DECLINED}, CONDITION),
        ({"unless": PAID}, CONDITION),
        ({"over": "ship.pages"}, None),
    ],
    ids=str,
)
def test_what_a_dependent_may_rely_on(arguments: dict[str, Any], expected: str | None) -> None:
    """What it requires, names in `when` or works over has run; and a condition implied by its own is met."""
    flow = new_flow()
    add(flow, "ship", when=PAID)

    assert reason(flow, "ship", **arguments) == expected


def test_naming_it_does_not_matter_how_it_may_be_skipped() -> None:
    """Used-up attempts, a branch, or a step that it requires: it has run."""
    flow = new_flow()
    add(flow, "pack", on_exhausted="skip")
    add(flow.branch(when=PAID), "label")
    add(flow, "ship", requires=["pack"])
    for giver in ("pack", "label", "ship"):
        add(flow, f"needs_{giver}", requires=[giver])
        add(flow, f"asks_{giver}", when={giver: 1})

        assert why_none(flow.steps[f"needs_{giver}"], flow.steps[giver], flow.steps) is None
        assert why_none(flow.steps[f"asks_{giver}"], flow.steps[giver], flow.steps) is None


def test_an_unless_that_is_implied() -> None:
    """Values that are not all there here are not all there where more is asked for."""
    flow = new_flow()
    add(flow, "ship", unless={**PAID, "assess": "low"})

    assert reason(flow, "ship", unless=PAID) is None


def test_an_unless_that_another_pattern_excludes() -> None:
    """A declined payment is not paid."""
    flow = new_flow()
    add(flow, "ship", unless=PAID)

    assert reason(flow, "ship", when=DECLINED) is None


def test_what_follows_from_what_has_run() -> None:
    """If a step has run, so has all that it requires or asks about; through any number of steps."""
    flow = new_flow()
    add(flow, "fetch", on_exhausted="skip")
    add(flow, "judge", requires=["fetch"])
    add(flow, "publish", when={"judge": 1})
    add(flow, "other", when={"judge": 1})

    assert reason(flow, "fetch", requires=["publish"]) is None
    assert why_none(flow.steps["last"], flow.steps["judge"], flow.steps) is None
    assert why_none(flow.steps["last"], flow.steps["other"], flow.steps) is None


def test_what_follows_from_a_maps_elements() -> None:
    """A map's handler is called for an element, so everything up the chain of maps has run; not so for a dependent."""
    flow = new_flow()
    add(flow, "fetch", when=PAID)
    add(flow, "read", over="fetch.pages")
    add(flow, "embed", over="read")
    add(flow, "judge", requires=["embed"], after=["fetch"])

    assert reason(flow, "fetch", over="embed") is None
    assert why_none(flow.steps["judge"], flow.steps["fetch"], flow.steps) == CONDITION


# Branches


def test_steps_of_one_branch() -> None:
    """Are not None to each other by the branch's condition, though for reasons of their own."""
    flow = new_flow()
    good = flow.branch(when=PAID)
    add(good, "pack")
    add(good, "label", on_exhausted="skip")
    add(good, "stamp", when=LARGE)
    found = dict.fromkeys(("pack", "label", "stamp"))
    add(good, "last", after=list(found))
    for giver in found:
        found[giver] = why_none(flow.steps["last"], flow.steps[giver], flow.steps)

    assert found == {"pack": None, "label": EXHAUSTED, "stamp": CONDITION}


def test_steps_outside_a_branch() -> None:
    """See those inside as None, the complement's too."""
    flow = new_flow()
    good = flow.branch(when=PAID)
    poor = good.otherwise()
    add(good, "pack")
    add(poor, "refuse")
    add(flow, "last", after=["pack", "refuse"])
    add(poor, "tell", after=["pack", "refuse"])
    found = {
        (dependent, giver): why_none(flow.steps[dependent], flow.steps[giver], flow.steps)
        for dependent in ("last", "tell")
        for giver in ("pack", "refuse")
    }

    assert found == {
        ("last", "pack"): BRANCH,
        ("last", "refuse"): BRANCH,
        ("tell", "pack"): BRANCH,
        ("tell", "refuse"): None,
    }


def test_nested_branches() -> None:
    """The inner one sees the steps of the outer, not the other way round."""
    flow = new_flow()
    outer = flow.branch(when=PAID)
    inner = outer.branch(when=LARGE)
    add(outer, "pack")
    add(inner, "insure", after=["pack"])
    add(outer, "ship", after=["insure"])

    assert why_none(flow.steps["insure"], flow.steps["pack"], flow.steps) is None
    assert why_none(flow.steps["ship"], flow.steps["insure"], flow.steps) == BRANCH


def test_what_a_branch_asks_about() -> None:
    """Has run where the branch is taken for `when`; for `unless` in its complement."""
    flow = new_flow()
    add(flow, "judge", on_exhausted="skip")
    good, fine = flow.branch(when={"judge": "good"}), flow.branch(unless={"judge": "bad"})
    branches = {"good": good, "poor": good.otherwise(), "fine": fine, "bad": fine.otherwise()}
    for slug, branch in branches.items():
        add(branch, slug)
    found = {slug: why_none(flow.steps[slug], flow.steps["judge"], flow.steps) for slug in branches}

    assert found == {"good": None, "poor": EXHAUSTED, "fine": EXHAUSTED, "bad": None}


def test_one_condition_written_twice() -> None:
    """Two branches of one condition are one branch, and a step's own condition is as good."""
    flow = new_flow()
    add(flow.branch(when=PAID), "pack")
    add(flow, "ship", when=PAID)

    assert reason(flow, "pack", group=flow.branch(when=PAID)) is None
    assert why_none(flow.steps["last"], flow.steps["ship"], flow.steps) is None
    assert why_none(flow.steps["ship"], flow.steps["charge"], flow.steps) is None


def test_a_complement_of_two_parts() -> None:
    """Is known to be met in its own steps, and implied by what refutes either part."""
    flow = new_flow()
    both = flow.branch(when=PAID, unless={"assess": "low"})
    add(both.otherwise(), "refuse")
    arguments: dict[str, dict[str, Any]] = {
        "declined": {"when": DECLINED},
        "low": {"when": {"assess": "low"}},
        "high": {"when": {"assess": "high"}},
    }
    for slug, written in arguments.items():
        add(flow, slug, after=["refuse"], **written)
    add(both.otherwise(), "same", after=["refuse"])
    found = {slug: why_none(flow.steps[slug], flow.steps["refuse"], flow.steps) for slug in (*arguments, "same")}

    assert found == {"declined": None, "low": None, "high": BRANCH, "same": None}


# The demand


def test_an_annotation_without_none() -> None:
    """The error says why, and what can be done; afterwards the flow is as before."""
    flow = new_flow()
    add(flow, "pack", when=PAID)

    def ship(pack: Payment) -> None: ...

    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(ship)

    assert str(raised.value) == (
        "flow 'fulfil', step 'ship': parameter 'pack' is Payment, but step 'pack' may be skipped (it has a condition "
        "of its own) and is None then; write Payment | None, give it a default, or skip this step too with "
        "requires=[pack]"
    )
    assert "ship" not in flow.steps


def test_what_satisfies_the_demand() -> None:
    """None in the annotation, a default, no annotation, or what excludes it; None may be written needlessly."""
    flow = new_flow()
    add(flow, "pack", when=PAID)
    nobody = Payment("declined", [])

    def optional(pack: Payment | None, charge: Payment | None) -> None: ...

    def default(pack: Payment = nobody) -> None: ...

    def bare(pack: Any, charge: object) -> None: ...

    def certain(pack: Payment) -> None: ...

    flow.step(optional)
    flow.step(default)
    flow.step(bare)
    flow.step(certain, requires=["pack"])

    assert list(flow.steps) == ["assess", "charge", "pack", "optional", "default", "bare", "certain"]


def test_lists_of_maps_that_may_be_skipped() -> None:
    """No None is demanded: over a skipped step, and of a skipped map, the list is empty."""
    flow = new_flow()
    add(flow, "fetch", when=PAID)
    flow.map(nothing, slug="read", over="fetch.pages", when=LARGE)

    def ship(read: list[Any]) -> None: ...

    flow.step(ship)

    assert why_none(flow.steps["ship"], flow.steps["read"], flow.steps) is None


def test_what_has_run_for_certain_when_a_handler_is_called() -> None:
    """What is required, what conditions and complements prove, what a map works over, what that needed in turn, and
    what is never skipped; not what merely stands before it."""
    flow = new_flow()
    add(flow, "gate", when=LARGE)
    add(flow, "other", when={"assess": "good"})
    unpaid = flow.branch(unless={"gate": {"open": True}})
    add(unpaid, "closed", after=["other"])
    add(unpaid.otherwise(), "opened", after=["other", "assess"])
    add(flow, "required", requires=["opened"])
    add(flow, "pages", over="charge.pages", requires=["required"])
    add(flow, "each", over="pages", after=["other", "closed"])

    assert {slug: certain(flow.steps[slug], flow.steps) for slug in ("closed", "opened", "each")} == {
        "closed": (),
        "opened": ("assess", "gate"),
        "each": ("charge", "gate", "opened", "required", "pages"),
    }
