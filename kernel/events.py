"""The events that tell what happened, one class each, in the past tense.

An event is written to the outbox in the transaction that caused it. The run, its flow and generation, the sequence
number and the time stand beside the event (`ports.outbox`), so the classes here hold only what is their own. A step
that is cancelled with its run has no event of its own: the run's terminal event stands for it.

Events are tagged msgspec structs rather than attrs classes, since a batch of them is one column of one row: it is
written and read as one JSON array, whose objects name their class in `type`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeAlias, get_args

import msgspec
from msgspec.structs import replace

from ..ports.outbox import EventRecord, OutboxRow
from ..ports.records import WaitsFor

NO_ERROR = msgspec.Raw(b"null")
"""What stands for the error where there is none; otherwise it is the record of `kernel.failures`."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What all events share: an immutable JSON object with a `type`."""

    @property
    def type(self) -> str:
        """The event's name, such as `run.completed`."""
        return str(self.__struct_config__.tag)


class RunCreated(_Event, frozen=True, tag="run.created"):
    """A run was put down as pending."""


class RunStarted(_Event, frozen=True, tag="run.started"):
    """A host claimed the run, or it was rerun in a new generation; its first steps are ready."""


class RunCompleted(_Event, frozen=True, tag="run.completed"):
    """Every step is settled well."""


class RunFailed(_Event, frozen=True, tag="run.failed"):
    """The run ended badly: `step` failed, or the run itself could not go on."""

    reason: str
    step: str | None = None
    error: msgspec.Raw = NO_ERROR


class RunCancelled(_Event, frozen=True, tag="run.cancelled"):
    """Somebody cancelled the run, and with it everything that was live in it."""

    reason: str | None = None
    """Why, in their words."""


class RunAnnotated(_Event, frozen=True, tag="run.annotated"):
    """What the run is found by has changed."""

    annotations: msgspec.Raw
    """The annotations that are other than before, by key; null for one that was taken away."""
    step: str | None = None
    """The step whose handler did it."""


class StepStarted(_Event, frozen=True, tag="step.started"):
    """Every dependency is settled: the step's tasks may run, after `start_delay` if it has one."""

    step: str
    tasks: int


class StepSuspended(_Event, frozen=True, tag="step.suspended"):
    """The step waits, and holds no slot meanwhile."""

    step: str
    waits_for: WaitsFor
    wake_at: datetime | None = None
    """When it is looked at: the first check, the end of a sleep, the last moment for a signal."""
    give_up_at: datetime | None = None
    """When it fails unless a check finds it ready."""


class StepResumed(_Event, frozen=True, tag="step.resumed"):
    """The wait is over, because what was waited for is there."""

    step: str
    waited_for: WaitsFor


class StepCompleted(_Event, frozen=True, tag="step.completed"):
    """The step has its output. For a map over an empty array there was no `step.started`."""

    step: str


class StepSkipped(_Event, frozen=True, tag="step.skipped"):
    """The step did not run, since its condition is unmet or what it needs was skipped; or it failed and may do so."""

    step: str
    reason: str
    error: msgspec.Raw = NO_ERROR


class StepFailed(_Event, frozen=True, tag="step.failed"):
    """The step's attempts are used up, its failure cannot be retried, or its condition must be met and is not."""

    step: str
    reason: str
    element: int | None = None
    """Whose task failed; None where the step had no task yet."""
    attempt: int | None = None
    error: msgspec.Raw = NO_ERROR


class TaskRetrying(_Event, frozen=True, tag="task.retrying"):
    """An attempt ended without an outcome; the task is queued again and will not start before `ready_at`."""

    step: str
    element: int
    attempt: int
    reason: str
    ready_at: datetime
    error: msgspec.Raw = NO_ERROR


class EventLost(_Event, frozen=True, tag="event.lost"):
    """A sink never accepted the event of this sequence number, which is a dead letter; this stands in its place.

    It is told to that sink alone, and is no part of the run's history.
    """

    lost: str
    """The type of the event."""
    step: str | None = None
    """The step that it told of."""


Event: TypeAlias = (
    RunCreated
    | RunStarted
    | RunCompleted
    | RunFailed
    | RunCancelled
    | RunAnnotated
    | StepStarted
    | StepSuspended
    | StepResumed
    | StepCompleted
    | StepSkipped
    | StepFailed
    | TaskRetrying
)


PublishedEvent: TypeAlias = Event | EventLost
"""What a sink may be told."""


EVENT_TYPES: tuple[str, ...] = tuple(str(each.__struct_config__.tag) for each in get_args(PublishedEvent))
"""Their types, such as `run.completed`."""


def as_raw(error: bytes | None) -> msgspec.Raw:
    """A recorded error as events carry it."""
    return NO_ERROR if error is None else msgspec.Raw(error)


class _Head(msgspec.Struct):
    """What is read of an event without knowing its class."""

    type: str
    step: str | None = None


_encoder = msgspec.json.Encoder()
_array = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(_Head)
_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_published: msgspec.json.Decoder[PublishedEvent] = msgspec.json.Decoder(PublishedEvent)


def encode_events(events: Sequence[Event]) -> bytes:
    """The events of one outbox row as a JSON array."""
    return _encoder.encode(events)


def event_records(row: OutboxRow) -> Iterator[EventRecord]:
    """The events of one outbox row, in order, each as a sink or a reader sees it."""
    for offset, data in enumerate(_array.decode(row.events)):
        head = _head.decode(data)
        yield EventRecord(
            run_id=row.run_id,
            flow=row.flow,
            generation=row.generation,
            sequence=row.first_sequence + offset,
            type=head.type,
            step=head.step,
            at=row.at,
            data=bytes(data),
        )


def loss_of(record: EventRecord) -> EventRecord:
    """What a sink is told in the place of an event that it never accepted."""
    lost = EventLost(lost=record.type, step=record.step)
    return replace(record, type=lost.type, data=_encoder.encode(lost))


def decode_published(record: EventRecord) -> PublishedEvent:
    """The typed event that a sink was given."""
    return _published.decode(record.data)


def decode_event(record: EventRecord) -> Event:
    """The typed event that a record carries."""
    return _event.decode(record.data)
