"""How a run is shown while it runs: a picture on a terminal, lines elsewhere, JSON or nothing for programs."""

from __future__ import annotations

import logging
from collections.abc import Set
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self, TextIO

import click

from ...kernel import StepStatus
from ...ports.outbox import EventRecord
from ...ports.reading import StepRecord
from ...ports.statuses import TERMINAL_STEP
from .event_words import RETRYING, event_lines
from .output import json_line, shown_seconds
from .records import ended_tasks, event_json, run_json, step_json
from .watching import Look

if TYPE_CHECKING:
    from .picture import Picture

LINE_EVERY_S = 2.0
"""The pause between two lines about how far a step is."""

IDLE_EVERY_S = 30.0
"""The pause between two lines that say that nothing happens."""


class Display(Protocol):
    """Shows one run, for as long as its block lasts."""

    def say(self, line: str) -> None:
        """Show a line that stays."""
        ...

    def show(self, look: Look) -> None:
        """Show how the run stands now."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def display_on(stream: TextIO, *, events: bool = True) -> Lines | Picture:
    """The display for a person who reads a stream.

    Args:
        stream: stdout or stderr.
        events: whether everything that happens is told, or only what goes wrong and how far each step is.
    """
    if not stream.isatty():
        return Lines(stream, events=events)
    from .picture import Picture

    return Picture(stream)


def log_to(display: Display) -> None:
    """Have the warnings of hosts said where the run is shown, rather than written across it."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Saying(display)], force=True)


class _Saying(logging.Handler):
    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        self._display.say(record.getMessage())


class Silence:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """Nobody hears it."""

    def show(self, look: Look) -> None:
        """Nobody sees it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Hints(Silence):
    """Tells nothing but why nothing happens."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._as_json = as_json
        self._pauses = Pauses()

    def show(self, look: Look) -> None:
        """Write why nothing happens, now and then."""
        told = self._pauses.due(look.idle)
        if told is not None:
            self._stream.write(json_line({"kind": "idle", "message": told}) if self._as_json else f"{told}\n")
            self._stream.flush()


class JsonLines(Silence):
    """Writes an object for every event, for every change of how far a step is, for why nothing happens where nothing
    does, and for the run at its end.

    Each has `kind`: `event`, `progress`, `idle` or `run`. An idle one has a `message`; what else is in the
    others is what `runs show --json` says of these.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress: dict[str, int] = {}
        self._told: str | None = None

    def show(self, look: Look) -> None:
        """Write what is new."""
        for event in look.events:
            self._write({"kind": "event", **event_json(event)})
        for step in look.steps:
            ended = ended_tasks(step)
            if step.elements is not None and step.elements > 1 and self._progress.get(step.slug) != ended:
                self._progress[step.slug] = ended
                self._write({"kind": "progress", **step_json(step)})
        if look.idle is not None and look.idle != self._told:
            self._write({"kind": "idle", "message": look.idle})
        self._told = look.idle
        if look.ended:
            self._write({"kind": "run", **run_json(look.run)})

    def _write(self, document: dict[str, object]) -> None:
        self._stream.write(json_line(document))
        self._stream.flush()


class Lines(Silence):
    """Writes a line for what happens, and now and then how far a step is."""

    def __init__(self, stream: TextIO, *, events: bool = True) -> None:
        self._stream = stream
        self._events = events
        self._ended: set[str] = set()
        self._paces: dict[str, Pace] = {}
        self._told: dict[str, int] = {}
        self._written_s = monotonic()
        self._pauses = Pauses()

    def say(self, line: str) -> None:
        """Write a line."""
        click.echo(line, file=self._stream)

    def show(self, look: Look) -> None:
        """Write what is worth a line by now."""
        maps = {step.slug for step in look.steps if step.elements != 1}
        events = [event for event in look.events if event.type == RETRYING or self._tells(event, maps)]
        for line in event_lines(events):
            self.say(line)
        for step in look.steps:
            if step.elements is not None and step.slug not in self._ended:
                self._progress(step, step.elements)
        idle = self._pauses.due(look.idle)
        if idle is not None:
            self.say(idle)

    def _tells(self, event: EventRecord, maps: Set[str]) -> bool:
        """Whether an event gets a line of its own; the end of a map is told with its numbers."""
        return self._events and not (event.type == "step.completed" and event.step in maps)

    def _progress(self, step: StepRecord, total: int) -> None:
        pace = self._paces.setdefault(step.slug, Pace())
        done = ended_tasks(step)
        pace.note(done)
        counted = f"{done:,} of {total:,}{pace.shown}{shortfall(step)}"
        if step.status in TERMINAL_STEP:
            self._ended.add(step.slug)
            ending = "done" if step.status is StepStatus.COMPLETED else f"{step.status} ({step.reason})"
            if total != 1:
                self.say(f"{step.slug}: {ending}, {counted}")
            elif not self._events:
                self.say(f"{step.slug}: {ending}")
        elif total != 1 and done != self._told.get(step.slug) and monotonic() - self._written_s >= LINE_EVERY_S:
            self._written_s = monotonic()
            self._told[step.slug] = done
            self.say(f"{step.slug}: {counted}")


class Pauses:
    """Keeps what is told again and again apart."""

    def __init__(self) -> None:
        self._told_s: float | None = None

    def due(self, line: str | None) -> str | None:
        """The line, where it is to be told now; to be asked at every look, also where there is no line."""
        now_s = monotonic()
        if line is None:
            self._told_s = None
        elif self._told_s is None or now_s - self._told_s >= IDLE_EVERY_S:
            self._told_s = now_s
            return line
        return None


class Pace:
    """How fast a step's tasks end, counted from the first look that met it."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] = (0.0, 0)

    def note(self, done: int) -> None:
        """This many have ended by now."""
        now = (monotonic(), done)
        self._first = self._first or now
        if done != self._last[1]:
            self._last = now

    @property
    def shown(self) -> str:
        """The rate, and the time it took, where there is something to say."""
        if self._first is None:
            return ""
        seconds = self._last[0] - self._first[0]
        done = self._last[1] - self._first[1]
        if done < 2 or seconds <= 0:
            return ""
        return f", {done / seconds:,.0f}/s in {shown_seconds(seconds)}"


def shortfall(step: StepRecord) -> str:
    """How many elements of a map have no output, as the end of a sentence."""
    failed = f", {step.failed_tasks:,} failed" if step.failed_tasks else ""
    gaps = f", {step.gaps:,} without a task" if step.gaps else ""
    return failed + gaps
