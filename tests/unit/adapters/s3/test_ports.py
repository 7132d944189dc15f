"""Blobs that are elsewhere than the rest of an adapter's ports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.adapters.memory import ManualClock, MemoryBlobs, memory_ports
from fairlead.adapters.postgres import postgres_ports
from fairlead.ports import BlobStore, Ports


class Closable(MemoryBlobs):
    """Counts how often it is closed."""

    closings = 0

    async def aclose(self) -> None:
        """Count."""
        self.closings += 1


def on_postgres(blobs: BlobStore) -> Ports:
    """Ports on a server that is not there: nothing is asked of it."""
    return postgres_ports("postgresql://127.0.0.1:1/nothing", blobs=blobs)


def in_memory(blobs: BlobStore) -> Ports:
    """Ports in memory."""
    return memory_ports(blobs=blobs)


@pytest.mark.parametrize("make", [on_postgres, in_memory])
async def test_ports_take_a_blob_store_and_close_it(make: Callable[[BlobStore], Ports]) -> None:
    """It is used as it is, and closed with the others."""
    blobs = Closable(ManualClock())

    ports = make(blobs)
    await ports.aclose()

    assert ports.blobs is blobs
    assert blobs.closings == 1
