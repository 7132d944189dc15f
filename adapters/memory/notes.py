"""Log entries and progress, kept with their runs. Every function expects the store's mutex to be held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ports.notes import LogRecord, NewLogEntry, ProgressRecord
from ...ports.records import Lease, TaskPhase
from ...ports.statuses import TaskStatus
from .rows import StoredRun
from .store import Store, check_text


def write_notes(store: Store, entries: Sequence[NewLogEntry], progress: Sequence[ProgressRecord]) -> None:
    """Put down what was noted: all of it, or nothing where a text cannot be stored."""
    for entry in entries:
        check_text(entry.message, "a log entry's message")
    for told in progress:
        check_text(told.message, "a message of progress")
    for entry in entries:
        _add_entry(store, entry)
    for told in progress:
        _keep_progress(store, told)


def read_logs(store: Store, run_id: str, after: int, limit: int, *, last: bool) -> list[LogRecord]:
    """The first or the last log entries of a run with numbers above `after`."""
    stored = store.runs.get(run_id)
    if stored is None:
        return []
    entries = list(stored.logs.values())[max(after, 0) :]
    return entries[max(len(entries) - limit, 0) :] if last else entries[: max(limit, 0)]


def read_progress(store: Store, run_id: str, limit: int) -> list[ProgressRecord]:
    """How far the tasks of a run are, those first that told it last."""
    stored = store.runs.get(run_id)
    if stored is None:
        return []
    by_key = sorted(stored.progress.values(), key=lambda told: told.key)
    return sorted(by_key, key=lambda told: told.at, reverse=True)[: max(limit, 0)]


def read_annotations(store: Store, runs: Sequence[str]) -> Mapping[str, bytes]:
    """The annotations of those of `runs` that have some."""
    found = {run_id: store.runs[run_id].annotations for run_id in runs if run_id in store.runs}
    return {run_id: document for run_id, document in found.items() if document is not None}


def _add_entry(store: Store, entry: NewLogEntry) -> None:
    stored = store.runs.get(entry.key.run_id)
    name = (entry.key, entry.token, entry.sequence)
    if stored is None or name in stored.logs or not _counts(stored, entry):
        return
    stored.logs[name] = LogRecord(
        number=len(stored.logs) + 1,
        key=entry.key,
        token=entry.token,
        attempt=entry.attempt,
        at=entry.at,
        level=entry.level,
        message=entry.message,
        fields=entry.fields,
    )


def _keep_progress(store: Store, told: ProgressRecord) -> None:
    stored = store.runs.get(told.key.run_id)
    if stored is None or not _counts(stored, told):
        return
    current = stored.progress.get(told.key)
    if current is None or (current.token, current.at) <= (told.token, told.at):
        stored.progress[told.key] = told


def _counts(stored: StoredRun, noted: NewLogEntry | ProgressRecord) -> bool:
    """Whether an attempt noted something before its lease ended."""
    task = stored.tasks.get(noted.key)
    if task is None:
        return False
    if noted.token == task.settled_token or (noted.token == task.token and task.status is TaskStatus.RUNNING):
        return True
    if noted.token == task.token and task.ended_at is not None:
        return noted.at <= task.ended_at
    attempt = stored.attempts.get(Lease(noted.key, noted.token))
    if attempt is None:  # it has suspended the task, or never was
        return task.phase is TaskPhase.CHECK and noted.token < task.token
    return noted.at <= attempt.ended_at
