"""Commands about notes: writing down what attempts say, and annotating runs."""

from __future__ import annotations

import enum
from typing import ClassVar

from ...ports.notes import NewLogEntry, ProgressRecord
from ...ports.record import Record
from ...ports.records import Lease
from .base import Command, at_most

ANNOTATE_BATCH_MAX = 500
"""Annotations in one `AnnotateRuns`: it locks their runs."""


class WriteNotes(Command[None], frozen=True, kw_only=True):
    """Write down log entries and progress. Repeatable: an entry counts once, and of a task's progress the latest."""

    needs_flows: ClassVar[bool] = False
    entries: tuple[NewLogEntry, ...]
    progress: tuple[ProgressRecord, ...]


class Annotation(Record, frozen=True, kw_only=True):
    """What a run is to be annotated with."""

    run_id: str
    values: bytes
    """A canonical JSON object (`kernel.annotations`); null takes an annotation away."""
    lease: Lease | None = None
    """Of the attempt that asks for it; without its lease it is refused. None where somebody else asks."""


class AnnotationVerdict(enum.StrEnum):
    """What became of an annotation."""

    WRITTEN = "written"
    """It stands, now or since before."""
    FULL = "full"
    """Some of it was left out: the run has as many annotations as it may have."""
    STALE = "stale"
    """The attempt that asked has lost its lease; nothing changed."""
    ENDED = "ended"
    """The run has ended; nothing changed."""
    UNKNOWN = "unknown"
    """There is no such run."""
    DEFERRED = "deferred"
    """Another transaction holds the run; nothing changed yet."""


class AnnotateRuns(Command[tuple[AnnotationVerdict, ...]], frozen=True, kw_only=True):
    """Annotate runs, and tell of what changes. Answers in the order of `annotations`. Repeatable.

    It needs no code. Attempts are held to their leases, so one that lost its own annotates nothing.
    """

    needs_flows: ClassVar[bool] = False
    annotations: tuple[Annotation, ...]
    wait: bool = False
    """Wait for runs that another transaction holds, instead of deferring their annotations."""

    def __post_init__(self) -> None:
        at_most("annotations", len(self.annotations), ANNOTATE_BATCH_MAX)
