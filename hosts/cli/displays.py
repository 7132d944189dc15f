"""How a survey is shown while it runs: a live picture on a terminal, lines elsewhere, nothing for programs."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self

import click

from ..demo import survey_folder
from .output import shown_seconds
from .surveying import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_EVERY_S = 2.0
"""The pause between two lines about one step where there is no terminal."""

TITLES = {
    "list_files": "list files",
    "analyse": "analyse",
    "combine": "combine",
    "write_report": "write report",
}


class Display(Protocol):
    """Shows one survey, for as long as its block lasts."""

    def say(self, line: str) -> None:
        """Show a line that stays."""
        ...

    def show(self, progress: Progress) -> None:
        """Show how far the survey is now."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def display_for(*, as_json: bool) -> Display:
    """The display that suits whoever reads stderr."""
    if as_json:
        return Silence()
    return Picture() if sys.stderr.isatty() else Lines()


def log_to(display: Display) -> None:
    """Have the warnings of hosts said where the survey is shown, rather than written across it."""
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

    def show(self, progress: Progress) -> None:
        """Nobody sees it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Lines(Silence):
    """Writes a line when a step has ended, and now and then while it runs."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._paces = {step: Pace() for step in survey_folder.steps}
        self._written_s = monotonic()

    def say(self, line: str) -> None:
        """Write a line."""
        click.echo(line, err=True)

    def show(self, progress: Progress) -> None:
        """Write what is worth a line by now."""
        for step in survey_folder.steps:
            done, total = progress.of(step)
            pace = self._paces[step]
            pace.note(done)
            if total is None or step in self._ended:
                continue
            if done == total:
                self._ended.add(step)
                self.say(f"{TITLES[step]}: done{_counted(step, done, total)}{pace.shown}")
            elif monotonic() - self._written_s >= LINE_EVERY_S:
                self._written_s = monotonic()
                self.say(f"{TITLES[step]}: {done:,} of {total:,}{pace.shown}")


class Picture:
    """Draws a bar for each step."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars: Bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:12}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[counted]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}
        self._paces = {step: Pace() for step in survey_folder.steps}

    def say(self, line: str) -> None:
        """Write a line above the bars."""
        self._bars.console.print(line, highlight=False, markup=False)

    def show(self, progress: Progress) -> None:
        """Move the bars; a step gets its bar when it begins."""
        for step in survey_folder.steps:
            done, total = progress.of(step)
            if total is None:
                continue
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(TITLES[step], total=total, counted="")
            self._paces[step].note(done)
            counted = f"{done:,} of {total:,}{self._paces[step].shown}" if step == "analyse" else ""
            self._bars.update(self._tasks[step], completed=done, total=total, counted=counted)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


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


def _counted(step: str, done: int, total: int) -> str:
    return f", {done:,} of {total:,}" if step == "analyse" else ""
