"""Scheduled commands in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.scheduler import KeptCommand, ScheduledCommand
from .arrays import texts
from .database import Database, Parameters, Row

ANY_HOST = ""
"""What stands in place of a flow where any host can carry a command out: no flow has that slug."""


class PostgresScheduler:
    """`Scheduler` over the table `scheduled`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def schedule(self, command: ScheduledCommand, *, replace: bool = True) -> bool:
        """Remember `command`, in place of what its name held."""
        return bool(await self._database.write("schedule", {**_values(command), "replace": replace}))

    async def claim_due(
        self, *, flows: Sequence[str], now: datetime, until: datetime, limit: int
    ) -> Sequence[KeptCommand]:
        """Claim commands that are due and that nobody holds."""
        parameters = {"flows": texts([ANY_HOST, *flows]), "now": now, "until": until, "limit": limit}
        return [_kept(row) for row in await self._database.write("claim_due", parameters)]

    async def put_back(self, kept: KeptCommand, command: ScheduledCommand) -> bool:
        """Put `command` in the place of `kept`, unless somebody else has written to it."""
        return bool(await self._database.write("put_back", {**_values(command), "token": kept.token}))

    async def ack(self, kept: KeptCommand) -> bool:
        """Forget a command, unless somebody else has written to it."""
        return bool(await self._database.write("ack_due", {"name": kept.scheduled.name, "token": kept.token}))

    async def cancel(self, name: str) -> bool:
        """Forget the command of that name."""
        return bool(await self._database.write("cancel_scheduled", {"name": name}))

    async def read(self, name: str) -> KeptCommand | None:
        """The command of that name, or None."""
        rows = await self._database.read("read_scheduled", {"name": name})
        return _kept(rows[0]) if rows else None

    async def list(self, prefix: str, *, after: str = "", limit: int) -> Sequence[KeptCommand]:
        """Commands by the beginning of their names."""
        rows = await self._database.read("list_scheduled", {"prefix": prefix, "after": after, "limit": limit})
        return [_kept(row) for row in rows]

    async def aclose(self) -> None:
        """Nothing of its own was opened: the connections are the persistence's."""


def _values(command: ScheduledCommand) -> Parameters:
    return {
        "name": command.name,
        "due_at": command.due_at,
        "command": command.command.decode(),
        "flow": ANY_HOST if command.flow is None else command.flow,
        "failures": command.failures,
        "problem": command.problem,
    }


def _kept(row: Row) -> KeptCommand:
    name, due_at, command, flow, failures, problem, token, claimed_until = row
    return KeptCommand(
        scheduled=ScheduledCommand(
            name=name,
            due_at=due_at,
            command=command,
            flow=None if flow == ANY_HOST else flow,
            failures=failures,
            problem=problem,
        ),
        token=token,
        claimed_until=claimed_until,
    )
