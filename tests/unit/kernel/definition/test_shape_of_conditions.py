"""Shape and fingerprint of conditions, branches and consequences, and how their differences are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import frozen

from fairlead.kernel.definition import Flow, Shape, differences

PAID = {"charge": {"status": "paid"}}
LOW = {"assess": "low"}
LARGE = {"order": {"total": 100}}


@frozen
class Order:
    total: int
    lines: list[str]


def build(
    *,
    input_name: str = "order",
    branches: Sequence[dict[str, Any] | str] = (),
    of_map: dict[str, Any] | None = None,
    **step: Any,
) -> Shape:
    """Return the shape of a flow whose last step is under some conditions.

    Args:
        input_name: what the flow calls its input.
        branches: of the last step, outermost first; "otherwise" stands for the complement of the one before it.
        of_map: arguments of the map before it.
        step: arguments of the last step.
    """
    flow: Any = Flow("fulfil", version=1, input=Order, input_name=input_name)
    flow.step(lambda: None, slug="assess")
    flow.step(lambda: None, slug="charge")
    flow.map(lambda: None, slug="reserve", over=f"{input_name}.lines", **(of_map or {}))
    group = flow
    for branch in branches:
        group = group.otherwise() if isinstance(branch, str) else group.branch(**branch)
    group.step(lambda: None, slug="ship", **{"after": ["assess", "charge", "reserve"], **step})
    flow.seal()
    shape: Shape = flow.shape
    return shape


def written(shape: Shape) -> Any:
    return json.loads(shape.document)


def test_a_flow_without_conditions_has_the_shape_it_always_had() -> None:
    """Nothing is written of what a step does not use, so flows of older releases keep their fingerprints."""
    step = build().parsed.steps["ship"]

    assert set(written(build())["steps"]["ship"]) == {"kind", "dependencies", "output"}
    assert (step.condition, step.branches, step.requires, step.tolerant) == (None, (), (), False)


UNCHANGED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"on_exhausted": "fail"}),
    ({"when": PAID}, {"when": PAID, "on_unmet": "skip"}),
    ({"when": {**PAID, **LOW}}, {"when": {**LOW, **PAID}}),
    ({"when": {"charge": {"a": 1, "b": 2}}}, {"when": {"charge": {"b": 2, "a": 1}}}),
    ({"when": LARGE}, {"when": {"purchase": {"total": 100}}, "input_name": "purchase"}),
    ({"branches": [{"when": PAID}, {"unless": LOW}]}, {"branches": [{"unless": LOW}, {"when": PAID}]}),
    ({"branches": [{"when": PAID}]}, {"branches": [{"when": PAID}, "otherwise", "otherwise"]}),
    ({"requires": ["assess", "charge"]}, {"requires": ["charge", "assess"]}),
    ({"of_map": {"tolerate_failures": 1}}, {"of_map": {"tolerate_failures": "all"}}),
    ({"of_map": {"tolerate_failures": 0}}, {"of_map": {"max_concurrency": 2}}),
]

CHANGED: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {"when": PAID}, ['when asks charge for {"status":"paid"}, did not']),
    ({"unless": LARGE}, {}, ['unless asked input for {"total":100}, does no longer']),
    ({"when": LOW}, {"when": {"assess": "high"}}, ['when asked assess for "low", asks for "high"']),
    ({"when": {"assess": 1}}, {"when": {"assess": True}}, ["when asked assess for 1, asks for true"]),
    (
        {"when": PAID},
        {"unless": PAID},
        [
            'when asked charge for {"status":"paid"}, does no longer',
            'unless asks charge for {"status":"paid"}, did not',
        ],
    ),
    (
        {"branches": [{"when": {**PAID, **LOW}}]},
        {},
        ['stood in the branch (when assess has "low" and charge has {"status":"paid"}), does no longer'],
    ),
    (
        {"branches": [{"when": PAID, "unless": LOW}]},
        {"branches": [{"when": PAID, "unless": LOW}, "otherwise"]},
        [
            'stood in the branch (when charge has {"status":"paid"} unless assess has "low"), does no longer',
            'stands in the branch otherwise of (when charge has {"status":"paid"} unless assess has "low"), did not',
        ],
    ),
    (
        {"branches": [{"when": {"assess": 1}}]},
        {"branches": [{"when": {"assess": True}}]},
        [
            "stood in the branch (when assess has 1), does no longer",
            "stands in the branch (when assess has true), did not",
        ],
    ),
    (
        {"requires": ["assess"]},
        {"requires": ["charge"]},
        ["required 'assess', does no longer", "requires 'charge', did not"],
    ),
    (
        {"when": PAID},
        {"when": PAID, "on_unmet": "fail", "on_exhausted": "skip_cascade"},
        ["on_unmet was skip, is fail", "on_exhausted was fail, is skip_cascade"],
    ),
]


@pytest.mark.parametrize(("one", "other"), UNCHANGED, ids=str)
def test_what_leaves_the_fingerprint_alone(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Defaults written out, orders without effect, the input's name, and how many failures are tolerated."""
    assert build(**one).fingerprint == build(**other).fingerprint


@pytest.mark.parametrize(("before", "after", "lines"), CHANGED, ids=str)
def test_what_changes_the_fingerprint(before: dict[str, Any], after: dict[str, Any], lines: list[str]) -> None:
    """Each difference is told in one line of its step."""
    old, new = build(**before), build(**after)

    assert old.fingerprint != new.fingerprint
    assert list(differences(old, new)) == [f"step 'ship': {line}" for line in lines]


def test_whether_a_map_tolerates_failures() -> None:
    """Its dependents see other lists."""
    strict, tolerant = build(), build(of_map={"tolerate_failures": 1})

    assert differences(strict, tolerant) == ("step 'reserve': tolerates failures, tolerated none",)
    assert differences(tolerant, strict) == ("step 'reserve': tolerated failures, tolerates none",)


def test_the_document() -> None:
    """What is stored of a step that uses everything."""
    step = written(
        build(
            when=LARGE, unless=LOW, requires=["charge"], on_unmet="fail", on_exhausted="skip", branches=[{"when": PAID}]
        )
    )["steps"]["ship"]

    assert step == {
        "kind": "step",
        "dependencies": ["assess", "charge", "reserve"],
        "output": "any",
        "condition": {"when": {"input": {"total": 100}}, "unless": {"assess": "low"}},
        "branches": [{"when": {"charge": {"status": "paid"}}}],
        "requires": ["charge"],
        "on_unmet": "fail",
        "on_exhausted": "skip",
    }
