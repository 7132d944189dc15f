"""Runs that somebody else's transaction holds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fairlead.ports import Ports
from fairlead.ports.records import LoadRequest


@asynccontextmanager
async def locked(world: Ports, *runs: str) -> AsyncGenerator[None]:
    """Another transaction holds these runs inside the block."""
    async with world.persistence.transaction() as transaction:
        held = await transaction.load(LoadRequest(runs=runs, steps=(), tasks=()))
        assert set(held.runs) == set(runs)
        yield
