"""What is scheduled in a world, and all that ever was."""

from __future__ import annotations

from ...adapters.memory import MemoryScheduler
from ...adapters.memory.store import Store
from ...ports.scheduler import KeptCommand, ScheduledCommand


class RememberingScheduler(MemoryScheduler):
    """Remembers what is put back: of two firings in one moment only the second is seen.

    Args:
        store: where the commands are.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.put_back_so_far: list[ScheduledCommand] = []
        """Each as it was then."""

    async def put_back(self, kept: KeptCommand, command: ScheduledCommand) -> bool:
        """Put a command back."""
        done = await super().put_back(kept, command)
        if done:
            self.put_back_so_far.append(command)
        return done
