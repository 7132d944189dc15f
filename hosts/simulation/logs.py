"""What hosts log: a reader sees it in the timeline, and an error that nobody foresaw is a defect.

Hosts outlive whatever happens in one of their loops or ticks: they log it, and try again. So a defect there may cost
nothing but time, and would not be seen by how runs end.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

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
        """Tell it."""
        self._timeline.note("log", f"{record.levelname}: {record.getMessage()}")
        for error in _errors(record):
            if not isinstance(error, FORESEEN) and _is_ours(error):
                self._unforeseen(f"nobody foresaw {type(error).__name__}: {error}; logged: {record.getMessage()}")

    @contextmanager
    def kept(self) -> Generator[None]:
        """Let all that is logged come here, and nowhere else."""
        with logging_restored() as log:
            log.addHandler(self)
            log.propagate = False
            log.setLevel(logging.WARNING)
            yield


@contextmanager
def logging_restored() -> Generator[logging.Logger]:
    """Leave the framework's logger as it was, also where a world was left whose code hangs."""
    log = logging.getLogger(PACKAGE)
    propagate, level, handlers = log.propagate, log.level, list(log.handlers)
    try:
        yield log
    finally:
        log.propagate = propagate
        log.setLevel(level)
        log.handlers[:] = handlers


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
