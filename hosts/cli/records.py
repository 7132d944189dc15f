"""Runs and their parts as the JSON that `--json` shows. The keys are promised; new ones may be added."""

from __future__ import annotations

from typing import Any

import msgspec

from ...kernel import LogEntry, Progress
from ...kernel.annotations import decode_annotations
from ...kernel.failures import Failure, decode_failure
from ...kernel.runs import RunDetails
from ...ports.outbox import EventRecord
from ...ports.reading import AttemptRecord, GenerationRecord, RunRecord, StepRecord, TaskRecord
from .output import printable


def run_json(run: RunRecord) -> dict[str, object]:
    """A run."""
    return {
        "id": run.id,
        "flow": run.flow,
        "version": run.version,
        "status": run.status,
        "key": run.key,
        "priority": run.priority,
        "generation": run.generation,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "deadline_at": run.deadline_at,
        "reason": run.reason,
        "error": failure_of(run.error),
    }


def annotated_run_json(run: RunRecord, annotations: bytes | None) -> dict[str, object]:
    """A run with what it is annotated with."""
    return {**run_json(run), "annotations": decode_annotations(annotations)}


def details_json(details: RunDetails) -> dict[str, object]:
    """A run and everything in it."""
    return {
        "run": run_json(details.run),
        "generations": [generation_json(generation) for generation in details.generations],
        "steps": [step_json(step) for step in details.steps],
        "tasks": [task_json(task) for task in details.tasks],
        "attempts": [attempt_json(attempt) for attempt in details.attempts],
        "events": [event_json(event) for event in details.events],
        "annotations": details.annotations,
        "progress": [progress_json(progress) for progress in details.progress],
        "logs": [log_json(entry) for entry in details.logs],
    }


def generation_json(generation: GenerationRecord) -> dict[str, object]:
    """How a run ended in a generation that it has left."""
    return {
        "generation": generation.generation,
        "status": generation.status,
        "started_at": generation.started_at,
        "ended_at": generation.ended_at,
        "reason": generation.reason,
        "error": failure_of(generation.error),
    }


def step_json(step: StepRecord) -> dict[str, object]:
    """A step. `tasks` is how many it has in all, null before that is known.

    `tasks_ended` counts those that ended in whatever way, `gaps` those that were never made, and `kept` those that
    were completed in an earlier generation; both count as ended.
    """
    return {
        "step": step.slug,
        "generation": step.generation,
        "status": step.status,
        "tasks": step.elements,
        "tasks_ended": None if step.elements is None or step.remaining_tasks is None else ended_tasks(step),
        "tasks_failed": step.failed_tasks,
        "gaps": step.gaps,
        "kept": step.kept,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "reason": step.reason,
        "error": failure_of(step.error),
    }


def ended_tasks(step: StepRecord) -> int:
    """How many of a step's tasks have ended, in whatever way; gaps count too, and what was kept."""
    return 0 if step.elements is None else step.elements - (step.remaining_tasks or 0)


def task_json(task: TaskRecord) -> dict[str, object]:
    """A task. `waits_for` (check, signal or time) and `wake_at` are null unless it is suspended."""
    return {
        "step": task.key.step,
        "generation": task.key.generation,
        "element": task.key.element,
        "status": task.status,
        "queue": task.queue,
        "priority": task.priority,
        "attempts": task.attempts,
        "losses": task.losses,
        "worker": task.worker,
        "lease_until": task.lease_until,
        "ready_at": task.ready_at,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "phase": task.phase,
        "waits_for": task.waits_for,
        "wake_at": task.wake_at,
        "give_up_at": task.give_up_at,
        "checks": task.checks,
        "reason": task.reason,
        "error": failure_of(task.error),
    }


def attempt_json(attempt: AttemptRecord) -> dict[str, object]:
    """An attempt that did not complete."""
    return {
        "step": attempt.key.step,
        "generation": attempt.key.generation,
        "element": attempt.key.element,
        "attempt": attempt.attempt,
        "worker": attempt.worker,
        "ended_at": attempt.ended_at,
        "reason": attempt.reason,
        "error": failure_of(attempt.error),
    }


def progress_json(progress: Progress) -> dict[str, object]:
    """How far a task is, as its handler told last."""
    return {
        "step": progress.step,
        "generation": progress.generation,
        "element": progress.element,
        "attempt": progress.attempt,
        "at": progress.at,
        "done": progress.done,
        "total": progress.total,
        "message": progress.message,
    }


def log_json(entry: LogEntry) -> dict[str, object]:
    """Something that a handler noted."""
    return {
        "number": entry.number,
        "at": entry.at,
        "level": entry.level,
        "step": entry.step,
        "generation": entry.generation,
        "element": entry.element,
        "attempt": entry.attempt,
        "message": entry.message,
        "fields": entry.fields,
    }


def event_json(event: EventRecord) -> dict[str, object]:
    """An event; `data` is all that it says."""
    data: Any = msgspec.json.decode(event.data)
    return {
        "sequence": event.sequence,
        "type": event.type,
        "step": event.step,
        "generation": event.generation,
        "at": event.at,
        "data": data,
    }


def error_words(failure: Failure) -> str:
    """A failure in one line that may be written to a terminal."""
    return printable(" ".join(str(failure).split()))


def failure_of(error: bytes | None) -> Failure | None:
    """A recorded failure; an object with `type`, `message`, `traceback` and `attempt`."""
    return None if error is None else decode_failure(error)
