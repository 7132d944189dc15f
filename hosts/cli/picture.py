"""A run drawn on a terminal: a line for each step, redrawn as it goes on. The one module that imports rich."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Self, TextIO

from rich.ansi import AnsiDecoder
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ...kernel import StepStatus
from ...ports.reading import StepRecord
from ...ports.statuses import TERMINAL_STEP
from .displays import Pace, shortfall
from .event_words import event_lines, is_trouble
from .output import STATUS_COLOURS, shown_duration, shown_seconds
from .records import ended_tasks
from .watching import Look

REDRAWN_PER_S: Final = 8

BAR_WIDTH: Final = 28

ROWS_KEPT_FREE: Final = 6
"""Of the terminal's height, for the run itself and for what was written before."""

MARKS: Final = {
    StepStatus.CREATED: "·",
    StepStatus.SUSPENDED: "⏸",
    StepStatus.COMPLETED: "✓",
    StepStatus.FAILED: "✗",
    StepStatus.SKIPPED: "↷",
    StepStatus.CANCELLED: "⊘",
}

SHOWN_FIRST: Final = (StepStatus.FAILED, StepStatus.RUNNING, StepStatus.SUSPENDED)
"""Where there are more steps than lines, these are kept, then those that came last."""


class Picture:
    """Draws the steps of a run; what fails or is tried again stays as a line above them."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=REDRAWN_PER_S)
        self._decoder = AnsiDecoder()
        self._paces: dict[str, Pace] = {}
        self._spinner = Spinner("dots", style="cyan")

    def say(self, line: str) -> None:
        """Write a line above the picture."""
        for text in self._decoder.decode(line):
            self._console.print(text, soft_wrap=True)

    def show(self, look: Look) -> None:
        """Draw the run as it stands."""
        for line in event_lines([event for event in look.events if is_trouble(event)]):
            self.say(line)
        for step in look.steps:
            if step.elements is not None:
                self._paces.setdefault(step.slug, Pace()).note(ended_tasks(step))
        self._live.update(self._drawn(look), refresh=look.ended)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _drawn(self, look: Look) -> RenderableType:
        run = look.run
        head = Text.assemble(
            (run.flow, "bold"),
            f" (version {run.version})  ",
            (run.id, "bright_black"),
            "  ",
            (run.status, STATUS_COLOURS.get(run.status, "")),
            "" if run.reason is None else f" ({run.reason})",
            f"  {shown_seconds(((run.ended_at or look.at) - run.created_at).total_seconds())}",
        )
        parts: list[RenderableType] = [head, self._table(look)]
        if look.idle is not None:
            parts.append(Text(look.idle, "yellow"))
        return Group(*parts)

    def _table(self, look: Look) -> Table:
        table = Table.grid(padding=(0, 1, 0, 1))
        shown = kept(look.steps, max(self._console.height - ROWS_KEPT_FREE, 1))
        for step in shown:
            table.add_row(*self._row(step, look))
        left_out = Counter(step.status for step in look.steps if step not in shown)
        if left_out:
            told = ", ".join(f"{count:,} {status}" for status, count in left_out.items())
            table.add_row("", Text(f"… and {told}", "bright_black"))
        return table

    def _row(self, step: StepRecord, look: Look) -> Iterator[RenderableType]:
        colour = STATUS_COLOURS.get(step.status, "")
        running = step.status is StepStatus.RUNNING
        yield self._spinner if running else Text(MARKS.get(step.status, " "), colour)
        yield Text(step.slug, "" if step.status is not StepStatus.CREATED else "bright_black")
        total, done = step.elements, ended_tasks(step)
        many = total is not None and total != 1
        yield ProgressBar(total=total or 1, completed=done if total else 1, width=BAR_WIDTH) if many else ""
        counted = f"{done:,} of {total:,}{self._paces[step.slug].shown}{shortfall(step)}" if many else ""
        reason = f"{step.status} ({step.reason})" if step.reason is not None else ""
        yield Text(", ".join(filter(None, (counted, reason))), colour if reason else "")
        end = step.ended_at if step.status in TERMINAL_STEP else look.at
        yield Text("" if step.started_at is None else shown_duration(step.started_at, end), "bright_black")


def kept(steps: Sequence[StepRecord], room: int) -> list[StepRecord]:
    """As many steps as there is room for, in their order: what failed or runs, what ended last, what comes next."""
    if len(steps) <= room:
        return list(steps)

    def rank(place: int) -> tuple[int, int]:
        step = steps[place]
        if step.status in SHOWN_FIRST:
            return 0, place
        return (1, -place) if step.status in TERMINAL_STEP else (2, place)

    chosen = sorted(sorted(range(len(steps)), key=rank)[: max(room - 1, 1)])
    return [steps[place] for place in chosen]
