"""The invariants of what waits, as `invariants` has those of everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...ports.records import TaskPhase, WaitsFor
from ...ports.statuses import LIVE_TASK, StepStatus, TaskStatus
from .rows import StoredRun, Task
from .store import Store


def I26_suspended_waits(store: Store) -> Iterator[str]:
    """A suspended step has exactly one thing it waits for: its one live task, which is suspended or being checked.

    A suspended task says what it waits for and when that is looked at, as it must for what it is; any other says
    nothing. Only a map goes on while a task of it waits, and only for a check.
    """
    for run in store.runs.values():
        live: dict[tuple[str, int], list[Task]] = {}
        for task in run.tasks.values():
            if task.status in LIVE_TASK:
                live.setdefault((task.key.step, task.key.generation), []).append(task)
            if _waits_wrongly(task) or (task.status is TaskStatus.SUSPENDED and not _is_expected(task, run)):
                yield f"{_named(task)} waits for {task.waits_for} until {task.wake_at}, giving up at {task.give_up_at}"
        for step in run.steps.values():
            if step.status is StepStatus.SUSPENDED:
                waiting = live.get((step.slug, step.generation), [])
                if len(waiting) != 1 or not _waits_or_is_checked(waiting[0]):
                    named = ", ".join(map(_named, waiting)) or "none"
                    yield f"step {step.run_id}/{step.slug}/{step.generation} (suspended) has live tasks: {named}"


def I27_consumed_once(store: Store) -> Iterator[str]:
    """Every wake is consumed once: a signal is kept or has completed one task, and nothing waits beside a kept one."""
    for run in store.runs.values():
        kept = Counter(signal.step for signal in run.signals.values() if signal.consumed_at is None)
        if run.row.signals != kept.total():
            yield f"run {run.row.id} ({run.row.status}) has {run.row.signals} kept signals, counted {kept.total()}"
        waiting = {task.key.step for task in run.tasks.values() if task.waits_for is WaitsFor.SIGNAL}
        for slug, number in sorted(kept.items()):
            if number > 1 or slug in waiting:
                waits = "waits" if slug in waiting else "does not wait"
                yield f"step {run.row.id}/{slug} {waits} and has {number} kept signals"
        consumed = Counter(
            (signal.step, signal.consumed_at) for signal in run.signals.values() if signal.consumed_at is not None
        )
        for (slug, consumed_at), number in sorted(consumed.items()):
            completed = sum(
                task.key.step == slug and task.status is TaskStatus.COMPLETED and task.ended_at == consumed_at
                for task in run.tasks.values()
            )
            if number > completed:
                told = f"{number} signals at {consumed_at}, which completed {completed} tasks"
                yield f"step {run.row.id}/{slug} consumed {told}"


def _waits_wrongly(task: Task) -> bool:
    """Whether a task's columns of waiting do not fit each other and its status."""
    if task.status is not TaskStatus.SUSPENDED:
        return task.waits_for is not None or task.wake_at is not None
    if task.waits_for is None:
        return True
    if task.waits_for is WaitsFor.SIGNAL:
        return False
    if task.wake_at is None:
        return True
    if task.waits_for is WaitsFor.TIME:
        return False
    late = task.give_up_at is not None and task.give_up_at < task.wake_at
    return task.state is None or task.phase is not TaskPhase.CHECK or late


def _is_expected(task: Task, run: StoredRun) -> bool:
    """Whether the step of a suspended task is one that a task of can wait."""
    step = run.steps.get((task.key.run_id, task.key.step, task.key.generation))
    going_on = (
        (StepStatus.SUSPENDED, StepStatus.RUNNING) if task.waits_for is WaitsFor.CHECK else (StepStatus.SUSPENDED,)
    )
    return step is not None and step.status in going_on


def _waits_or_is_checked(task: Task) -> bool:
    return task.status is TaskStatus.SUSPENDED or task.phase is TaskPhase.CHECK


def _named(task: Task) -> str:
    return f"task {task.key} ({task.status}, token {task.token})"
