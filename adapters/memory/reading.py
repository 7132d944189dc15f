"""What readers see: one committed state of the store for each question. The caller holds the store's mutex."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import attrgetter

from ...ports.outbox import OutboxRow
from ...ports.reading import (
    AttemptRecord,
    GenerationRecord,
    OutputPage,
    OutputRequest,
    Payloads,
    RunCursor,
    RunFilter,
    RunPage,
    RunPayload,
    RunRecord,
    StepOutput,
    StepRecord,
    TaskRecord,
    WorkInHand,
)
from ...ports.records import SignalRow, TaskKey
from ...ports.statuses import StepStatus
from .annotations import admits
from .rows import Run, Step, StoredRun, in_order_of_sending
from .store import Store

_by_generation = attrgetter("generation")


def read_run(store: Store, run_id: str) -> RunRecord | None:
    """One run, or None."""
    stored = store.runs.get(run_id)
    return None if stored is None else stored.row.record()


def read_steps(store: Store, run_id: str) -> list[StepRecord]:
    """All steps of a run in all generations, by generation."""
    stored = store.runs.get(run_id)
    if stored is None:
        return []
    return sorted((step.record() for step in stored.steps.values()), key=_by_generation)


def read_tasks(store: Store, run_id: str, step: str | None) -> list[TaskRecord]:
    """All tasks of a run, or of one of its steps, by step, generation, index."""
    stored = store.runs.get(run_id)
    if stored is None:
        return []
    keys = sorted(key for key in stored.tasks if step is None or key.step == step)
    return [stored.tasks[key].record() for key in keys]


def read_generations(store: Store, run_id: str) -> list[GenerationRecord]:
    """The generations that a run has left, by generation."""
    stored = store.runs.get(run_id)
    return [] if stored is None else [stored.endings[generation] for generation in sorted(stored.endings)]


def read_attempts(store: Store, run_id: str) -> list[AttemptRecord]:
    """The attempts of a run that did not complete, by task, then token."""
    stored = store.runs.get(run_id)
    if stored is None:
        return []
    attempts = (stored.attempts[lease] for lease in sorted(stored.attempts))
    return [
        AttemptRecord(
            key=attempt.key,
            token=attempt.token,
            attempt=attempt.attempt,
            worker=attempt.worker,
            ended_at=attempt.ended_at,
            reason=attempt.reason,
            error=attempt.error,
        )
        for attempt in attempts
    ]


def read_events(store: Store, run_id: str, after: int) -> list[OutboxRow]:
    """The outbox rows of a run with events later than `after`, by sequence."""
    stored = store.runs.get(run_id)
    batches = [] if stored is None else stored.batches()
    return [batch.loaded() for batch in batches if batch.first_sequence + batch.count > after + 1]


def list_runs(store: Store, chosen: RunFilter, limit: int, after: RunCursor | None) -> RunPage:
    """One page of the runs that `chosen` admits, newest first."""
    page: list[RunRecord] = []
    for run in _newest_first(store, chosen, after):
        if len(page) == limit:
            last = page[-1]
            return RunPage(page, RunCursor(last.created_at, last.id))
        page.append(run.record())
    return RunPage(page, None)


def read_signals(store: Store, run_id: str) -> list[SignalRow]:
    """The signals that were sent to a run, by time of sending, then step and key."""
    stored = store.runs.get(run_id)
    return [] if stored is None else in_order_of_sending(stored.signals.values())


def read_payloads(
    store: Store, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey]
) -> Payloads:
    """The inputs, the outputs and the states asked for."""
    found = {run_id: stored for run_id in runs if (stored := store.runs.get(run_id)) is not None}
    read = {request: output for request in outputs if (output := _output(store, request)) is not None}
    return Payloads(
        runs={run_id: RunPayload(input=run.row.input, config=run.row.config) for run_id, run in found.items()},
        outputs=read,
        states={key: state for key in states if (state := _state(store, key)) is not None},
    )


def read_output_page(store: Store, page: OutputPage) -> StepOutput | None:
    """Consecutive outputs of a step's tasks, as many as fit."""
    found = _step(store, page.run_id, page.step)
    if found is None:
        return None
    stored, step = found
    outputs: list[bytes | None] = []
    size_bytes = 0
    if step.status is StepStatus.COMPLETED:
        for index in range(page.first, min(page.first + page.limit, step.elements or 0)):
            output = _output_of(stored, step, index)
            size_bytes += len(output or b"")
            if outputs and size_bytes > page.size_bytes_max:
                break
            outputs.append(output)
    return StepOutput(generation=step.generation, status=step.status, elements=step.elements, outputs=outputs)


