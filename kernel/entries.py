"""The entries of the scheduler that are schedules and deferred commands: one by one, or page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from ..ports.errors import CorruptionError
from ..ports.scheduler import KeptCommand, Scheduler
from .errors import DeferredNotFound
from .schedules import CronEntry, DeferredEntry, Entry, read_entry

EntryT = TypeVar("EntryT", bound=Entry)

ENTRIES_PER_PAGE = 500
"""Entries of the scheduler that are read at a time."""


def entry_of(kept: KeptCommand, kind: type[EntryT]) -> EntryT:
    """The entry that stands under a name which says of what kind it is.

    Raises:
        CorruptionError: it is of another kind.
    """
    entry = read_entry(kept.scheduled.command)
    if not isinstance(entry, kind):
        raise CorruptionError(f"the entry {kept.scheduled.name!r} is a {type(entry).__name__}, not a {kind.__name__}")
    return entry


def deferred_entry_of(kept: KeptCommand) -> DeferredEntry:
    """The deferred command that stands under a name.

    Raises:
        DeferredNotFound: it is a schedule.
    """
    entry = read_entry(kept.scheduled.command)
    if isinstance(entry, CronEntry):
        raise DeferredNotFound(kept.scheduled.name)
    return entry


async def read_entries(scheduler: Scheduler, prefix: str) -> AsyncIterator[tuple[KeptCommand, Entry]]:
    """All entries whose names begin with `prefix`, by name."""
    after = ""
    while page := await scheduler.list(prefix, after=after, limit=ENTRIES_PER_PAGE):
        for kept in page:
            yield kept, read_entry(kept.scheduled.command)
        if len(page) < ENTRIES_PER_PAGE:
            return
        after = page[-1].scheduled.name
