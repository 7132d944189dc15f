"""How long a healed world is waited for: as long as it goes on, and no longer where it could and does not."""

from __future__ import annotations

from datetime import datetime

from attrs import define, field, frozen

from ...adapters.memory.rows import Task
from ...adapters.memory.store import Store
from ...ports.records import TaskKey
from ...ports.statuses import RunStatus, TaskStatus

IDLE_S = 3_600.0
"""How long nobody may work in a healed world although something could go on, in virtual seconds."""

BUSY_S = 86_400.0
"""How long handlers may go on in a healed world without any of them ending: longer than those of a test take."""


@frozen(kw_only=True)
class Standing:
    """Where everything stands that has not ended."""

    busy: bool
    """Whether somebody works: a task has a lease."""
    waits: bool
    """Whether everything waits for a time that has not come, and something does."""
    next_at: datetime | None
    """The first of the times that are waited for."""
    progress: int
    """Grows with what can happen only so often: tasks end, and what is suspended is looked at."""

    owed: TaskKey | str | None = None
    """What has waited longest for a host although it could begin: a task, or a run by its id."""
    workers: frozenset[str] = frozenset()
    """Who has leases."""

    @classmethod
    def of(cls, store: Store, now: datetime) -> Standing:
        """Where the rows of a store stand."""
        busy = overdue = False
        progress = 0
        times: list[datetime] = []
        ready: list[tuple[datetime, str, TaskKey | str]] = []
        workers: set[str] = set()
        for stored in store.runs.values():
            if stored.row.status is RunStatus.PENDING:
                overdue = True
                if stored.row.created_at <= now:  # a clock that was ahead may have written it
                    ready.append((stored.row.created_at, stored.row.id, stored.row.id))
            if stored.row.deadline_at is not None:
                times.append(stored.row.deadline_at)
            progress += len(stored.tasks) - len(stored.live)
            for key in stored.live:
                task = stored.tasks[key]
                progress += task.checks
                busy = busy or (task.lease_until is not None and task.lease_until > now)
                if task.status is TaskStatus.RUNNING and task.worker is not None:
                    workers.add(task.worker)
                elif task.status is TaskStatus.QUEUED and task.ready_at <= now:
                    ready.append((task.ready_at, str(key), key))
                next_at = _next_at(task)
                if next_at is not None:
                    times.append(next_at)
        first = min(times, default=None)
        waits = not overdue and first is not None and first > now
        _, _, owed = min(ready, default=(None, None, None))
        return cls(busy=busy, waits=waits, next_at=first, progress=progress, owed=owed, workers=frozenset(workers))


def _next_at(task: Task) -> datetime | None:
    """When something is to happen to a task that has not ended; None where nobody knows."""
    match task.status:
        case TaskStatus.RUNNING:
            return task.lease_until
        case TaskStatus.QUEUED:
            return task.ready_at
        case _:
            return task.wake_at


@define
class Patience:
    """With a healed world. Whatever comes to an end in it makes it new."""

    idle_s: float = field(default=0.0)
    """For how long nobody has worked although something could go on."""
    busy_s: float = field(default=0.0)
    """For how long handlers have gone on."""
    progress: int = field(default=-1)
    """Of the standing that it was spent in."""
    starving_s: float = field(default=0.0)
    """For how long one and the same task or run has waited for a host although one was idle."""
    owed: TaskKey | str | None = field(default=None)
    """That task or run."""

    def spend(self, standing: Standing, duration_s: float) -> None:
        """Some time has passed in which everything has stood like this."""
        if standing.progress != self.progress:
            self.idle_s = self.busy_s = 0.0
            self.progress = standing.progress
        if standing.busy:
            self.busy_s += duration_s
        elif not standing.waits:
            self.idle_s += duration_s

    def starve(self, standing: Standing, machines: int, duration_s: float) -> None:
        """Some time has passed with that many machines, all of them well."""
        idle = machines > len({worker.partition(".")[0] for worker in standing.workers})
        if standing.owed is None or standing.owed != self.owed or not idle:
            self.starving_s = 0.0
            self.owed = standing.owed
        else:
            self.starving_s += duration_s

    @property
    def is_over(self) -> bool:
        """Whether it is certain that nothing will go on."""
        return self.idle_s > IDLE_S or self.busy_s > BUSY_S
