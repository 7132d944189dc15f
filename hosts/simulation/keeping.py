"""I29: nothing is removed that somebody refers to, and nobody writes where others have written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...adapters.memory import MemoryBlobs
from ...adapters.memory.store import Store
from ...kernel.references import is_reference, read_reference
from ...kernel.schedules import CRON_PREFIX, SIGNAL_PREFIX, START_PREFIX, CronEntry, SignalEntry, StartEntry, read_entry
from ...ports.clock import Clock

ENTRIES_MAX = 10_000
"""Scheduled commands that are looked at: more than any world has."""


class KeptBlobs(MemoryBlobs):
    """The blobs of a world. A blob that is gone is missed only where somebody reads it before it is written again.

    Args:
        clock: says when a blob was written.
        store: whose rows refer to them.
        tell: is told what should not be.
    """

    def __init__(self, clock: Clock, store: Store, tell: Callable[[Sequence[str]], None]) -> None:
        super().__init__(clock)
        self._store = store
        self._tell = tell

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store, where nothing else is."""
        if await self.has(key) and await self.get(key) != data:
            self._tell([f"I29: blob {key} is there, and somebody writes another one under its key"])
        await super().put(key, data, if_absent=if_absent)

    async def delete(self, key: str) -> None:
        """Remove what nobody refers to."""
        if await self.has(key):
            self._tell([f"I29: blob {key} is removed, and {name} refers to it" for name in self._referring(key)])
        await super().delete(key)

    def _referring(self, key: str) -> Iterator[str]:
        for name, stored in self._stored():
            blobs = read_reference(stored).blobs() if stored is not None and is_reference(stored) else ()
            if any(blob.key == key for blob in blobs):
                yield name

    def _stored(self) -> Iterator[tuple[str, bytes | None]]:
        """Everything that may be a reference, and what a report calls it."""
        for run in self._store.runs.values():
            yield f"the input of run {run.row.id}", run.row.input
            for task in run.tasks.values():
                yield f"the output of {task.key}", task.output
                yield f"the state of {task.key}", task.state if task.key in run.live else None
            for signal in run.signals.values():
                yield f"the signal for {signal.step} of run {run.row.id}", signal.payload
        for prefix in (CRON_PREFIX, START_PREFIX, SIGNAL_PREFIX):
            for kept in self._store.scheduled.list(prefix, "", ENTRIES_MAX):
                entry = read_entry(kept.scheduled.command)
                if isinstance(entry, CronEntry | StartEntry):
                    yield f"the input of {kept.scheduled.name}", entry.template.input.encode()
                elif isinstance(entry, SignalEntry):
                    yield f"the payload of {kept.scheduled.name}", entry.payload.encode()
