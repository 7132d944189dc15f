"""Plans: what follows from them alone."""

from __future__ import annotations

import pytest

from fairlead.kernel.plan import INPUT, Plan, StepKind, StepPlan, Tolerance, ValuePath


@pytest.mark.parametrize(
    ("tolerance", "elements", "tolerated"),
    [
        (0, 10, 0),
        (3, 10, 3),
        (3, 2, 3),
        ("all", 0, 0),
        ("all", 10, 10),
        (0.1, 9, 0),
        (0.1, 10, 1),
        (0.1, 19, 1),
        (0.29, 100, 29),
        (0.35, 180, 63),
        (0.999, 1_000_000, 999_000),
        (1e-300, 1_000_000, 0),
    ],
)
def test_how_many_elements_may_fail(tolerance: Tolerance, elements: int, tolerated: int) -> None:
    """A count, every one, or a fraction rounded down, taken as it is written and not as its nearest binary number."""
    step = StepPlan(slug="read", kind=StepKind.MAP, tolerate_failures=tolerance)

    assert step.tolerated(elements) == tolerated


def test_sleeps_ask_for_the_times_that_they_wait_for() -> None:
    """Each time is asked for once, of the value that it is in, and its giver is loaded where the sleep may start."""
    at, due = ValuePath(name="draft", path=("send_at",)), ValuePath(name=INPUT, path=("due",))
    steps = [
        StepPlan(slug="draft"),
        StepPlan(slug="other"),
        StepPlan(slug="one", kind=StepKind.SLEEP, until=at, dependencies=("draft", "other")),
        StepPlan(slug="two", kind=StepKind.SLEEP, until=at, dependencies=("draft",)),
        StepPlan(slug="three", kind=StepKind.SLEEP, until=due),
    ]
    plan = Plan(slug="send", version="1", fingerprint="f", steps={step.slug: step for step in steps})

    assert {name: asked.times for name, asked in plan.questions.items() if asked} == {INPUT: (due,), "draft": (at,)}
    assert [step.slug for step in plan.sleeps_until["draft"]] == ["one", "two"]
    assert plan.neighbours["other"] == ("other", "one", "draft")
