"""Fingerprints of random flows: the same whatever the order of definition, another one with every dependency."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.kernel import Flow

STEPS = [f"step{number}" for number in range(6)]


@st.composite
def dependencies(draw: st.DrawFn) -> dict[str, set[str]]:
    """What each step waits for."""
    earlier = (STEPS[:number] for number in range(len(STEPS)))
    return {
        step: draw(st.sets(st.sampled_from(known))) if known else set()
        for step, known in zip(STEPS, earlier, strict=True)
    }


def fingerprint(order: list[str], waits_for: Mapping[str, set[str]]) -> str:
    """That of a flow whose steps are defined in this order."""
    flow = Flow("drawn", version=1)
    for step in order:
        flow.step(lambda: None, slug=step, after=sorted(waits_for[step]))
    flow.seal()
    return flow.shape.fingerprint


@settings(max_examples=50, deadline=None)
@given(waits_for=dependencies(), data=st.data())
def test_the_order_of_definition_does_not_matter(waits_for: dict[str, set[str]], data: st.DataObject) -> None:
    """As long as what a step waits for is there before it."""
    order: list[str] = []
    while len(order) < len(STEPS):
        ready = [step for step in STEPS if step not in order and waits_for[step] <= set(order)]
        order.append(data.draw(st.sampled_from(ready)))

    assert fingerprint(order, waits_for) == fingerprint(STEPS, waits_for)


@settings(max_examples=50, deadline=None)
@given(waits_for=dependencies(), data=st.data())
def test_every_dependency_matters(waits_for: dict[str, set[str]], data: st.DataObject) -> None:
    """One more, or one less, is another shape."""
    step = data.draw(st.sampled_from(STEPS[1:]))
    toggled = {data.draw(st.sampled_from(STEPS[: STEPS.index(step)]))}

    assert fingerprint(STEPS, {**waits_for, step: waits_for[step] ^ toggled}) != fingerprint(STEPS, waits_for)
