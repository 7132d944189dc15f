"""What a test sees of tasks, attempts and steps of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from attrs import field, frozen

from ...kernel import Failure, RunDetails, StepRecord, StepStatus, Suspend, TaskRecord, TaskStatus, decode_failure
from ...ports.reading import AttemptRecord
from ...ports.records import Lease, TaskPhase
from .arranging import AttemptAccount

T = TypeVar("T")


@frozen(kw_only=True)
class TaskView:
    """One task."""

    step: str
    element: int
    """Its index in a map; 0 in a plain step."""
    generation: int
    status: TaskStatus
    attempts: int
    """How many have begun."""
    reason: str | None
    """Why it did not complete."""
    error: Failure | None
    started_at: datetime | None
    ended_at: datetime | None


@frozen(kw_only=True, repr=False)
class AttemptView:
    """One attempt at a task: one call of its handler, or of its check."""

    step: str
    element: int
    """The index of its element in a map; 0 in a plain step."""
    generation: int
    number: int
    """1 for the first try."""
    phase: TaskPhase
    """`run` for the handler, `check` for the check."""
    stubbed: bool
    """Whether a stub was called instead."""
    arguments: Mapping[str, object]
    """What it was called with, by parameter: the objects themselves, so what a handler changes in them is seen here."""
    began_at: datetime
    ended_at: datetime | None
    """When it returned or raised; None where it goes on, or was never called."""
    returned: object
    raised: BaseException | None
    place: str | None
    """The line of the handler, or of what it calls, where it raised, or waited when it was stopped."""
    reason: str | None
    """Why it did not complete, as it is recorded."""
    error: Failure | None
    """As it is recorded."""
    completed: bool
    """Whether what it returned was recorded as the output of its task."""

    def __repr__(self) -> str:
        return f"<{self.step}, {self}>"

    def __str__(self) -> str:
        what = f"attempt {self.number}" if self.phase is TaskPhase.RUN else f"check at attempt {self.number}"
        whose = f"generation {self.generation}, element {self.element}, {what}"
        if self.completed:
            return f"{whose}: completed"
        if self.reason is not None:
            place = f"; in {self.place}" if self.place else ""
            return f"{whose}: {self.reason}" + ("" if self.error is None else f", {self.error}") + place
        if isinstance(self.returned, Suspend):
            return f"{whose}: suspended"
        return f"{whose}: {'not over' if self.ended_at is None else 'stopped, and nothing is recorded of it'}"


@frozen(kw_only=True, repr=False)
class StepView(Generic[T]):
    """One step of a run, as it stands in its newest generation."""

    slug: str
    status: StepStatus
    """`created` too where the run has not begun."""
    generation: int
    reason: str | None
    """Why it did not complete."""
    error: Failure | None
    elements: int | None
    """How many a map has."""
    started_at: datetime | None
    ended_at: datetime | None
    tasks: Sequence[TaskView]
    attempts: Sequence[AttemptView]
    """Of all generations, in the order in which they began."""
    _read: object = field(alias="read")

    @property
    def output(self) -> T:
        """What it returned; the list of all that its tasks did for a map.

        Raises:
            NoOutput: it has none.
        """
        return self._read()  # type: ignore[operator, no-any-return]

    @property
    def ran_once(self) -> bool:
        """Whether of each of its tasks exactly one attempt completed, in all generations together."""
        done = sorted(each.element for each in self.attempts if each.completed)
        return done == list(range(1 if self.elements is None else self.elements))

    @property
    def said(self) -> str:
        """Its status with reason and error, in a line."""
        return f"step {self.slug}: {said(self.status, self.reason, self.error)}"

    def __repr__(self) -> str:
        return f"<{self.said}>"


def said(status: str, reason: str | None, error: Failure | None) -> str:
    """How something stands, in a line."""
    why = f" ({reason})" if reason else ""
    return f"{status}{why}: {error}" if error else f"{status}{why}"


def failure_of(error: bytes | None) -> Failure | None:
    """A recorded error."""
    return None if error is None else decode_failure(error)


def step_record(details: RunDetails, slug: str) -> StepRecord | None:
    """A step as it stands in its newest generation; None where the run has not begun."""
    return next((each for each in reversed(details.steps) if each.slug == slug), None)


def task_views(details: RunDetails) -> list[TaskView]:
    """All tasks of a run."""
    return [_task_view(task) for task in details.tasks]


def _task_view(task: TaskRecord) -> TaskView:
    return TaskView(
        step=task.key.step,
        element=task.key.element,
        generation=task.key.generation,
        status=task.status,
        attempts=task.attempts,
        reason=task.reason,
        error=failure_of(task.error),
        started_at=task.started_at,
        ended_at=task.ended_at,
    )


def attempt_views(details: RunDetails, accounts: Sequence[AttemptAccount]) -> list[AttemptView]:
    """All attempts in a run, in the order in which they began."""
    failed = {Lease(each.key, each.token): each for each in details.attempts}
    completed = {Lease(each.key, each.settled_token) for each in details.tasks if each.status is TaskStatus.COMPLETED}
    return [_attempt_view(each, failed.get(each.lease), each.lease in completed) for each in accounts]


def _attempt_view(account: AttemptAccount, failed: AttemptRecord | None, completed: bool) -> AttemptView:
    task = account.task
    return AttemptView(
        step=task.key.step,
        element=task.key.element,
        generation=task.key.generation,
        number=task.attempt,
        phase=task.phase,
        stubbed=account.stubbed,
        arguments=account.arguments,
        began_at=account.began_at,
        ended_at=account.ended_at,
        returned=account.returned,
        raised=account.raised,
        place=account.place,
        reason=None if failed is None else failed.reason,
        error=None if failed is None else failure_of(failed.error),
        completed=completed,
    )
