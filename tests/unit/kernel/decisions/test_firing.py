"""Firing: which ticks start runs, whatever the time since the last look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.kernel.cron import Cron
from fairlead.kernel.decisions.firing import (
    CATCH_UP_MAX,
    FIRE_TICKS_MAX,
    ON_TIME,
    RETRY_DELAY_MAX,
    fire_ticks,
    retry_at,
)
from fairlead.kernel.dispatch.firing import FIRE_CLAIM
from fairlead.kernel.schedules import CATCH_UPS, CatchUp, LeftOut

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

POLICIES = st.sampled_from(CATCH_UPS)
EXPRESSIONS = st.sampled_from(["* * * * * *", "*/7 * * * * *", "* * * * *", "*/30 * * * *", "@hourly"])


def test_a_look_that_comes_too_early_finds_nothing() -> None:
    """And says when to come again."""
    firing = fire_ticks(Cron("@hourly"), BEGAN, BEGAN + 59 * SECOND, "all")

    assert (list(firing.ticks), firing.after, firing.left_out) == ([], BEGAN, None)
    assert firing.next_at == BEGAN + timedelta(hours=1)


def test_a_tick_is_fired_on_the_second() -> None:
    """Its own time belongs to it."""
    tick = BEGAN + timedelta(hours=1)

    assert list(fire_ticks(Cron("@hourly"), BEGAN, tick, "none").ticks) == [tick]
    assert list(fire_ticks(Cron("@hourly"), BEGAN, tick + ON_TIME - SECOND, "none").ticks) == [tick]
    assert fire_ticks(Cron("@hourly"), BEGAN, tick + ON_TIME, "none").left_out == LeftOut(tick, tick)


@settings(max_examples=150, deadline=None)
@given(catch_up=POLICIES, expression=EXPRESSIONS, looks=st.lists(st.integers(0, 4_000), min_size=1, max_size=12))
def test_every_tick_is_fired_or_left_out_and_none_twice(catch_up: CatchUp, expression: str, looks: list[int]) -> None:
    """Looks at any times: what is dealt with is a prefix of all ticks; what is left out is what the policy says."""
    cron = Cron(expression)
    after, now = BEGAN, BEGAN
    fired: list[datetime] = []
    dealt_with: list[datetime] = []
    for pause_s in looks:
        now += pause_s * SECOND
        while True:
            firing = fire_ticks(cron, after, now, catch_up)
            assert len(firing.ticks) <= FIRE_TICKS_MAX
            if firing.left_out is not None:
                left = list(cron.between(firing.left_out.first - SECOND, firing.left_out.last))
                missed = len(list(cron.between(after, now - ON_TIME)))
                assert catch_up != "all" or missed - len(left) == CATCH_UP_MAX
                assert all(each <= now - ON_TIME for each in left)
                dealt_with += left
            fired += firing.ticks
            dealt_with += firing.ticks
            assert firing.next_at == cron.after(firing.after)
            if firing.after == after:
                break
            after = firing.after

    every = list(cron.between(BEGAN, now))
    assert dealt_with == every
    if catch_up == "all" and len(every) <= CATCH_UP_MAX:
        assert fired == every


def test_a_claim_that_nobody_answers_makes_no_tick_a_missed_one() -> None:
    """The host that takes over fires the tick under every policy."""
    assert FIRE_CLAIM + timedelta(seconds=30) <= ON_TIME


@pytest.mark.parametrize(("failures", "pause_s"), [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (1_000_000, 300)])
def test_pauses_double_up_to_a_bound(failures: int, pause_s: int) -> None:
    """Also after any number of failures."""
    assert retry_at(BEGAN, failures) - BEGAN == pause_s * SECOND <= RETRY_DELAY_MAX
