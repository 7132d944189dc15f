"""Sleeps whose end is data: which values give them none."""

from __future__ import annotations

import pytest

from fairlead.kernel.facts import facts_of
from fairlead.kernel.plan import INPUT, Condition, Pattern, Plan, StepKind, StepPlan, ValuePath
from fairlead.kernel.sleeps import missing_times

_PLAN = Plan(
    slug="send",
    version="1",
    fingerprint="f",
    steps={
        "late": StepPlan(
            slug="late",
            kind=StepKind.SLEEP,
            until=ValuePath(name=INPUT, path=("send_at",)),
            condition=Condition(unless=(Pattern(INPUT, b'{"urgent":true}'),)),
        )
    },
)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"send_at":"2030-01-01T12:00:00Z","urgent":false}', []),
        (b'{"send_at":null,"urgent":false}', []),
        (b'{"send_at":"soon","urgent":true}', []),
        (
            b'{"send_at":"soon","urgent":false}',
            [
                "the sleep 'late' lasts until 'input.send_at', which should be a time with its offset from UTC, or "
                "null, and is text that is no time"
            ],
        ),
    ],
)
def test_a_value_that_gives_a_sleep_no_end_is_told(data: bytes, told: list[str]) -> None:
    """A time or null does, and a sleep that the same value rules out needs neither."""
    facts = facts_of(_PLAN.questions[INPUT], data)

    assert [str(each) for each in missing_times(_PLAN, INPUT, facts)] == told
