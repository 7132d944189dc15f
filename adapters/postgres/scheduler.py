"""Scheduled commands in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.scheduler import DueCommand, ScheduledCommand
from .database import Database


class PostgresScheduler:
    """`Scheduler` over the table `scheduled`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def schedule(self, command: ScheduledCommand) -> None:
        """Remember `command`, replacing what its name held."""
        parameters = {"name": command.name, "due_at": command.due_at, "command": command.command.decode()}
        await self._database.write("schedule", parameters)

    async def claim_due(self, *, now: datetime, until: datetime, limit: int) -> Sequence[DueCommand]:
        """Claim commands that are due and that nobody holds, earliest first."""
        rows = await self._database.write("claim_due", {"now": now, "until": until, "limit": limit})
        return [
            DueCommand(
                scheduled=ScheduledCommand(name=name, due_at=due_at, command=command),
                token=token,
                claimed_until=claimed_until,
            )
            for name, due_at, command, token, claimed_until in rows
        ]

    async def ack(self, due: DueCommand) -> bool:
        """Forget an executed command, unless the claim is stale."""
        return bool(await self._database.write("ack_due", {"name": due.scheduled.name, "token": due.token}))

    async def cancel(self, name: str) -> bool:
        """Forget the command of that name."""
        return bool(await self._database.write("cancel_scheduled", {"name": name}))

    async def aclose(self) -> None:
        """Nothing of its own was opened: the connections are the persistence's."""
