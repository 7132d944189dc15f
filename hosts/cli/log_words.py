"""Log entries and progress as lines, for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from types import MappingProxyType

import click
import msgspec

from ...kernel import LogEntry, LogLevel, Progress
from .output import printable

LEVEL_COLOURS: Mapping[LogLevel, str] = MappingProxyType(
    {LogLevel.DEBUG: "bright_black", LogLevel.WARNING: "yellow", LogLevel.ERROR: "red"}
)


def log_line(entry: LogEntry) -> str:
    """An entry as a line, or several where its message has them."""
    time = entry.at.astimezone(UTC).strftime("%H:%M:%SZ")
    level = click.style(f"{entry.level:7}", fg=LEVEL_COLOURS.get(entry.level))
    place = entry.step if entry.element == 0 else f"{entry.step}[{entry.element}]"
    again = f" (attempt {entry.attempt})" if entry.attempt > 1 else ""
    fields = "".join(f" {name}={_shown(value)}" for name, value in entry.fields.items())
    return f"{time}  {level}  {place}{again}: {printable(entry.message)}{printable(fields)}"


def progress_words(progress: Progress) -> str:
    """How far: `3/12`, or `3` where there is no total."""
    total = "" if progress.total is None else f"/{progress.total:,.15g}"
    return f"{progress.done:,.15g}{total}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) and value.isalnum() else msgspec.json.encode(value).decode()
