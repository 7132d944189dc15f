"""Slugs: what may name a step."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.kernel.definition import Flow
from fairlead.kernel.errors import FlowDefinitionError


def handler() -> None: ...


@pytest.mark.parametrize("slug", ["a", "_", "A1", "match", "s" * 128, "self_"])
def test_accepted_slugs(slug: str) -> None:
    """Letters, digits and underscores, up to 128 of them; soft keywords too."""
    flow: Flow[Any] = Flow("fulfil", version=1)
    flow.step(handler, slug=slug)

    assert list(flow.steps) == [slug]


@pytest.mark.fault(56)
@pytest.mark.parametrize(
    ("slug", "problem"),
    [
        ("", "must not be empty"),
        ("ship\n", "must consist of letters, digits and underscores, not beginning with a digit"),
        ("1st", "must consist of letters, digits and underscores, not beginning with a digit"),
        ("a-b", "must consist of letters, digits and underscores, not beginning with a digit"),
        ("größe", "must consist of letters, digits and underscores, not beginning with a digit"),
        ("s" * 129, "has 129 characters; at most 128 are allowed"),
        ("order", "is the name of the flow's input"),
        ("input", "is reserved (as are config, state, ctx, item, index, run)"),
        ("config", "is reserved (as are input, state, ctx, item, index, run)"),
        ("state", "is reserved (as are input, config, ctx, item, index, run)"),
        ("ctx", "is reserved (as are input, config, state, item, index, run)"),
        ("item", "is reserved (as are input, config, state, ctx, index, run)"),
        ("index", "is reserved (as are input, config, state, ctx, item, run)"),
        ("run", "is reserved (as are input, config, state, ctx, item, index)"),
        ("import", "is a Python keyword, so no parameter could be named like it"),
        (7, "must be a str, not int"),
    ],
)
def test_refused_slugs(slug: Any, problem: str) -> None:
    """Each is refused with the rule that it breaks."""
    flow: Flow[Any] = Flow("fulfil", version=1, input_name="order")

    with pytest.raises(FlowDefinitionError) as raised:
        flow.step(handler, slug=slug)

    assert str(raised.value) == f"flow 'fulfil': step slug {slug!r} {problem}; pass another slug=…"


def test_a_function_with_a_reserved_name_is_refused() -> None:
    """The function's own name obeys the same rules."""
    flow: Flow[Any] = Flow("fulfil", version=1)

    def run() -> None: ...

    with pytest.raises(FlowDefinitionError, match="step slug 'run' is reserved"):
        flow.step(run)
