"""What the acceptance behaviours work with: an adapter's ports under a clock that only the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.adapters.system import SystemClock
from fairlead.ports import Ports
from tests.support.large_payloads import World
from tests.support.watched_blobs import WatchedBlobs


@pytest.fixture
def clock() -> ManualClock:
    """The time, moved by `clock.advance(…)`. No decision asks any other."""
    return ManualClock()


@pytest.fixture
def sink() -> CollectingSink:
    """Where events are published."""
    return CollectingSink()


@pytest.fixture
async def world(ports: Ports, clock: ManualClock, sink: CollectingSink) -> AsyncGenerator[Ports]:
    """The adapter's ports with that clock and sink. At the end of a test every invariant holds."""
    yield evolve(ports, clock=clock, sink=sink)

    assert await ports.persistence.check_invariants() == {}


@pytest.fixture
async def watched(ports: Ports) -> AsyncGenerator[World]:
    """In the end every invariant of the rows holds."""
    blobs = WatchedBlobs(ports.blobs)
    yield World(evolve(ports, clock=SystemClock(), blobs=blobs), blobs)

    assert await ports.persistence.check_invariants() == {}
