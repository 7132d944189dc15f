"""Working copies of rows, and the changes a decision collects: mutable while it lasts, rows again at its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from attrs import Factory, define

from ...ports.changes import (
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
from ...ports.records import ClaimedTask, PendingRun, RunRow, StepRow, TaskRow
from ...ports.statuses import RunStatus, StepStatus
from ..plan import Plan


class RunState(msgspec.Struct, gc=False):
    """The working copy of a run's row. The fields after `signals` say what this decision did to it."""

    id: str
    flow_id: int
    flow: str
    status: RunStatus
    generation: int
    priority: int
    next_sequence: int
    remaining_steps: int
    facts: bytes | None
    signals: int
    is_rerun: bool = False
    """Whether it begins anew."""
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    error: bytes | None = None

    @classmethod
    def loaded(cls, row: RunRow) -> RunState:
        """A run as it was loaded."""
        return cls(
            row.id,
            row.flow_id,
            row.flow,
            row.status,
            row.generation,
            row.priority,
            row.next_sequence,
            row.remaining_steps,
            row.facts,
            row.signals,
        )

    @classmethod
    def pending(cls, row: PendingRun, plan: Plan) -> RunState:
        """A pending run, none of whose steps exists yet."""
        return cls(
            row.id,
            row.flow_id,
            row.flow,
            RunStatus.PENDING,
            row.generation,
            row.priority,
            row.next_sequence,
            len(plan.steps),
            row.facts,
            row.signals,
        )

    @classmethod
    def anew(cls, row: RunRow, remaining_steps: int) -> RunState:
        """A run that has ended, pending again in its next generation, in which so many steps are not settled."""
        run = cls.loaded(row)
        run.is_rerun = True
        run.status = RunStatus.PENDING
        run.generation += 1
        run.remaining_steps = remaining_steps
        return run


class StepState(msgspec.Struct, gc=False):
    """The working copy of a step's row. The fields after `kept` say what this decision did to it."""

    slug: str
    generation: int
    status: StepStatus
    remaining_dependencies: int
    elements: int | None = None
    remaining_tasks: int | None = None
    failed_tasks: int = 0
    cursor: int = 0
    gaps: int = 0
    facts: bytes | None = None
    """For a map, what its completed tasks have told; the nulls of failed ones and gaps are counted, not told."""
    retry_of: int | None = None
    kept: int = 0
    is_new: bool = False
    """Whether it has no row yet."""
    changed: bool = False
    has_new_facts: bool = False
    started: bool = False
    ended: bool = False
    reason: str | None = None
    error: bytes | None = None

    @property
    def tasks(self) -> int:
        """How many tasks the step has in this generation, with those that are not made yet; 0 before it is ready."""
        return (self.elements or 0) - self.gaps - self.kept


class NotLoaded(Exception):
    """A decision needs rows that were not loaded: it must be taken again with them."""


class StepNotLoaded(NotLoaded):
    """A decision reached a step whose row was not loaded: it needs all steps of the run."""


class StepStates(dict[str, StepState]):
    """The steps of one run that were loaded, by slug."""

    def __missing__(self, slug: str) -> StepState:
        raise StepNotLoaded(slug)


def loaded_steps(rows: Mapping[str, StepRow]) -> dict[str, StepState]:
    """Working copies of loaded steps, by slug."""
    return {
        slug: StepState(
            slug,
            row.generation,
            row.status,
            row.remaining_dependencies,
            row.elements,
            row.remaining_tasks,
            row.failed_tasks,
            row.cursor,
            row.gaps,
            row.facts,
            row.retry_of,
            row.kept,
        )
        for slug, row in rows.items()
    }


def new_steps(plan: Plan, generation: int) -> dict[str, StepState]:
    """Every step of a run that is being claimed."""
    return {
        slug: StepState(slug, generation, StepStatus.CREATED, len(step.dependencies), is_new=True)
        for slug, step in plan.steps.items()
    }


def as_claimed(task: TaskRow) -> ClaimedTask:
    """A running task as its claim told of it."""
    assert task.lease_until is not None, "a running task has a lease"
    return ClaimedTask(
        key=task.key,
        flow_id=task.flow_id,
        token=task.token,
        attempt=task.attempts,
        losses=task.losses,
        phase=task.phase,
        lease_until=task.lease_until,
        priority=task.priority,
    )


@define
class ChangeSet:
    """What the decisions of one transaction have collected so far."""

    runs: list[RunUpdate] = Factory(list[RunUpdate])
    reruns: list[Rerun] = Factory(list[Rerun])
    new_steps: list[StepWrite] = Factory(list[StepWrite])
    steps: list[StepWrite] = Factory(list[StepWrite])
    new_tasks: list[NewTasks] = Factory(list[NewTasks])
    tasks: list[TaskUpdate] = Factory(list[TaskUpdate])
    attempts: list[NewAttempt] = Factory(list[NewAttempt])
    suspensions: list[Suspension] = Factory(list[Suspension])
    resumptions: list[Resumption] = Factory(list[Resumption])
    new_signals: list[NewSignal] = Factory(list[NewSignal])
    consumed_signals: list[ConsumedSignal] = Factory(list[ConsumedSignal])
    cancellations: list[Cancellation] = Factory(list[Cancellation])
    events: list[EventBatch] = Factory(list[EventBatch])
    claimed: list[ClaimedTask] = Factory(list[ClaimedTask])
    """The tasks among `new_tasks` that are leased to the commanding host."""

    @property
    def queues_tasks(self) -> bool:
        """Whether some of the new tasks are nobody's yet."""
        return any(tasks.worker is None and tasks.waits_for is None for tasks in self.new_tasks)

    @property
    def puts_off(self) -> bool:
        """Whether something is put off to a later time: a retry, a start after a delay, a wait, a deadline."""
        return (
            bool(self.suspensions)
            or any(tasks.wake_at is not None or tasks.ready_at > tasks.created_at for tasks in self.new_tasks)
            or any(task.ready_at is not None for task in self.tasks)
            or any(run.deadline_at is not None for run in self.runs)
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.runs or self.tasks or self.new_steps or self.events)

    def frozen(self) -> Changes:
        """The changes as the Persistence port takes them, in the order in which rows are locked."""
        return Changes(
            runs=tuple(sorted(self.runs, key=lambda run: run.id)),
            reruns=tuple(self.reruns),
            new_steps=tuple(self.new_steps),
            steps=tuple(self.steps),
            new_tasks=tuple(self.new_tasks),
            tasks=tuple(sorted(self.tasks, key=lambda task: task.key)),
            attempts=tuple(self.attempts),
            suspensions=tuple(sorted(self.suspensions, key=lambda task: task.key)),
            resumptions=tuple(sorted(self.resumptions, key=lambda task: task.key)),
            new_signals=tuple(self.new_signals),
            consumed_signals=tuple(self.consumed_signals),
            cancellations=tuple(self.cancellations),
            events=tuple(self.events),
        )
