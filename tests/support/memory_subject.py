"""The in-memory adapters for the contract suites."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest

from fairlead.adapters.memory import (
    CollectingSink,
    ManualClock,
    MemoryBlobs,
    MemoryPersistence,
    MemoryScheduler,
    MemoryTransport,
    MemoryWakeups,
    memory_ports,
)
from fairlead.adapters.memory.locks import Holder
from fairlead.adapters.memory.store import Store
from fairlead.ports import Ports
from fairlead.ports.blobs import BlobStore
from fairlead.ports.persistence import Persistence, Transaction
from fairlead.ports.records import TaskKey
from fairlead.ports.scheduler import Scheduler
from fairlead.ports.transport import JobTransport

from .subjects import AdapterSubject, BeforeCommit, ClockSubject, SinkSubject, StoreSubject, TransportSubject

VISIBILITY_S = 30.0


def adapter(request: pytest.FixtureRequest) -> AdapterSubject:
    """Everything in memory, on a clock that is moved by hand."""
    return AdapterSubject(
        open_store=partial(open_store, lock_timeout_s=30.0),
        open_impatient_store=partial(open_store, lock_timeout_s=0.05),
        open_clock=open_clock,
        open_delivering_transport=open_delivering_transport,
        open_hinting_transport=open_hinting_transport,
        open_blobs=open_blobs,
        open_scheduler=open_scheduler,
        open_sink=open_sink,
        open_ports=open_ports,
    )


class Stopping:
    """A store whose transactions stop before their commit."""

    def __init__(self, inner: Persistence, before_commit: BeforeCommit) -> None:
        self._inner = inner
        self._before_commit = before_commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        async with self._inner.transaction() as transaction:
            yield transaction
            await self._before_commit()


@asynccontextmanager
async def open_store(lock_timeout_s: float) -> AsyncGenerator[StoreSubject]:
    """A store of its own; no lock may be left."""
    store = Store()
    persistence = MemoryPersistence(store, lock_timeout_s=lock_timeout_s)

    async def until_waiting() -> None:
        async with asyncio.timeout(10):
            while not store.locks.waiting:  # noqa: ASYNC110 - the wait is over within a few turns of the loop
                await asyncio.sleep(0)

    @asynccontextmanager
    async def hold_task(key: TaskKey) -> AsyncGenerator[None]:
        holder = Holder()
        with store.mutex:
            assert store.locks.try_lock(key, holder)
        try:
            yield
        finally:
            with store.mutex:
                store.locks.release(holder)

    async def sever() -> None:
        persistence.disconnect()

    def stopping(before_commit: BeforeCommit) -> Persistence:
        return cast("Persistence", Stopping(persistence, before_commit))

    yield StoreSubject(
        store=persistence, stopping=stopping, until_waiting=until_waiting, hold_task=hold_task, sever=sever
    )
    left = store.locks.held
    await persistence.aclose()

    assert left == 0, f"{left} row locks were left"


@asynccontextmanager
async def open_clock() -> AsyncGenerator[ClockSubject]:
    """A manual clock; nobody may be left asleep."""
    clock = ManualClock()
    yield ClockSubject(clock=clock, pass_time=partial(_pass_time, clock))

    assert clock.sleeping == 0


@asynccontextmanager
async def _open_transport(clock: ManualClock, transport: JobTransport) -> AsyncGenerator[TransportSubject]:
    yield TransportSubject(transport=transport, pass_time=partial(_pass_time, clock), visibility_s=VISIBILITY_S)
    await transport.aclose()

    assert clock.sleeping == 0


@asynccontextmanager
async def open_delivering_transport() -> AsyncGenerator[TransportSubject]:
    """A message queue."""
    clock = ManualClock()
    async with _open_transport(clock, MemoryTransport(clock, visibility_s=VISIBILITY_S)) as subject:
        yield subject


@asynccontextmanager
async def open_hinting_transport() -> AsyncGenerator[TransportSubject]:
    """Wake-ups."""
    clock = ManualClock()
    async with _open_transport(clock, MemoryWakeups(clock)) as subject:
        yield subject


@asynccontextmanager
async def open_blobs() -> AsyncGenerator[BlobStore]:
    """An empty blob store."""
    blobs = MemoryBlobs(ManualClock())
    yield blobs
    await blobs.aclose()


@asynccontextmanager
async def open_scheduler() -> AsyncGenerator[Scheduler]:
    """An empty scheduler."""
    scheduler = MemoryScheduler()
    yield scheduler
    await scheduler.aclose()


@asynccontextmanager
async def open_sink() -> AsyncGenerator[SinkSubject]:
    """A collecting sink."""
    sink = CollectingSink()
    yield SinkSubject(sink=sink, accepted=lambda: sink.events)
    await sink.aclose()


@asynccontextmanager
async def open_ports() -> AsyncGenerator[Ports]:
    """All ports."""
    ports = memory_ports()
    yield ports
    await ports.aclose()


async def _pass_time(clock: ManualClock, duration_s: float) -> None:
    """Move the clock once everybody who can has gone to sleep, and let those whom it wakes go on."""
    for _ in range(20):
        await asyncio.sleep(0)
    clock.advance(duration_s)
    for _ in range(20):
        await asyncio.sleep(0)
