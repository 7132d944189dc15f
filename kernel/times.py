"""Times in payloads: what sleeps wait for, read from JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import msgspec

from .elements import Kind, kind_of, text_at

NotTime: TypeAlias = Kind | Literal["an array", "text that is no time", "a time without its offset from UTC"]
"""What stands where a time should be."""

TIME_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
TIME_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)
"""A time beyond these is taken for them: next to the ends of the calendar there are time zones in which it is none."""

_time = msgspec.json.Decoder(datetime)


class NoTime(Exception):
    """Where a time was looked for there is something else, or nothing."""

    def __init__(self, found: NotTime) -> None:
        self.found: NotTime = found
        super().__init__(f"there is {found} where a time should be")


def time_at(path: Sequence[str], data: bytes) -> datetime | None:
    """The time that a path of object keys leads to, in UTC; None where it leads to null.

    Args:
        path: object keys, none for the value itself.
        data: canonical JSON, in which a time is text as RFC 3339 has it.

    Raises:
        NoTime: it leads to something else, or to nothing.
    """
    text = text_at(path, data)
    if text is None:
        raise NoTime("nothing")
    kind = kind_of(text)
    if kind == "null":
        return None
    if kind != "a string":
        raise NoTime(kind or "an array")
    try:
        time = _time.decode(text)
    except msgspec.MsgspecError:
        raise NoTime("text that is no time") from None
    if time.tzinfo is None:
        raise NoTime("a time without its offset from UTC")
    return min(max(TIME_EARLIEST, time), TIME_LATEST).astimezone(UTC)
