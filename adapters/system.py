"""What every host takes from the operating system: its clock, and randomness for run ids."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID


class SystemClock:
    """`Clock` on the operating system's time, which is its own reference.

    Where the system's time is set back, `now()` goes on at half speed until it has been caught up with.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = datetime.min.replace(tzinfo=UTC)
        self._last_monotonic = time.monotonic()

    @property
    def uncertainty_s(self) -> float:
        """0: this clock is its own reference."""
        return 0.0

    def now(self) -> datetime:
        """The system's time in UTC, never earlier than before."""
        with self._lock:
            system = datetime.now(UTC)
            monotonic = time.monotonic()
            if system < self._last:  # recovers 43: the system's clock is set back
                passed_s = max(0.0, monotonic - self._last_monotonic)
                system = self._last + timedelta(seconds=passed_s / 2)
            self._last = system
            self._last_monotonic = monotonic
            return system

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment of this process."""
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` seconds."""
        await asyncio.sleep(duration_s)

    async def synchronise(self) -> None:
        """Nothing to compare with."""


SECRET_BYTES = 32
"""Random bytes of a secret: nobody guesses one, whatever else they know."""

_TAIL_BITS = 74
"""Bits of a UUIDv7 below its time in milliseconds, without version and variant."""

_STEP_BITS = 32
"""Bits of the random distance between two ids of one millisecond."""


class RunIds:
    """A source of UUIDv7 in canonical text: increasing within one source, unique among all. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        """Time in milliseconds and tail of the latest id, as one number."""

    def __call__(self) -> str:
        """A fresh id."""
        with self._lock:
            first_of_now = (time.time_ns() // 1_000_000) << _TAIL_BITS
            if first_of_now > self._last:
                self._last = first_of_now | _random(_TAIL_BITS - 1)
            else:
                self._last += 1 + _random(_STEP_BITS)
            number = self._last
        milliseconds, tail = number >> _TAIL_BITS, number & ((1 << _TAIL_BITS) - 1)
        return str(UUID(int=milliseconds << 80 | 7 << 76 | tail >> 62 << 64 | 0b10 << 62 | tail & ((1 << 62) - 1)))


def _random(bits: int) -> int:
    return int.from_bytes(os.urandom(10)) >> (80 - bits)


def new_secret() -> str:
    """Fresh unguessable text, safe in an URL."""
    return secrets.token_urlsafe(SECRET_BYTES)


new_run_id = RunIds()
"""The process's source of run ids."""
