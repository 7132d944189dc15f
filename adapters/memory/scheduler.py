"""Scheduled commands in a dict."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from heapq import nsmallest
from itertools import count

from ...ports.scheduler import DueCommand, ScheduledCommand


class MemoryScheduler:
    """`Scheduler` that lives as long as its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = count(1)
        self._commands: dict[str, ScheduledCommand] = {}
        self._claims: dict[str, DueCommand] = {}
        """The latest claim on each command that has one."""

    async def schedule(self, command: ScheduledCommand) -> None:
        """Remember `command`, replacing what its name held."""
        with self._lock:
            self._commands[command.name] = command
            self._claims.pop(command.name, None)

    async def claim_due(self, *, now: datetime, until: datetime, limit: int) -> Sequence[DueCommand]:
        """Claim commands that are due and that nobody holds, earliest first."""
        with self._lock:
            due = nsmallest(
                limit,
                ((command.due_at, name) for name, command in self._commands.items() if self._claimable(command, now)),
            )
            claimed = [
                DueCommand(scheduled=self._commands[name], token=next(self._tokens), claimed_until=until)
                for _, name in due
            ]
            self._claims.update((claim.scheduled.name, claim) for claim in claimed)
            return claimed

    async def ack(self, due: DueCommand) -> bool:
        """Forget an executed command, unless the claim is stale."""
        name = due.scheduled.name
        with self._lock:
            claim = self._claims.get(name)
            if claim is None or claim.token != due.token:
                return False
            del self._claims[name], self._commands[name]
            return True

    async def cancel(self, name: str) -> bool:
        """Forget the command of that name."""
        with self._lock:
            self._claims.pop(name, None)
            return self._commands.pop(name, None) is not None

    async def aclose(self) -> None:
        """Nothing was opened; the commands stay."""

    def _claimable(self, command: ScheduledCommand, now: datetime) -> bool:
        claim = self._claims.get(command.name)
        return command.due_at <= now and (claim is None or claim.claimed_until <= now)
