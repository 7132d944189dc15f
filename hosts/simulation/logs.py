"""What hosts log: a reader sees it in the timeline, and an error that nobody foresaw is a defect.

Hosts outlive whatever happens in one of their loops or ticks: they log it, and try again. So a defect there may cost
nothing but time, and would not be seen by how runs end.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ...ports.errors import AdapterError
from .timeline import Timeline

PACKAGE = __name__.partition(".")[0]

FORESEEN = (AdapterError, TimeoutError)
"""What ports may raise, and what comes of their taking too long."""


class Logs(logging.Handler):
    """Writes what is logged into a timeline.

    Args:
        timeline: of the world.
        unforeseen: is told of an error that is a defect.
    """

    def __init__(self, timeline: Timeline, unforeseen: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._timeline = timeline
        self._unforeseen = unforeseen

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, unless it comes from another world: one that hung goes on in its thread when it is let go."""
        if _HEARS.get() not in (self, None):
            return
        self._timeline.note("log", f"{record.levelname}: {record.getMessage()}")
        for error in _errors(record):
            if not isinstance(error, FORESEEN) and _is_ours(error):
                self._unforeseen(f"nobody foresaw {type(error).__name__}: {error}; logged: {record.getMessage()}")

    @contextmanager
    def kept(self) -> Generator[None]:
        """Let all that is logged come here, and nowhere else."""
        log, restore = logging.getLogger(PACKAGE), _restoring()
        log.addHandler(self)
        log.propagate = False
        log.setLevel(logging.WARNING)
        mine = _HEARS.set(self)
        try:
            yield
        finally:
            _HEARS.reset(mine)
            if self in log.handlers:  # else this world hung, was given up, and another may be heard by now
                restore()


_HEARS: ContextVar[Logs | None] = ContextVar("fairlead_hears", default=None)
"""Who hears what is logged here: context variables carry it on into tasks and the threads of handlers."""


@contextmanager
def logging_restored() -> Generator[None]:
    """Leave the framework's logger as it was, also where a world was left whose code hangs."""
    restore = _restoring()
    try:
        yield
    finally:
        restore()


def _restoring() -> Callable[[], None]:
    """What makes the framework's logger what it is now."""
    log = logging.getLogger(PACKAGE)
    propagate, level, handlers = log.propagate, log.level, list(log.handlers)

    def restore() -> None:
        log.propagate = propagate
        log.setLevel(level)
        log.handlers[:] = handlers

    return restore


def _errors(record: logging.LogRecord) -> Iterator[BaseException]:
    """The errors that a record tells of, those of groups one by one."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    for told in (*arguments, record.exc_info[1] if record.exc_info else None):
        if isinstance(told, BaseException):
            yield from _each(told)


def _each(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    group: BaseExceptionGroup[BaseException] = error  # pyright: ignore[reportUnknownVariableType]
    for one in group.exceptions:
        yield from _each(one)


def _is_ours(error: BaseException) -> bool:
    """Whether it was raised in the framework's own code, and not in what a flow or a resource brought along."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__")).startswith(f"{PACKAGE}.")