def _newest_first(store: Store, chosen: RunFilter, after: RunCursor | None) -> Iterator[Run]:
    """The runs that `chosen` admits: by its key where one flow is meant, else along the index by age."""
    if chosen.flow is not None and chosen.key is not None:
        holder = store.by_key.get((chosen.flow, chosen.key))
        if holder is not None and (after is None or (holder.row.created_at, holder.row.id) < after):
            yield from _admitted(chosen, holder)
        return
    by_age = store.by_age
    end = len(by_age) if after is None else bisect_left(by_age, tuple(after))
    for position in range(end - 1, -1, -1):
        created_at, run_id = by_age[position]
        if chosen.created_from is not None and created_at < chosen.created_from:
            return
        yield from _admitted(chosen, store.runs[run_id])


def read_work_in_hand(store: Store, now: datetime) -> list[WorkInHand]:
    """How many tasks have a lease that lasts beyond `now`, by queue and flow."""
    flows = {row.flow_id: row for row in store.flows.values()}
    work: Counter[tuple[str, str, str]] = Counter()
    for (queue, flow_id), tasks in store.leased.at_work(now).items():
        work[queue, flows[flow_id].slug, flows[flow_id].version] += tasks
    return [
        WorkInHand(queue=queue, flow=slug, version=version, tasks=tasks)
        for (queue, slug, version), tasks in work.items()
    ]


def _admitted(chosen: RunFilter, stored: StoredRun) -> Iterator[Run]:
    run = stored.row
    if (
        (chosen.flow is None or run.flow == chosen.flow)
        and (chosen.statuses is None or run.status in chosen.statuses)
        and (chosen.key is None or run.key == chosen.key)
        and (chosen.created_from is None or run.created_at >= chosen.created_from)
        and (chosen.created_before is None or run.created_at < chosen.created_before)
        and (not chosen.annotations or admits(chosen.annotations, stored.annotations))
    ):
        yield run


def _output(store: Store, request: OutputRequest) -> StepOutput | None:
    found = _step(store, request.run_id, request.step)
    if found is None:
        return None
    stored, step = found
    elements = step.elements
    if request.element is not None and not 0 <= request.element < (elements or 0):
        return None
    outputs: list[bytes | None] = []
    if step.status is StepStatus.COMPLETED:
        wanted = range(elements or 0) if request.element is None else (request.element,)
        outputs = [_output_of(stored, step, index) for index in wanted]
    return StepOutput(generation=step.generation, status=step.status, elements=elements, outputs=outputs)


def _step(store: Store, run_id: str, slug: str) -> tuple[StoredRun, Step] | None:
    """A run and one of its steps in its highest generation."""
    stored = store.runs.get(run_id)
    generation = None if stored is None else stored.generations.get(slug)
    return None if stored is None or generation is None else (stored, stored.steps[run_id, slug, generation])


def _state(store: Store, key: TaskKey) -> bytes | None:
    stored = store.runs.get(key.run_id)
    task = None if stored is None else stored.tasks.get(key)
    return None if task is None else task.state


def _output_of(stored: StoredRun, step: Step, element: int) -> bytes | None:
    """The output of one element: at most one of the generations that count has it."""
    for generation in step.counted:
        task = stored.tasks.get(TaskKey(step.run_id, step.slug, generation, element))
        if task is not None and task.output is not None:
            return task.output
    return None
