"""Scheduled commands in a store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.scheduler import KeptCommand, ScheduledCommand
from .store import Store, check_text


class MemoryScheduler:
    """`Scheduler` that lives as long as its process.

    Args:
        store: where the commands are, the one of the `MemoryPersistence` beside it; a new one where None.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = Store() if store is None else store

    async def schedule(self, command: ScheduledCommand, *, replace: bool = True) -> bool:
        """Remember `command`, in place of what its name held."""
        _check(command)
        with self._store.mutex:
            if not replace and self._store.scheduled.get(command.name) is not None:
                return False
            self._store.scheduled.put(command)
            return True

    async def claim_due(
        self, *, flows: Sequence[str], now: datetime, until: datetime, limit: int
    ) -> Sequence[KeptCommand]:
        """Claim commands that are due and that nobody holds."""
        with self._store.mutex:
            scheduled = self._store.scheduled
            return [scheduled.put(kept.scheduled, until) for kept in scheduled.due(frozenset(flows), now, limit)]

    async def put_back(self, kept: KeptCommand, command: ScheduledCommand) -> bool:
        """Put `command` in the place of `kept`, unless somebody else has written to it."""
        _check(command)
        with self._store.mutex:
            if not self._store.scheduled.is_current(kept):
                # recovers 69: a scheduled command was written by somebody else
                return False
            self._store.scheduled.put(command)
            return True

    async def ack(self, kept: KeptCommand) -> bool:
        """Forget a command, unless somebody else has written to it."""
        with self._store.mutex:
            return self._store.scheduled.is_current(kept) and self._store.scheduled.remove(kept.scheduled.name)

    async def cancel(self, name: str) -> bool:
        """Forget the command of that name."""
        with self._store.mutex:
            return self._store.scheduled.remove(name)

    async def read(self, name: str) -> KeptCommand | None:
        """The command of that name, or None."""
        with self._store.mutex:
            return self._store.scheduled.get(name)

    async def list(self, prefix: str, *, after: str = "", limit: int) -> Sequence[KeptCommand]:
        """Commands by the beginning of their names."""
        with self._store.mutex:
            return self._store.scheduled.list(prefix, after, limit)

    async def aclose(self) -> None:
        """Nothing was opened; the commands stay."""


def _check(command: ScheduledCommand) -> None:
    check_text(command.name, "the name of a scheduled command")
    check_text(command.problem, "the problem of a scheduled command")
