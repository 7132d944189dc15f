"""The writes of one transaction: guarded, locked, and its own until the commit."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from operator import attrgetter

from msgspec.structs import replace

from ...ports.changes import (
    AnnotationsWrite,
    Cancellation,
    Changes,
    ConsumedSignal,
    EventBatch,
    NewAttempt,
    NewSignal,
    NewTasks,
    Rerun,
    Resumption,
    RunUpdate,
    StepWrite,
    Suspension,
    TaskUpdate,
)
from ...ports.errors import CorruptionError
from ...ports.records import Lease, SignalRow, TaskKey, TaskPhase, WaitsFor
from ...ports.statuses import LIVE_STEP, LIVE_TASK, TERMINAL_RUN, StepStatus, TaskStatus
from .locks import Holder, LockKey, SignalKey, StepKey
from .rows import Run, Step, StoredRun, Task, Uncommitted, in_order_of_sending, stored_batch
from .store import Store, check_text

_by_key = attrgetter("key")
_by_id = attrgetter("id")


class Writing:
    """What a transaction writes, and how it sees the rows that it may have written. Needs the store's mutex.

    Each write locks its row first. A lock that another transaction holds ends the statement with `MustWait`; run
    again, it begins anew.
    """

    def __init__(self, store: Store, holder: Holder) -> None:
        self.rows = Uncommitted()
        self._store = store
        self._holder = holder
        self._applied = False

    def apply(self, changes: Changes) -> None:
        """Check every guard and keep what the commit will write."""
        if self._applied:
            raise RuntimeError("apply() is called at most once in a transaction")
        self.rows = Uncommitted()
        for run in sorted(changes.runs, key=_by_id):
            self._update_run(run)
        for rerun in sorted(changes.reruns, key=_by_id):
            self._begin_anew(rerun)
        for step in changes.new_steps:
            self._insert_step(step)
        for step in changes.steps:
            self._update_step(step)
        for task in sorted(changes.tasks, key=_by_key):
            self._update_task(task)
        for suspension in sorted(changes.suspensions, key=_by_key):
            self._suspend_task(suspension)
        for tasks in changes.new_tasks:
            self._insert_tasks(tasks)
        for signal in changes.new_signals:
            self._insert_signal(signal)
        for consumed in changes.consumed_signals:
            self._consume_signal(consumed)
        for resumption in sorted(changes.resumptions, key=_by_key):
            self._resume_task(resumption)
        self._cancel(changes.cancellations)
        for attempt in changes.attempts:
            self._insert_attempt(attempt)
        for annotated in changes.annotations:
            self._annotate(annotated)
        for batch in changes.events:
            self._insert_events(batch)
        self._applied = True

    def run(self, run_id: str) -> Run:
        """A run as the transaction sees it."""
        return self.rows.runs.get(run_id) or self._stored_run(run_id).row

    def latest_step(self, run_id: str, slug: str) -> Step | None:
        """A step in its highest generation as the transaction sees it."""
        stored = self._stored_run(run_id)
        generation = stored.generations.get(slug)
        latest = None if generation is None else stored.steps[run_id, slug, generation]
        for step in self.rows.steps.values():
            mine = step.run_id == run_id and step.slug == slug
            if mine and (latest is None or step.generation >= latest.generation):
                latest = step
        return latest

    def step(self, run_id: str, slug: str, generation: int) -> Step | None:
        """A step in one generation as the transaction sees it."""
        key = (run_id, slug, generation)
        return self.rows.steps.get(key) or self._stored_run(run_id).steps.get(key)

    def annotations(self, run_id: str) -> bytes | None:
        """What a run is annotated with, as the transaction sees it."""
        return self.rows.annotations.get(run_id, self._stored_run(run_id).annotations)

    def signals(self, run_id: str) -> list[SignalRow]:
        """The signals that were sent to a run, as the transaction sees them."""
        written = {name: signal for name, signal in self.rows.signals.items() if signal.run_id == run_id}
        return in_order_of_sending({**self._stored_run(run_id).signals, **written}.values())

    def task(self, key: TaskKey) -> Task | None:
        """A task as the transaction sees it."""
        task = self.rows.tasks.get(key)
        if task is None:
            run = self._store.runs.get(key.run_id)
            task = None if run is None else run.tasks.get(key)
        return task

    def _lock(self, key: LockKey) -> None:
        self._store.locks.lock(key, self._holder)

    def _update_run(self, update: RunUpdate) -> None:
        self._lock(update.id)
        stored = self._store.runs.get(update.id)
        if stored is None:
            raise CorruptionError(f"run {update.id} should be updated and does not exist")
        run = copy(self.rows.runs.get(update.id) or stored.row)
        run.status = update.status
        run.next_sequence = update.next_sequence
        run.remaining_steps = update.remaining_steps
        run.signals = update.signals
        run.deadline_at = None if update.status in TERMINAL_RUN else update.deadline_at or run.deadline_at
        run.started_at = update.started_at or run.started_at
        run.ended_at = update.ended_at or run.ended_at
        run.reason = run.reason if update.reason is None else update.reason
        run.error = run.error if update.error is None else update.error
        self.rows.runs[update.id] = run

    def _begin_anew(self, rerun: Rerun) -> None:
        self._lock(rerun.id)
        before = self.run(rerun.id)
        if before.status not in TERMINAL_RUN or before.generation != rerun.generation - 1:
            found = f"is {before.status} in generation {before.generation}"
            raise CorruptionError(f"run {rerun.id} should be rerun in generation {rerun.generation} and {found}")
        self.rows.endings[rerun.id] = before.ending()
        run = self.rows.runs[rerun.id] = copy(before)
        run.generation = rerun.generation
        run.status = rerun.status
        run.next_sequence = rerun.next_sequence
        run.remaining_steps = rerun.remaining_steps
        run.signals = rerun.signals
        run.deadline_at = None if rerun.status in TERMINAL_RUN else rerun.deadline_at
        run.started_at = rerun.started_at
        run.ended_at = rerun.ended_at
        run.reason = rerun.reason
        run.error = rerun.error

    def _insert_step(self, write: StepWrite) -> None:
        key, existing = self._locked_step(write)
        if existing is not None:
            raise CorruptionError(f"step {_name(key)} should be inserted and exists already")
        self.rows.steps[key] = Step(
            run_id=write.run_id,
            slug=write.slug,
            generation=write.generation,
            status=write.status,
            remaining_dependencies=write.remaining_dependencies,
            elements=write.elements,
            remaining_tasks=write.remaining_tasks,
            failed_tasks=write.failed_tasks,
            cursor=write.cursor,
            facts=write.facts,
            started_at=write.started_at,
            ended_at=write.ended_at,
            reason=write.reason,
            error=write.error,
            gaps=write.gaps,
            retry_of=write.retry_of,
            kept=write.kept,
        )

    def _update_step(self, write: StepWrite) -> None:
        key, existing = self._locked_step(write)
        if existing is None:
            raise CorruptionError(f"step {_name(key)} should be updated and does not exist")
        step = copy(existing)
        step.status = write.status
        step.remaining_dependencies = write.remaining_dependencies
        step.elements = write.elements
        step.remaining_tasks = write.remaining_tasks
        step.failed_tasks = write.failed_tasks
        step.cursor = write.cursor
        step.gaps = write.gaps
        step.facts = step.facts if write.facts is None else write.facts
        step.started_at = write.started_at or step.started_at
        step.ended_at = write.ended_at or step.ended_at
        step.reason = step.reason if write.reason is None else write.reason
        step.error = step.error if write.error is None else write.error
        self.rows.steps[key] = step

    def _locked_step(self, write: StepWrite) -> tuple[StepKey, Step | None]:
        key = (write.run_id, write.slug, write.generation)
        self._lock(key)
        return key, self.step(*key)

    def _stored_run(self, run_id: str) -> StoredRun:
        try:
            return self._store.runs[run_id]
        except KeyError:
            raise CorruptionError(f"run {run_id} does not exist, so nothing of it can be written") from None

    def _update_task(self, update: TaskUpdate) -> None:
        task = self._guarded_task(update.key, TaskStatus.RUNNING, update.token)
        task.status = update.status
        task.settled_token = update.settled_token
        task.attempts = update.attempts
        task.losses = update.losses
        task.ready_at = update.ready_at or task.ready_at
        task.ended_at = update.ended_at
        task.output = update.output
        task.error = update.error
        task.reason = update.reason
        if update.status is not TaskStatus.RUNNING:
            task.lease_until = None
        if update.status is TaskStatus.QUEUED and update.settled_token != update.token:
            task.worker = None

    def _guarded_task(self, key: TaskKey, status: TaskStatus, token: int) -> Task:
        """A task's row to change, if it has this status under this token."""
        self._lock(key)
        existing = self.task(key)
        if existing is None or existing.status is not status or existing.token != token:
            # recovers 28: a task is not as it was read
            found = "does not exist" if existing is None else f"is {existing.status} under token {existing.token}"
            raise CorruptionError(f"task {key} should be {status} under token {token} and {found}")
        task = self.rows.tasks[key] = copy(existing)
        return task

    def _suspend_task(self, suspension: Suspension) -> None:
        task = self._guarded_task(suspension.key, TaskStatus.RUNNING, suspension.token)
        task.status = TaskStatus.SUSPENDED
        task.phase = TaskPhase.CHECK
        task.settled_token = suspension.token
        task.attempts = 0
        task.checks = suspension.checks
        task.waits_for = WaitsFor.CHECK
        task.wake_at = suspension.wake_at
        task.give_up_at = suspension.give_up_at
        task.state = suspension.state
        task.lease_until = None
        task.error = None
        task.reason = None

    def _resume_task(self, resumption: Resumption) -> None:
        task = self._guarded_task(resumption.key, TaskStatus.SUSPENDED, resumption.token)
        task.status = resumption.status
        task.waits_for = None
        task.wake_at = None
        task.worker = None
        task.ready_at = resumption.ready_at or task.ready_at
        task.ended_at = resumption.ended_at
        task.output = resumption.output
        task.error = resumption.error
        task.reason = resumption.reason
        if resumption.status is not TaskStatus.QUEUED:
            task.token += 1
            task.settled_token = task.token

    def _insert_tasks(self, tasks: NewTasks) -> None:
        stored = self._stored_run(tasks.run_id)
        leased = tasks.worker is not None
        waits = tasks.waits_for is not None
        status = TaskStatus.SUSPENDED if waits else TaskStatus.RUNNING if leased else TaskStatus.QUEUED
        for element in range(tasks.first, tasks.first + tasks.count):
            key = TaskKey(tasks.run_id, tasks.step, tasks.generation, element)
            self._lock(key)
            if key in stored.tasks or key in self.rows.tasks:
                raise CorruptionError(f"task {key} should be inserted and exists already")
            self.rows.tasks[key] = Task(
                key=key,
                flow_id=tasks.flow_id,
                queue=tasks.queue,
                priority=tasks.priority,
                status=status,
                phase=TaskPhase.RUN,
                token=int(leased),
                settled_token=0,
                attempts=int(leased),
                losses=0,
                worker=tasks.worker,
                lease_until=tasks.lease_until,
                ready_at=tasks.ready_at,
                created_at=tasks.created_at,
                started_at=tasks.created_at if leased else None,
                waits_for=tasks.waits_for,
                wake_at=tasks.wake_at,
            )

    def _cancel(self, cancellations: Sequence[Cancellation]) -> None:
        """End what is live below steps, then below runs."""
        for cancellation in cancellations:
            if cancellation.step is not None:
                place = (cancellation.run_id, cancellation.step, cancellation.generation)
                self._cancel_tasks(cancellation, [key for key in self._live(cancellation.run_id) if key[:3] == place])
        for cancellation in cancellations:
            if cancellation.step is None:
                self._cancel_steps(cancellation)
                self._cancel_tasks(cancellation, self._live(cancellation.run_id))

    def _cancel_steps(self, cancellation: Cancellation) -> None:
        run_id = cancellation.run_id
        stored = self._stored_run(run_id)
        steps = {**stored.steps, **{key: step for key, step in self.rows.steps.items() if key[0] == run_id}}
        for key in sorted(steps):
            if steps[key].status in LIVE_STEP:
                self._lock(key)
                step = self.rows.steps[key] = copy(steps[key])
                step.status = StepStatus.CANCELLED
                step.ended_at = cancellation.at
                step.reason = cancellation.reason

    def _live(self, run_id: str) -> list[TaskKey]:
        """The tasks of a run that were not terminal, and those that this transaction has written, in order."""
        written = (key for key in self.rows.tasks if key.run_id == run_id)
        return sorted({**self._stored_run(run_id).live, **dict.fromkeys(written)})

    def _cancel_tasks(self, cancellation: Cancellation, names: Sequence[TaskKey]) -> None:
        for name in names:
            self._lock(name)
            task = self.task(name)
            if task is not None and task.status in LIVE_TASK:
                task = self.rows.tasks[name] = copy(task)
                task.status = TaskStatus.CANCELLED
                task.lease_until = None
                task.waits_for = None
                task.wake_at = None
                task.ended_at = cancellation.at
                task.reason = cancellation.reason

    def _insert_signal(self, new: NewSignal) -> None:
        name = (new.run_id, new.step, new.key)
        check_text(new.key, "a signal's key")
        if self._locked_signal(name) is not None:
            raise CorruptionError(f"signal {'/'.join(name)} is written already")
        self.rows.signals[name] = SignalRow(
            run_id=new.run_id,
            step=new.step,
            key=new.key,
            request_digest=new.request_digest,
            sent_at=new.sent_at,
            consumed_at=new.consumed_at,
            payload=new.payload,
            facts=new.facts,
        )

    def _consume_signal(self, consumed: ConsumedSignal) -> None:
        name = (consumed.run_id, consumed.step, consumed.key)
        signal = self._locked_signal(name)
        if signal is None or signal.consumed_at is not None:
            found = "does not exist" if signal is None else f"was consumed at {signal.consumed_at}"
            raise CorruptionError(f"signal {'/'.join(name)} should be kept and {found}")
        self.rows.signals[name] = replace(signal, consumed_at=consumed.at)

    def _locked_signal(self, name: SignalKey) -> SignalRow | None:
        self._lock(name)
        return self.rows.signals.get(name) or self._stored_run(name[0]).signals.get(name)

    def _insert_attempt(self, attempt: NewAttempt) -> None:
        lease = Lease(attempt.key, attempt.token)
        if lease in self._stored_run(attempt.key.run_id).attempts or lease in self.rows.attempts:
            raise CorruptionError(f"the attempt under token {lease.token} of task {lease.key} is recorded already")
        self.rows.attempts[lease] = attempt

    def _annotate(self, annotated: AnnotationsWrite) -> None:
        self._lock(annotated.run_id)
        self._stored_run(annotated.run_id)
        self.rows.annotations[annotated.run_id] = annotated.annotations

    def _insert_events(self, batch: EventBatch) -> None:
        name = (batch.run_id, batch.first_sequence)
        if batch.first_sequence in self._stored_run(batch.run_id).events or name in self.rows.events:
            raise CorruptionError(f"event {batch.first_sequence} of run {batch.run_id} is written already")
        self.rows.events[name] = stored_batch(batch)


def _name(key: StepKey) -> str:
    return "/".join(map(str, key))
