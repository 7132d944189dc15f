"""EventSink: where published events go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .outbox import EventRecord


class EventSink(Protocol):
    """The port. Called outside every transaction and lock, by one flusher at a time for any one run."""

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        """Take events of one run, in order of their sequence numbers.

        At-least-once: the same events may come again; a sink that minds deduplicates by (run id, sequence).

        Returns:
            How many of `batch`, counted from its start, were accepted. The rest is published again later. An
            exception accepts none.
        """
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
