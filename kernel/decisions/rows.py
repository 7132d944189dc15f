"""The rows that a decision writes, made of working copies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...ports.changes import EventBatch, Rerun, RunUpdate, StepWrite
from ...ports.records import RunRow
from ..events import Event, encode_events
from .state import RunState, StepState


def run_update(run: RunState) -> RunUpdate:
    """The new state of a run."""
    return RunUpdate(
        id=run.id,
        status=run.status,
        next_sequence=run.next_sequence,
        remaining_steps=run.remaining_steps,
        signals=run.signals,
        deadline_at=run.deadline_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        reason=run.reason,
        error=run.error,
    )


def rerun(run: RunState) -> Rerun:
    """A run that begins anew."""
    assert run.started_at is not None, "a run begins anew by a claim"
    return Rerun(
        id=run.id,
        generation=run.generation,
        status=run.status,
        next_sequence=run.next_sequence,
        remaining_steps=run.remaining_steps,
        signals=run.signals,
        deadline_at=run.deadline_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        reason=run.reason,
        error=run.error,
    )


def step_write(run_id: str, state: StepState, now: datetime) -> StepWrite:
    """The new state of a step, or a new step."""
    return StepWrite(
        run_id=run_id,
        slug=state.slug,
        generation=state.generation,
        status=state.status,
        remaining_dependencies=state.remaining_dependencies,
        elements=state.elements,
        remaining_tasks=state.remaining_tasks,
        failed_tasks=state.failed_tasks,
        cursor=state.cursor,
        gaps=state.gaps,
        retry_of=state.retry_of,
        kept=state.kept,
        facts=state.facts if state.has_new_facts else None,
        started_at=now if state.started else None,
        ended_at=now if state.ended else None,
        reason=state.reason,
        error=state.error,
    )


def run_kept(run: RunRow, *, events: int = 0, signals: int = 0) -> RunUpdate:
    """A run that stays as it is, but that so many events more are told of it, or so many signals more kept for it."""
    return RunUpdate(
        id=run.id,
        status=run.status,
        next_sequence=run.next_sequence + events,
        remaining_steps=run.remaining_steps,
        signals=run.signals + signals,
    )


def event_batch(run: RunState | RunRow, events: Sequence[Event], *, first: int, now: datetime) -> EventBatch:
    """The events that one transaction causes in a run, with consecutive sequence numbers from `first` on."""
    return EventBatch(
        run_id=run.id,
        flow=run.flow,
        generation=run.generation,
        first_sequence=first,
        count=len(events),
        at=now,
        events=encode_events(events),
    )
