"""What the kernel needs from the world: one Protocol per port and the records that pass through it.

This package knows nothing of any technology and nothing of the kernel's decisions. Adapter authors read the
Protocols' docstrings as their contract; the suites in `tests/contract` check it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from .blobs import BlobStore
from .callers import CallerConnection, CallerConnections
from .clock import Clock
from .persistence import Persistence
from .scheduler import Scheduler
from .sink import DEFAULT_SINK, Caller, EventSink
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
    new_caller: Callable[[], Caller]
    """A fresh way to call code that may hang, at each call: one for each sink."""
    sink: EventSink | Mapping[str, EventSink] | None = None
    """Where events are published: one sink, whose name is `DEFAULT_SINK`, or several by name; None for nowhere.

    A sink's name stands for it in the store, so it stays the same from one start of the process to the next."""

    callers: CallerConnections | None = None
    """How work joins a transaction of the caller's; None where the store knows no transactions but its own."""

    @property
    def sinks(self) -> Mapping[str, EventSink]:
        """The sinks by name; none where events are published nowhere."""
        if self.sink is None:
            return {}
        return self.sink if isinstance(self.sink, Mapping) else {DEFAULT_SINK: self.sink}

    async def aclose(self) -> None:
        """Close every port, persistence last: the others may need it to say goodbye."""
        closing: list[JobTransport | EventSink | Scheduler | BlobStore | Persistence] = [
            self.transport,
            *self.sinks.values(),
            self.scheduler,
            self.blobs,
            self.persistence,
        ]
        errors: list[Exception] = []
        for port in closing:
            try:
                await port.aclose()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("some ports did not close", errors)


__all__ = [
    "DEFAULT_SINK",
    "BlobStore",
    "Caller",
    "CallerConnection",
    "CallerConnections",
    "Clock",
    "EventSink",
    "JobTransport",
    "Persistence",
    "Ports",
    "Scheduler",
]
