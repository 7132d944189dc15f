"""Notes: what attempts say while they run, and what runs are found by.

Log entries and progress are written by hosts while handlers run, outside every decision: they are no events, lock no
run, and nothing is decided by them. Annotations are part of a run's state: they are written in the transaction that
tells of them, and read here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from .record import Record
from .records import TaskKey

AnnotationValue: TypeAlias = str | int | float | bool
"""What a run may be annotated with: text, a finite number, or a truth value. Numbers are equal by value, whether they
are written as whole ones or not; a truth value is no number."""


class LogLevel(enum.StrEnum):
    """How much a log entry matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class NewLogEntry(Record, frozen=True, kw_only=True):
    """A log entry to put down. It is known by its task, token and sequence."""

    key: TaskKey
    token: int
    attempt: int
    sequence: int
    """1, 2, … within what was noted under the token."""
    at: datetime
    level: LogLevel
    message: str
    fields: bytes | None = None
    """A JSON object."""


class LogRecord(Record, frozen=True, kw_only=True):
    """A log entry as a reader sees it."""

    number: int
    """Its place among the run's entries: they increase from 1 on, though some may be missing."""
    key: TaskKey
    token: int
    attempt: int
    at: datetime
    level: LogLevel
    message: str
    fields: bytes | None


class ProgressRecord(Record, frozen=True, kw_only=True):
    """How far an attempt is, in units of its own."""

    key: TaskKey
    token: int
    attempt: int
    at: datetime
    done: float
    total: float | None = None
    message: str | None = None


class Notes(Protocol):
    """The part of the store that keeps notes."""

    async def write_notes(self, entries: Sequence[NewLogEntry], progress: Sequence[ProgressRecord]) -> None:
        """Put down what was noted, atomically. Repeatable; it waits for nobody who settles, and nobody for it.

        What an attempt noted counts until its lease ended: always where it holds its lease, where its outcome is the
        last that its task was settled with, or where it has suspended its task; else what it noted, by `at`, not after
        it was cancelled or lost its lease, or ended otherwise. Whatever else is dropped, and so are notes of runs and
        tasks that do not exist. A run that is removed meanwhile leaves nothing behind.

        An entry that is there already is left as it is. Progress takes the place of what its task has, unless that is
        of a higher token, or of the same and later.

        The entries of a run are numbered in their order here. Numbers are given so that whoever reads one will never
        find an unread one below it.
        """
        ...

    async def read_logs(self, run_id: str, *, after: int = 0, limit: int, last: bool = False) -> Sequence[LogRecord]:
        """The log entries of a run with numbers above `after`, by number: the first of them, or the last ones.

        At most `limit`.
        """
        ...

    async def read_progress(self, run_id: str, *, limit: int) -> Sequence[ProgressRecord]:
        """How far the tasks of a run are that told it, those first that told it last, at most `limit`.

        At the same time by key, ascending.
        """
        ...

    async def read_annotations(self, runs: Sequence[str]) -> Mapping[str, bytes]:
        """The annotations of those of `runs` that have some, by run id: JSON objects as they were written."""
        ...
