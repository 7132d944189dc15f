"""`Changes` as the parameters of one statement: one column of values for each column of each table.

The statement is put together from the files in `sql/apply/`, as many as there is something to write for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from psycopg.errors import InvalidTextRepresentation

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
from ...ports.errors import CorruptionError, FairleadError
from ...ports.outbox import shard_of
from .arrays import Column, documents, ints, texts, times, uuids
from .database import Row, Sent
from .rows import key_columns
from .statements import WROTE, Statements


class Part(NamedTuple):
    """One table's share: the file that writes it, its parameters, and how many rows it must write."""

    name: str
    parameters: dict[str, Column]
    rows: int


def parts_of(changes: Changes) -> list[Part]:
    """What there is to write, in the order of locks."""
    return list(_parts(changes))


def sent_of(parts: Sequence[Part], statements: Statements) -> Sent:
    """All parts as one statement, which fails unless every guard lets every row pass."""
    parameters: dict[str, object] = {"expected": ints([part.rows for part in parts])}
    for part in parts:
        parameters.update(part.parameters)
    return statements.together(tuple(f"apply/{part.name}" for part in parts)), parameters


def refusal_of(parts: Sequence[Part], error: FairleadError) -> CorruptionError | None:
    """Which guard of these parts did not let every row pass, where that is what the error is about."""
    found = WROTE.search(str(error)) if isinstance(error.__cause__, InvalidTextRepresentation) else None
    if found is None:
        return None
    for part, count in zip(parts, map(int, found[1].split(",")), strict=True):
        if count != part.rows:  # recovers 28: rows are not as they were read
            return CorruptionError(
                f"writing {part.name.replace('_', ' ')}: {part.rows} rows expected, {count} found as they should be"
            )
    return None


def resumptions_sent(rows: Sequence[Resumption], statements: Statements) -> Iterator[Sent]:
    """The statement that ends waits, those of tasks that the parts have only just written included."""
    if rows:
        yield (
            statements["apply/resumptions"],
            {
                **key_columns([row.key for row in rows]),
                "tokens": ints([row.token for row in rows]),
                "statuses": texts([row.status for row in rows]),
                "ready_ats": times([row.ready_at for row in rows]),
                "ended_ats": times([row.ended_at for row in rows]),
                "outputs": documents([row.output for row in rows]),
                "errors": documents([row.error for row in rows]),
                "reasons": texts([row.reason for row in rows]),
            },
        )


def check_resumed(resumptions: Sequence[Resumption], resumed: Sequence[Row]) -> None:
    """Every task was suspended under its token.

    Raises:
        CorruptionError: one was not.
    """
    if len(resumed) != len(resumptions):  # recovers 28: a wait is over that was to be ended
        raise CorruptionError(
            f"ending waits: {len(resumptions)} tasks expected, {len(resumed)} found suspended under their token"
        )


def cancellations_sent(cancellations: Sequence[Cancellation], statements: Statements) -> Iterator[Sent]:
    """The statements that end what is live below steps, then below runs."""
    ordered = sorted(cancellations, key=lambda cancellation: (cancellation.run_id, cancellation.step or ""))
    steps = [each for each in ordered if each.step is not None]
    if steps:
        yield (
            statements["apply/cancel_tasks"],
            _cancellations(steps)
            | {
                "steps": texts([each.step for each in steps]),
                "generations": ints([each.generation for each in steps]),
            },
        )
    runs = [each for each in ordered if each.step is None]
    if runs:
        yield statements["apply/cancel"], _cancellations(runs)


def _cancellations(rows: Sequence[Cancellation]) -> dict[str, Column]:
    return {
        "runs": uuids([row.run_id for row in rows]),
        "ats": times([row.at for row in rows]),
        "reasons": texts([row.reason for row in rows]),
    }


def _parts(changes: Changes) -> Iterator[Part]:
    if changes.steps:
        yield Part("steps", _steps("step", changes.steps), len(changes.steps))
    if changes.new_steps:
        yield Part("new_steps", _new_steps(changes.new_steps), len(changes.new_steps))
    if changes.tasks:
        yield Part("tasks", _tasks(changes.tasks), len(changes.tasks))
    if changes.suspensions:
        yield Part("suspensions", _suspensions(changes.suspensions), len(changes.suspensions))
    new_tasks = [each for each in changes.new_tasks if each.waits_for is None]
    if new_tasks:
        yield Part("new_tasks", _new_tasks(new_tasks), sum(each.count for each in new_tasks))
    new_waits = [each for each in changes.new_tasks if each.waits_for is not None]
    if new_waits:
        yield Part("new_waits", _new_waits(new_waits), sum(each.count for each in new_waits))
    if changes.attempts:
        yield Part("attempts", _attempts(changes.attempts), len(changes.attempts))
    if changes.new_signals:
        yield Part("new_signals", _new_signals(changes.new_signals), len(changes.new_signals))
    if changes.consumed_signals:
        yield Part("consumed_signals", _consumed_signals(changes.consumed_signals), len(changes.consumed_signals))
    if changes.runs:
        yield Part("runs", _runs(changes.runs), len(changes.runs))
    if changes.reruns:
        yield Part("run_generations", {}, len(changes.reruns))
        yield Part("reruns", _reruns(changes.reruns), len(changes.reruns))
    if changes.annotations:
        yield Part("annotations", annotations_columns(changes.annotations), len(changes.annotations))
    if changes.events:
        yield Part("events", _events(changes.events), len(changes.events))


