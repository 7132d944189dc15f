"""The contract of each port as a suite, run by every adapter.

Choose adapters by name: `pytest tests/contract -k memory` needs no database, `-k postgres` starts one.

**Running the suites against an adapter of your own.** Write a function that takes pytest's `FixtureRequest` and returns
an `AdapterSubject` (`tests/support/subjects.py`), whose factories make your ports, fresh and empty, for one test each.
Leave out the ports that you do not have. Then, with this repository checked out,

    FAIRLEAD_ADAPTERS=mine=my_package.contract:adapter pytest tests/contract

where several adapters are separated by commas. The function is called within the process, so your package has to be
importable; `request.getfixturevalue` reaches fixtures of your own that a `-p my_package.fixtures` brings along.
A test never asks which adapter it has. It asks for a port, and where it needs more than the port can say, for a field
of the subject; where that is None the test is skipped.

PostgreSQL is not always the same. Behind a pooler, and under planners that were led astray, all suites run with
`make pooler` and `make planners`; those suites in `FURTHER` do so each time.

After every test each port is closed, and a task, a thread or a connection that is left fails the test.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias, TypeVar

import pytest

from fairlead.ports import Ports
from fairlead.ports.blobs import BlobStore
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow
from fairlead.ports.scheduler import Scheduler
from tests.support.scenes import register
from tests.support.subjects import AdapterSubject, ClockSubject, SinkSubject, StoreSubject, TransportSubject

OURS = "memory=tests.support.memory_subject:adapter,postgres=tests.support.postgres_subject:adapter"

OUR_BLOBS = {name: f"tests.support.blob_subjects:{name}" for name in ("folder", "obstore_memory", "ministack", "moto")}
"""Adapters of this one port, in addition."""

_PLANNERS = {f"postgres_{name}": f"tests.support.planner_subjects:{name}" for name in ("only_seqscan", "stale")}
_POOLER = {"postgres_pgbouncer": "tests.support.pooled_subject:adapter"}

FURTHER: Mapping[str, Mapping[str, str]] = {
    "test_claiming_runs": _PLANNERS,
    "test_claiming_tasks": _PLANNERS,
    "test_locking": {**_PLANNERS, **_POOLER},
    "test_callers": _POOLER,
    "test_outbox": _POOLER,
    "test_transactions": _POOLER,
    "test_waking": _POOLER,
}
"""By module, adapters that its suite has in addition: where a plan or a session may matter most."""

Made = TypeVar("Made")
Factory: TypeAlias = Callable[[], AbstractAsyncContextManager[Made]] | None


def _adapters() -> dict[str, str]:
    named = os.environ.get("FAIRLEAD_ADAPTERS") or OURS
    adapters: dict[str, str] = {}
    for entry in named.split(","):
        name, equals, place = entry.strip().partition("=")
        if not (name and equals and ":" in place):
            raise pytest.UsageError(f"FAIRLEAD_ADAPTERS takes name=module:function, …; found {entry.strip()!r}")
        adapters[name] = place
    return adapters


def _blob_adapters() -> dict[str, str]:
    return _adapters() if os.environ.get("FAIRLEAD_ADAPTERS") else {**_adapters(), **OUR_BLOBS}


def _subject(request: pytest.FixtureRequest) -> AdapterSubject:
    module, _, name = request.param[1].partition(":")
    subject = getattr(importlib.import_module(module), name)(request)
    assert isinstance(subject, AdapterSubject)
    return subject


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One adapter after the other."""
    module = metafunc.definition.path.stem
    further: Mapping[str, str] = {} if os.environ.get("FAIRLEAD_ADAPTERS") else FURTHER.get(module, {})
    for fixture, adapters in (("adapter", {**_adapters(), **further}), ("blob_adapter", _blob_adapters())):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, adapters.items(), ids=adapters.keys(), indirect=True)


@pytest.fixture
def adapter(request: pytest.FixtureRequest) -> AdapterSubject:
    """One of the adapters."""
    return _subject(request)


@pytest.fixture
def blob_adapter(request: pytest.FixtureRequest) -> AdapterSubject:
    """One of the adapters, those too that are of blobs alone."""
    return _subject(request)


@pytest.fixture
async def nothing_left_open() -> AsyncGenerator[None]:
    """After the test and the closing of its ports, no task and no thread is left that was not there before."""
    threads = set(threading.enumerate())
    tasks = asyncio.all_tasks()
    yield
    await asyncio.get_running_loop().shutdown_default_executor()
    left_tasks = asyncio.all_tasks() - tasks - {asyncio.current_task()}
    left_threads = [thread for thread in threading.enumerate() if thread not in threads and thread.is_alive()]

    assert left_tasks == set()
    assert left_threads == []


def _needed(factory: Factory[Made], what: str) -> AbstractAsyncContextManager[Made]:
    if factory is None:
        pytest.skip(f"this adapter has no {what}")
    return factory()


@pytest.fixture
async def store_subject(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[StoreSubject]:
    """An empty store with what its tests need besides."""
    async with _needed(adapter.open_store, "persistence") as subject:
        yield subject


@pytest.fixture
def store(store_subject: StoreSubject) -> Persistence:
    """An empty store."""
    return store_subject.store


@pytest.fixture
async def impatient(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[StoreSubject]:
    """An empty store that gives up waiting for a lock almost at once."""
    async with _needed(adapter.open_impatient_store, "lock timeout to set") as subject:
        yield subject


@pytest.fixture
async def flow(store: Persistence) -> FlowRow:
    """A registered flow, `orders`."""
    return await register(store)


@pytest.fixture
async def clock_subject(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[ClockSubject]:
    """A clock whose time can pass."""
    async with _needed(adapter.open_clock, "clock") as subject:
        yield subject


@pytest.fixture
async def delivering(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[TransportSubject]:
    """An empty transport that delivers messages."""
    async with _needed(adapter.open_delivering_transport, "transport that delivers") as subject:
        yield subject


@pytest.fixture
async def hinting(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[TransportSubject]:
    """A transport that only wakes."""
    async with _needed(adapter.open_hinting_transport, "transport that hints") as subject:
        yield subject


@pytest.fixture(params=["delivering", "hinting"])
async def transport_subject(
    request: pytest.FixtureRequest, adapter: AdapterSubject, nothing_left_open: None
) -> AsyncGenerator[TransportSubject]:
    """A transport of either kind."""
    factories = {"delivering": adapter.open_delivering_transport, "hinting": adapter.open_hinting_transport}
    async with _needed(factories[request.param], f"{request.param} transport") as subject:
        yield subject


@pytest.fixture
async def blobs(blob_adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[BlobStore]:
    """An empty blob store."""
    async with _needed(blob_adapter.open_blobs, "blob store") as made:
        yield made


@pytest.fixture
async def scheduler(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[Scheduler]:
    """A scheduler that holds nothing."""
    async with _needed(adapter.open_scheduler, "scheduler") as made:
        yield made


@pytest.fixture
async def sink_subject(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[SinkSubject]:
    """A sink that has accepted nothing yet."""
    async with _needed(adapter.open_sink, "sink") as subject:
        yield subject


@pytest.fixture
async def ports(adapter: AdapterSubject, nothing_left_open: None) -> AsyncGenerator[Ports]:
    """All of an adapter's ports as a kernel gets them."""
    async with _needed(adapter.open_ports, "complete set of ports") as made:
        yield made
