"""Scheduler: commands that are due at a time.

Retries, sleeps and timeouts are not here: they are columns of their rows. The scheduler holds what has no row
yet, such as a start at a time or the next tick of a cron schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from .record import Record


class ScheduledCommand(Record, frozen=True, kw_only=True):
    """A command and when it is due. `name` identifies it: scheduling a name again replaces what it held."""

    name: str
    due_at: datetime
    command: bytes
    """The command as canonical JSON, opaque to the adapter."""


class DueCommand(Record, frozen=True, kw_only=True):
    """A due command, claimed: whoever holds it executes and acknowledges it before `claimed_until`."""

    scheduled: ScheduledCommand
    token: int
    claimed_until: datetime


class Scheduler(Protocol):
    """The port."""

    async def schedule(self, command: ScheduledCommand) -> None:
        """Remember `command`, replacing what its name held. A claim on the old one becomes stale."""
        ...

    async def claim_due(self, *, now: datetime, until: datetime, limit: int) -> Sequence[DueCommand]:
        """Claim commands with `due_at` ≤ `now` that nobody holds, earliest first; the claim lasts until `until`.

        A claim that was not acknowledged by then may be given to another. No two live claims hold one command.
        """
        ...

    async def ack(self, due: DueCommand) -> bool:
        """The command was executed: forget it. False where the claim is stale, and then nothing changes."""
        ...

    async def cancel(self, name: str) -> bool:
        """Forget the command of that name. False where there is none."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
