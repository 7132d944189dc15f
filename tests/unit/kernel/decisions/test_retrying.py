"""When a task may run again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.kernel.decisions.retrying import END_OF_TIME, later, retry_delay
from fairlead.kernel.plan import StepPlan
from fairlead.ports.records import TaskKey

KEY = TaskKey("0192b0e4-0000-7000-8000-000000000000", "charge", 1, 0)


@pytest.mark.fault(44, 49)
@pytest.mark.parametrize(
    ("attempt", "delay_s"), [(1, 1), (2, 2), (3, 4), (11, 1024), (12, 2048), (13, 3600), (64, 3600), (10_000, 3600)]
)
def test_the_delay_doubles_up_to_its_cap(attempt: int, delay_s: float) -> None:
    """Behaviour 44: base_delay, twice that, …, capped; attempt 64 does not overflow."""
    step = StepPlan(slug="charge", base_delay_s=1, max_delay_s=3600, jitter=0)

    assert retry_delay(step, attempt, KEY) == timedelta(seconds=delay_s)


@given(
    attempt=st.integers(1, 1_000),
    base=st.floats(0, 1e6),
    longest=st.floats(0, 1e8),
    jitter=st.floats(0, 1),
    element=st.integers(0, 10**6),
)
def test_jitter_only_shortens_and_is_the_same_each_time(
    attempt: int, base: float, longest: float, jitter: float, element: int
) -> None:
    """The delay lies between (1 − jitter) · full and full, and depends on task and attempt alone."""
    key = KEY._replace(element=element)
    plain = StepPlan(slug="charge", base_delay_s=base, max_delay_s=longest, jitter=0)
    jittered = StepPlan(slug="charge", base_delay_s=base, max_delay_s=longest, jitter=jitter)

    full = retry_delay(plain, attempt, key)
    found = retry_delay(jittered, attempt, key)

    assert found == retry_delay(jittered, attempt, key)
    assert full * (1 - jitter) - timedelta(microseconds=1) <= found <= full


@pytest.mark.fault(41)
def test_tasks_of_one_map_spread_their_retries() -> None:
    """A thousand elements that fail together do not come back together."""
    step = StepPlan(slug="charge", base_delay_s=100, jitter=0.5)

    delays = {retry_delay(step, 1, KEY._replace(element=element)) for element in range(1_000)}

    assert len(delays) > 900


@pytest.mark.fault(44)
def test_the_calendar_has_an_end() -> None:
    """A delay that leaves the calendar is clamped to its end."""
    now = datetime(9999, 1, 1, tzinfo=UTC)

    assert later(now, timedelta(days=100_000)) == END_OF_TIME


@given(
    base=st.floats(0, 1e6),
    longest=st.floats(0, 1e8),
    earlier=st.integers(1, 10_000),
    later_by=st.integers(0, 10_000),
)
def test_delays_never_shrink_and_never_pass_their_cap(base: float, longest: float, earlier: int, later_by: int) -> None:
    """Whichever attempt fails; and whatever its number, there is a time at which the next one is due."""
    step = StepPlan(slug="charge", base_delay_s=base, max_delay_s=longest, jitter=0)

    delay = retry_delay(step, earlier + later_by, KEY)

    assert timedelta(0) <= retry_delay(step, earlier, KEY) <= delay <= timedelta(seconds=longest)
    assert later(datetime(9999, 12, 1, tzinfo=UTC), delay) <= END_OF_TIME
