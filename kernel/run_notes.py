"""What a run notes of itself, as its starter reads it: logs, progress, annotations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, TypeVar

from ..ports import Ports
from ..ports.notes import AnnotationValue
from ..ports.statuses import TERMINAL_RUN
from .annotations import decode_annotations, encode_annotations
from .arguments import checked_page_limit, checked_run_id
from .commands import AnnotateRuns, Annotation, AnnotationVerdict, Command
from .errors import InvalidAnnotations, InvalidArgument, RunEnded, RunNotFound
from .notes import LogEntry, Progress, log_entry, progress_of

Result = TypeVar("Result")

LOG_PAGE_MAX = 10_000
"""Entries that are read at a time."""

PROGRESS_MAX = 1_000
"""Tasks whose progress is read."""

FOLLOW_PAUSE_S = 0.5
"""The pause between two looks of who follows the entries: hosts write them about as often."""


class Dispatch(Protocol):
    """Carries out a command."""

    async def __call__(self, command: Command[Result], /) -> Result: ...


class RunNotes:
    """The notes of one run."""

    id: str
    _ports: Ports
    _dispatch: Dispatch

    async def logs(self, *, after: int = 0, limit: int = 1_000, last: bool = False) -> list[LogEntry]:
        """What the run's handlers logged, in the order in which it was written down, attempts that failed included.

        Entries are there within about a second, while their handler runs.

        Args:
            after: the `number` of an entry; only later ones are read.
            limit: at most so many, 1 to `LOG_PAGE_MAX`.
            last: the last ones of them rather than the first.

        Raises:
            InvalidArgument, LimitExceeded: `after` or `limit` is out of bounds.
            AdapterError: the store failed.
        """
        if isinstance(after, bool) or not isinstance(after, int) or after < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument("after", "the number of an entry", after)
        checked_page_limit(limit, LOG_PAGE_MAX, what="log entries at a time")
        records = await self._ports.persistence.read_logs(self.id, after=after, limit=limit, last=last)
        return [log_entry(record) for record in records]

    async def follow_logs(self, *, after: int = 0) -> AsyncGenerator[LogEntry]:
        """Yield what the run's handlers log, from an entry on, until the run has ended.

        Raises:
            RunNotFound: there is no such run (any more).
            AdapterError: the store failed.
        """
        persistence, clock = self._ports.persistence, self._ports.clock
        while True:
            record = await persistence.read_run(self.id)
            if record is None:
                raise RunNotFound(self.id)
            found = await self.logs(after=after)
            for entry in found:
                after = entry.number
                yield entry
            if not found and record.status in TERMINAL_RUN:
                return
            if not found:
                await clock.sleep(FOLLOW_PAUSE_S)

    async def progress(self) -> list[Progress]:
        """How far the run's tasks are that told it with `ctx.progress`, those first that told it last.

        What a task told last stays when it has ended. At most `PROGRESS_MAX` tasks.
        """
        records = await self._ports.persistence.read_progress(self.id, limit=PROGRESS_MAX)
        return [progress_of(record) for record in records]

    async def annotations(self) -> dict[str, AnnotationValue]:
        """What the run is annotated with; nothing where there is no such run."""
        return decode_annotations((await self._ports.persistence.read_annotations([self.id])).get(self.id))

    async def annotate(self, annotations: Mapping[str, AnnotationValue | None]) -> None:
        """Annotate the run; see `Kernel.annotate`."""
        await annotate_run(self._dispatch, self.id, annotations)


async def annotate_run(dispatch: Dispatch, run_id: str, annotations: Mapping[str, AnnotationValue | None]) -> None:
    """Annotate a run; see `Kernel.annotate`."""
    checked_run_id(run_id)
    what = f"annotations of run {run_id}"
    values = encode_annotations(annotations, removing=True, what=what)
    command = AnnotateRuns(annotations=(Annotation(run_id=run_id, values=values),), wait=True)
    (verdict,) = await dispatch(command)
    if verdict is AnnotationVerdict.UNKNOWN:
        raise RunNotFound(run_id)
    if verdict is AnnotationVerdict.ENDED:
        raise RunEnded(run_id)
    if verdict is AnnotationVerdict.FULL:
        raise InvalidAnnotations((("$", _FULL),), what=what)


_FULL = "the run has as many annotations as it may have, so not all were written; take others away with None"
