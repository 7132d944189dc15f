"""What is scheduled: cron schedules and deferred commands, as they stand in the scheduler and as readers see them.

Each is one entry of the `Scheduler`, whose name tells what it is:

    cron/<name>            starts a run of a flow at every tick; it is put back for its next tick
    start/<run id>         starts one run, once; start/<flow>/<key> where it has a key
    cancel/<run id>        cancels one run, once; cancel/<run id>/<id> where a caller's transaction has asked for it
    signal/<run id>/<step>/<key>    sends one signal, as a caller's transaction has asked for it

A run that a tick starts has the key `schedule/<name>/<tick>`, so whoever starts it, and however often, there is one. A
claim on an entry only saves hosts from doing the same work.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import msgspec

from ..ports.errors import CorruptionError
from ..ports.notes import AnnotationValue
from ..ports.record import Record
from ..ports.scheduler import ScheduledCommand
from .annotations import decode_annotations
from .codec import JsonValue, decode

CatchUp: TypeAlias = Literal["none", "last", "all"]
"""What becomes of ticks that nobody was there to fire."""

CATCH_UPS: Final[tuple[CatchUp, ...]] = ("none", "last", "all")

SCHEDULE_NAME_LENGTH_MAX: Final = 200
"""Characters of a schedule's name: it is a part of its runs' keys."""

CRON_PREFIX: Final = "cron/"
START_PREFIX: Final = "start/"
CANCEL_PREFIX: Final = "cancel/"
SIGNAL_PREFIX: Final = "signal/"
DEFERRED_PREFIXES: Final = (CANCEL_PREFIX, SIGNAL_PREFIX, START_PREFIX)


class LeftOut(msgspec.Struct, frozen=True):
    """Ticks that were not fired, since they were missed and are not caught up on."""

    first: datetime
    last: datetime


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is started with, before anybody knows by which version of its flow."""

    flow: str
    version: str
    """The version that has checked it. The one that starts the run is the newest that the host has by then."""
    input: str
    """Canonical JSON, or a reference to it."""
    digest: str
    """SHA-256 (hex) over the canonical input, config and priority."""
    config: str | None = None
    """JSON as it was given: the version that starts the run merges it with its own defaults."""
    priority: int = 0
    annotations: str | None = None
    """A canonical JSON object, not empty."""


class CronEntry(msgspec.Struct, frozen=True, kw_only=True, tag="cron"):
    """A schedule as it is stored."""

    name: str
    template: Template
    cron: str
    zone: str
    catch_up: CatchUp
    created_at: datetime
    after: datetime
    """The last tick that is dealt with, in whatever way; at first, when the schedule was made."""
    paused: bool = False
    started: int = 0
    """Runs that its ticks have started."""
    last_tick: datetime | None = None
    """The last tick that started a run."""
    left_out: LeftOut | None = None
    """The last ticks that were left out."""


