"""Values of options: what each kind of value may be, in words and in code.

Each function returns a value as `Policy` or `Plan` holds it, or raises ValueError with a message that completes
"must be …".
"""

from __future__ import annotations

import math
from typing import cast

from ..durations import DURATION_MAX, in_seconds
from ..plan import Consequence, Tolerance
from ..shown import shown
from .names import queue_problem

MAX_ATTEMPTS_MAX = 10_000
"""Every failed attempt is kept, so attempts are bounded."""
MAX_CONCURRENCY_MAX = 10_000
"""A map never has more unfinished tasks than this at a time, so a larger value could not be honoured."""
TOLERATED_MAX = 2**31 - 1
"""Elements. More than any array has; the largest count that every store holds."""

CONSEQUENCES = "'fail', 'skip' or 'skip_cascade'"
TOLERANCES = "a count from 0 (an int), a fraction of the elements between 0 and 1 (a float), or 'all'"
DURATION = f"a timedelta or seconds, 0 to {DURATION_MAX.days} days"
POSITIVE_DURATION = f"a timedelta or seconds, more than 0, at most {DURATION_MAX.days} days"


def attempts(value: object) -> int:
    """A number of attempts."""
    return _integer(value, 1, MAX_ATTEMPTS_MAX)


def concurrency(value: object) -> int:
    """How many tasks at a time."""
    return _integer(value, 1, MAX_CONCURRENCY_MAX)


def positive_duration(value: object) -> float:
    """A duration that is no zero, in seconds."""
    seconds = in_seconds(value)
    if seconds == 0:
        raise ValueError("more than 0 s, not 0 s")
    return seconds


def fraction(value: object) -> float:
    """A part of a whole."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"a number from 0 to 1, not {shown(value)}")
    if not 0 <= value <= 1:
        raise ValueError(f"from 0 to 1, not {value}")
    return float(value)


def queue(value: object) -> str:
    """The name of a queue."""
    problem = queue_problem(value)
    if problem is not None or not isinstance(value, str):
        raise ValueError(f"the name of a queue; {shown(value)} {problem}")
    return value


def exceptions(value: object) -> tuple[type[Exception], ...]:
    """Classes of exceptions."""
    if isinstance(value, type):
        raise ValueError(f"a tuple of exception classes: write ({value.__name__},)")
    if not isinstance(value, tuple | list):
        raise ValueError(f"a tuple of exception classes, not {shown(value)}")
    classes: list[type[Exception]] = []
    for each in value:  # pyright: ignore[reportUnknownVariableType]  # Whatever it is, the next line checks it.
        if not (isinstance(each, type) and issubclass(each, Exception)):
            raise ValueError(f"a tuple of subclasses of Exception; {shown(cast(object, each))} is none")
        classes.append(each)
    return tuple(classes)


def consequence(value: object) -> Consequence:
    """What follows."""
    if not isinstance(value, str) or value not in tuple(Consequence):
        raise ValueError(f"{CONSEQUENCES}, not {shown(value)}")
    return Consequence(value)


def tolerance(value: object) -> Tolerance:
    """How many elements may fail."""
    if value == "all":
        return "all"
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{TOLERANCES}, not {shown(value)}")
    if isinstance(value, int):
        return _integer(value, 0, TOLERATED_MAX)
    if not 0 < value < 1:
        raise ValueError(f"{TOLERANCES}, not {shown(value)}; write none as 0 and every element as 'all'")
    return value


def _integer(value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"an int from {low} to {high}, not {shown(value)}")
    if not low <= value <= high:
        raise ValueError(f"from {low} to {high}, not {value}")
    return value
