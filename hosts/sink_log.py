"""What a host logs of sinks in trouble: of each sink one line a minute, however often it refuses."""

from __future__ import annotations

import logging

from attrs import define

from ..kernel.commands import Flushed
from ..ports.clock import Clock

logger = logging.getLogger(__name__)

LOG_INTERVAL_S = 60.0
"""How long after a line about a sink the next one is written: a sink that is down refuses several times a second."""


@define
class _Since:
    """What there was of one sink since the last line about it."""

    quiet_until_s: float = 0.0
    left_out: int = 0
    """Lines that were not written."""
    dead: int = 0
    """Events that became dead letters, and were not told of."""


class SinkLog:
    """The log of one host about its sinks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, _Since] = {}

    def note(self, sink: str, flushed: Flushed) -> None:
        """Log what a flush came to where there was trouble, or count it for the next line."""
        now_s = self._clock.monotonic()
        since = self._since.setdefault(sink, _Since(quiet_until_s=now_s))
        since.dead += flushed.dead
        told = _told(flushed, since.dead)
        if not told:
            return
        if now_s < since.quiet_until_s:
            since.left_out += bool(_told(flushed, flushed.dead))
            return
        if since.left_out:
            told.append(f"{since.left_out:,} such lines were left out")
        logger.log(logging.ERROR if since.dead else logging.WARNING, "sink %r: %s", sink, "; ".join(told))
        self._since[sink] = _Since(quiet_until_s=now_s + LOG_INTERVAL_S)


def _told(flushed: Flushed, dead: int) -> list[str]:
    """What is to be said, in the order of its weight."""
    told: list[str] = []
    if dead:
        told.append(f"{dead:,} more dead letter{'s' if dead > 1 else ''}")
    if flushed.stuck:
        told.append(f"a call has not ended, and until it has this process gives it nothing: {flushed.problem}")
    elif flushed.paused:
        told.append(f"it accepts nothing and is given a pause: {flushed.problem}")
    elif flushed.held_back:
        run_id, problem = flushed.held_back[0]
        others = len(flushed.held_back) - 1
        also = f" and of {others:,} more" if others else ""
        told.append(f"events of run {run_id}{also} are held back: {problem}")
    return told
