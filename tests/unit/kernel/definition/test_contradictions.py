"""Conditions that can never be met together, and what follows from conditions that are met."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.kernel import codec
from fairlead.kernel.codec import JsonValue
from fairlead.kernel.containment import contains
from fairlead.kernel.definition import Flow
from fairlead.kernel.definition.assumptions import Assumptions, Disjoint, merged
from fairlead.kernel.errors import FlowDefinitionError
from fairlead.kernel.plan import Condition, Pattern

PAID: dict[str, Any] = {"charge": {"status": "paid"}}
PAID_IN_FULL: dict[str, Any] = {"charge": {"status": "paid", "open": 0}}
DECLINED: dict[str, Any] = {"charge": {"status": "declined"}}
LOW: dict[str, Any] = {"assess": "low"}

CONTRADICT = "when and unless contradict: whatever meets all of when meets all of unless too, so this never runs"


def nothing() -> Any: ...


def new_flow() -> Any:
    flow: Any = Flow("fulfil", version=1)
    flow.step(nothing, slug="assess")
    flow.step(nothing, slug="charge")
    return flow


@pytest.mark.parametrize(
    ("when", "unless"),
    [
        (PAID, PAID),
        (PAID_IN_FULL, PAID),
        ({**PAID, **LOW}, PAID),
        ({**PAID, **LOW}, {**LOW, **PAID}),
        (PAID, {"charge": {}}),
        ({"charge": {"tags": ["a", "b"]}}, {"charge": {"tags": ["b"]}}),
        ({"charge": {"n": 1}}, {"charge": {"n": 1.0}}),
    ],
    ids=str,
)
def test_when_and_unless_that_contradict(when: Any, unless: Any) -> None:
    """Whatever meets the one meets the other: such a step, map or branch is refused."""
    flow = new_flow()
    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(nothing, slug="ship", when=when, unless=unless)
    assert str(raised.value) == f"flow 'fulfil', step 'ship': {CONTRADICT}"

    with pytest.raises(FlowDefinitionError) as raised:
        flow.branch(when=when, unless=unless)
    assert str(raised.value) == f"flow 'fulfil': {CONTRADICT}"


@pytest.mark.parametrize(
    ("when", "unless"),
    [
        (PAID, PAID_IN_FULL),
        (PAID, {**PAID, **LOW}),
        (PAID, DECLINED),
        (PAID, LOW),
        ({"charge": {}}, PAID),
        ({"charge": True}, {"charge": 1}),
        ({"charge": [1]}, {"charge": [1, 2]}),
    ],
    ids=str,
)
def test_when_and_unless_that_do_not(when: Any, unless: Any) -> None:
    """Some values meet the one and not the other."""
    flow = new_flow()
    flow.step(nothing, slug="ship", when=when, unless=unless)

    assert "ship" in flow.steps


@pytest.mark.parametrize(
    ("branches", "arguments", "message"),
    [
        ([{"when": PAID}], {"when": DECLINED}, "when"),
        ([{"when": PAID}], {"unless": PAID}, "unless"),
        ([{"when": PAID_IN_FULL}], {"when": LOW, "unless": PAID}, "when and unless"),
        ([{"unless": PAID}], {"when": PAID}, "when"),
        ([{"when": PAID}, "otherwise"], {"when": PAID_IN_FULL}, "when"),
        ([{"unless": PAID}, "otherwise"], {"when": DECLINED}, "when"),
        ([{"when": PAID, "unless": LOW}, "otherwise"], {"when": {**PAID, "assess": "high"}}, "when"),
        ([{"when": LOW}, {"when": {"charge": {"open": 0}}}], {"when": {"charge": {"open": 1}}}, "when"),
    ],
    ids=str,
)
def test_a_condition_that_contradicts_its_branches(branches: Any, arguments: Any, message: str) -> None:
    """A step that could never run in its branch is refused, and so is such a branch of a branch."""
    flow = new_flow()
    group = flow
    for branch in branches:
        group = group.otherwise() if branch == "otherwise" else group.branch(**branch)

    with pytest.raises(FlowDefinitionError) as raised:
        group.step(nothing, slug="ship", **arguments)
    told = f"{message}: this contradicts the branch that it stands in, so it never runs"
    assert str(raised.value) == f"flow 'fulfil', step 'ship': {told}"

    with pytest.raises(FlowDefinitionError) as raised:
        group.branch(**arguments)
    assert str(raised.value) == f"flow 'fulfil': {told}"


def test_a_complement_that_is_empty() -> None:
    """What the outer branch makes certain leaves nothing to the other side of an inner one."""
    paid = new_flow().branch(when=PAID_IN_FULL)

    with pytest.raises(FlowDefinitionError) as raised:
        paid.branch(when=PAID).otherwise()

    assert str(raised.value) == (
        "flow 'fulfil': otherwise: the branch around this one meets its condition already, so this never runs"
    )


# What conditions say of each other, against all values that they can be about


NAMES: tuple[str, ...] = ("one", "other")

SCALARS: st.SearchStrategy[JsonValue] = st.sampled_from([0, 1, 1.0, True, None, "a"])
PATTERNS: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=4,
)

VALUES: list[JsonValue] = [0, {}, {"x": 0}, {"x": 1}, {"y": 0}, {"x": 0, "y": 0}, {"x": 1, "y": 0}, [], [0], [0, 1]]
"""Few enough that conditions about them often have to do with each other; each is a pattern too."""
WORLDS: list[dict[str, JsonValue]] = [
    {name: value for name, value in zip(NAMES, values, strict=True) if value is not ...}
    for values in product([..., *VALUES], repeat=len(NAMES))
]
"""Every way in which two steps can end; one that is not there was skipped."""

GROUPS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=2)


def condition(when: dict[str, JsonValue], unless: dict[str, JsonValue], negated: bool) -> Condition:
    def read(patterns: dict[str, JsonValue]) -> tuple[Pattern, ...]:
        return tuple(Pattern(name, codec.encode(patterns[name])) for name in sorted(patterns))

    return Condition(when=read(when), unless=read(unless), negated=negated)


CONDITIONS = st.builds(condition, GROUPS, GROUPS, st.booleans()).filter(lambda each: bool(each.patterns))


def is_met(asked: Condition, values: dict[str, JsonValue]) -> bool:
    """Whether a condition is met, in the words of the language; a value that is not there was skipped."""

    def met(pattern: Pattern) -> bool:
        return pattern.name in values and contains(values[pattern.name], codec.decode(pattern.document))

    taken = all(map(met, asked.when)) and not (asked.unless and all(map(met, asked.unless)))
    return taken is not asked.negated


@settings(deadline=None)
@given(one=PATTERNS, other=PATTERNS, value=PATTERNS)
def test_two_patterns_in_one(one: JsonValue, other: JsonValue, value: JsonValue) -> None:
    """A value contains it exactly if it contains both; where there is none, no value contains both."""
    both = contains(value, one) and contains(value, other)
    try:
        assert contains(value, merged(one, other)) == both
    except Disjoint:
        assert not both


@settings(max_examples=500, deadline=None)
@given(assumed=st.lists(CONDITIONS, min_size=1, max_size=3), asked=CONDITIONS)
def test_what_is_concluded_is_certain(assumed: list[Condition], asked: Condition) -> None:
    """For values that meet all that is assumed nothing contradicts, what is implied is met, and what ran is there."""
    assumptions = Assumptions()
    ran = {name for each in assumed for name in assumptions.assume(each)}
    implied, contradictory = assumptions.imply(asked), assumptions.contradictory

    for world in WORLDS:
        if all(is_met(each, world) for each in assumed):
            assert not contradictory
            assert not implied or is_met(asked, world)
            assert ran <= set(world)
