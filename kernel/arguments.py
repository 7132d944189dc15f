"""Arguments of public calls: taken as they are, or refused with what they must be."""

from __future__ import annotations

from .durations import in_seconds
from .errors import InvalidArgument, LimitExceeded


def checked_run_id(run_id: object) -> str:
    """Return what names a run, whether or not there is one.

    Raises:
        InvalidArgument: it is no text.
    """
    if not isinstance(run_id, str):
        raise InvalidArgument("run_id", "text", run_id)
    return run_id


def checked_text(name: str, found: object, length_max: int) -> str:
    """Return text that can be shown in a line.

    Args:
        name: of the argument.
        found: what was passed.
        length_max: how many characters it may have.

    Raises:
        InvalidArgument: it is no text, empty, too long, or not printable.
    """
    if not isinstance(found, str) or not 1 <= len(found) <= length_max or not found.isprintable():
        raise InvalidArgument(name, f"printable text of 1 to {length_max} characters", found)
    return found


def checked_seconds(name: str, found: object) -> float:
    """Return a duration as finite seconds from 0 to `DURATION_MAX`.

    Args:
        name: of the argument.
        found: a `timedelta`, or a number of seconds.

    Raises:
        InvalidArgument: it is no such.
    """
    try:
        return in_seconds(found)
    except ValueError as problem:
        expected, _, _ = str(problem).partition(", not ")
        raise InvalidArgument(name, expected, found) from None


def checked_page_limit(found: object, most: int, *, what: str) -> int:
    """Return how many of something are read at a time.

    Args:
        found: the argument `limit`.
        most: the largest it may be.
        what: what there are so many of, for the message.

    Raises:
        InvalidArgument: it is no number.
        LimitExceeded: it is not from 1 to `most`.
    """
    if isinstance(found, bool) or not isinstance(found, int):
        raise InvalidArgument("limit", "an int", found)
    if not 1 <= found <= most:
        raise LimitExceeded(what=what, limit=most, found=found)
    return found
