"""A blob store that counts what is asked of it, and fails as it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fairlead.kernel.fetching import fetch_blob, fetch_payload
from fairlead.kernel.references import is_reference, read_reference
from fairlead.ports import Ports
from fairlead.ports.blobs import BlobCorrupt, BlobInfo, BlobStore
from fairlead.ports.errors import CommitUnknown, Unavailable
from fairlead.ports.reading import OutputRequest


class WatchedBlobs:
    """`BlobStore` over another one.

    Args:
        inner: where the blobs really are.
    """

    def __init__(self, inner: BlobStore) -> None:
        self._inner = inner
        self.gets: Counter[str] = Counter()
        self.puts: Counter[str] = Counter()
        self.failures = 0
        """How often an operation has failed on purpose."""
        self.failing: Callable[[str, str], bool] = lambda operation, key: False
        """Whether the next operation (`put`, `get`) on a key fails before it happens."""
        self.losing: Callable[[str], bool] = lambda key: False
        """Whether the next put of a key happens, and its answer is lost."""
        self.damaged: Callable[[str, bytes], bytes] = lambda key, data: data
        """What is read instead of a blob."""

    def __str__(self) -> str:
        return str(self._inner)

    async def put(self, key: str, data: bytes, *, if_absent: bool = True) -> None:
        """Store, or not."""
        self.puts[key] += 1
        self._fail("put", key)
        await self._inner.put(key, data, if_absent=if_absent)
        if self.losing(key):
            self.failures += 1
            raise CommitUnknown(f"the answer to put {key!r} was lost")

    async def get(self, key: str) -> bytes:
        """Read, or not."""
        self.gets[key] += 1
        self._fail("get", key)
        return self.damaged(key, await self._inner.get(key))

    async def has(self, key: str) -> bool:
        """Whether it is there."""
        return await self._inner.has(key)

    async def delete(self, key: str) -> None:
        """Remove it."""
        await self._inner.delete(key)

    def list(self, prefix: str = "", *, older_than: datetime | None = None) -> AsyncIterator[BlobInfo]:
        """What is there."""
        return self._inner.list(prefix, older_than=older_than)

    async def aclose(self) -> None:
        """The inner one is closed by whoever opened it."""

    async def until_failed(self, times: int = 1) -> None:
        """Return once operations have failed so often."""
        async with asyncio.timeout(20):
            while self.failures < times:  # noqa: ASYNC110 - what fails does not know that somebody waits for it
                await asyncio.sleep(0.01)

    async def until_left_alone(self) -> None:
        """Return once nothing has failed for a while: nobody tries any more."""
        async with asyncio.timeout(20):
            before = -1
            while self.failures != before:
                before = self.failures
                await asyncio.sleep(0.3)

    async def keys(self) -> set[str]:
        """The keys of all blobs."""
        return {blob.key async for blob in self.list()}

    def _fail(self, operation: str, key: str) -> None:
        if self.failing(operation, key):
            self.failures += 1
            raise Unavailable(f"503 Slow Down, on {operation} {key!r}")


async def broken_references(snapshot: Mapping[str, Sequence[Mapping[str, Any]]], blobs: BlobStore) -> list[str]:
    """I28: the references in a store's rows that do not resolve with their length and digest."""
    rows = [(f"run {row['id']}", row["input"]) for row in snapshot["runs"]]
    rows += [(f"{row['run_id']}/{row['step']}[{row['element']}]", row["output"]) for row in snapshot["tasks"]]
    broken: list[str] = []
    for name, stored in rows:
        if stored is not None and is_reference(stored):
            try:
                for blob in read_reference(stored).blobs():
                    await fetch_blob(blobs, blob)
            except BlobCorrupt as error:
                broken.append(f"I28: {name}: {error}")
    return broken


async def referenced_blobs(ports: Ports, run_id: str) -> set[str]:
    """The keys of all blobs that a run refers to, each of which resolves with its length and digest (I28)."""
    persistence = ports.persistence
    steps = {step.slug for step in await persistence.read_steps(run_id)}
    read = await persistence.read_payloads([run_id], [OutputRequest(run_id, slug) for slug in steps])
    stored = [run.input for run in read.runs.values()]
    stored += [output for step in read.outputs.values() for output in step.outputs if output is not None]
    references = [each for each in stored if is_reference(each)]
    for reference in references:
        await fetch_payload(ports.blobs, reference)
    return {blob.key for reference in references for blob in read_reference(reference).blobs()}
