"""The indexes of what waits for a time: suspended tasks by when they are looked at, runs by their deadline.

Heaps with lazy deletion, as those of `queues`: what is due costs as much as there is of it, what is not due nothing.
Every method expects the store's mutex to be held.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import heappop, heappush, nsmallest
from typing import TypeAlias

from ...ports.records import TaskKey
from .rows import Entry, Run, StoredRun, Task

_Deadline: TypeAlias = tuple[datetime, str]


class WaitingTasks:
    """Suspended tasks that are looked at at some time, by flow."""

    def __init__(self, runs: dict[str, StoredRun]) -> None:
        self._runs = runs
        self._flows: dict[int, list[Entry]] = {}

    def __len__(self) -> int:
        """How many entries are kept, those of tasks that have moved on included."""
        return sum(map(len, self._flows.values()))

    def add(self, task: Task, wake_at: datetime) -> None:
        """Make a suspended task findable."""
        task.entry = (wake_at, task.key)
        heappush(self._flows.setdefault(task.flow_id, []), task.entry)

    def first(self, flow_ids: Sequence[int]) -> datetime | None:
        """When the first task of these flows is looked at; None where there is none."""
        firsts: list[datetime] = []
        for flow_id in flow_ids:
            heap = self._flows.get(flow_id, [])
            while heap and self._current(heap[0]) is None:
                heappop(heap)
            firsts += [entry[0] for entry in heap[:1]]
        return min(firsts, default=None)

    def due(self, until: datetime, flow_ids: Sequence[int], limit: int) -> list[Task]:
        """The first `limit` tasks of these flows that are to be looked at by `until`, earliest first."""
        found: list[Entry] = []
        for flow_id in set(flow_ids):
            heap = self._flows.get(flow_id, [])
            due: list[Entry] = []
            while heap and heap[0][0] <= until and len(due) < limit:
                entry = heappop(heap)
                if self._current(entry) is not None:
                    due.append(entry)
            for entry in due:
                heappush(heap, entry)
            found += due
        tasks = (self._current(entry) for entry in nsmallest(limit, found))
        return [task for task in tasks if task is not None]

    def findable(self) -> set[TaskKey]:
        """The keys of all tasks that can be found."""
        return {entry[1] for heap in self._flows.values() for entry in heap if self._current(entry) is not None}

    def _current(self, entry: Entry) -> Task | None:
        """The task at this entry, unless it has moved on."""
        key = entry[1]
        run = self._runs.get(key.run_id)
        task = None if run is None else run.tasks.get(key)
        return task if task is not None and task.entry is entry else None


class Deadlines:
    """Runs that have a deadline."""

    def __init__(self, runs: dict[str, StoredRun]) -> None:
        self._runs = runs
        self._heap: list[_Deadline] = []

    def __len__(self) -> int:
        """How many entries are kept, those of runs that have ended included."""
        return len(self._heap)

    def add(self, run: Run, deadline_at: datetime) -> None:
        """Make a run findable."""
        heappush(self._heap, (deadline_at, run.id))

    def first(self) -> datetime | None:
        """The earliest deadline; None where there is none."""
        while self._heap and not self._is_current(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def passed(self, until: datetime, limit: int) -> list[str]:
        """The ids of the first `limit` runs whose deadline is not later than `until`, earliest first."""
        found: dict[_Deadline, None] = {}
        while self._heap and self._heap[0][0] <= until and len(found) < limit:
            entry = heappop(self._heap)
            if self._is_current(entry):
                found[entry] = None
        for entry in found:
            heappush(self._heap, entry)
        return [run_id for _, run_id in found]

    def findable(self) -> set[str]:
        """The ids of all runs that can be found."""
        return {entry[1] for entry in self._heap if self._is_current(entry)}

    def _is_current(self, entry: _Deadline) -> bool:
        run = self._runs.get(entry[1])
        return run is not None and run.row.deadline_at == entry[0]
