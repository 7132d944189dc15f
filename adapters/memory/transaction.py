"""One transaction: locks, reads under locks, and writes that stay its own until they are committed.

A statement runs in one piece under the store's mutex. Where it meets a lock that another transaction holds, it
stops, waits outside the mutex and starts again, so it reads what is committed after the wait, as it should.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from ...ports.changes import Changes
from ...ports.errors import Contention
from ...ports.records import (
    ElementRequest,
    LoadRequest,
    PendingRun,
    RunClaim,
    SignalRow,
    Snapshot,
    StepRow,
    TaskKey,
    TaskRow,
)
from ...ports.statuses import RunStatus, TaskStatus
from .locks import Holder, LockKey, MustWait, Wait
from .rows import Run, StoredRun, Task
from .store import Store
from .writing import Writing

Answer = TypeVar("Answer")


class MemoryTransaction:
    """`Transaction` over a `Store`, and the block in which it lives."""

    def __init__(self, store: Store, lock_timeout_s: float, siblings: dict[MemoryTransaction, None]) -> None:
        self._store = store
        self._lock_timeout_s = lock_timeout_s
        self._siblings = siblings
        """The open transactions of the handle that this one belongs to."""
        self._holder = Holder()
        self._writing = Writing(store, self._holder)
        self._claimed: list[StoredRun] = []
        self._refusal: Exception | None = None
        """Why no further statement is accepted: the first that failed, or the end."""

    async def __aenter__(self) -> MemoryTransaction:
        self._siblings[self] = None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._store.mutex:
            refusal = self._refusal
            if refusal is None:
                if kind is None:
                    self._store.commit(self._writing.rows)
                self._end(RuntimeError("this transaction has ended"))
        if kind is None and refusal is not None:
            raise refusal

    def abort(self, reason: Exception) -> None:
        """Roll back where it stands; every later statement, and the commit, raises `reason`. Needs the mutex."""
        if self._refusal is None:
            self._end(reason)

    async def claim_runs(self, claim: RunClaim) -> Sequence[PendingRun]:
        """Lock pending runs for their claim, skipping those that another transaction holds."""
        return await self._statement(lambda: self._claim_runs(claim))

    async def load(self, request: LoadRequest) -> Snapshot:
        """Lock runs, then read the steps and tasks asked for."""
        return await self._statement(lambda: self._load(request), request.patience_s)

    async def load_steps(self, steps: Sequence[tuple[str, str]]) -> Sequence[StepRow]:
        """Read further steps of runs that this transaction holds."""
        return await self._statement(lambda: list(self._read_steps(steps).values()))

    async def load_elements(self, requests: Sequence[ElementRequest]) -> Mapping[ElementRequest, Sequence[int]]:
        """Read which elements the next tasks of maps are for, in runs that this transaction holds."""
        return await self._statement(
            lambda: {request: self._next_elements(request) for request in requests if self._holds(request.run_id)}
        )

    async def load_signals(self, runs: Sequence[str]) -> Mapping[str, Sequence[SignalRow]]:
        """Read all signals that were sent to these runs, which this transaction holds."""
        return await self._statement(
            lambda: {run_id: self._writing.signals(run_id) for run_id in runs if self._holds(run_id)}
        )

    async def load_annotations(self, runs: Sequence[str]) -> Mapping[str, bytes]:
        """Read the annotations of those of these runs that have some and that this transaction holds."""
        return await self._statement(lambda: self._load_annotations(runs))

    async def apply(self, changes: Changes) -> None:
        """Write everything in `changes`."""
        await self._statement(lambda: self._writing.apply(changes))

    async def _statement(self, statement: Callable[[], Answer], patience_s: float | None = None) -> Answer:
        while True:
            with self._store.mutex:
                if self._refusal is not None:
                    raise self._refusal
                try:
                    return statement()
                except MustWait as met:
                    wait = met.wait
                except Exception as error:  # recovers 29: a statement fails, and its transaction with it
                    self.abort(error)
                    raise
            await self._granted(wait, self._lock_timeout_s if patience_s is None else patience_s)

    async def _granted(self, wait: Wait, patience_s: float) -> None:
        try:
            await wait.waiter.wait(patience_s)
        finally:
            with self._store.mutex:
                if not wait.granted:  # recovers 24: a lock is not given in time
                    self._store.locks.abandon(wait)
                    timed_out = Contention(f"waited {patience_s} s for the lock of {wait.key}; run it again")
                    self.abort(timed_out)

    def _end(self, refusal: Exception) -> None:
        self._refusal = refusal
        for run in self._claimed:
            row = run.row
            if row.status is RunStatus.PENDING:
                self._store.pending.add(row.flow_id, (-row.priority, row.created_at, row.id))
        self._store.locks.release(self._holder)
        self._siblings.pop(self, None)

    # Locks

    def _lock(self, key: LockKey) -> None:
        self._store.locks.lock(key, self._holder)

    def _try_lock(self, key: LockKey) -> bool:
        return self._store.locks.try_lock(key, self._holder)

    def _holds(self, key: LockKey) -> bool:
        return self._store.locks.holds(key, self._holder)

    def _claim_runs(self, claim: RunClaim) -> list[PendingRun]:
        if claim.only is None:
            taken = self._store.pending.take(claim.flow_ids, claim.limit, self._try_lock)
            self._claimed += taken
        else:
            taken = self._claim_named(claim.only, claim)
        return [run.row.pending() for run in taken]

    def _claim_named(self, names: Sequence[str], claim: RunClaim) -> list[StoredRun]:
        found = [run for name in dict.fromkeys(names) if (run := self._store.runs.get(name)) is not None]
        eligible = [run for run in found if run.row.status is RunStatus.PENDING and run.row.flow_id in claim.flow_ids]
        eligible.sort(key=lambda run: (-run.row.priority, run.row.created_at, run.row.id))
        taken: list[StoredRun] = []
        for run in eligible:
            if len(taken) == claim.limit:
                break
            if self._try_lock(run.row.id):
                taken.append(run)
        return taken

    # Reading

    def _load(self, request: LoadRequest) -> Snapshot:
        lock = self._wait_for if request.wait else self._try_lock
        runs: dict[str, Run] = {}
        for run_id in sorted(request.runs):
            if run_id in self._store.runs and lock(run_id):
                runs[run_id] = self._writing.run(run_id)
        return Snapshot(
            runs={run_id: row.loaded() for run_id, row in runs.items()},
            steps=self._read_steps(request.steps),
            tasks=self._read_tasks(request),
            leased=() if request.leased_to is None else self._leased(runs, request.leased_to),
        )

    def _load_annotations(self, runs: Sequence[str]) -> dict[str, bytes]:
        held = {run_id: self._writing.annotations(run_id) for run_id in runs if self._holds(run_id)}
        return {run_id: document for run_id, document in held.items() if document is not None}

    def _wait_for(self, run_id: str) -> bool:
        self._lock(run_id)
        return True

    def _read_steps(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StepRow]:
        found: dict[tuple[str, str], StepRow] = {}
        for name in wanted:
            run_id, slug = name
            if self._holds(run_id):
                step = self._writing.latest_step(run_id, slug)
                if step is not None:
                    found[name] = step.loaded()
        return found

    def _read_tasks(self, request: LoadRequest) -> dict[TaskKey, TaskRow]:
        found: dict[TaskKey, TaskRow] = {}
        for key in sorted(request.tasks) if request.lock_tasks else request.tasks:
            if not self._holds(key.run_id):
                continue
            task = self._writing.task(key)
            if task is not None and (not request.lock_tasks or self._try_lock(key)):
                found[key] = task.loaded()
        return found

    def _next_elements(self, request: ElementRequest) -> list[int]:
        run_id, step = request.run_id, request.step
        last = max((task.key.element for task in self._tasks(run_id, step, request.generation)), default=-1)
        kept = self._completed(run_id, step, request.generation, request.retry_of)
        there: Iterable[int] = range(request.elements)
        if request.source is not None:
            there = self._completed(run_id, request.source, request.source_generation, request.source_retry_of)
        return sorted(element for element in there if element > last and element not in kept)[: request.limit]

    def _completed(self, run_id: str, slug: str, generation: int, since: int | None) -> set[int]:
        """The elements that a step has completed in a range of generations, or in one."""
        generations = range(generation if since is None else since, generation + 1)
        tasks = (task for each in generations for task in self._tasks(run_id, slug, each))
        return {task.key.element for task in tasks if task.status is TaskStatus.COMPLETED}

    def _tasks(self, run_id: str, slug: str, generation: int) -> Iterator[Task]:
        """All tasks of a step."""
        step = self._writing.step(run_id, slug, generation)
        for element in range(0 if step is None else step.elements or 0):
            task = self._writing.task(TaskKey(run_id, slug, generation, element))
            if task is not None:
                yield task

    def _leased(self, runs: dict[str, Run], worker: str) -> list[TaskRow]:
        keys = {key: None for run_id in runs for key in self._store.runs[run_id].live}
        keys.update((key, None) for key in self._writing.rows.tasks if key.run_id in runs)
        tasks = (self._writing.task(key) for key in sorted(keys))
        return [
            task.loaded()
            for task in tasks
            if task is not None and task.status is TaskStatus.RUNNING and task.worker == worker
        ]
