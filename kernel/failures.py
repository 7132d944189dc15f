"""How a failed attempt is recorded: the exception as a small, clean JSON object.

Whatever user code raises must be recordable: an exception whose `str` raises, that carries NUL characters or a
hundred megabytes of text is capped and sanitised here, before it reaches a row.
"""

from __future__ import annotations

import traceback as tracebacks
from types import TracebackType

import msgspec
from msgspec.structs import replace

MESSAGE_LENGTH_MAX = 2_000
"""Characters of an error's message that are kept: a screenful; more is a payload in disguise."""

TRACEBACK_LENGTH_MAX = 16_000
"""Characters of a traceback that are kept, from its end, where the cause stands."""

FRAMES_MAX = 50
"""Frames of a traceback that are formatted, innermost: enough for any handler, bounded for a recursion."""

PROBLEM_LENGTH_MAX = 1_000
"""Characters that are kept of a problem, with a sink or with what is scheduled."""

_OURS = f"{__name__.partition('.')[0]}."
"""How the modules of Fairlead begin."""


class Exceeded(msgspec.Struct, frozen=True, kw_only=True):
    """More elements of a map failed than it tolerates."""

    step: str
    failed: int
    elements: int
    """How many there are in all."""
    tolerated: int

    def __str__(self) -> str:
        tolerated = f"{self.tolerated:,} {'is' if self.tolerated == 1 else 'are'} tolerated"
        return f"{self.failed:,} of {self.elements:,} elements of {self.step!r} failed, {tolerated}"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it is kept on attempts, tasks, steps and runs."""

    type: str
    """The exception's class (with its module, unless it is Python's or ours), or a word of the kernel: `WorkerLost`."""
    message: str
    traceback: str | None = None
    attempt: int | None = None
    """Which attempt failed; None where no attempt was concerned."""
    exceeded: Exceeded | None = None
    """In the error of a map that tolerates failures, and of its run: how many there were; the rest is the last one."""

    def __str__(self) -> str:
        error = f"{self.type}: {self.message}"
        return error if self.exceeded is None else f"{self.exceeded}; the last: {error}"


def failure_of(error: BaseException, *, attempt: int | None = None, since: TracebackType | None = None) -> bytes:
    """Describe an exception.

    Args:
        error: the exception; nothing about it is trusted, its class, `__str__` and `__cause__` included.
        attempt: the attempt that raised it, from 1; None where no handler was concerned.
        since: where in its traceback the recorded one begins; None for all of it.
    """
    return encode_failure(
        type=_class_name(error),
        message=message_of(error),
        traceback=_traceback(error, since),
        attempt=attempt,
    )


def encode_failure(*, type: str, message: str, traceback: str | None = None, attempt: int | None = None) -> bytes:
    """The record of a failure as JSON, with every text capped and cleaned."""
    return msgspec.json.encode(
        Failure(
            type=clean(type[:MESSAGE_LENGTH_MAX]),
            message=clean(_head(message, MESSAGE_LENGTH_MAX)),
            traceback=None if traceback is None else clean(_tail(traceback, TRACEBACK_LENGTH_MAX)),
            attempt=attempt,
        )
    )


_decoder = msgspec.json.Decoder(Failure)


def decode_failure(record: bytes) -> Failure:
    """The failure that stands as JSON in the `error` of a run, step, task or attempt."""
    return _decoder.decode(record)


def with_exceeded(record: bytes, exceeded: Exceeded) -> bytes:
    """The record of the last failure of a map, as that of the map."""
    return msgspec.json.encode(replace(decode_failure(record), exceeded=exceeded))


def problem_of(error: BaseException) -> str:
    """An exception in a line, as it is kept beside what could not be done."""
    return readable(f"{_class_name(error)}: {message_of(error)}", PROBLEM_LENGTH_MAX)


def message_of(error: BaseException) -> str:
    """The text of an exception, whatever its `__str__` does; an exact `str`."""
    return text_of(error)


def text_of(value: object) -> str:
    """A value as text, whatever its `__str__` does; an exact `str`."""
    try:
        return str.__str__(str(value))
    except BaseException as problem:  # recovers 55: a broken __str__ must not hide the failure it belongs to
        return f"<the message could not be made: str() raised {_class_name(problem)}>"


def _class_name(error: BaseException) -> str:
    """The qualified name of a class; of Python's and our own, as of the kernel's words, without the module."""
    try:
        kind = type(error)
        name = str.__str__(kind.__qualname__)
        known = kind.__module__ == "builtins" or kind.__module__.startswith(_OURS)
        return name if known else f"{kind.__module__}.{name}"
    except BaseException:  # recovers 55: a metaclass may answer as it likes
        return "<a class without a name>"


def _traceback(error: BaseException, since: TracebackType | None) -> str:
    try:
        frames = tracebacks.format_tb(since or error.__traceback__, limit=-FRAMES_MAX)
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        caused = (
            "" if cause is None else f"caused by {_class_name(cause)}: {_head(message_of(cause), MESSAGE_LENGTH_MAX)}\n"
        )
        return "".join(frames) + caused
    except BaseException as problem:  # recovers 55: source lines that cannot be read, a hostile __cause__
        return f"<the traceback could not be made: {_class_name(problem)}>"


def _head(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length} more characters)"


def _tail(text: str, length: int) -> str:
    return text if len(text) <= length else f"({len(text) - length} characters left out) …{text[-length:]}"


def readable(text: str, length: int) -> str:
    """A text of others as it may be stored: cleaned, and so many characters of it at most, or little more."""
    return clean(_head(text, length))


def clean(text: str) -> str:
    """Replace what JSON text in a database cannot hold: NUL characters and lone surrogates."""
    return text.replace("\0", "␀").encode("utf-8", "replace").decode("utf-8")
