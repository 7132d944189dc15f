"""What the attempts of one worker have noted and nobody has written down yet.

Attempts note from any thread and wait for nothing; the writer takes what there is, in batches. What an attempt noted is
kept until it is written, within bounds, and its outcome waits for it: see `Notebook.end`. Beyond the bounds entries are
left out, and the log says so, once for each kind of bound and attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

from ..kernel.annotations import combine_annotations
from ..kernel.notes import Entry, entry_of
from ..ports.clock import Clock
from ..ports.notes import LogLevel, NewLogEntry, ProgressRecord
from ..ports.records import Lease

LOG_ENTRIES_MAX = 10_000
"""Log entries of one attempt: what somebody can still read; a handler that has more to say keeps a log of its own."""

LOG_WAITING_MAX = 1_000
"""Entries of one attempt that wait to be written: twice a second they are, so this bounds their rate too."""

LOG_WAITING_BYTES_MAX = 1024 * 1024
"""Bytes of them, about: bounds the memory of a host while the store cannot be reached."""

BATCH_ENTRIES_MAX = 2_000
"""Entries in one statement, or those of one attempt more: what a store takes within some milliseconds."""

BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of them, about, or those of one attempt more."""

Then: TypeAlias = Callable[[], None]


class AttemptNotes:
    """What one attempt notes: the `NoteTaker` of its context. Everything is done under its notebook's lock."""

    __slots__ = (
        "annotations",
        "attempt",
        "ended",
        "entries",
        "in_flight",
        "lease",
        "notebook",
        "progress_told",
        "sequence",
        "size_bytes",
        "then",
        "told",
    )

    def __init__(self, notebook: Notebook, lease: Lease, attempt: int) -> None:
        self.notebook = notebook
        self.lease = lease
        self.attempt = attempt
        self.sequence = 0
        self.entries: list[NewLogEntry] = []
        self.size_bytes = 0
        """Of the entries that wait."""
        self.progress_told: ProgressRecord | None = None
        self.annotations: bytes | None = None
        self.in_flight = False
        """Whether the writer is at some of it."""
        self.ended = False
        self.then: Then | None = None
        """What waits for all of it to be written."""
        self.told: set[str] = set()
        """Of what the log has said that it was too much."""

    @property
    def waits(self) -> bool:
        """Whether there is something that the writer has not taken."""
        return bool(self.entries) or self.progress_told is not None or self.annotations is not None

    def log(self, level: LogLevel, entry: Entry) -> None:
        """Note a log entry."""
        self.notebook.log(self, level, entry)

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """Note how far the attempt is."""
        self.notebook.progress(self, done, total, message)

    def annotate(self, values: bytes) -> None:
        """Note what the run is to be annotated with."""
        self.notebook.annotate(self, values)


@frozen
class Batch:
    """What is written together."""

    attempts: tuple[AttemptNotes, ...]
    entries: tuple[NewLogEntry, ...]
    progress: tuple[ProgressRecord, ...]
    annotations: tuple[tuple[AttemptNotes, bytes], ...]

    def of(self, notes: AttemptNotes) -> Batch:
        """What is one attempt's."""
        return Batch(
            (notes,),
            tuple(entry for entry in self.entries if (entry.key, entry.token) == notes.lease),
            tuple(told for told in self.progress if (told.key, told.token) == notes.lease),
            tuple(each for each in self.annotations if each[0] is notes),
        )

    def __len__(self) -> int:
        return len(self.entries) + len(self.progress) + len(self.annotations)


