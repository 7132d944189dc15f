"""Where the threads of a test's world are: at which line of which step's handler.

A thread that hangs cannot be asked. Its stack is read instead: the frame in which `arranging` calls a handler tells of
which attempt it is, and the innermost frame that is neither ours nor Python's tells where it stands.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType

from attrs import frozen

from ..virtual.places import line_of, place_in
from .arranging import AttemptAccount, attempt_called_in


@frozen
class Standing:
    """Where one thread is."""

    thread: str
    attempt: AttemptAccount | None
    """Whose handler it is in; None where it is in none."""
    place: str

    def __str__(self) -> str:
        whose = f"thread {self.thread}" if self.attempt is None else str(self.attempt)
        return f"{whose} in {self.place}"


def standings(prefixes: tuple[str, ...]) -> Iterator[Standing]:
    """Where each living thread is whose name begins with one of these."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is not None and thread.name.startswith(prefixes):
            yield _standing(thread.name, frame)


def _standing(thread: str, frame: FrameType) -> Standing:
    walked: Iterator[tuple[FrameType, int | None]] = traceback.walk_stack(frame)
    stack = [(each, line or each.f_code.co_firstlineno) for each, line in walked]  # between two lines it has none
    found = (attempt_called_in(each) for each, _ in stack)
    attempt = next((each for each in found if each is not None), None)
    return Standing(thread, attempt, place_in(stack) or line_of(*stack[0]))
