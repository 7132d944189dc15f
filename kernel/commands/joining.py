"""Commands that join a transaction of the caller's: they are carried out on its connection, by inserts alone."""

from __future__ import annotations

from typing import ClassVar

from ...ports.callers import CallerConnection
from .base import Command
from .runs import RunRequest, RunStart, require_startable
from .scheduling import Deferral
from .waiting import SendSignal


class StartRunsOn(Command[tuple[RunStart, ...]], frozen=True):
    """Put runs down as pending in the caller's transaction. Repeatable where every request has a key."""

    connection: CallerConnection
    requests: tuple[RunRequest, ...]

    def __post_init__(self) -> None:
        require_startable(len(self.requests))


class RequestSignal(Command[Deferral], frozen=True, kw_only=True):
    """Ask for a signal to be sent once the caller's transaction has committed. Repeatable by its key."""

    connection: CallerConnection
    signal: SendSignal
    flow: str
    """The flow of the run, whose code it takes to send it."""


class RequestCancel(Command[Deferral], frozen=True, kw_only=True):
    """Ask for a run to be cancelled once the caller's transaction has committed."""

    needs_flows: ClassVar[bool] = False
    connection: CallerConnection
    run_id: str
    reason: str | None = None
