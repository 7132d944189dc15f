"""What the acceptance behaviours work with: an adapter's ports under a clock that only the test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.ports import Ports


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
