"""The invariants of stored rows, one query each, which answers with no row on a healthy database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from .database import SNAPSHOT, Database
from .sql import invariants as folder


@cache
def invariant_names() -> tuple[str, ...]:
    """The names of all invariants, in order."""
    return tuple(
        sorted(file.name.removesuffix(".sql") for file in files(folder).iterdir() if file.name.endswith(".sql"))
    )


class InvariantChecking:
    """`Persistence.check_invariants`."""

    _database: Database

    async def check_invariants(self) -> Mapping[str, Sequence[str]]:
        """The invariants that do not hold, by name, with a line for each row that breaks one."""
        broken: dict[str, Sequence[str]] = {}
        async with self._database.transaction(SNAPSHOT) as connection:
            for name in invariant_names():
                rows = await self._database.fetch(connection, f"invariants/{name}")
                if rows:
                    broken[name] = [str(row[0]) for row in rows]
        return broken
