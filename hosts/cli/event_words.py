"""Events as sentences, for people who watch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from ...kernel.events import (
    Event,
    RunAnnotated,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepResumed,
    StepSkipped,
    StepStarted,
    StepSuspended,
    TaskRetrying,
    decode_event,
)
from ...kernel.failures import decode_failure
from ...ports.outbox import EventRecord
from ...ports.records import WaitsFor
from .annotation_words import annotation_line
from .output import coloured, shown_seconds
from .records import error_words

RETRYING = "task.retrying"

RETRIES_TOLD_MAX = 10
"""Of the retries that one look finds."""

MESSAGE_LENGTH_MAX = 300
"""Characters of an error that are told in passing; `runs show` has all of it."""


def event_line(record: EventRecord) -> str:
    """An event as a line: when, and what happened."""
    return f"{record.at.astimezone(UTC):%H:%M:%SZ}  {event_words(decode_event(record), record)}"


def event_lines(records: Sequence[EventRecord]) -> Iterator[str]:
    """Events as lines; of many retries at once the first, and how many more there were."""
    retries = 0
    for record in records:
        retries += record.type == RETRYING
        if record.type != RETRYING or retries <= RETRIES_TOLD_MAX:
            yield event_line(record)
    if retries > RETRIES_TOLD_MAX:
        yield f"… and {retries - RETRIES_TOLD_MAX:,} more attempts that failed at about the same time"


def is_trouble(record: EventRecord) -> bool:
    """Whether an event tells of something that failed, was skipped or must be done again."""
    return record.type in ("step.failed", "step.skipped", RETRYING, "run.failed", "run.cancelled")


def event_words(event: Event, record: EventRecord) -> str:
    """An event as a sentence."""
    match event:
        case RunCreated():
            return "run created"
        case RunStarted():
            return f"run {coloured('running', 'started')}"
        case RunCompleted():
            return f"run {coloured('completed')}"
        case RunFailed(reason=reason, error=error):
            return f"run {coloured('failed')} ({reason}){_said(bytes(error))}"
        case RunCancelled(reason=reason):
            return f"run {coloured('cancelled')}{'' if reason is None else f': {reason}'}"
        case RunAnnotated(annotations=annotations):
            return f"run annotated: {annotation_line(msgspec.json.decode(bytes(annotations)))}"
        case StepStarted(step=step, tasks=tasks):
            return f"{step} {coloured('running', 'started')}{'' if tasks == 1 else f', {tasks:,} tasks'}"
        case StepSuspended(step=step, waits_for=waits_for, wake_at=wake_at):
            return f"{step} {coloured('suspended')}, {_waits(waits_for, wake_at, record.at)}"
        case StepResumed(step=step, waited_for=waited_for):
            return f"{step} {coloured('running', 'resumed')}, {_WAITED[waited_for]}"
        case StepCompleted(step=step):
            return f"{step} {coloured('completed')}"
        case StepSkipped(step=step, reason=reason, error=error):
            return f"{step} {coloured('skipped')} ({reason}){_said(bytes(error))}"
        case StepFailed(step=step, element=element, reason=reason, error=error):
            place = "" if element is None else f"[{element}]"
            return f"{step}{place} {coloured('failed')} ({reason}){_said(bytes(error))}"
        case TaskRetrying(step=step, element=element, attempt=attempt, reason=reason, ready_at=ready_at, error=error):
            wait_s = (ready_at - record.at).total_seconds()
            again = "at once" if wait_s <= 0 else f"in {shown_seconds(wait_s)}"
            ended = f"attempt {attempt} {coloured('cancelled', 'failed')} ({reason})"
            return f"{step}[{element}] {ended}{_said(bytes(error))}; again {again}"


_WAITED: Mapping[WaitsFor, str] = {
    WaitsFor.CHECK: "its check has found what it waited for",
    WaitsFor.SIGNAL: "its signal is there",
    WaitsFor.TIME: "its time has come",
}


def _waits(waits_for: WaitsFor, wake_at: datetime | None, at: datetime) -> str:
    """What a step waits for, as the end of a sentence."""
    until = None if wake_at is None else shown_seconds((wake_at - at).total_seconds())
    match waits_for:
        case WaitsFor.CHECK:
            return f"checked in {until}"
        case WaitsFor.SIGNAL:
            return "waits for a signal" if until is None else f"waits for a signal for {until}"
        case WaitsFor.TIME:
            return f"waits for {until}"


def _said(error: bytes) -> str:
    """An error as the end of a sentence; one line of it, bounded."""
    if error == b"null":
        return ""
    words = error_words(decode_failure(error))
    return f": {words if len(words) <= MESSAGE_LENGTH_MAX else f'{words[:MESSAGE_LENGTH_MAX]}…'}"
