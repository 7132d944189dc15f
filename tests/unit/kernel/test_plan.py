"""Plans: what follows from them alone."""

from __future__ import annotations

import pytest

from fairlead.kernel.plan import StepKind, StepPlan, Tolerance


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
