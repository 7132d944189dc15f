"""Commands about committed events: publishing them."""

from __future__ import annotations

from datetime import timedelta

from ...ports.record import Record
from .base import Command, at_least


class FlushOutbox(Command["Flushed"], frozen=True, kw_only=True):
    """Publish committed events through the sink. Repeatable: at worst an event is published again."""

    worker: str
    lease_duration: timedelta
    limit: int = 500
    """Outbox rows per shard and flush."""

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class Flushed(Record, frozen=True, kw_only=True):
    """What a flush did."""

    published: int
    """Events that the sink accepted and that are marked so."""
    held_back: tuple[tuple[str, str], ...] = ()
    """(run id, what the sink raised or did) for each run whose events wait for the next flush."""
