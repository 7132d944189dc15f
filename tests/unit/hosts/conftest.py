"""Hosts over the in-memory adapters, with both kinds of transport; every test leaves nothing open and a sound store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias, cast

import pytest

from fairlead.adapters.memory import CollectingSink, MemoryPersistence, MemoryTransport, memory_ports
from fairlead.adapters.system import SystemClock
from fairlead.hosts.node import loops
from fairlead.kernel import Flow, Kernel
from fairlead.ports import Ports

MakeKernel: TypeAlias = "Callable[..., Kernel]"


@pytest.fixture
async def nothing_left_open() -> AsyncGenerator[None]:
    """Fails a test that leaves a thread or a task of a host behind."""
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    yield
    assert not {thread for thread in threading.enumerate() if thread not in threads and thread.is_alive()}
    tasks.add(cast(asyncio.Task[Any], asyncio.current_task()))
    assert not {task for task in asyncio.all_tasks() if task not in tasks and not task.done()}


@pytest.fixture
def long_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts look at the store every five seconds at most, as after a long time without work."""
    monkeypatch.setattr(loops, "POLL_FIRST_S", 5.0)


@pytest.fixture(params=["hints", "delivers"])
def ports(request: pytest.FixtureRequest) -> Ports:
    """In-memory ports, once with a transport that wakes hosts and once with one that delivers messages."""
    clock = SystemClock()
    transport = MemoryTransport(clock) if request.param == "delivers" else None
    return memory_ports(clock=clock, transport=transport, sink=CollectingSink())


@pytest.fixture
async def make_kernel(ports: Ports, nothing_left_open: None) -> AsyncGenerator[MakeKernel]:
    """Makes kernels over one store, which must be sound in the end."""

    def make(*flows: Flow[Any]) -> Kernel:
        return Kernel(flows=flows, ports=ports)

    yield make
    assert isinstance(ports.persistence, MemoryPersistence)
    broken = await ports.persistence.check_invariants()
    assert not {name: rows for name, rows in broken.items() if rows}
    await ports.aclose()
