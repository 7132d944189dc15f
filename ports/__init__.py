"""What the kernel needs from the world: one Protocol per port and the records that pass through it.

This package knows nothing of any technology and nothing of the kernel's decisions. Adapter authors read the
Protocols' docstrings as their contract; the suites in `tests/contract` check it.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from .blobs import BlobStore
from .clock import Clock
from .persistence import Persistence
from .scheduler import Scheduler
from .sink import EventSink
from .transport import JobTransport


@frozen(kw_only=True)
class Ports:
    """One adapter for each port: all that a kernel needs to work."""

    persistence: Persistence
    transport: JobTransport
    blobs: BlobStore
    scheduler: Scheduler
    clock: Clock
    new_id: Callable[[], str]
    """A fresh run id at each call: a UUID in canonical text, increasing over time."""
    new_secret: Callable[[], str]
    """Fresh unguessable text at each call: at least 128 random bits, safe in an URL."""
    sink: EventSink | None = None
    """Where events are published; None for nowhere, and then the outbox is born published."""

    async def aclose(self) -> None:
        """Close every port, persistence last: the others may need it to say goodbye."""
        closing = (self.transport, self.sink, self.scheduler, self.blobs, self.persistence)
        errors: list[Exception] = []
        for port in closing:
            if port is None:
                continue
            try:
                await port.aclose()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("some ports did not close", errors)


__all__ = [
    "BlobStore",
    "Clock",
    "EventSink",
    "JobTransport",
    "Persistence",
    "Ports",
    "Scheduler",
]
