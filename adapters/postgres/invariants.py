"""The invariants of stored rows, one query each, which answers with no row on a healthy database.

Each is one statement, hence one state of the store, in a transaction of its own: the longest of them reads every event
that is kept, and a transaction that stayed open beside all of them would keep the rows of the busiest tables from being
cleaned up for as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from ...ports.health import LINES_PER_INVARIANT_MAX
from .database import Database
from .sql import invariants as folder

DEADLINE_S = 3600.0
"""How long one invariant may take: the longest reads 70,000 events in a second, and nobody else waits for it."""


@cache
def invariant_names() -> tuple[str, ...]:
    """The names of all invariants, in order."""
    return tuple(
        sorted(file.name.removesuffix(".sql") for file in files(folder).iterdir() if file.name.endswith(".sql"))
    )


class InvariantChecking:
    """`Persistence.check_invariants`."""

    _database: Database

    async def check_invariants(self, *, lines_max: int = LINES_PER_INVARIANT_MAX) -> Mapping[str, Sequence[str]]:
        """The invariants that do not hold, by name, with a line for each of the first rows that break one."""
        broken: dict[str, Sequence[str]] = {}
        for name in invariant_names():
            rows = await self._database.read(f"invariants/{name}", deadline_s=DEADLINE_S, rows_max=lines_max)
            if rows:
                broken[name] = [str(row[0]) for row in rows]
        return broken
