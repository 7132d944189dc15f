"""Adapters in memory: a real store and a real message queue that live as long as their process.

Overview. `Store` holds committed rows and the indexes that claims read. `MemoryPersistence` is a handle on it.
Statements outside transactions run in one piece under the store's mutex. A `MemoryTransaction` locks rows and keeps
what it writes to itself; its commit puts everything into the tables at once, and its end hands each lock to the
first who waits for it. So every statement sees what was committed before it began and its own transaction's writes,
as under READ COMMITTED, and a transaction that raises leaves no trace because it never left one.

Locks. A row stays locked from the statement that locked it to the end of the transaction. Whoever meets a locked
row skips it or waits, as the port says. Waiting ends with the lock, with `Contention` when the waiting would close
a circle, or with `Contention` after the lock timeout.

Time comes as arguments or from the `Clock` that an adapter was given; only lock timeouts use the event loop's
timers. Nothing is drawn at random and nothing depends on hash order, so one sequence of calls always has one result.
No call hands control to the event loop except to wait.

Threads. Everything here may be used from several event loops and threads at once; each waiter is woken in the loop
in which it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...ports import BlobStore, Clock, EventSink, JobTransport, Ports
from ..calling import PatientCaller
from ..system import SystemClock, new_run_id, new_secret
from .blobs import MemoryBlobs
from .clock import ManualClock
from .ids import SequentialIds
from .persistence import MemoryPersistence
from .scheduler import MemoryScheduler
from .sink import CollectingSink
from .store import Store
from .transport import DeadLetter, MemoryTransport
from .wakeups import MemoryWakeups


def memory_ports(
    *,
    clock: Clock | None = None,
    sink: EventSink | Mapping[str, EventSink] | None = None,
    transport: JobTransport | None = None,
    blobs: BlobStore | None = None,
    new_id: Callable[[], str] | None = None,
) -> Ports:
    """One in-memory adapter for each port, all new.

    Args:
        clock: the time of all of them; the system's where None.
        sink: where events are published: one sink, or several by name; nowhere where None.
        transport: such as a `MemoryTransport`; where None, hosts are woken by hints and poll.
        blobs: where payloads are that are too large for a row, and closed with the rest; in memory where None.
        new_id: the source of run ids; the process's where None.
    """
    clock = SystemClock() if clock is None else clock
    store = Store()
    return Ports(
        persistence=MemoryPersistence(store),
        transport=MemoryWakeups(clock) if transport is None else transport,
        blobs=MemoryBlobs(clock) if blobs is None else blobs,
        scheduler=MemoryScheduler(store),
        clock=clock,
        new_id=new_run_id if new_id is None else new_id,
        new_secret=new_secret,
        new_caller=PatientCaller,
        sink=sink,
    )


__all__ = [
    "CollectingSink",
    "DeadLetter",
    "ManualClock",
    "MemoryBlobs",
    "MemoryPersistence",
    "MemoryScheduler",
    "MemoryTransport",
    "MemoryWakeups",
    "SequentialIds",
    "memory_ports",
]
