"""What the contract suites run against: an adapter, told apart only by what it declares.

An `AdapterSubject` is a set of factories. Each makes something fresh and empty, hands it to one test and closes it
afterwards; a factory that finds something left open raises. What an adapter does not have is None, and the tests
of it are skipped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from attrs import frozen

from fairlead.ports import Ports
from fairlead.ports.blobs import BlobStore
from fairlead.ports.callers import CallerConnection
from fairlead.ports.clock import Clock
from fairlead.ports.outbox import EventRecord
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import TaskKey
from fairlead.ports.scheduler import Scheduler
from fairlead.ports.sink import EventSink
from fairlead.ports.transport import JobTransport

BeforeCommit: TypeAlias = Callable[[], Awaitable[object]]


@frozen(kw_only=True)
class StoreSubject:
    """An empty store."""

    store: Persistence
    stopping: Callable[[BeforeCommit], Persistence]
    """The same store again, whose transactions stop between what they write last and their commit."""
    until_waiting: Callable[[], Awaitable[None]]
    """Returns once a transaction of the store waits for a lock that another one holds."""
    hold_task: Callable[[TaskKey], AbstractAsyncContextManager[None]] | None = None
    """Keeps a task's row locked inside the block, as a heartbeat in flight does."""
    sever: Callable[[], Awaitable[None]] | None = None
    """Breaks every connection that the store has open, as a restart of the database does."""


@frozen(kw_only=True)
class ClockSubject:
    """A clock, and how its time passes."""

    clock: Clock
    pass_time: Callable[[float], Awaitable[None]]
    """Lets that many seconds of the clock's time pass; may return at once where they pass by themselves."""


@frozen(kw_only=True)
class TransportSubject:
    """An empty transport, and how its time passes."""

    transport: JobTransport
    pass_time: Callable[[float], Awaitable[None]]
    """Lets that many seconds of the transport's time pass."""
    visibility_s: float = 30.0
    """For how long a delivered job is invisible to others. Of no meaning where the transport only hints."""


@frozen(kw_only=True)
class SinkSubject:
    """A sink, and what it accepted."""

    sink: EventSink
    accepted: Callable[[], Sequence[EventRecord]]


@frozen(kw_only=True)
class Caller:
    """Somebody with a connection of their own, and the transaction that they are in."""

    connection: CallerConnection
    blocks: bool
    execute: Callable[[str], Awaitable[None]]
    """Runs a statement of the caller's."""
    commit: Callable[[], Awaitable[None]]
    roll_back: Callable[[], Awaitable[None]]


Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[Caller]]


@frozen(kw_only=True)
class CallersSubject:
    """A store that callers reach too."""

    ports: Ports
    open: Mapping[str, Opened]
    """One more caller with a connection of that kind. Whatever is not committed in the end is rolled back."""


@frozen(kw_only=True)
class AdapterSubject:
    """How to make each of an adapter's ports."""

    open_store: Callable[[], AbstractAsyncContextManager[StoreSubject]] | None = None
    open_impatient_store: Callable[[], AbstractAsyncContextManager[StoreSubject]] | None = None
    """A store that waits for a lock only for a moment, a second at most."""
    open_clock: Callable[[], AbstractAsyncContextManager[ClockSubject]] | None = None
    open_delivering_transport: Callable[[], AbstractAsyncContextManager[TransportSubject]] | None = None
    open_hinting_transport: Callable[[], AbstractAsyncContextManager[TransportSubject]] | None = None
    open_blobs: Callable[[], AbstractAsyncContextManager[BlobStore]] | None = None
    open_scheduler: Callable[[], AbstractAsyncContextManager[Scheduler]] | None = None
    open_sink: Callable[[], AbstractAsyncContextManager[SinkSubject]] | None = None
    open_ports: Callable[[], AbstractAsyncContextManager[Ports]] | None = None
    open_callers: Callable[[], AbstractAsyncContextManager[CallersSubject]] | None = None
