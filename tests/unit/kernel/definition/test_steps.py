"""The steps of a flow as they are found."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead.kernel import Flow
from fairlead.kernel.definition.steps import Steps


class Charging:
    """A handler that is an object: equal to others, and without a hash."""

    def __init__(self, shop: str) -> None:
        self.shop = shop

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Charging) and other.shop == self.shop

    def __call__(self, input: int) -> int:
        return input


def test_a_step_is_found_by_whatever_is_its_function() -> None:
    """The function itself, wrapped ones in either direction, and objects that are equal though they have no hash."""

    def plain(input: int) -> int:
        return input

    @functools.wraps(plain)
    def wrapped(input: int) -> int:
        return plain(input)

    def other(input: int) -> int:
        return input

    flow: Any = Flow("flow", version=1)
    flow.step(wrapped, slug="one")
    flow.step(plain, slug="two")
    flow.step(Charging("here"), slug="three")
    flow.step(Charging("there"), slug="four")
    steps: Steps = flow._draft.steps

    assert [step.slug for step in steps.made_of(plain)] == ["one", "two"]
    assert [step.slug for step in steps.made_of(wrapped)] == ["one", "two"]
    assert [step.slug for step in steps.made_of(Charging("there"))] == ["four"]
    assert steps.made_of(other) == []


def test_names_are_put_into_the_order_of_definition() -> None:
    """Each once; what is no step is left out."""
    flow: Any = Flow("flow", version=1)
    for slug in ("b", "a", "c"):
        flow.step(lambda: 1, slug=slug)

    assert flow._draft.steps.in_order(["c", "input", "b", "c"]) == ("b", "c")


def test_no_definition_goes_through_all_earlier_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand steps take ten times as long as a thousand: a step looks at those that it names."""
    flow: Any = Flow("flow", version=1)
    passes: list[str] = []
    iterate = Steps.__iter__

    def counted(steps: Steps) -> Iterator[str]:
        passes.append("all")
        return iterate(steps)

    def first(input: int) -> list[int]: ...  # type: ignore[empty-body]
    def second(first: list[int]) -> int: ...  # type: ignore[empty-body]
    def third(second: int | None) -> int: ...  # type: ignore[empty-body]
    def each(item: int) -> int: ...  # type: ignore[empty-body]

    monkeypatch.setattr(Steps, "__iter__", counted)
    flow.step(first)
    branch = flow.branch(when={"first": [1]})
    branch.step(second, after=[first])
    flow.step(third, requires=[second], when={"second": 1})
    flow.map(each, over=first, after=["third"])

    assert passes == []
    assert list(flow.steps) == ["first", "second", "third", "each"]