def _new_steps(rows: Sequence[StepWrite]) -> dict[str, Column]:
    return {
        **_steps("new_step", rows),
        "new_step_retries_of": ints([row.retry_of for row in rows]),
        "new_step_kept": ints([row.kept for row in rows]),
    }


def _steps(prefix: str, rows: Sequence[StepWrite]) -> dict[str, Column]:
    return {
        f"{prefix}_runs": uuids([row.run_id for row in rows]),
        f"{prefix}_slugs": texts([row.slug for row in rows]),
        f"{prefix}_generations": ints([row.generation for row in rows]),
        f"{prefix}_statuses": texts([row.status for row in rows]),
        f"{prefix}_remaining_dependencies": ints([row.remaining_dependencies for row in rows]),
        f"{prefix}_elements": ints([row.elements for row in rows]),
        f"{prefix}_remaining_tasks": ints([row.remaining_tasks for row in rows]),
        f"{prefix}_failed_tasks": ints([row.failed_tasks for row in rows]),
        f"{prefix}_cursors": ints([row.cursor for row in rows]),
        f"{prefix}_gaps": ints([row.gaps for row in rows]),
        f"{prefix}_facts": documents([row.facts for row in rows]),
        f"{prefix}_started_ats": times([row.started_at for row in rows]),
        f"{prefix}_ended_ats": times([row.ended_at for row in rows]),
        f"{prefix}_reasons": texts([row.reason for row in rows]),
        f"{prefix}_errors": documents([row.error for row in rows]),
    }


def _tasks(rows: Sequence[TaskUpdate]) -> dict[str, Column]:
    keys = [row.key for row in rows]
    return {
        "task_runs": uuids([key.run_id for key in keys]),
        "task_steps": texts([key.step for key in keys]),
        "task_generations": ints([key.generation for key in keys]),
        "task_elements": ints([key.element for key in keys]),
        "task_tokens": ints([row.token for row in rows]),
        "task_statuses": texts([row.status for row in rows]),
        "task_settled_tokens": ints([row.settled_token for row in rows]),
        "task_attempts": ints([row.attempts for row in rows]),
        "task_losses": ints([row.losses for row in rows]),
        "task_ready_ats": times([row.ready_at for row in rows]),
        "task_ended_ats": times([row.ended_at for row in rows]),
        "task_outputs": documents([row.output for row in rows]),
        "task_errors": documents([row.error for row in rows]),
        "task_reasons": texts([row.reason for row in rows]),
    }


def _new_tasks(rows: Sequence[NewTasks]) -> dict[str, Column]:
    return {
        "new_task_runs": uuids([row.run_id for row in rows]),
        "new_task_steps": texts([row.step for row in rows]),
        "new_task_generations": ints([row.generation for row in rows]),
        "new_task_firsts": ints([row.first for row in rows]),
        "new_task_counts": ints([row.count for row in rows]),
        "new_task_flow_ids": ints([row.flow_id for row in rows]),
        "new_task_queues": texts([row.queue for row in rows]),
        "new_task_priorities": ints([row.priority for row in rows]),
        "new_task_created_ats": times([row.created_at for row in rows]),
        "new_task_ready_ats": times([row.ready_at for row in rows]),
        "new_task_workers": texts([row.worker for row in rows]),
        "new_task_lease_untils": times([row.lease_until for row in rows]),
    }


def _new_waits(rows: Sequence[NewTasks]) -> dict[str, Column]:
    return {
        "new_wait_runs": uuids([row.run_id for row in rows]),
        "new_wait_steps": texts([row.step for row in rows]),
        "new_wait_generations": ints([row.generation for row in rows]),
        "new_wait_firsts": ints([row.first for row in rows]),
        "new_wait_counts": ints([row.count for row in rows]),
        "new_wait_flow_ids": ints([row.flow_id for row in rows]),
        "new_wait_queues": texts([row.queue for row in rows]),
        "new_wait_priorities": ints([row.priority for row in rows]),
        "new_wait_created_ats": times([row.created_at for row in rows]),
        "new_wait_ready_ats": times([row.ready_at for row in rows]),
        "new_wait_kinds": texts([row.waits_for for row in rows]),
        "new_wait_wake_ats": times([row.wake_at for row in rows]),
    }


