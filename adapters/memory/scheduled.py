"""Scheduled commands by name. Every method expects the store's mutex to be held."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from heapq import nsmallest
from itertools import count

from ...ports.scheduler import KeptCommand, ScheduledCommand


class ScheduledCommands:
    """All scheduled commands of a store."""

    def __init__(self) -> None:
        self._tokens = count(1)
        self._kept: dict[str, KeptCommand] = {}

    def put(self, command: ScheduledCommand, claimed_until: datetime | None = None) -> KeptCommand:
        """Write an entry, with a token of its own."""
        kept = KeptCommand(scheduled=command, token=next(self._tokens), claimed_until=claimed_until)
        self._kept[command.name] = kept
        return kept

    def get(self, name: str) -> KeptCommand | None:
        """The entry of that name."""
        return self._kept.get(name)

    def remove(self, name: str) -> bool:
        """Forget the entry of that name."""
        return self._kept.pop(name, None) is not None

    def is_current(self, kept: KeptCommand) -> bool:
        """Whether nobody has written to an entry since it became like that."""
        found = self._kept.get(kept.scheduled.name)
        return found is not None and found.token == kept.token

    def due(self, flows: Container[str], now: datetime, limit: int) -> list[KeptCommand]:
        """What may be claimed, those first that have waited longest."""
        waiting = ((at, name) for name, kept in self._kept.items() if (at := _ready_at(kept, flows)) and at <= now)
        return [self._kept[name] for _, name in nsmallest(limit, waiting)]

    def first_ready_at(self, flows: Container[str]) -> datetime | None:
        """When the first of them may be claimed, also where that time has come."""
        return min((at for kept in self._kept.values() if (at := _ready_at(kept, flows))), default=None)

    def list(self, prefix: str, after: str, limit: int) -> list[KeptCommand]:
        """Entries by the beginning of their names, in order."""
        names = nsmallest(limit, (name for name in self._kept if name.startswith(prefix) and name > after))
        return [self._kept[name] for name in names]


def _ready_at(kept: KeptCommand, flows: Container[str]) -> datetime | None:
    """When somebody who has the code of these flows may claim a command."""
    command = kept.scheduled
    if command.due_at is None or not (command.flow is None or command.flow in flows):
        return None
    return command.due_at if kept.claimed_until is None else max(command.due_at, kept.claimed_until)
