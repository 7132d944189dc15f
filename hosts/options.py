"""Checks that the options of all hosts go through."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from typing import get_args

from ..kernel import Kernel
from ..kernel.definition.names import queue_problem
from ..kernel.durations import Duration, in_seconds
from ..kernel.shown import shown
from .beside import HeartbeatsIn
from .errors import HostOptionError

WORKER_ID_LENGTH_MAX = 200
"""Characters of a worker id: a long host name, a pid and more fit into it."""


def checked_duration(option: str, value: Duration, *, least_s: float) -> float:
    """Return a duration in seconds.

    Raises:
        HostOptionError: it is no duration, or shorter than `least_s` seconds.
    """
    try:
        seconds = in_seconds(value)
    except ValueError as problem:
        raise HostOptionError(option, str(problem)) from None
    if seconds < least_s:
        raise HostOptionError(option, f"at least {least_s:g} s, not {seconds:g} s")
    return seconds


def checked_count(option: str, value: object, *, most: int) -> int:
    """Return a whole number from 1 to `most`.

    Raises:
        HostOptionError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise HostOptionError(option, f"an int from 1 to {most}, not {shown(value)}")
    return value


def checked_queues(option: str, value: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return names of queues, each once; None stays None.

    Raises:
        HostOptionError: it is no sequence of names, or empty.
    """
    if value is None:
        return None
    if isinstance(value, str) or not value or any(map(queue_problem, value)):
        raise HostOptionError(option, f"a list of names of queues, not {shown(value)}")
    return tuple(dict.fromkeys(value))


def checked_heartbeats(value: HeartbeatsIn) -> HeartbeatsIn:
    """Return where heartbeats run.

    Raises:
        HostOptionError: it is neither `"thread"` nor `"loop"`.
    """
    if value not in get_args(HeartbeatsIn):
        raise HostOptionError("heartbeats", f"'thread' or 'loop', not {shown(value)}")
    return value


def checked_worker(value: str | None) -> str:
    """Return the worker id, or a fresh one: host name, process id and a random part.

    Raises:
        HostOptionError: it is no short printable text.
    """
    if value is None:
        return f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"
    if not isinstance(value, str) or not 1 <= len(value) <= WORKER_ID_LENGTH_MAX or not value.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise HostOptionError("worker", f"printable text of 1 to {WORKER_ID_LENGTH_MAX} characters, not {shown(value)}")
    return value


def queues_of(kernel: Kernel) -> tuple[str, ...]:
    """Every queue that a step of the kernel's flows names."""
    return tuple(dict.fromkeys(step.policy.queue for flow in kernel.flows for step in flow.steps.values()))
