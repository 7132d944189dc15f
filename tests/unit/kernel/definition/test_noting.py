"""Errors of definitions that are noted rather than raised."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

import pytest

from fairlead.adapters.memory import memory_ports
from fairlead.kernel import Flow, FlowDefinitionError, Kernel, Suspend
from fairlead.kernel.definition.noting import noting_errors
from fairlead.kernel.errors import IncompleteFlow


def wrong(nothing: int) -> dict[str, int]:
    return {"nothing": nothing}


def right(input: int) -> int:
    return input


def test_what_is_wrong_is_left_out_and_the_next_is_checked() -> None:
    """Every error is there, in order; what is right is in the flow."""

    def also_wrong(input: int) -> int:
        return input

    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        flow.step(wrong)
        flow.step(right)
        flow.step(max_attempts=0)(also_wrong)

    assert [(each.error.flow, each.error.step) for each in noted] == [("flow", "wrong"), ("flow", "also_wrong")]
    assert list(flow.steps) == ["right"]


def test_what_merely_follows_is_not_noted() -> None:
    """A parameter, a list of steps, a map, a condition or a branch that asks for a step which was left out, is no error
    of its own, nor what asks for that in turn. Whatever else such a step says is."""

    def parameter(wrong: dict[str, int]) -> int: ...
    def in_turn(parameter: int) -> int: ...
    def listed(input: int) -> int: ...
    def mapped(item: int) -> int: ...
    def conditional(input: int) -> int: ...
    def unbounded(wrong: dict[str, int]) -> int: ...

    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        flow.step(wrong)
        flow.step(parameter)
        flow.step(in_turn)
        flow.step(after=[wrong])(listed)
        flow.map(over="wrong.path")(mapped)
        flow.step(when={"wrong": {}})(conditional)
        flow.branch(when={"wrong": {}})
        flow.step(max_attempts=0)(unbounded)

    assert [each.error.step for each in noted] == ["wrong", "unbounded"]


def test_errors_that_merely_quote_the_name_of_a_lost_step_are_noted() -> None:
    """Whether an error follows is not read from its words."""

    def other(input: dict[str, int]) -> dict[str, int]: ...
    def timed(other: dict[str, int]) -> int: ...

    with noting_errors() as noted:
        flow: Flow[Any] = Flow("flow", version=1)
        flow.step(wrong)
        flow.step(other)
        flow.step(timeout="wrong")(timed)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]

    assert [each.error.step for each in noted] == ["wrong", "timed"]


def test_a_branch_that_is_wrong_does_not_stop_the_checking() -> None:
    """Its error is noted, once; steps of it and of its complement are checked, except for what may be None in them."""

    def in_branch(input: int) -> int: ...
    def wrong_in_branch(nowhere: int) -> int: ...
    def wrong_in_complement(nowhere: int) -> int: ...
    def behind(input: int, in_branch: int) -> int: ...
    def after_it(nowhere: int) -> int: ...

    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        branch = flow.branch(when={"nope": 1})
        branch.step(in_branch)
        branch.step(wrong_in_branch)
        branch.branch(when={"input": 1}).step(behind)
        branch.otherwise().step(wrong_in_complement)
        flow.step(after_it)

    assert [each.error.step for each in noted] == [None, "wrong_in_branch", "wrong_in_complement", "after_it"]
    assert noted[0].error.missing == "nope"


def test_a_complement_that_is_wrong_does_not_stop_the_checking() -> None:
    """That the branches around it leave nothing to it is noted."""
    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        flow.branch(when={"input": 1}).branch(when={"input": 1}).otherwise().step(wrong)

    assert ["leaves" if "otherwise" in str(each.error) else each.error.step for each in noted] == ["leaves", "wrong"]


def test_a_map_without_its_array_is_noted() -> None:
    """As every other wrong step."""

    def mapped(item: int) -> int: ...

    with noting_errors() as noted:
        Flow("flow", version=1).map(mapped)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]

    assert [str(each.error) for each in noted] == [
        "flow 'flow', step 'mapped': a map needs its array: write @flow.map(over=…)"
    ]


def test_what_only_sealing_finds_is_noted_too() -> None:
    """For each step of which it is so, and with the place where the flow is sealed."""

    def early(item: int) -> int: ...
    def also_early(item: int) -> int: ...
    def late(input: int) -> int: ...

    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        flow.map(over="input")(early)
        flow.map(over="input")(also_early)
        flow.step(late)
        with pytest.raises(IncompleteFlow):
            flow.seal()

    assert [each.error.step for each in noted] == ["early", "also_early"]
    assert any(file == __file__ for file, _ in noted[0].calls)


def test_a_flow_that_lacks_what_was_wrong_is_taken_by_no_kernel() -> None:
    """Neither in the block nor after it; a flow that is right is."""
    with noting_errors():
        flow, other = Flow("flow", version=1), Flow("other", version=1)
        flow.step(right)
        flow.step(wrong)
        other.step(right)
        with pytest.raises(IncompleteFlow, match="flow 'flow': it cannot be used"):
            Kernel(flows=[flow], ports=memory_ports())

    with pytest.raises(IncompleteFlow):
        Kernel(flows=[flow], ports=memory_ports())

    assert Kernel(flows=[other], ports=memory_ports()).flows == (other,)


def test_flows_of_others_raise_their_errors() -> None:
    """Those that were made before the block, in it too; and those that are made after it."""
    before = Flow("before", version=1)
    with noting_errors() as noted, pytest.raises(FlowDefinitionError):
        before.step(max_attempts=0)(right)
    with pytest.raises(FlowDefinitionError, match="max_attempts"):
        Flow("after", version=1).step(max_attempts=0)(right)

    assert noted == []


def test_waits_and_checks_that_are_wrong() -> None:
    """A signal or a sleep that was left out stands for itself where it is named, and a lost check is missed once."""

    def suspends(input: int) -> int | Suspend[str]: ...
    def parameter(approval: int) -> int: ...

    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        approval = flow.signal("approval", int, timeout=0)
        nap = flow.sleep("nap", -1, after=[approval])
        flow.step(suspends)
        flow.step(parameter)
        flow.step(after=[approval, nap])(right)
        flow.check(suspends)(wrong)
        flow.check(wrong)(right)
        with pytest.raises(IncompleteFlow):
            flow.seal()

    assert [(each.error.step, str(each.error).partition(": ")[2]) for each in noted] == [
        ("approval", "option 'timeout' must be more than 0 s, not 0 s"),
        ("nap", "the duration must be at least 0 s, not -1 s"),
        (
            "suspends",
            "check 'wrong': parameter 'nothing' names neither an earlier step nor anything else that a check can ask "
            "for; known: 'input', 'state', 'config', 'ctx' (what the app provides is marked Resource[…])",
        ),
        (
            None,
            "check: function 'wrong' is no step of this flow; decorate it first, or name another step (known: "
            "'suspends')",
        ),
    ]


def test_a_check_that_was_never_written() -> None:
    """It is missed when the flow is sealed, and noted then."""

    def suspends(input: int) -> int | Suspend[str]: ...

    with noting_errors() as noted:
        flow = Flow("flow", version=1)
        flow.step(suspends)
        with pytest.raises(IncompleteFlow):
            flow.seal()

    assert [each.error.step for each in noted] == ["suspends"]
