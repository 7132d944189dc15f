"""When a task may run again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ...ports.records import TaskKey
from ..plan import StepPlan
from .doubling import doubled, fraction_of

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)


def retry_delay(step: StepPlan, attempt: int, key: TaskKey) -> timedelta:
    """How long to wait after the failure of an attempt.

    `min(max_delay, base_delay · 2^(attempt − 1))`, shortened by up to the fraction `jitter` of it. The jitter is
    derived from the task's id and the attempt, so that the same decision always gives the same time.

    Args:
        step: whose policy holds.
        attempt: the attempt that failed, from 1.
        key: the task.
    """
    delay_s = doubled(step.base_delay_s, step.max_delay_s, attempt)
    if step.jitter:
        delay_s *= 1 - step.jitter * fraction_of(f"{key}#{attempt}")
    return timedelta(seconds=delay_s)


def later(now: datetime, delay: timedelta) -> datetime:
    """`now + delay`, or the end of the calendar where that is earlier."""
    try:
        return now + delay
    except OverflowError:
        return END_OF_TIME
