"""Notes: what a handler says while it runs, made fit to be stored, and how it is read again.

Noting never fails a handler for what is too long or no JSON: that is cut, or becomes text. Only a call that is wrong
whatever the data are is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias

import msgspec
from attrs import frozen

from ..ports.notes import LogLevel, LogRecord, ProgressRecord
from .codec import JsonValue, decode, encode
from .errors import InvalidArgument
from .failures import clean, text_of

LOG_MESSAGE_LENGTH_MAX = 4_000
"""Characters of a log entry's message that are kept: what is read as a message; more is a payload in disguise."""

LOG_FIELD_LENGTH_MAX = 1_000
"""Bytes of JSON of one field of a log entry; a longer one is cut."""

LOG_FIELDS_BYTES_MAX = 8_000
"""Bytes of JSON of all fields of a log entry together; those that do not fit any more are left out."""

PROGRESS_MESSAGE_LENGTH_MAX = 500
"""Characters of a message of progress that are kept: a line."""

Level: TypeAlias = LogLevel | Literal["debug", "info", "warning", "error"]
"""How much a log entry matters, as a member or as its word."""


class NoteTaker(Protocol):
    """Takes what an attempt notes, from any thread, without waiting for anything."""

    def log(self, level: LogLevel, entry: Entry) -> None:
        """A log entry."""
        ...

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """How far the attempt is."""
        ...

    def annotate(self, values: bytes) -> None:
        """What the run is to be annotated with: a canonical JSON object (`kernel.annotations`)."""
        ...


class Entry(NamedTuple):
    """A log entry that is fit to be stored."""

    message: str
    fields: bytes | None
    """A canonical JSON object."""
    cut: bool
    """Whether something of it was left out."""

    @property
    def size_bytes(self) -> int:
        """About how much it takes."""
        return 4 * len(self.message) + len(self.fields or b"")


class Unheard:
    """Takes notes where no host does: in a unit test, which calls a handler with a `Context` of its own making."""

    def log(self, level: LogLevel, entry: Entry) -> None:
        """Drop it."""

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Drop it."""

    def annotate(self, values: bytes) -> None:
        """Drop it."""


UNHEARD = Unheard()


def checked_level(level: object) -> LogLevel:
    """Return a level.

    Raises:
        InvalidArgument: it is none.
    """
    found = next((each for each in LogLevel if each == level), None)
    if found is None:
        raise InvalidArgument("level", f"one of {', '.join(LogLevel)}", level)
    return found


def checked_number(name: str, value: object) -> float:
    """Return a finite number of at least 0.

    Raises:
        InvalidArgument: it is something else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if 0 <= number < math.inf:
            return number
    raise InvalidArgument(name, "a finite number of at least 0", value)


def entry_of(message: object, fields: Mapping[str, object]) -> Entry:
    """A log entry of whatever a handler gave."""
    text, cut = _cut(text_of(message), LOG_MESSAGE_LENGTH_MAX)
    kept: dict[str, msgspec.Raw] = {}
    size_bytes = 2
    for name, value in fields.items():
        data, shortened = _field(value)
        size_bytes += len(data) + len(name.encode("utf-8", "replace")) + 4
        cut = cut or shortened
        if size_bytes > LOG_FIELDS_BYTES_MAX:
            cut = True
            break
        kept[clean(name)] = msgspec.Raw(data)
    return Entry(text, _encoder.encode(kept) if kept else None, cut)


def message_of_progress(message: object) -> str | None:
    """A message of progress of whatever a handler gave; None stays None."""
    return None if message is None else _cut(text_of(message), PROGRESS_MESSAGE_LENGTH_MAX)[0]


_encoder = msgspec.json.Encoder(order="sorted")


def _cut(text: str, length: int) -> tuple[str, bool]:
    """Clean text, and whether it was longer."""
    return (clean(text), False) if len(text) <= length else (f"{clean(text[:length])}…", True)


def _field(value: object) -> tuple[bytes, bool]:
    """A field as JSON, what is none as text; and whether it was cut."""
    try:
        data = encode(value)
    except Exception:  # recovers 55: whatever a value of users does, it only wanted to be logged
        data = encode(clean(text_of(value)[: LOG_FIELD_LENGTH_MAX + 1]))
    if len(data) <= LOG_FIELD_LENGTH_MAX:
        return data, False
    text = text_of(value) if isinstance(value, str) else data.decode()
    return encode(clean(text[: LOG_FIELD_LENGTH_MAX // 4]) + "…"), True


@frozen(kw_only=True)
class LogEntry:
    """Something that a handler noted."""

    number: int
    """Its place among the run's entries: they increase from 1 on, though some may be missing."""
    step: str
    generation: int
    element: int
    """The index of the task's element; 0 in a plain step."""
    attempt: int
    at: datetime
    level: LogLevel
    message: str
    fields: Mapping[str, JsonValue]


@frozen(kw_only=True)
class Progress:
    """How far a task is, as its handler told last."""

    step: str
    generation: int
    element: int
    """The index of the task's element; 0 in a plain step."""
    attempt: int
    at: datetime
    done: float
    total: float | None
    """In the same unit; None where the handler does not know it."""
    message: str | None


def log_entry(record: LogRecord) -> LogEntry:
    """A stored entry as it is read."""
    fields = {} if record.fields is None else decode(record.fields)
    assert isinstance(fields, dict), "fields are an object"
    return LogEntry(
        number=record.number,
        step=record.key.step,
        generation=record.key.generation,
        element=record.key.element,
        attempt=record.attempt,
        at=record.at,
        level=record.level,
        message=record.message,
        fields=fields,
    )


def progress_of(record: ProgressRecord) -> Progress:
    """Stored progress as it is read."""
    return Progress(
        step=record.key.step,
        generation=record.key.generation,
        element=record.key.element,
        attempt=record.attempt,
        at=record.at,
        done=record.done,
        total=record.total,
        message=record.message,
    )
