"""What a process that does nothing but run a host sets up for its speed."""

from __future__ import annotations

import asyncio
import gc

YOUNG_MAX = 20_000
"""New objects after which the collector looks among them: some megabytes."""


def new_runner() -> asyncio.Runner:
    """A runner of the event loop: uvloop's where that is installed, since it costs less per round trip."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def collect_rarely() -> None:
    """Let the garbage collector look less often, and never at what is there by now: to be called when all is loaded.

    A busy host makes and drops many objects that hold no cycles. The default looks at them, and at what is alive, every
    700 new ones, which takes a fourteenth of the host's time.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 20, 20)
