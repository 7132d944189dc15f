"""A wrong clock for one process: everything that asks the system what time it is gets an answer that is off.

Processes cannot have clocks of their own, so the two places at which adapters read the system's time are replaced. What
passes between two moments stays right, as it does on a host whose clock was set wrongly.
"""

from __future__ import annotations

import time as real_time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any

from fairlead.adapters import system
from fairlead.adapters.postgres import clock

_PLACES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (system.__dict__, ("datetime", "time")),
    (clock.__dict__, ("datetime",)),
]


@contextmanager
def clock_off(offset_s: float) -> Generator[None]:
    """Be wrong by so many seconds during the block: a clock that is made in it begins wrong."""
    before = [{name: place[name] for name in names} for place, names in _PLACES]
    set_clock_off(offset_s)
    try:
        yield
    finally:
        for (place, _), kept in zip(_PLACES, before, strict=True):
            place.update(kept)


def set_clock_off(offset_s: float) -> None:
    """Be wrong by so many seconds until the process ends."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=offset_s)

    nanoseconds = round(offset_s * 1e9)
    skewed: Any = SimpleNamespace(**vars(real_time))
    skewed.time = lambda: real_time.time() + offset_s
    skewed.time_ns = lambda: real_time.time_ns() + nanoseconds
    replaced: dict[str, Any] = {"datetime": Skewed, "time": skewed}
    for place, names in _PLACES:
        place.update({name: replaced[name] for name in names})
