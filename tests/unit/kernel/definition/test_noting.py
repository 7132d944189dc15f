"""Errors of definitions that are noted rather than raised."""

from __future__ import annotations

import pytest

from fairlead.kernel import Flow, FlowDefinitionError
from fairlead.kernel.definition.noting import noting_errors


def test_a_step_that_is_wrong_is_left_out_and_the_next_are_checked() -> None:
    """Every error is there with what was decorated, in order; what is right is in the flow."""
    flow = Flow("flow", version=1)

    def wrong(nothing: int) -> int:
        return nothing

    def also_wrong(input: int) -> int:
        return input

    def right(input: int) -> int:
        return input

    with noting_errors() as noted:
        flow.step(wrong)
        flow.step(right)
        flow.step(max_attempts=0)(also_wrong)

    assert [(each.handler, each.error.flow, each.error.step) for each in noted] == [
        (wrong, "flow", "wrong"),
        (also_wrong, "flow", "also_wrong"),
    ]
    assert list(flow.steps) == ["right"]


def test_outside_errors_are_raised() -> None:
    """Before and after, a wrong step stops whoever writes it."""
    flow = Flow("flow", version=1)

    def wrong(input: int) -> int:
        return input

    with noting_errors():
        pass

    with pytest.raises(FlowDefinitionError, match="max_attempts"):
        flow.step(max_attempts=0)(wrong)
