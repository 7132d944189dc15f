"""A store that is a few dictionaries: what `Changes` mean, said once more and as plainly as can be.

`Model.apply` checks the guards that a store has to keep; it writes rows and nothing else. Whatever a test asks of the
decisions is asked of the rows that come out. Its predicates stand beside it in `model_invariants`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from attrs import Factory, define
from msgspec.structs import replace

from fairlead.ports.changes import (
    Cancellation,
    Changes,
    ConsumedSignal,
    EventBatch,
    NewRun,
    NewSignal,
    NewTasks,
    Rerun,
    Resumption,
    RunUpdate,
    StepWrite,
    Suspension,
    TaskUpdate,
)
from fairlead.ports.records import (
    ClaimedTask,
    ElementRequest,
    Lease,
    PendingRun,
    RunRow,
    SignalRow,
    Snapshot,
    StepRow,
    TaskKey,
    TaskPhase,
    TaskRow,
    WaitsFor,
)
from fairlead.ports.statuses import LIVE_STEP, LIVE_TASK, TERMINAL_RUN, TERMINAL_TASK, RunStatus, StepStatus, TaskStatus

FIRST_GENERATION = 1


@define
class Model:
    """Rows by their keys, and what a store would keep as history."""

    runs: dict[str, RunRow] = Factory(dict[str, RunRow])
    inputs: dict[str, bytes] = Factory(dict[str, bytes])
    steps: dict[tuple[str, str], StepRow] = Factory(dict[tuple[str, str], StepRow])
    tasks: dict[TaskKey, TaskRow] = Factory(dict[TaskKey, TaskRow])
    ready_at: dict[TaskKey, datetime] = Factory(dict[TaskKey, datetime])
    queues: dict[TaskKey, str] = Factory(dict[TaskKey, str])
    events: dict[str, list[dict[str, Any]]] = Factory(dict[str, list[dict[str, Any]]])
    """The events of each run, in the order of their sequence numbers."""
    outcomes: list[tuple[Lease, TaskStatus]] = Factory(list[tuple[Lease, TaskStatus]])
    """Every outcome that was recorded, with what it made of its task."""
    lost: list[Lease] = Factory(list[Lease])
    released: list[Lease] = Factory(list[Lease])
    """Every lease that was given back without an attempt in the history."""
    attempts: list[Lease] = Factory(list[Lease])
    """Every attempt in the history."""
    signals: dict[tuple[str, str, str], SignalRow] = Factory(dict[tuple[str, str, str], SignalRow])
    """By run, step and key."""
    states: dict[TaskKey, bytes] = Factory(dict[TaskKey, bytes])
    """What suspended tasks are checked with."""
    phases: dict[TaskKey, tuple[int, int]] = Factory(dict[TaskKey, tuple[int, int]])
    """Of tasks that were suspended: their token then, and how many leases had been given back."""
    outputs: dict[TaskKey, bytes] = Factory(dict[TaskKey, bytes])
    """The outputs of tasks that ended without having run."""
    timed_out: set[TaskKey] = Factory(set[TaskKey])
    """Tasks that failed without having run."""
    claimed_at: dict[str, datetime] = Factory(dict[str, datetime])
    """When runs were claimed, or began anew."""
    started: set[tuple[str, str, int]] = Factory(set[tuple[str, str, int]])
    """Steps that were given a `started_at`, by run, slug and generation."""
    left: dict[tuple[str, int], RunStatus] = Factory(dict[tuple[str, int], RunStatus])
    """How runs ended in generations that they have left."""
    past: dict[tuple[str, str, int], StepRow] = Factory(dict[tuple[str, str, int], StepRow])
    """Steps of which there is a newer row."""

    def rows(self) -> Model:
        """The rows as they stand now, to compare later ones with."""
        return Model(runs=dict(self.runs), steps=dict(self.steps), tasks=dict(self.tasks), past=dict(self.past))

    def tasks_of(self, step: StepRow) -> list[TaskRow]:
        """The tasks of a step in its generation."""
        mine = (step.run_id, step.slug, step.generation)
        return [task for key, task in self.tasks.items() if key[:3] == mine]

    def completed(self, run_id: str, slug: str, generations: Iterable[int]) -> list[int]:
        """The elements that a step has completed in some generations, in order; twice where two of them have."""
        counted = set(generations)
        return sorted(
            key.element
            for key, task in self.tasks.items()
            if key[:2] == (run_id, slug) and key.generation in counted and task.status is TaskStatus.COMPLETED
        )

    def kept_elements(self, step: StepRow) -> list[int]:
        """What a step had completed before its generation, as far as it counts."""
        since = step.generation if step.retry_of is None else step.retry_of
        return self.completed(step.run_id, step.slug, range(since, step.generation))

    def told(self, run_id: str, generation: int) -> list[dict[str, Any]]:
        """The events of one generation."""
        return [event for event in self.events[run_id] if event["generation"] == generation]

    def insert(self, run: NewRun) -> None:
        """Put a pending run down."""
        assert run.id not in self.runs
        self.runs[run.id] = RunRow(
            id=run.id,
            flow_id=run.flow_id,
            flow=run.flow,
            status=RunStatus.PENDING,
            generation=FIRST_GENERATION,
            priority=run.priority,
            next_sequence=1,
            remaining_steps=0,
            facts=run.facts,
        )
        self.inputs[run.id] = run.input
        self._write_events(run.event)
        self.runs[run.id] = replace(self.runs[run.id], next_sequence=2)

    def pending(self) -> list[PendingRun]:
        """The pending runs, as a claim gets them."""
        return [
            PendingRun(
                id=run.id,
                flow_id=run.flow_id,
                flow=run.flow,
                generation=run.generation,
                priority=run.priority,
                next_sequence=run.next_sequence,
                facts=run.facts,
                input=self.inputs[run.id],
                config=None,
                signals=run.signals,
            )
            for run in self.runs.values()
            if run.status is RunStatus.PENDING
        ]

    def claim(self, key: TaskKey, *, worker: str, until: datetime) -> ClaimedTask:
        """Lease a queued task, as the Persistence port does it."""
        task = self.tasks[key]
        assert task.status is TaskStatus.QUEUED
        claimed = replace(
            task,
            status=TaskStatus.RUNNING,
            token=task.token + 1,
            attempts=task.attempts + 1,
            worker=worker,
            lease_until=until,
        )
        self.tasks[key] = claimed
        return ClaimedTask(
            key=key,
            flow_id=task.flow_id,
            token=claimed.token,
            attempt=claimed.attempts,
            losses=task.losses,
            phase=task.phase,
            lease_until=until,
            priority=task.priority,
        )

    def kept(self, run_id: str) -> list[SignalRow]:
        """The signals that wait for their steps."""
        return [signal for signal in self.sent(run_id) if signal.consumed_at is None]

    def sent(self, run_id: str) -> list[SignalRow]:
        """All signals that were sent to a run, as the Persistence port reads them."""
        mine = (signal for signal in self.signals.values() if signal.run_id == run_id)
        return sorted(mine, key=lambda signal: (signal.sent_at, signal.step, signal.key))

    def snapshot(self, tasks: Iterable[TaskKey], steps: Sequence[tuple[str, str]]) -> Snapshot:
        """What a transaction that locked the runs of these tasks reads."""
        keys = [key for key in tasks if key in self.tasks]
        runs = {key.run_id: self.runs[key.run_id] for key in keys}
        running = {run_id: run for run_id, run in runs.items() if run.status is not RunStatus.PENDING}
        return Snapshot(
            runs=running,
            steps={key: self.steps[key] for key in steps if key in self.steps},
            tasks={key: self.tasks[key] for key in keys},
        )

    def elements(self, request: ElementRequest) -> list[int]:
        """Which elements the next tasks of a map are for, as the Persistence port reads it."""
        mine = (request.run_id, request.step, request.generation)
        last = max((key.element for key in self.tasks if key[:3] == mine), default=-1)
        there = set(range(request.elements))
        if request.source is not None:
            since = request.source_generation if request.source_retry_of is None else request.source_retry_of
            there = set(self.completed(request.run_id, request.source, range(since, request.source_generation + 1)))
        if request.retry_of is not None:
            there -= set(self.completed(request.run_id, request.step, range(request.retry_of, request.generation)))
        return sorted(element for element in there if element > last)[: request.limit]

    def apply(self, changes: Changes) -> None:
        """Write a transaction's changes; every guard that does not hold fails."""
        told = {batch.run_id: batch.count for batch in changes.events}
        assert len(told) == len(changes.events), "one batch of events per run and transaction"
        for run in changes.runs:
            self._write_run(run, told.get(run.id, 0))
        for rerun in changes.reruns:
            self._begin_anew(rerun, told.get(rerun.id, 0))
        for step in changes.new_steps:
            before = self.steps.get((step.run_id, step.slug))
            assert step.generation == self.runs[step.run_id].generation
            if before is not None:
                assert before.generation < step.generation
                self.past[step.run_id, step.slug, before.generation] = before
            self._write_step(step, None)
        for step in changes.steps:
            self._write_step(step, self.steps[step.run_id, step.slug])
        for task in changes.tasks:
            self._write_task(task)
        tried = {(attempt.key, attempt.token) for attempt in changes.attempts}
        back = (Lease(task.key, task.token) for task in changes.tasks if task.status is TaskStatus.QUEUED)
        self.released.extend(lease for lease in back if lease not in tried)
        for suspension in changes.suspensions:
            self._suspend(suspension)
        for tasks in changes.new_tasks:
            self._insert_tasks(tasks)
        for resumption in changes.resumptions:
            self._resume(resumption)
        for signal in changes.new_signals:
            self._put_down(signal)
        for consumed in changes.consumed_signals:
            self._consume(consumed)
        self.attempts.extend(Lease(attempt.key, attempt.token) for attempt in changes.attempts)
        for cancellation in changes.cancellations:
            self._cancel(cancellation)
        for batch in changes.events:
            self._write_events(batch)
        for run_id in (*(run.id for run in changes.runs), *(rerun.id for rerun in changes.reruns)):
            assert self.runs[run_id].signals == len(self.kept(run_id)), "the count of kept signals"

    def _write_run(self, run: RunUpdate, told: int) -> None:
        before = self.runs[run.id]
        assert run.next_sequence == before.next_sequence + told
        if run.started_at is not None:
            assert run.id not in self.claimed_at
            self.claimed_at[run.id] = run.started_at
        self.runs[run.id] = replace(
            before,
            status=run.status,
            next_sequence=run.next_sequence,
            remaining_steps=run.remaining_steps,
            signals=run.signals,
            deadline_at=None if run.status in TERMINAL_RUN else run.deadline_at or before.deadline_at,
        )

    def _begin_anew(self, rerun: Rerun, told: int) -> None:
        before = self.runs[rerun.id]
        assert before.status in TERMINAL_RUN, "the guard of a rerun"
        assert rerun.generation == before.generation + 1, "the guard of a rerun"
        assert rerun.next_sequence == before.next_sequence + told
        assert (rerun.status in TERMINAL_RUN) == (rerun.ended_at is not None)
        self.left[rerun.id, before.generation] = before.status
        self.claimed_at[rerun.id] = rerun.started_at
        self.runs[rerun.id] = replace(
            before,
            generation=rerun.generation,
            status=rerun.status,
            next_sequence=rerun.next_sequence,
            remaining_steps=rerun.remaining_steps,
            signals=rerun.signals,
            deadline_at=None if rerun.status in TERMINAL_RUN else rerun.deadline_at,
        )

    def _write_step(self, step: StepWrite, before: StepRow | None) -> None:
        key, named = (step.run_id, step.slug), (step.run_id, step.slug, step.generation)
        if step.started_at is not None:
            assert named not in self.started
            self.started.add(named)
        self.steps[key] = StepRow(
            run_id=step.run_id,
            slug=step.slug,
            generation=step.generation,
            status=step.status,
            remaining_dependencies=step.remaining_dependencies,
            elements=step.elements,
            remaining_tasks=step.remaining_tasks,
            failed_tasks=step.failed_tasks,
            cursor=step.cursor,
            gaps=step.gaps,
            facts=step.facts if step.facts is not None or before is None else before.facts,
            retry_of=step.retry_of if before is None else before.retry_of,
            kept=step.kept if before is None else before.kept,
        )

    def _insert_tasks(self, new: NewTasks) -> None:
        assert new.count > 0
        leased, waits = new.worker is not None, new.waits_for is not None
        assert not (leased and waits)
        assert waits or new.wake_at is None
        born = TaskStatus.SUSPENDED if waits else TaskStatus.RUNNING if leased else TaskStatus.QUEUED
        for element in range(new.first, new.first + new.count):
            key = TaskKey(new.run_id, new.step, new.generation, element)
            assert key not in self.tasks
            self.ready_at[key] = new.ready_at
            self.queues[key] = new.queue
            self.tasks[key] = TaskRow(
                key=key,
                flow_id=new.flow_id,
                status=born,
                token=int(leased),
                settled_token=0,
                attempts=int(leased),
                losses=0,
                phase=TaskPhase.RUN,
                worker=new.worker,
                lease_until=new.lease_until,
                priority=new.priority,
                waits_for=new.waits_for,
                wake_at=new.wake_at,
            )

    def _suspend(self, suspension: Suspension) -> None:
        before = self.tasks[suspension.key]
        assert (before.status, before.token) == (TaskStatus.RUNNING, suspension.token), "the guard of a suspension"
        again = before.phase is TaskPhase.CHECK
        assert suspension.checks == before.checks + again
        assert not again or suspension.give_up_at == before.give_up_at, "the time of giving up counts from the first"
        self.outcomes.append((Lease(suspension.key, suspension.token), TaskStatus.SUSPENDED))
        given_back = sum(lease.key == suspension.key for lease in self.released)
        self.phases[suspension.key] = (suspension.token, given_back)
        self.states[suspension.key] = suspension.state
        self.tasks[suspension.key] = replace(
            before,
            status=TaskStatus.SUSPENDED,
            settled_token=suspension.token,
            attempts=0,
            phase=TaskPhase.CHECK,
            worker=None,
            lease_until=None,
            waits_for=WaitsFor.CHECK,
            wake_at=suspension.wake_at,
            give_up_at=suspension.give_up_at,
            checks=suspension.checks,
        )

    def _resume(self, resumption: Resumption) -> None:
        before = self.tasks[resumption.key]
        assert (before.status, before.token) == (TaskStatus.SUSPENDED, resumption.token), "the guard of a resumption"
        ends = resumption.status in TERMINAL_TASK
        assert ends is (resumption.ended_at is not None) is (resumption.ready_at is None)
        assert (resumption.status is TaskStatus.COMPLETED) is (resumption.output is not None)
        assert (resumption.status is TaskStatus.FAILED) is (resumption.error is not None)
        token = resumption.token + ends
        if ends:
            self.outcomes.append((Lease(resumption.key, token), resumption.status))
        if resumption.ready_at is not None:
            self.ready_at[resumption.key] = resumption.ready_at
        if resumption.output is not None:
            self.outputs[resumption.key] = resumption.output
        if resumption.error is not None:
            self.timed_out.add(resumption.key)
        self.tasks[resumption.key] = replace(
            before,
            status=resumption.status,
            token=token,
            settled_token=token if ends else before.settled_token,
            waits_for=None,
            wake_at=None,
        )

    def _put_down(self, new: NewSignal) -> None:
        name = (new.run_id, new.step, new.key)
        assert name not in self.signals
        self.signals[name] = SignalRow(
            run_id=new.run_id,
            step=new.step,
            key=new.key,
            request_digest=new.request_digest,
            sent_at=new.sent_at,
            consumed_at=new.consumed_at,
            payload=new.payload,
            facts=new.facts,
        )

    def _consume(self, consumed: ConsumedSignal) -> None:
        name = (consumed.run_id, consumed.step, consumed.key)
        assert self.signals[name].consumed_at is None, "I27"
        self.signals[name] = replace(self.signals[name], consumed_at=consumed.at)

    def _write_task(self, task: TaskUpdate) -> None:
        before = self.tasks[task.key]
        assert (before.status, before.token) == (TaskStatus.RUNNING, task.token), "the guard of a task update"
        lease = Lease(task.key, task.token)
        if task.settled_token == task.token:
            self.outcomes.append((lease, task.status))
        else:
            assert task.settled_token == before.settled_token
            self.lost.append(lease)
        if task.ready_at is not None:
            self.ready_at[task.key] = task.ready_at
        assert (task.status is TaskStatus.QUEUED) == (task.ready_at is not None)
        assert (task.status in TERMINAL_TASK) == (task.ended_at is not None)
        self.tasks[task.key] = replace(
            before,
            status=task.status,
            settled_token=task.settled_token,
            attempts=task.attempts,
            losses=task.losses,
            worker=None,
            lease_until=None,
        )

    def _cancel(self, cancellation: Cancellation) -> None:
        whole = cancellation.step is None
        for name, step in self.steps.items():
            if whole and step.run_id == cancellation.run_id and step.status in LIVE_STEP:
                self.steps[name] = replace(step, status=StepStatus.CANCELLED)
        for key, task in self.tasks.items():
            mine = whole or (key.step, key.generation) == (cancellation.step, cancellation.generation)
            if key.run_id == cancellation.run_id and mine and task.status in LIVE_TASK:
                self.tasks[key] = replace(task, status=TaskStatus.CANCELLED, waits_for=None, wake_at=None)

    def _write_events(self, batch: EventBatch) -> None:
        written = self.events.setdefault(batch.run_id, [])
        assert batch.first_sequence == len(written) + 1, "sequence numbers have no gap and no double"
        told: list[dict[str, Any]] = msgspec.json.decode(batch.events)
        assert batch.count == len(told) > 0
        assert batch.generation == self.runs[batch.run_id].generation, "what happens, happens now"
        written.extend({**event, "generation": batch.generation} for event in told)
