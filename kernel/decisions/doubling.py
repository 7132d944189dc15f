"""Delays that double: how long to wait after so many failures in a row, and what varies in it."""

from __future__ import annotations

import zlib

DOUBLINGS_MAX = 60
"""Doublings of a delay that are computed; past this any delay above a nanosecond exceeds every longest one."""


def doubled(first_s: float, longest_s: float, failures: int) -> float:
    """The delay in seconds after so many failures, from 1: `min(longest, first · 2^(failures − 1))`."""
    return min(longest_s, first_s * 2.0 ** min(failures - 1, DOUBLINGS_MAX))


def fraction_of(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text: what varies is the same where a decision is repeated."""
    return zlib.crc32(text.encode()) / 2**32
