"""Numbers, lengths of time and moments as messages say them."""

from __future__ import annotations

from datetime import datetime, timedelta


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number of things: `1 host`, `1,200 hosts`.

    Args:
        number: how many.
        one: what one of them is called.
        many: what several are called, where that is not `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def times(number: int) -> str:
    """How often something was done: `once`, `12 times`."""
    return "once" if number == 1 else f"{number:,} times"


def lasting(length: timedelta) -> str:
    """A length of time, to the second or to two digits; what is negative is nothing."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def moment(time: datetime) -> str:
    """A time, to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def coming(time: datetime, now: datetime) -> str:
    """A time to come: `in 40 s (2026-05-04 12:00:40 UTC)`."""
    return f"in {lasting(time - now)} ({moment(time)})"
