"""A sink that writes events to a log of the standard library."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...ports.outbox import EventRecord


class LoggingSink:
    """`EventSink` that logs every event as one line, and accepts it.

    Args:
        logger: where to; `fairlead.events` where None.
        level: at which level.
    """

    def __init__(self, logger: logging.Logger | None = None, *, level: int = logging.INFO) -> None:
        self._logger = logging.getLogger("fairlead.events") if logger is None else logger
        self._level = level

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Log the events; each record has the `EventRecord` as its attribute `event`, for handlers that want more."""
        for event in batch:
            step = "" if event.step is None else f" of step {event.step}"
            self._logger.log(
                self._level,
                "%s %s%s: %s, run %s",
                event.sequence,
                event.type,
                step,
                event.flow,
                event.run_id,
                extra={"event": event},
            )
        return len(batch)

    async def aclose(self) -> None:
        """Nothing was opened."""