class StartEntry(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """A deferred start as it is stored."""

    template: Template
    run_id: str
    key: str | None = None


class CancelEntry(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """A deferred cancel as it is stored."""

    run_id: str
    reason: str | None = None
    asked_at: datetime | None = None
    """When it was asked for; None in the transaction of a caller, which has seen its run."""


class SignalEntry(msgspec.Struct, frozen=True, kw_only=True, tag="signal"):
    """A signal that is to be sent, as it is stored."""

    run_id: str
    flow: str
    """The slug of the run's flow."""
    step: str
    key: str
    payload: str
    """Canonical JSON, or a reference to it."""
    facts: str | None = None
    digest: str
    """As in `SendSignal`."""


DeferredEntry: TypeAlias = StartEntry | CancelEntry | SignalEntry
Entry: TypeAlias = CronEntry | DeferredEntry


class ScheduleStatus(enum.StrEnum):
    """How a schedule stands."""

    ACTIVE = "active"
    """It ticks."""
    PAUSED = "paused"
    """Somebody has stopped it; resuming lets it go on from then."""
    HELD = "held"
    """It could not be carried out and waits for somebody to look at its problem; resuming tries again."""


class ScheduleRecord(Record, frozen=True, kw_only=True):
    """A cron schedule."""

    name: str
    flow: str
    cron: str
    zone: str
    catch_up: CatchUp
    status: ScheduleStatus
    next_at: datetime | None
    """When it is carried out next: its next tick, or the next try where it has `failures`; None unless it is active."""
    last_tick: datetime | None
    """The last tick that started a run."""
    started: int
    """Runs that its ticks have started."""
    priority: int
    config: Mapping[str, JsonValue] | None
    annotations: Mapping[str, AnnotationValue]
    """What its runs are found by."""
    created_at: datetime
    """When it got the definition that it has."""
    failures: int
    """How often in a row it could not be carried out."""
    problem: str | None
    """Why not, the last time; None since it was carried out."""
    left_out: LeftOut | None
    """The last ticks that were missed and not caught up on."""


class DeferredRecord(Record, frozen=True, kw_only=True):
    """A deferred command: one that is carried out once, at its time."""

    name: str
    kind: Literal["start", "cancel", "signal"]
    run_id: str
    """The run that it starts, cancels or signals; of a start with a key, unless that comes to another (`Deferred.run`).
    """
    flow: str | None
    """The flow whose code it takes; None for a cancel, which takes none."""
    key: str | None
    """Of the start, or of the signal."""
    due_at: datetime | None
    """When it is carried out, or tried again; None where it is held."""
    failures: int = 0
    problem: str | None = None
    """Why it could not be carried out, the last time."""

    @property
    def held(self) -> bool:
        """Whether it waits for somebody to look at its problem."""
        return self.due_at is None


def cron_name(name: str) -> str:
    """The entry of a schedule."""
    return CRON_PREFIX + name


def start_name(run_id: str, flow: str, key: str | None) -> str:
    """The entry of a deferred start; with a key it is found by that."""
    return START_PREFIX + (run_id if key is None else f"{flow}/{key}")


def cancel_name(run_id: str) -> str:
    """The entry of a deferred cancel: a run has one deadline."""
    return CANCEL_PREFIX + run_id


def requested_cancel_name(run_id: str, request_id: str) -> str:
    """The entry of a cancel that was asked for in a caller's transaction: no other transaction can have it."""
    return f"{CANCEL_PREFIX}{run_id}/{request_id}"


def requested_signal_name(run_id: str, step: str, key: str) -> str:
    """The entry of a signal that was asked for in a caller's transaction; it is found by its key."""
    return f"{SIGNAL_PREFIX}{run_id}/{step}/{key}"


def tick_key(name: str, tick: datetime) -> str:
    """The key of the run that a tick starts."""
    return f"schedule/{name}/{tick.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def write_entry(entry: Entry) -> bytes:
    """An entry as it is stored."""
    return _encoder.encode(entry)


def read_entry(data: bytes) -> Entry:
    """The entry that `write_entry` wrote.

    Raises:
        CorruptionError: it is none.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CorruptionError(f"a scheduled command cannot be read: {error}") from error


def schedule_record(command: ScheduledCommand, entry: CronEntry) -> ScheduleRecord:
    """A schedule as readers see it; `entry` is what stands in `command`."""
    held = command.due_at is None and not entry.paused
    status = ScheduleStatus.PAUSED if entry.paused else ScheduleStatus.HELD if held else ScheduleStatus.ACTIVE
    return ScheduleRecord(
        name=entry.name,
        flow=entry.template.flow,
        cron=entry.cron,
        zone=entry.zone,
        catch_up=entry.catch_up,
        status=status,
        next_at=command.due_at,
        last_tick=entry.last_tick,
        started=entry.started,
        priority=entry.template.priority,
        config=None if entry.template.config is None else _config(entry.template.config),
        annotations=annotations_of(entry.template),
        created_at=entry.created_at,
        failures=command.failures,
        problem=command.problem,
        left_out=entry.left_out,
    )


def deferred_record(command: ScheduledCommand, entry: DeferredEntry) -> DeferredRecord:
    """A deferred command as readers see it; `entry` is what stands in `command`."""
    kind: Literal["start", "cancel", "signal"] = "cancel"
    if isinstance(entry, StartEntry):
        kind = "start"
    elif isinstance(entry, SignalEntry):
        kind = "signal"
    return DeferredRecord(
        name=command.name,
        kind=kind,
        run_id=entry.run_id,
        flow=command.flow,
        key=None if isinstance(entry, CancelEntry) else entry.key,
        due_at=command.due_at,
        failures=command.failures,
        problem=command.problem,
    )


def annotations_of(template: Template) -> dict[str, AnnotationValue]:
    """What the runs of a template are annotated with."""
    return decode_annotations(None if template.annotations is None else template.annotations.encode())


def _config(stored: str) -> dict[str, JsonValue]:
    config = decode(stored.encode())
    assert isinstance(config, dict), "settings are checked before they are stored"
    return config


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