def _suspensions(rows: Sequence[Suspension]) -> dict[str, Column]:
    keys = [row.key for row in rows]
    return {
        "suspended_runs": uuids([key.run_id for key in keys]),
        "suspended_steps": texts([key.step for key in keys]),
        "suspended_generations": ints([key.generation for key in keys]),
        "suspended_elements": ints([key.element for key in keys]),
        "suspended_tokens": ints([row.token for row in rows]),
        "suspended_wake_ats": times([row.wake_at for row in rows]),
        "suspended_give_up_ats": times([row.give_up_at for row in rows]),
        "suspended_checks": ints([row.checks for row in rows]),
        "suspended_states": documents([row.state for row in rows]),
    }


def _new_signals(rows: Sequence[NewSignal]) -> dict[str, Column]:
    return {
        "signal_runs": uuids([row.run_id for row in rows]),
        "signal_steps": texts([row.step for row in rows]),
        "signal_keys": texts([row.key for row in rows]),
        "signal_digests": texts([row.request_digest for row in rows]),
        "signal_sent_ats": times([row.sent_at for row in rows]),
        "signal_consumed_ats": times([row.consumed_at for row in rows]),
        "signal_payloads": documents([row.payload for row in rows]),
        "signal_facts": documents([row.facts for row in rows]),
    }


def _consumed_signals(rows: Sequence[ConsumedSignal]) -> dict[str, Column]:
    return {
        "consumed_runs": uuids([row.run_id for row in rows]),
        "consumed_steps": texts([row.step for row in rows]),
        "consumed_keys": texts([row.key for row in rows]),
        "consumed_ats": times([row.at for row in rows]),
    }


def _attempts(rows: Sequence[NewAttempt]) -> dict[str, Column]:
    keys = [row.key for row in rows]
    return {
        "attempt_runs": uuids([key.run_id for key in keys]),
        "attempt_steps": texts([key.step for key in keys]),
        "attempt_generations": ints([key.generation for key in keys]),
        "attempt_elements": ints([key.element for key in keys]),
        "attempt_tokens": ints([row.token for row in rows]),
        "attempt_numbers": ints([row.attempt for row in rows]),
        "attempt_workers": texts([row.worker for row in rows]),
        "attempt_ended_ats": times([row.ended_at for row in rows]),
        "attempt_reasons": texts([row.reason for row in rows]),
        "attempt_errors": documents([row.error for row in rows]),
    }


def _runs(rows: Sequence[RunUpdate]) -> dict[str, Column]:
    return {
        "runs": uuids([row.id for row in rows]),
        "run_statuses": texts([row.status for row in rows]),
        "run_next_sequences": ints([row.next_sequence for row in rows]),
        "run_remaining_steps": ints([row.remaining_steps for row in rows]),
        "run_signals": ints([row.signals for row in rows]),
        "run_deadline_ats": times([row.deadline_at for row in rows]),
        "run_started_ats": times([row.started_at for row in rows]),
        "run_ended_ats": times([row.ended_at for row in rows]),
        "run_reasons": texts([row.reason for row in rows]),
        "run_errors": documents([row.error for row in rows]),
    }


def _reruns(rows: Sequence[Rerun]) -> dict[str, Column]:
    return {
        "reruns": uuids([row.id for row in rows]),
        "rerun_generations": ints([row.generation for row in rows]),
        "rerun_statuses": texts([row.status for row in rows]),
        "rerun_next_sequences": ints([row.next_sequence for row in rows]),
        "rerun_remaining_steps": ints([row.remaining_steps for row in rows]),
        "rerun_signals": ints([row.signals for row in rows]),
        "rerun_deadline_ats": times([row.deadline_at for row in rows]),
        "rerun_started_ats": times([row.started_at for row in rows]),
        "rerun_ended_ats": times([row.ended_at for row in rows]),
        "rerun_reasons": texts([row.reason for row in rows]),
        "rerun_errors": documents([row.error for row in rows]),
    }


def annotations_columns(rows: Sequence[AnnotationsWrite]) -> dict[str, Column]:
    """What `apply/annotations` and `insert_annotations` write, in order of run."""
    rows = sorted(rows, key=lambda row: row.run_id)
    return {
        "annotated_runs": uuids([row.run_id for row in rows]),
        "annotations": documents([row.annotations for row in rows]),
    }


def _events(rows: Sequence[EventBatch]) -> dict[str, Column]:
    return {
        "event_runs": uuids([row.run_id for row in rows]),
        "event_firsts": ints([row.first_sequence for row in rows]),
        "event_counts": ints([row.count for row in rows]),
        "event_generations": ints([row.generation for row in rows]),
        "event_shards": ints([shard_of(row.run_id) for row in rows]),
        "event_ats": times([row.at for row in rows]),
        "event_flows": texts([row.flow for row in rows]),
        "event_documents": documents([row.events for row in rows]),
    }
