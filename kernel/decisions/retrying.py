"""When a task may run again."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

from ...ports.records import TaskKey
from ..plan import StepPlan

DOUBLINGS_MAX = 60
"""Doublings of a delay that are computed; past this any delay above a nanosecond exceeds every `max_delay`."""

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
    delay_s = min(step.max_delay_s, step.base_delay_s * 2.0 ** min(attempt - 1, DOUBLINGS_MAX))
    if step.jitter:
        delay_s *= 1 - step.jitter * _fraction(f"{key}#{attempt}")
    return timedelta(seconds=delay_s)


def later(now: datetime, delay: timedelta) -> datetime:
    """`now + delay`, or the end of the calendar where that is earlier."""
    try:
        return now + delay
    except OverflowError:
        return END_OF_TIME


def _fraction(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return zlib.crc32(text.encode()) / 2**32
