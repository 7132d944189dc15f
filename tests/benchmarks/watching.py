"""Waiting for the end of a drain without taking part in it."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 3_600.0
"""How long a drain may take before it counts as stuck."""

POLL_S = 0.005
"""How exactly the end of a drain is known, unless asking takes long …"""

PAUSE_S_MAX = 0.05
"""… and how exactly in any case."""

ASKING_SHARE = 0.02
"""Asking whether a drain has ended takes about this share of the time: who is measured has the rest."""


def wait_until(ended: Callable[[], bool], *, subject: str) -> None:
    """Ask again and again, as often as it costs next to nothing.

    Raises:
        RuntimeError: it takes longer than `PATIENCE_S`.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        asked = time.perf_counter()
        if ended():
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{subject}: not drained after {PATIENCE_S:g} s")
        pause_s = (time.perf_counter() - asked) / ASKING_SHARE
        time.sleep(min(max(POLL_S, pause_s), PAUSE_S_MAX))
