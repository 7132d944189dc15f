"""Moments and cursors as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from ...ports.reading import RunCursor

_AGO = re.compile(r"(\d{1,9})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(_ctx: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Callback of an option: a time in ISO 8601 (UTC where it names no zone), or how long ago: `90s`, `2h`, `7d`."""
    if text is None:
        return None
    try:
        return _ago(text.strip()) or _iso(text.strip())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither a time (2026-05-04T12:30) nor how long ago (15m, 2h, 7d)"
        ) from None


def age(_ctx: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    """Callback of an option: how long ago, or how long: `90s`, `15m`, `2h`, `7d`, `4w`."""
    if text is None:
        return None
    found = _AGO.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no length of time; write 45s, 90m, 12h, 30d or 4w")
    return _length(found)


def due_time(_ctx: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Callback of an option: a time in ISO 8601, UTC where it names no zone."""
    if text is None:
        return None
    try:
        return _iso(text.strip())
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no time; write 2026-05-04T12:30, or with a zone as in +02:00") from None


def cursor(_ctx: click.Context, _option: click.Parameter, text: str | None) -> RunCursor | None:
    """Callback of an option: where a page ended, as `write_cursor` writes it."""
    if text is None:
        return None
    created_at, _, run_id = text.partition("/")
    try:
        return RunCursor(_iso(created_at), run_id_of(run_id))
    except ValueError:
        raise click.BadParameter("this is no cursor; copy it from the page before") from None


def write_cursor(cursor: RunCursor | None) -> str | None:
    """A cursor as text."""
    return None if cursor is None else f"{cursor.created_at.astimezone(UTC).isoformat()}/{cursor.id}"


def run_id_of(text: str) -> str:
    """A run id in canonical text.

    Raises:
        ValueError: it is none.
    """
    from uuid import UUID

    return str(UUID(text))


def _ago(text: str) -> datetime | None:
    found = _AGO.fullmatch(text)
    return None if found is None else datetime.now(UTC) - _length(found)


def _length(found: re.Match[str]) -> timedelta:
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _iso(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
