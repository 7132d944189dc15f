"""How a failure is told: one sentence on stderr that says what to do, and a traceback for those who ask for one."""

from __future__ import annotations

import re
import sys
import traceback
from typing import cast

from ...kernel.errors import UnknownFlow
from ...ports.errors import FairleadError
from .exit_codes import ExitCode, exit_code_of
from .output import json_line, printable
from .proposals import completed

QUOTED_MAX = 200
"""Characters of one quoted argument that are told: enough to know it again."""

_LONG = re.compile(rf"(?<!\w)(['\"])((?:(?!\1)[^\n]){{{QUOTED_MAX + 1},}})\1")


def tell_failure(error: Exception, *, as_json: bool, debug: bool) -> ExitCode:
    """Write down on stderr what went wrong.

    Args:
        error: what a command raised.
        as_json: write an object with the keys `error` (the class), `message` and `exit_code` instead of a sentence.
        debug: write the traceback first.

    Returns:
        The code to exit with.
    """
    cause = _first(error)
    code = exit_code_of(cause)
    if debug:
        traceback.print_exception(error)
    if as_json:
        record = {"error": type(cause).__qualname__, "message": sentence(cause), "exit_code": int(code)}
        sys.stderr.write(json_line(record))
    else:
        sys.stderr.write(f"Error: {printable(sentence(cause))}\n")
    sys.stderr.flush()
    return code


def sentence(error: Exception) -> str:
    """What is told of an error."""
    if isinstance(error, UnknownFlow):
        return shortened(f"{error}{_nearest_flow(error)}")
    if isinstance(error, FairleadError):
        return completed(shortened(str(error)))
    if isinstance(error, OSError):
        place = "" if error.filename is None else f"{_text(error.filename)}: "
        return f"{place}{error.strerror or error}"
    said = f": {error}" if str(error) else ""
    return f"unexpected {type(error).__qualname__}{said}; run the command again with --debug to see where it came from"


def shortened(text: str) -> str:
    """A sentence in which no argument of somebody's is quoted at length: a file that was passed by mistake, say."""
    return _LONG.sub(lambda found: f"{found[1]}{found[2][:QUOTED_MAX]}…{found[1]}", text)


def _first(error: Exception) -> Exception:
    """The first of several errors that were raised together: the one to tell."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


def _nearest_flow(error: UnknownFlow) -> str:
    from difflib import get_close_matches

    close = get_close_matches(error.flow, {known.partition(" ")[0] for known in error.known}, n=1)
    return f"; did you mean {close[0]!r}?" if close and close[0] != error.flow else ""


def _text(filename: object) -> str:
    return filename.decode(errors="backslashreplace") if isinstance(filename, bytes) else str(filename)
