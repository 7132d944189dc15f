"""With which code the program ends, by whose fault a failure is."""

from __future__ import annotations

import enum

from ...kernel.errors import RunDidNotComplete, WaitTimeout
from ...ports.errors import AdapterError, CorruptionError, UsageError


class ExitCode(enum.IntEnum):
    """What the shell gets to see."""

    DONE = 0
    WORLD = 1
    """The world's fault: a database, a file or a port could not be used. Trying again may help."""
    USAGE = 2
    """The caller's fault: an option, an input, a name. Trying the same again cannot help."""
    RUN = 3
    """The command did what it should, but the run it waited for failed, was cancelled, or is not at its end yet."""
    DEFECT = 70
    """Ours: stored state that contradicts the rules, or an error that nobody foresaw."""
    INTERRUPTED = 130
    """Ctrl-C, or SIGTERM to a command that did not finish because of it."""


def exit_code_of(error: BaseException) -> ExitCode:
    """The code for a failure."""
    if isinstance(error, RunDidNotComplete | WaitTimeout):
        return ExitCode.RUN
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    if isinstance(error, CorruptionError):
        return ExitCode.DEFECT
    if isinstance(error, AdapterError | OSError):
        return ExitCode.WORLD
    return ExitCode.DEFECT
