"""Blobs of 200 MB: how much memory they take besides their own."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from fairlead.adapters.s3 import ObjectBlobs, folder_blobs
from fairlead.adapters.s3.blobs import USUAL_BYTES_MAX
from fairlead.ports.blobs import BlobStore
from tests.support.s3_servers import S3Server

SIZE_BYTES = 200_000_000
ASIDE_BYTES_MAX = 20_000_000
"""What buffers, connections and threads may take; a second copy of the blob is ten times as much."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")


class Peak:
    """The most memory that this process has held since it was made, beyond what it held then."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._highest()

    def bytes(self) -> int:
        """How much it was."""
        return self._highest() - self._before

    def _highest(self) -> int:
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024


@pytest.fixture(params=["bucket", "folder"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> AsyncGenerator[BlobStore]:
    """A store in which nothing large is left."""
    if request.param == "folder":
        yield folder_blobs(tmp_path / "blobs")
        return
    server: S3Server = request.getfixturevalue("ministack")
    blobs = server.blobs(prefix)
    yield blobs
    await blobs.delete("large")
    await blobs.aclose()


async def test_a_large_blob_is_in_memory_once(blobs: BlobStore) -> None:
    """A put sends the bytes from where they are, in one request that is conditional; a get makes them once."""
    data = b"0123456789abcdef" * (SIZE_BYTES // 16)

    putting = Peak()
    await blobs.put("large", data)
    put_bytes = putting.bytes()
    getting = Peak()
    found = await blobs.get("large")
    got_bytes = getting.bytes()

    assert found == data
    assert put_bytes < ASIDE_BYTES_MAX
    assert got_bytes < SIZE_BYTES + ASIDE_BYTES_MAX


async def test_a_large_blob_is_given_more_time() -> None:
    """Twice as much for each doubling, since one request carries all of it; small ones fail as soon as before."""
    from obstore.store import MemoryStore

    memory = MemoryStore()
    times_s: list[float] = []

    def open_store(request_timeout_s: float) -> MemoryStore:
        times_s.append(request_timeout_s)
        return memory

    blobs = ObjectBlobs("memory://", open_store, request_timeout_s=10, retry_for_s=10)
    for size_bytes in (1, USUAL_BYTES_MAX, USUAL_BYTES_MAX + 1, 2 * USUAL_BYTES_MAX, 2 * USUAL_BYTES_MAX + 1):
        await blobs.put(f"{size_bytes}", bytes(size_bytes))
    put_in_s = list(times_s)
    reading = ObjectBlobs("memory://", open_store, request_timeout_s=10, retry_for_s=10)
    times_s.clear()
    found = await reading.get(f"{2 * USUAL_BYTES_MAX + 1}")

    assert put_in_s == [10, 20, 40]
    assert (len(found), times_s) == (2 * USUAL_BYTES_MAX + 1, [40])
