"""Workers: which hosts there are, as they themselves say.

A host announces itself when it starts, now and then while it runs, and when it ends. Nothing is decided by it: leases
say who has a task, and a host that is not in here works like any other. It is what people and diagnosis look at.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from .record import Record


class HostKind(enum.StrEnum):
    """How a host lives."""

    NODE = "node"
    """In a process of its own, or inside an application, for as long as that runs."""
    SERVERLESS = "serverless"
    """In single calls, between which nothing runs."""


class ServedFlow(NamedTuple):
    """A flow in one version."""

    slug: str
    version: str


class WorkerRecord(Record, frozen=True, kw_only=True):
    """A host as it last announced itself."""

    worker: str
    """The worker id. A serverless host takes leases under this id with a hyphen and the number of the call."""
    kind: HostKind
    host: str
    """The name of the machine."""
    pid: int
    flows: tuple[ServedFlow, ...]
    queues: tuple[str, ...]
    slots: int
    """How many handlers it runs at a time; a serverless host in one call."""
    started_at: datetime
    seen_at: datetime
    sinks: tuple[str, ...] | None = None
    """The names of its sinks, subscribers included; None where it does not say, since its code is older."""
    ended_at: datetime | None = None
    """When it said that it ends; None where it did not."""


class Workers(Protocol):
    """The part of the store that knows of hosts."""

    async def announce_worker(self, worker: WorkerRecord, *, forget_before: datetime) -> None:
        """Put a worker down in the place of what its id has, and forget workers that were last seen before a time.

        What was said earlier changes nothing: by a process that started earlier, whose id a later one has taken over,
        or by the same one.
        """
        ...

    async def read_workers(self) -> Sequence[WorkerRecord]:
        """All workers that are known, by worker id."""
        ...
