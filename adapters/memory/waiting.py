"""The indexes of what waits for a time: suspended tasks by when they are looked at, runs by their deadline.

What is due costs as much as there is of it, what is not due nothing. Every method expects the store's mutex to be held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush, nsmallest
from typing import Generic, TypeVar

from ...ports.records import TaskKey
from .rows import Run, StoredRun, Task

ENTRIES_MIN = 64
"""Entries among which nobody looks for those that have moved on."""

Name = TypeVar("Name", bound=TaskKey | str)


class _Times(Generic[Name]):
    """A heap of names by time. An entry that has moved on is dropped when it comes to the top, or when half have."""

    __slots__ = ("_entries", "_is_current", "_limit")

    def __init__(self, is_current: Callable[[tuple[datetime, Name]], bool]) -> None:
        self._entries: list[tuple[datetime, Name]] = []
        self._is_current = is_current
        self._limit = ENTRIES_MIN

    def __len__(self) -> int:
        """How many entries are kept, those that have moved on included."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Name]:
        """The names of all current entries, in no order."""
        return (entry[1] for entry in self._entries if self._is_current(entry))

    def add(self, entry: tuple[datetime, Name]) -> None:
        """Make something findable. What waits for long may be over soon, so that the heap is cleared as it grows."""
        if len(self._entries) >= self._limit:
            self._entries = [each for each in self._entries if self._is_current(each)]
            heapify(self._entries)
            self._limit = max(ENTRIES_MIN, 2 * len(self._entries))
        heappush(self._entries, entry)

    def first(self) -> datetime | None:
        """The earliest time; None where there is none."""
        while self._entries and not self._is_current(self._entries[0]):
            heappop(self._entries)
        return self._entries[0][0] if self._entries else None

    def until(
        self, last: datetime, limit: int, *, wanted: Callable[[Name], bool] = lambda _: True
    ) -> list[tuple[datetime, Name]]:
        """The first `limit` entries up to a time that are wanted, earliest first; they stay, and so do the others."""
        found: dict[tuple[datetime, Name], None] = {}
        passed: list[tuple[datetime, Name]] = []
        while self._entries and self._entries[0][0] <= last and len(found) < limit:
            entry = heappop(self._entries)
            if not self._is_current(entry):
                continue
            if wanted(entry[1]):
                found[entry] = None
            else:
                passed.append(entry)
        for entry in (*found, *passed):
            heappush(self._entries, entry)
        return list(found)


class WaitingTasks:
    """Suspended tasks that are looked at at some time, by flow."""

    def __init__(self, runs: dict[str, StoredRun]) -> None:
        self._runs = runs
        self._flows: dict[int, _Times[TaskKey]] = {}

    def __len__(self) -> int:
        """How many entries are kept, those of tasks that have moved on included."""
        return sum(map(len, self._flows.values()))

    def add(self, task: Task, wake_at: datetime) -> None:
        """Make a suspended task findable."""
        times = self._flows.get(task.flow_id)
        if times is None:
            times = self._flows[task.flow_id] = _Times(self._is_current)
        task.entry = (wake_at, task.key)
        times.add(task.entry)

    def first(self, flow_ids: Sequence[int]) -> datetime | None:
        """When the first task of these flows is looked at; None where there is none."""
        firsts = (times.first() for flow_id in flow_ids if (times := self._flows.get(flow_id)) is not None)
        return min((first for first in firsts if first is not None), default=None)

    def due(self, until: datetime, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()) -> list[Task]:
        """The first `limit` tasks of these flows that are to be looked at by `until`, earliest first; none of the runs
        in `leave_out`."""

        def wanted(key: TaskKey) -> bool:
            return key.run_id not in leave_out

        flows = [times for flow_id in flow_ids if (times := self._flows.get(flow_id)) is not None]
        found = nsmallest(limit, (entry for times in flows for entry in times.until(until, limit, wanted=wanted)))
        return [self._runs[key.run_id].tasks[key] for _, key in found]

    def findable(self) -> set[TaskKey]:
        """The keys of all tasks that can be found."""
        return {key for times in self._flows.values() for key in times}

    def _is_current(self, entry: tuple[datetime, TaskKey]) -> bool:
        run = self._runs.get(entry[1].run_id)
        task = None if run is None else run.tasks.get(entry[1])
        return task is not None and task.entry is entry


class Deadlines:
    """Runs that have a deadline."""

    def __init__(self, runs: dict[str, StoredRun]) -> None:
        self._runs = runs
        self._times: _Times[str] = _Times(self._is_current)

    def __len__(self) -> int:
        """How many entries are kept, those of runs that have ended included."""
        return len(self._times)

    def add(self, run: Run, deadline_at: datetime) -> None:
        """Make a run findable."""
        self._times.add((deadline_at, run.id))

    def first(self) -> datetime | None:
        """The earliest deadline; None where there is none."""
        return self._times.first()

    def passed(self, until: datetime, limit: int, leave_out: Sequence[str] = ()) -> list[str]:
        """The ids of the first `limit` runs whose deadline is not later than `until`, earliest first; none of those in
        `leave_out`."""
        return [run_id for _, run_id in self._times.until(until, limit, wanted=lambda name: name not in leave_out)]

    def findable(self) -> set[str]:
        """The ids of all runs that can be found."""
        return set(self._times)

    def _is_current(self, entry: tuple[datetime, str]) -> bool:
        run = self._runs.get(entry[1])
        return run is not None and run.row.deadline_at == entry[0]
