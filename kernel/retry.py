"""What a handler raises to override its step's retry policy."""

from __future__ import annotations

from .durations import Duration, in_seconds


class RetryAfter(Exception):
    """Raised by a handler: this attempt failed, and the next one starts no earlier than `delay` from now.

    It replaces the computed delay (`base_delay`, `max_delay`, `jitter`); it does not add an attempt.

    Args:
        delay: a `timedelta` or seconds, from 0 up to `DURATION_MAX`.
        reason: why, for the recorded error.

    Raises:
        ValueError: `delay` is out of bounds.
    """

    def __init__(self, delay: Duration, reason: str = "") -> None:
        try:
            self.delay_s = in_seconds(delay)
        except ValueError as problem:
            raise ValueError(f"RetryAfter: delay must be {problem}") from None
        self.reason = reason
        super().__init__(reason or f"retry after {self.delay_s:g} s")


class GiveUp(Exception):
    """Raised by a handler: this failed, and no further attempt can help.

    Args:
        reason: why, for the recorded error.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
