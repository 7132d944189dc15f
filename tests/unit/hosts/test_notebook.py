"""What attempts noted and nobody has written yet: bounded, in order, and what waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.hosts.notebook import (
    BATCH_ENTRIES_MAX,
    LOG_ENTRIES_MAX,
    LOG_WAITING_BYTES_MAX,
    LOG_WAITING_MAX,
    TOO_MANY_ANNOTATIONS,
    AttemptNotes,
    Batch,
    Notebook,
)
from fairlead.kernel.annotations import ANNOTATIONS_MAX
from fairlead.kernel.notes import entry_of
from fairlead.ports.notes import LogLevel
from fairlead.ports.records import Lease, TaskKey


@pytest.fixture
def notebook() -> Notebook:
    """An empty one."""
    return Notebook(ManualClock())


def attempt(notebook: Notebook, number: int = 1) -> AttemptNotes:
    """What an attempt notes."""
    return AttemptNotes(notebook, Lease(TaskKey("run", "pack", 1, number), 7), attempt=2)


def log(notes: AttemptNotes, message: str) -> None:
    """Note a log entry."""
    notes.log(LogLevel.INFO, entry_of(message, {}))


def messages(batch: Batch) -> list[str]:
    """What its entries say."""
    return [entry.message for entry in batch.entries]


def nothing() -> None:
    """What waits, in tests that do not mind."""


def test_what_is_noted_is_taken_once(notebook: Notebook) -> None:
    """Entries with their attempt and a sequence, of progress the last, of annotations all that was said."""
    notes = attempt(notebook)
    log(notes, "a")
    log(notes, "b")
    notes.progress(1, None, None)
    notes.progress(2, 10, "two")
    notes.annotate(b'{"a":1,"b":2}')
    notes.annotate(b'{"b":3}')
    batch = notebook.take()

    assert [(entry.key.element, entry.token, entry.attempt, entry.sequence) for entry in batch.entries] == [
        (1, 7, 2, 1),
        (1, 7, 2, 2),
    ]
    assert messages(batch) == ["a", "b"]
    assert [(told.done, told.total, told.message) for told in batch.progress] == [(2, 10, "two")]
    assert batch.annotations == ((notes, b'{"a":1,"b":3}'),)
    assert len(batch) == 4
    assert notebook.empty
    assert len(notebook.take()) == 0


def test_somebody_is_told_when_there_is_something(notebook: Notebook) -> None:
    """Once until it is written; urgently where an outcome waits."""
    told: list[bool] = []
    notebook.when_noted = told.append
    first, second = attempt(notebook, 1), attempt(notebook, 2)
    log(first, "a")
    log(first, "b")
    log(second, "c")
    before = list(told)
    notebook.end(first, nothing)
    batch = notebook.take()
    notebook.written(batch.attempts)
    log(second, "d")

    assert before == [False]
    assert told == [False, True, False]


def test_an_outcome_waits_until_all_of_its_notes_are_written(notebook: Notebook) -> None:
    """Those that the writer is at included; afterwards nothing more is noted."""
    notes = attempt(notebook)
    log(notes, "a")
    batch = notebook.take()
    log(notes, "b")

    assert notebook.end(notes, nothing)
    log(notes, "late")
    notes.progress(1, None, None)
    notes.annotate(b'{"late":1}')
    assert notebook.written(batch.attempts) == []
    assert notebook.hurried
    rest = notebook.take()
    assert messages(rest) == ["b"]
    assert notebook.written(rest.attempts) == [nothing]
    assert notebook.empty
    assert not notebook.hurried


def test_an_outcome_waits_for_nothing_where_nothing_was_noted(notebook: Notebook) -> None:
    """Or where all of it is written."""
    silent, written = attempt(notebook, 1), attempt(notebook, 2)
    log(written, "a")
    notebook.written(notebook.take().attempts)

    assert not notebook.end(silent, nothing)
    assert not notebook.end(written, nothing)


def test_who_is_released_waits_no_longer(notebook: Notebook) -> None:
    """What it waited for is called by one of the two, never by both."""
    notes = attempt(notebook)
    log(notes, "a")
    notebook.end(notes, nothing)
    batch = notebook.take()

    assert notebook.waiting() == [notes]
    assert notebook.release(notes) is nothing
    assert notebook.release(notes) is None
    assert notebook.written(batch.attempts) == []


def test_the_annotations_of_an_attempt_whose_outcome_is_discarded_are_dropped(notebook: Notebook) -> None:
    """They would be refused; its log is kept, and nobody waits for it."""
    notes, other = attempt(notebook, 1), attempt(notebook, 2)
    notes.annotate(b'{"a":1}')
    log(notes, "a")
    other.annotate(b'{"a":1}')

    assert not notebook.end(notes, None)
    assert not notebook.end(other, None)
    batch = notebook.take()
    assert (messages(batch), batch.annotations, batch.attempts) == (["a"], (), (notes,))


def test_those_whose_outcomes_wait_come_first(notebook: Notebook) -> None:
    """Where not everything fits into one batch."""
    attempts = [attempt(notebook, number) for number in range(5)]
    for notes in attempts:
        for number in range(LOG_WAITING_MAX):
            log(notes, f"{notes.lease.key.element}/{number}")
    notebook.end(attempts[4], nothing)
    batches = [notebook.take() for _ in range(3)]

    assert [notes.lease.key.element for notes in batches[0].attempts] == [4, 0]
    assert [len(batch.entries) for batch in batches] == [BATCH_ENTRIES_MAX, BATCH_ENTRIES_MAX, LOG_WAITING_MAX]


def _told(notebook: Notebook, notes: AttemptNotes, note: Callable[[int], None], times: int) -> list[str]:
    """The warnings in what is logged while something is noted again and again, with the writer at work."""
    found: list[str] = []
    for number in range(times):
        note(number)
        if not number % 500:
            batch = notebook.take()
            found += [entry.message for entry in batch.entries if entry.level is LogLevel.WARNING]
            notebook.written(batch.attempts)
    batch = notebook.take()
    return found + [entry.message for entry in batch.entries if entry.level is LogLevel.WARNING]


def test_an_attempt_logs_a_bounded_number_of_entries(notebook: Notebook) -> None:
    """What goes beyond is left out, and the log says so once."""
    notes = attempt(notebook)

    (told,) = _told(notebook, notes, lambda number: log(notes, str(number)), LOG_ENTRIES_MAX + 700)
    assert f"has logged {LOG_ENTRIES_MAX:,} entries" in told
    assert notes.sequence == LOG_ENTRIES_MAX + 1


def test_entries_that_come_faster_than_they_are_written_are_left_out(notebook: Notebook) -> None:
    """The log says so once; later ones are logged again."""
    notes = attempt(notebook)
    for number in range(3 * LOG_WAITING_MAX):
        log(notes, str(number))
    first = notebook.take()
    notebook.written(first.attempts)
    for number in range(2 * LOG_WAITING_MAX):
        log(notes, f"again {number}")
    second = notebook.take()

    assert len(first.entries) == LOG_WAITING_MAX + 1
    assert "faster than its entries can be written" in messages(first)[-1]
    assert messages(second) == [f"again {number}" for number in range(LOG_WAITING_MAX)]


def test_entries_that_wait_have_a_bounded_size(notebook: Notebook) -> None:
    """However few they are."""
    notes = attempt(notebook)
    for _ in range(200):
        log(notes, "x" * 4_000)
    batch = notebook.take()

    assert sum(4 * len(entry.message) for entry in batch.entries) <= LOG_WAITING_BYTES_MAX + 1_000
    assert "faster than its entries can be written" in messages(batch)[-1]


def test_an_entry_that_was_cut_is_told_of_once(notebook: Notebook) -> None:
    """Whether its message or one of its fields was too long."""
    notes = attempt(notebook)
    log(notes, "x" * 5_000)
    notes.log(LogLevel.INFO, entry_of("fields", {"a": "y" * 50_000}))
    batch = notebook.take()

    assert [message[:30] for message in messages(batch)] == ["x" * 30, "an entry of this attempt was t", "fields"]


def test_annotations_are_bounded_before_they_reach_the_store(notebook: Notebook) -> None:
    """A handler that makes up keys in a loop keeps no host's memory; the log says so once."""
    notes = attempt(notebook)
    for number in range(3 * ANNOTATIONS_MAX):
        notes.annotate(f'{{"k{number}":1}}'.encode())
    batch = notebook.take()

    assert batch.annotations[0][1].count(b":") == ANNOTATIONS_MAX
    assert messages(batch) == [TOO_MANY_ANNOTATIONS]


def test_many_threads_note_at_once(notebook: Notebook) -> None:
    """Nothing is lost, and each attempt's entries keep their order."""
    attempts = [attempt(notebook, number) for number in range(8)]
    taken: list[Batch] = []
    done = threading.Event()

    def note(notes: AttemptNotes) -> None:
        for number in range(400):
            log(notes, str(number))
            notes.progress(number, None, None)

    def write() -> None:
        while not done.is_set() or not notebook.empty:
            batch = notebook.take()
            taken.append(batch)
            notebook.written(batch.attempts)

    writer = threading.Thread(target=write)
    writer.start()
    threads = [threading.Thread(target=note, args=[notes]) for notes in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    writer.join()
    entries = [entry for batch in taken for entry in batch.entries]

    for notes in attempts:
        mine = [entry for entry in entries if entry.key == notes.lease.key]
        assert [entry.message for entry in mine] == [str(number) for number in range(400)]
        assert [entry.sequence for entry in mine] == list(range(1, 401))
