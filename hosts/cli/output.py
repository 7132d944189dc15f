"""What commands write to stdout: JSON for programs, aligned plain text for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec

STATUS_COLOURS = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "pending": "blue",
    "queued": "blue",
    "suspended": "magenta",
    "skipped": "bright_black",
    "created": "bright_black",
}


def json_line(value: object) -> str:
    """A value as one line of JSON; times in RFC 3339."""
    return msgspec.json.encode(value).decode() + "\n"


def print_json(value: object, *, indented: bool = False) -> None:
    """Write one JSON document: over several lines on a terminal, or where it is wanted so, in one elsewhere."""
    data = msgspec.json.encode(value)
    click.echo(msgspec.json.format(data, indent=2 if indented or sys.stdout.isatty() else -1))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows in aligned columns, two spaces apart, under a heading; statuses in colour on a terminal.

    Args:
        columns: the headings; one that begins with `>` has its cells aligned to the right.
        rows: a cell for each column.
    """
    titles = [column.removeprefix(">") for column in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *rows, strict=True)]
    formats = [
        f"{'>' if column.startswith('>') else '<'}{width}" for column, width in zip(columns, widths, strict=True)
    ]
    click.echo(click.style(_line(titles, formats), bold=True))
    for row in rows:
        click.echo(_line(row, formats))


def coloured(status: str, shown: str | None = None) -> str:
    """A status in its colour; `click.echo` takes colours out where there is no terminal."""
    return click.style(status if shown is None else shown, fg=STATUS_COLOURS.get(status))


def printable(text: str) -> str:
    """Text of others as it may be written to a terminal: what would be a command to it is a mark; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(each if each == "\n" or each.isprintable() else "\ufffd" for each in text)


def shown_time(time: datetime | None) -> str:
    """A time for people: UTC, to the second."""
    return "-" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def shown_duration(begin: datetime | None, end: datetime | None) -> str:
    """How long something took, or `-` while that is not known."""
    return "-" if begin is None or end is None else shown_seconds((end - begin).total_seconds())


def shown_seconds(seconds: float) -> str:
    """A duration for people: `0.42 s`, `12.3 s`, `3:07 min`, `2:03:07 h`."""
    if seconds < 10:
        return f"{max(seconds, 0):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def shown_size(size_bytes: int) -> str:
    """A size for people: `812 B`, `4.2 KB`, `1.3 GB`."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _line(cells: Sequence[str], formats: Sequence[str]) -> str:
    padded = [f"{cell:{form}}" for cell, form in zip(cells, formats, strict=True)]
    shown = [coloured(cell, each) if cell in STATUS_COLOURS else each for cell, each in zip(cells, padded, strict=True)]
    return "  ".join(shown).rstrip()