class Notebook:
    """The notes of one worker. May be used from any thread."""

    def __init__(self, clock: Clock) -> None:
        self.when_noted: Callable[[bool], None] = lambda urgent: None
        """Called where something is there to be written that was not; or, with True, where an outcome waits for it."""
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[AttemptNotes, None] = {}
        """The attempts with something that is not written yet, in the order of its coming."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing for the writer to take."""
        with self._lock:
            return not any(notes.waits for notes in self._noted)

    @property
    def hurried(self) -> bool:
        """Whether an outcome waits for what the writer has not taken."""
        with self._lock:
            return any(notes.waits and notes.then is not None for notes in self._noted)

    # Noting

    def log(self, notes: AttemptNotes, level: LogLevel, entry: Entry) -> None:
        """Note a log entry."""
        with self._lock:
            if notes.ended or not self._may_log(notes, entry):
                return
            self._add(notes, level, entry)
            if entry.cut:
                self._tell(notes, "an entry of this attempt was too long and was cut; so are others")
            noted = self._note(notes)
        self._wake(noted)

    def progress(self, notes: AttemptNotes, done: float, total: float | None, message: str | None) -> None:
        """Note how far an attempt is; what it told before is forgotten unless it is written."""
        with self._lock:
            if notes.ended:
                return
            notes.progress_told = ProgressRecord(
                key=notes.lease.key,
                token=notes.lease.token,
                attempt=notes.attempt,
                at=self._clock.now(),
                done=done,
                total=total,
                message=message,
            )
            noted = self._note(notes)
        self._wake(noted)

    def annotate(self, notes: AttemptNotes, values: bytes) -> None:
        """Note what a run is to be annotated with; of each key the last word counts."""
        with self._lock:
            if notes.ended:
                return
            notes.annotations, left_out = combine_annotations(notes.annotations, values)
            if left_out:
                self._tell(notes, TOO_MANY_ANNOTATIONS)
            noted = self._note(notes)
        self._wake(noted)

    def tell(self, notes: AttemptNotes, what: str) -> None:
        """Say in an attempt's log, once, that something was too much. Also where it has ended."""
        with self._lock:
            self._tell(notes, what)
            noted = self._note(notes)
        self._wake(noted)

    def end(self, notes: AttemptNotes, then: Then | None) -> bool:
        """An attempt has ended: what it notes from now on is dropped.

        Args:
            notes: the attempt's.
            then: what waits until everything of it is written; None where nothing does, since its outcome is discarded
                as its annotations would be.

        Returns:
            Whether `then` will be called, by `written` or whoever releases it.
        """
        with self._lock:
            notes.ended = True
            if then is None:
                notes.annotations = None
            if not (notes.waits or notes.in_flight):
                self._noted.pop(notes, None)
                return False
            notes.then = then
        self.when_noted(then is not None)
        return then is not None

    def release(self, notes: AttemptNotes) -> Then | None:
        """What waits for an attempt's notes, which it is not to do any longer."""
        with self._lock:
            then, notes.then = notes.then, None
            return then

    def waiting(self) -> list[AttemptNotes]:
        """The attempts whose outcomes wait."""
        with self._lock:
            return [notes for notes in self._noted if notes.then is not None]

    # Writing

    def take(self) -> Batch:
        """Take what is to be written next: first what outcomes wait for, then the oldest."""
        with self._lock:
            attempts: list[AttemptNotes] = []
            entries: list[NewLogEntry] = []
            progress: list[ProgressRecord] = []
            annotations: list[tuple[AttemptNotes, bytes]] = []
            size_bytes = 0
            for notes in sorted(self._noted, key=lambda notes: notes.then is None):
                if not notes.waits:
                    continue
                if len(entries) >= BATCH_ENTRIES_MAX or size_bytes >= BATCH_BYTES_MAX:
                    break
                size_bytes += notes.size_bytes
                attempts.append(notes)
                notes.in_flight = True
                entries += notes.entries
                notes.entries, notes.size_bytes = [], 0
                if notes.progress_told is not None:
                    progress.append(notes.progress_told)
                    notes.progress_told = None
                if notes.annotations is not None:
                    annotations.append((notes, notes.annotations))
                    notes.annotations = None
            entries.sort(key=lambda entry: entry.at)  # sorted stably: those of an attempt keep their order
            return Batch(tuple(attempts), tuple(entries), tuple(progress), tuple(annotations))

    def written(self, attempts: Iterable[AttemptNotes]) -> list[Then]:
        """What was taken of these attempts is written; answers what need not wait any longer."""
        free: list[Then] = []
        with self._lock:
            for notes in attempts:
                notes.in_flight = False
                if not notes.waits:
                    self._noted.pop(notes, None)
                    if notes.then is not None:
                        free.append(notes.then)
                        notes.then = None
        return free

    def _may_log(self, notes: AttemptNotes, entry: Entry) -> bool:
        if notes.sequence >= LOG_ENTRIES_MAX:
            self._tell(notes, f"this attempt has logged {LOG_ENTRIES_MAX:,} entries; further ones are left out")
            return False
        if len(notes.entries) >= LOG_WAITING_MAX or notes.size_bytes + entry.size_bytes > LOG_WAITING_BYTES_MAX:
            self._tell(notes, "this attempt logs faster than its entries can be written; some are left out")
            return False
        return True

    def _add(self, notes: AttemptNotes, level: LogLevel, entry: Entry) -> None:
        notes.sequence += 1
        notes.size_bytes += entry.size_bytes
        notes.entries.append(
            NewLogEntry(
                key=notes.lease.key,
                token=notes.lease.token,
                attempt=notes.attempt,
                sequence=notes.sequence,
                at=self._clock.now(),
                level=level,
                message=entry.message,
                fields=entry.fields,
            )
        )

    def _tell(self, notes: AttemptNotes, what: str) -> None:
        if what not in notes.told:
            notes.told.add(what)
            self._add(notes, LogLevel.WARNING, entry_of(what, {}))

    def _note(self, notes: AttemptNotes) -> bool:
        """Remember that an attempt has something to be written; answers whether that is news."""
        if not self._noted:
            self._noted[notes] = None
            return True
        self._noted[notes] = None
        return False

    def _wake(self, noted: bool) -> None:
        if noted:
            self.when_noted(False)


TOO_MANY_ANNOTATIONS = "the run has as many annotations as it may have; some of this attempt's are left out"


def leases_of(attempts: Sequence[AttemptNotes]) -> str:
    """Whose notes they are, for messages."""
    first = attempts[0].lease.key
    return f"task {first}" if len(attempts) == 1 else f"{len(attempts)} tasks, first {first}"
