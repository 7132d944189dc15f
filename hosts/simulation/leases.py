"""Whether leases are what they claim to be: nobody is called twice for one, and none is taken back before it has ended.

Leases are kept in place, so this looks after every write, and by the right time: a lease ends when its holder believes
so, however wrong the clocks are of the holder and of whoever takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ...adapters.memory.store import Store
from ...ports.clock import Clock
from ...ports.records import TaskKey
from ...ports.statuses import TaskStatus
from .ledger import Ledger

LOST = "worker_lost"
"""Why an attempt has failed whose lease was taken back."""


class LeaseChecks:
    """Checks the leases of a store.

    Args:
        store: whose tasks are leased.
        ledger: what handlers were called, and how wrong the clocks of processes are.
        clock: the right time.
    """

    def __init__(self, store: Store, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._ends: dict[tuple[TaskKey, int], datetime] = {}
        """When leases end, as their holders believe, in right time."""
        self._judged: dict[str, int] = {}
        """By run, how many failed attempts were looked at."""

    def problems(self) -> list[str]:
        """What does not hold now."""
        problems = [f"P2: {doubled}" for doubled in self._ledger.doubled]
        problems += self._taken_early()
        for run in self._store.runs.values():
            for key in run.live:
                task = run.tasks[key]
                if task.status is TaskStatus.RUNNING and task.lease_until is not None:
                    offset = self._offset(task.worker)
                    if offset is not None:
                        self._ends[key, task.token] = task.lease_until - offset
        return problems

    def _taken_early(self) -> Iterator[str]:
        """I6: a lease is taken back when it has ended, and not before: two would have the task."""
        now = self._clock.now()
        for run_id, run in self._store.runs.items():
            judged = self._judged.get(run_id, 0)
            if len(run.attempts) == judged:
                continue
            self._judged[run_id] = len(run.attempts)
            for attempt in list(run.attempts.values())[judged:]:
                ends = self._ends.get((attempt.key, attempt.token))
                if attempt.reason == LOST and ends is not None and now < ends:
                    early_s = (ends - now).total_seconds()
                    yield f"I6: the lease of {attempt.key}, token {attempt.token}, was taken back {early_s:.1f} s early"

    def _offset(self, worker: str | None) -> timedelta | None:
        """How wrong the clock of a worker is; the calls of a function are named after its process."""
        name = worker or ""
        clocks = self._ledger.clocks
        return clocks.get(name, clocks.get(name.rpartition(".")[0]))
