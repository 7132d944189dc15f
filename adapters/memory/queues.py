"""The indexes that claims and sweeps read, so that none of them ever looks at a finished run.

Entries are heaps with lazy deletion: an entry whose row has moved on is dropped when it comes to the top. Every
method expects the store's mutex to be held.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace, nsmallest
from typing import TypeAlias

from ...ports.records import TaskKey
from ...ports.statuses import RunStatus
from .rows import Entry, StoredRun, Task

PendingEntry: TypeAlias = tuple[int, datetime, str]
"""Negative priority, time of creation and id: the order in which pending runs are claimed."""

_Heaps: TypeAlias = dict[tuple[int, bool], list[Entry]]
"""By (flow id, whether the tasks have lost a lease), each by time of readiness, then key."""


class PendingRuns:
    """Pending runs by flow, in the order of their claim."""

    def __init__(self, runs: dict[str, StoredRun]) -> None:
        self._runs = runs
        self._flows: dict[int, list[PendingEntry]] = {}

    def __len__(self) -> int:
        """How many entries are kept, those of runs that have moved on included."""
        return sum(map(len, self._flows.values()))

    def add(self, flow_id: int, entry: PendingEntry) -> None:
        """Make a pending run findable."""
        heappush(self._flows.setdefault(flow_id, []), entry)

    def take(self, flow_ids: Sequence[int], limit: int, lock: Callable[[str], bool]) -> list[StoredRun]:
        """Remove and return the first `limit` runs that `lock` accepts; the others stay."""
        merge = [(heap[0], flow_id, heap) for flow_id in flow_ids if (heap := self._flows.get(flow_id))]
        heapify(merge)
        taken: list[StoredRun] = []
        refused: list[tuple[list[PendingEntry], PendingEntry]] = []
        while merge and len(taken) < limit:
            entry, flow_id, heap = merge[0]
            heappop(heap)
            if heap:
                heapreplace(merge, (heap[0], flow_id, heap))
            else:
                heappop(merge)
            run = self._pending(entry)
            if run is None:
                continue
            if lock(run.row.id):
                taken.append(run)
            else:
                refused.append((heap, entry))
        for heap, entry in refused:
            heappush(heap, entry)
        return taken

    def any(self, flow_ids: Sequence[int]) -> bool:
        """Whether a run of these flows is pending."""
        for flow_id in flow_ids:
            heap = self._flows.get(flow_id)
            while heap:
                if self._pending(heap[0]) is not None:
                    return True
                heappop(heap)
        return False

    def oldest(self, before: datetime, flow_ids: Sequence[int], limit: int) -> list[tuple[datetime, str]]:
        """The first `limit` pending runs of these flows that were created before `before`, oldest first."""
        found = (
            (entry[1], entry[2])
            for flow_id in flow_ids
            for entry in self._flows.get(flow_id, ())
            if entry[1] < before and self._pending(entry) is not None
        )
        return nsmallest(limit, found)

    def _pending(self, entry: PendingEntry) -> StoredRun | None:
        run = self._runs.get(entry[2])
        return run if run is not None and run.row.status is RunStatus.PENDING else None


class _Queue:
    """The queued tasks of one queue: a level for each priority, the highest first."""

    __slots__ = ("levels", "order")

    def __init__(self) -> None:
        self.levels: dict[int, _Heaps] = {}
        self.order: list[int] = []

    def level(self, priority: int) -> _Heaps:
        heaps = self.levels.get(priority)
        if heaps is None:
            heaps = self.levels[priority] = {}
            insort(self.order, -priority)
        return heaps

    def __iter__(self) -> Iterator[_Heaps]:
        """The levels that hold anything; empty ones are forgotten."""
        for negative in tuple(self.order):
            heaps = self.levels[-negative]
            if any(heaps.values()):
                yield heaps
            else:
                del self.levels[-negative]
                self.order.remove(negative)


class QueuedTasks:
    """Queued tasks by queue, priority and flow."""

    def __init__(self, runs: dict[str, StoredRun]) -> None:
        self._runs = runs
        self._queues: dict[str, _Queue] = {}

    def __len__(self) -> int:
        """How many entries are kept, those of tasks that have moved on included."""
        return sum(len(heap) for queue in self._queues.values() for heaps in queue for heap in heaps.values())

    def add(self, task: Task) -> None:
        """Make a queued task findable."""
        queue = self._queues.get(task.queue)
        if queue is None:
            queue = self._queues[task.queue] = _Queue()
        heap = queue.level(task.priority).setdefault((task.flow_id, task.losses > 0), [])
        task.entry = (task.ready_at, task.key)
        heappush(heap, task.entry)

    def take(
        self,
        queue: str,
        flow_ids: Sequence[int],
        *,
        limit: int,
        lost_limit: int,
        until: datetime,
        is_locked: Callable[[TaskKey], bool],
    ) -> list[Task]:
        """Remove and return the first `limit` tasks that are ready at `until`, at most `lost_limit` with losses."""
        taken: list[Task] = []
        refused: list[tuple[list[Entry], Entry]] = []
        for heaps in self._queues.get(queue, ()):
            merge = [
                (heap[0], lost, heap)
                for flow_id in flow_ids
                for lost in (False, True)
                if (heap := heaps.get((flow_id, lost)))
            ]
            heapify(merge)
            while merge and len(taken) < limit:
                entry, lost, heap = merge[0]
                if entry[0] > until:
                    break
                if lost and lost_limit <= 0:
                    heappop(merge)
                    continue
                heappop(heap)
                if heap:
                    heapreplace(merge, (heap[0], lost, heap))
                else:
                    heappop(merge)
                task = self._current(entry)
                if task is None:
                    continue
                if is_locked(task.key):  # recovers 62: a queued task is locked by a transaction
                    refused.append((heap, entry))
                    continue
                task.entry = None
                taken.append(task)
                lost_limit -= lost
        for heap, entry in refused:
            heappush(heap, entry)
        return taken

    def first_ready_at(self, queues: Iterable[str], flow_ids: Sequence[int]) -> datetime | None:
        """The earliest time at which a task of these queues and flows can be claimed; None where there is none."""
        earliest: datetime | None = None
        for name in queues:
            for heaps in self._queues.get(name, ()):
                for flow_id in flow_ids:
                    for lost in (False, True):
                        heap = heaps.get((flow_id, lost))
                        while heap and self._current(heap[0]) is None:
                            heappop(heap)
                        if heap and (earliest is None or heap[0][0] < earliest):
                            earliest = heap[0][0]
        return earliest

    def oldest(self, before: datetime, flow_ids: Sequence[int], limit: int) -> list[Task]:
        """The first `limit` tasks of these flows that have been ready since before `before`, oldest first."""
        found: list[Entry] = []
        for queue in self._queues.values():
            for heaps in queue:
                for (flow_id, _), heap in heaps.items():
                    if flow_id in flow_ids:
                        found += self._first(heap, before, limit)
        tasks = (self._current(entry) for entry in nsmallest(limit, found))
        return [task for task in tasks if task is not None]

    def findable(self) -> set[TaskKey]:
        """The keys of all tasks that a claim or a sweep can come across."""
        heaps = (heap for queue in self._queues.values() for heaps in queue for heap in heaps.values())
        return {entry[1] for heap in heaps for entry in heap if self._current(entry) is not None}

    def _first(self, heap: list[Entry], before: datetime, limit: int) -> list[Entry]:
        found: list[Entry] = []
        while heap and heap[0][0] < before and len(found) < limit:
            entry = heappop(heap)
            if self._current(entry) is not None:
                found.append(entry)
        for entry in found:
            heappush(heap, entry)
        return found

    def _current(self, entry: Entry) -> Task | None:
        """The task at this entry, unless it has moved on."""
        key = entry[1]
        run = self._runs.get(key.run_id)
        task = None if run is None else run.tasks.get(key)
        return task if task is not None and task.entry is entry else None


class LeasedTasks:
    """The running tasks, as many as all hosts have slots. Finding expired leases is a scan, but only when one can
    have expired: `_floor` is a lower bound of all leases."""

    def __init__(self) -> None:
        self._tasks: dict[TaskKey, Task] = {}
        self._floor: datetime | None = None

    def __len__(self) -> int:
        """How many tasks run."""
        return len(self._tasks)

    def put(self, task: Task) -> None:
        """Remember a running task, or what its lease is now."""
        self._tasks[task.key] = task
        lease = task.lease_until
        if lease is not None and (self._floor is None or lease < self._floor):
            self._floor = lease

    def discard(self, key: TaskKey) -> None:
        """Forget a task that runs no more."""
        self._tasks.pop(key, None)

    def holds(self, task: Task) -> bool:
        """Whether this very row is remembered."""
        return self._tasks.get(task.key) is task

    def of(self, worker: str) -> list[Task]:
        """The running tasks that are leased to this worker, by key."""
        return [self._tasks[key] for key in sorted(key for key, task in self._tasks.items() if task.worker == worker)]

    def at_work(self, now: datetime) -> Counter[tuple[str, int]]:
        """How many leases last beyond `now`, by queue and flow id."""
        lasting = (task for task in self._tasks.values() if task.lease_until is not None and task.lease_until > now)
        return Counter((task.queue, task.flow_id) for task in lasting)

    def expired(
        self, before: datetime, flow_ids: Sequence[int], limit: int, leave_out: Sequence[str] = ()
    ) -> list[Task]:
        """The first `limit` running tasks of these flows whose lease ended before `before`, earliest first; none of the
        runs in `leave_out`."""
        if self._floor is None or self._floor >= before:
            return []
        ended: list[Entry] = []
        floor: datetime | None = None
        for key, task in self._tasks.items():
            lease = task.lease_until
            if lease is None:
                continue
            if floor is None or lease < floor:
                floor = lease
            if lease < before and task.flow_id in flow_ids and key.run_id not in leave_out:
                ended.append((lease, key))
        self._floor = floor
        return [self._tasks[key] for _, key in nsmallest(limit, ended)]
