"""What must hold: after every commit on the stored rows, and between one state and the next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ...adapters.memory import MemoryPersistence
from ...ports.records import TaskKey
from ...ports.statuses import TERMINAL_RUN, TERMINAL_STEP, TERMINAL_TASK

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


class _Seen(NamedTuple):
    """What must not change any more once `terminal`, and the token, which never falls."""

    terminal: bool
    status: str
    token: int
    output: bytes | None
    error: bytes | None


class RowChecks:
    """Checks every committed state of a store, and each against the one before."""

    def __init__(self, store: MemoryPersistence) -> None:
        self.commits = 0
        """How many states were checked."""
        self._store = store
        self._rows: Rows = {}
        self._seen: dict[str, _Seen] = {}

    async def problems(self) -> list[str]:
        """What does not hold now."""
        rows = self._store.snapshot()
        if rows == self._rows:  # what is as it was is as sound as it was
            return []
        self._rows = rows
        self.commits += 1
        broken = await self._store.check_invariants()
        problems = [f"{name}: {line}" for name, lines in broken.items() for line in lines]
        seen = _seen(rows)
        for key, before in self._seen.items():
            problems += _changed(key, before, seen.get(key))
        self._seen = seen
        return problems


def _changed(key: str, before: _Seen, now: _Seen | None) -> list[str]:
    if now is None:
        return [f"I1: {key} is gone"]
    if before.terminal and now != before:
        return [f"I1: {key} had ended as {before.status} and has changed: {before} became {now}"]
    if now.token < before.token:
        return [f"I5: the token of {key} went from {before.token} back to {now.token}"]
    return []


def _seen(rows: Rows) -> dict[str, _Seen]:
    seen = {f"run {row['id']}/{row['generation']}": _row(row, TERMINAL_RUN) for row in rows["runs"]}
    for row in rows["run_generations"]:
        seen[f"run {row['run_id']}/{row['generation']}"] = _row(row, TERMINAL_RUN)
    for row in rows["steps"]:
        seen[f"step {row['run_id']}/{row['slug']}/{row['generation']}"] = _row(row, TERMINAL_STEP)
    for row in rows["tasks"]:
        key = TaskKey(row["run_id"], row["step"], row["generation"], row["element"])
        seen[f"task {key}"] = _row(row, TERMINAL_TASK)
    return seen


def _row(row: Mapping[str, Any], terminal: Collection[str]) -> _Seen:
    status = str(row["status"])
    return _Seen(status in terminal, status, row.get("token", 0), row.get("output"), row["error"])
