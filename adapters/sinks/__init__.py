"""Sinks that need no technology: one that logs events, and one that calls a function with them.

`kernel.subscribe` is the shorter way to be called for single events of chosen types; a sink sees them all. The one that
keeps what it is given, for tests, is in `adapters.memory`.
"""

from __future__ import annotations

from .function import CallableSink
from .log import LoggingSink

__all__ = ["CallableSink", "LoggingSink"]
