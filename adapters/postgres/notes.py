"""What attempts note while they run, and what runs are annotated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ports.notes import LogLevel, LogRecord, NewLogEntry, ProgressRecord
from ...ports.records import TaskKey
from .arrays import documents, doubles, ints, texts, times, uuids
from .database import Database, Parameters, Row
from .rows import is_run_id

LOG_LEVEL: Mapping[str, LogLevel] = {level.value: level for level in LogLevel}


class NoteKeeping:
    """The methods of `Notes`. Each is one statement."""

    _database: Database

    async def write_notes(self, entries: Sequence[NewLogEntry], progress: Sequence[ProgressRecord]) -> None:
        """Put down what was noted."""
        entries = [entry for entry in entries if is_run_id(entry.key.run_id)]
        progress = [told for told in progress if is_run_id(told.key.run_id)]
        if entries or progress:
            await self._database.write("write_notes", {**_entry_columns(entries), **_progress_columns(progress)})

    async def read_logs(self, run_id: str, *, after: int = 0, limit: int, last: bool = False) -> Sequence[LogRecord]:
        """The first or the last log entries of a run with numbers above `after`, by number."""
        if not is_run_id(run_id):
            return []
        parameters = {"run": run_id, "after": after, "limit": limit}
        rows = await self._database.read("read_last_logs" if last else "read_logs", parameters)
        return [_log_record(row) for row in rows]

    async def read_progress(self, run_id: str, *, limit: int) -> Sequence[ProgressRecord]:
        """How far the tasks of a run are that told it, those first that told it last."""
        if not is_run_id(run_id):
            return []
        rows = await self._database.read("read_progress", {"run": run_id, "limit": limit})
        return [_progress_record(row) for row in rows]

    async def read_annotations(self, runs: Sequence[str]) -> Mapping[str, bytes]:
        """The annotations of those of `runs` that have some."""
        asked = sorted({run_id for run_id in runs if is_run_id(run_id)})
        return dict(await self._database.read("read_annotations", {"runs": uuids(asked)}, by_key=True)) if asked else {}


def _entry_columns(entries: Sequence[NewLogEntry]) -> Parameters:
    keys = [entry.key for entry in entries]
    return {
        "log_runs": uuids([key.run_id for key in keys]),
        "log_steps": texts([key.step for key in keys]),
        "log_generations": ints([key.generation for key in keys]),
        "log_elements": ints([key.element for key in keys]),
        "log_tokens": ints([entry.token for entry in entries]),
        "log_attempts": ints([entry.attempt for entry in entries]),
        "log_sequences": ints([entry.sequence for entry in entries]),
        "log_ats": times([entry.at for entry in entries]),
        "log_levels": texts([entry.level for entry in entries]),
        "log_messages": texts([entry.message for entry in entries]),
        "log_fields": documents([entry.fields for entry in entries]),
    }


def _progress_columns(progress: Sequence[ProgressRecord]) -> Parameters:
    keys = [told.key for told in progress]
    return {
        "progress_runs": uuids([key.run_id for key in keys]),
        "progress_steps": texts([key.step for key in keys]),
        "progress_generations": ints([key.generation for key in keys]),
        "progress_elements": ints([key.element for key in keys]),
        "progress_tokens": ints([told.token for told in progress]),
        "progress_attempts": ints([told.attempt for told in progress]),
        "progress_ats": times([told.at for told in progress]),
        "progress_dones": doubles([told.done for told in progress]),
        "progress_totals": doubles([told.total for told in progress]),
        "progress_messages": texts([told.message for told in progress]),
    }


def _log_record(row: Row) -> LogRecord:
    return LogRecord(
        key=TaskKey(*row[:4]),
        number=row[4],
        token=row[5],
        attempt=row[6],
        at=row[7],
        level=LOG_LEVEL[row[8]],
        message=row[9],
        fields=row[10],
    )


def _progress_record(row: Row) -> ProgressRecord:
    return ProgressRecord(
        key=TaskKey(*row[:4]),
        token=row[4],
        attempt=row[5],
        at=row[6],
        done=row[7],
        total=row[8],
        message=row[9],
    )
