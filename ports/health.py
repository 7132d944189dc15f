"""The health of a store as one look tells it: what waits for hosts, and since when. For operators, not for hosts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .record import Record

LINES_PER_INVARIANT_MAX = 100
"""Lines that tell of rows that break one invariant: what is wrong shows in some of them, and all may be millions."""


class Overdue(Record, frozen=True):
    """Things that somebody should have dealt with by now."""

    count: int
    since: datetime | None
    """When the first of them fell due; None where there are none."""


class WaitingWork(Record, frozen=True, kw_only=True):
    """Work of one flow that could be claimed now."""

    queue: str | None
    """Of tasks; None for pending runs, which any host with their flow may claim."""
    flow: str
    version: str
    count: int
    since: datetime
    """When the first of it could have been claimed."""


class Health(Record, frozen=True, kw_only=True):
    """What one look tells. Counts are of all flows, whoever serves them."""

    waiting: Sequence[WaitingWork]
    """By flow, version and queue."""
    leases: Overdue
    """Running tasks whose lease has ended: their host is gone, and nobody has taken them back."""
    waits: Overdue
    """Suspended tasks whose time has come."""
    deadlines: Overdue
    """Runs that have not ended by their deadline."""
    events: Overdue
    """Outbox rows that are not published, since they were written."""
    commands: Overdue
    """Scheduled commands that are due."""
    held: int
    """Scheduled commands that could not be carried out, and wait for somebody."""
