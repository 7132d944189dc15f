"""Scheduler: commands that are due at a time, once or again and again.

Retries, sleeps and timeouts are not here: they are columns of their rows. The scheduler holds what has no row
yet, such as a start at a time or the next tick of a cron schedule.

Tokens. Whatever is written to an entry, a claim included, gives it a token that no entry has ever had. Who wants to
change what they have seen passes it back with its token, and nothing happens where somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from .record import Record


class ScheduledCommand(Record, frozen=True, kw_only=True):
    """A command and when it is due. `name` identifies it."""

    name: str
    due_at: datetime | None
    """When it is to be carried out; None for not before somebody gives it a time."""
    command: bytes
    """The command as canonical JSON, opaque to the adapter."""
    flow: str | None = None
    """The slug of the flow whose code it needs; None where any host can carry it out."""
    failures: int = 0
    """How often in a row it could not be carried out."""
    problem: str | None = None
    """Why not, the last time."""


class KeptCommand(Record, frozen=True, kw_only=True):
    """A command as the scheduler keeps it."""

    scheduled: ScheduledCommand
    token: int
    """What it was last written with."""
    claimed_until: datetime | None = None
    """How long it belongs to whoever claimed it; None where nobody has since it was written."""


class Scheduler(Protocol):
    """The port."""

    async def schedule(self, command: ScheduledCommand, *, replace: bool = True) -> bool:
        """Remember `command`, in place of what its name held. A claim on the old one becomes stale.

        Args:
            command: what to remember.
            replace: False to leave an entry of that name as it is.

        Returns:
            Whether it is remembered; False where the name was taken and `replace` is False.
        """
        ...

    async def claim_due(
        self, *, flows: Sequence[str], now: datetime, until: datetime, limit: int
    ) -> Sequence[KeptCommand]:
        """Claim commands with `due_at` ≤ `now` that nobody holds, those first that have waited longest.

        A claim that was not answered until `until` may be given to another. No two live claims hold one command.

        Args:
            flows: the slugs of the flows whose code the caller has; other flows' commands are left alone.
            now: the time.
            until: how long the claims last.
            limit: how many at most, also 0.
        """
        ...

    async def put_back(self, kept: KeptCommand, command: ScheduledCommand) -> bool:
        """Put `command` in the place of `kept`, which has the same name, and end the claim on it.

        Returns:
            False where anybody wrote to the entry after it became as `kept` says; then nothing changes.
        """
        ...

    async def ack(self, kept: KeptCommand) -> bool:
        """Forget a command: it was carried out, or is not wanted any more.

        Returns:
            False where anybody wrote to the entry after it became as `kept` says; then nothing changes.
        """
        ...

    async def cancel(self, name: str) -> bool:
        """Forget the command of that name, whoever holds it. False where there is none."""
        ...

    async def read(self, name: str) -> KeptCommand | None:
        """The command of that name, or None."""
        ...

    async def list(self, prefix: str, *, after: str = "", limit: int) -> Sequence[KeptCommand]:
        """Commands whose names begin with `prefix` and stand behind `after`, in the order of the names' code points."""
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...
