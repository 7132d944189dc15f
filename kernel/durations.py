"""Durations as library users pass them: a `timedelta`, or a number of seconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

from .shown import shown

Duration: TypeAlias = timedelta | float
"""A `timedelta` or a number of seconds (`int` or `float`)."""

DURATION_MAX = timedelta(days=3650)
"""Ten years. Far beyond any use, and small enough that adding one to a time never leaves the calendar."""


def in_seconds(value: object) -> float:
    """Return a duration as seconds.

    Args:
        value: a `timedelta`, or a number of seconds.

    Returns:
        Finite seconds from 0 to `DURATION_MAX`.

    Raises:
        ValueError: it is something else, not finite, negative or too long; the message completes "it must be …".
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a timedelta or a number of seconds, not {shown(value)}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a finite number of seconds, not {shown(value)}")
    else:
        seconds = value
    if seconds < 0:
        raise ValueError(f"at least 0 s, not {readable(value)}")
    if seconds > DURATION_MAX.total_seconds():
        raise ValueError(f"at most {DURATION_MAX.days} days, not {readable(value)}")
    return float(seconds)


def readable(value: timedelta | float) -> str:
    """Return a duration as it is shown in messages, in seconds: `90 s`, `0.5 s`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return f"{seconds:g} s" if isinstance(seconds, float) else f"{shown(seconds)} s"
