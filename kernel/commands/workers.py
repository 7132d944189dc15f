"""Commands about hosts: that they are there."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from ...ports.workers import HostKind, ServedFlow
from .base import Command


class AnnounceWorker(Command[None], frozen=True, kw_only=True):
    """Say that a host is there, or that it ends. Repeatable: the last word counts."""

    needs_flows: ClassVar[bool] = False
    worker: str
    kind: HostKind
    host: str
    """The name of the machine."""
    pid: int
    flows: tuple[ServedFlow, ...]
    queues: tuple[str, ...]
    slots: int
    sinks: tuple[str, ...] = ()
    started_at: datetime
    ends: bool = False
    """Whether it takes nothing on any more."""
