"""Objects of which a store hands over less than it says that there is, without an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fairlead.adapters.s3.blobs import PIECE_BYTES, ObjectBlobs
from fairlead.ports.errors import Unavailable


class Cut:
    """A store whose only object arrives without its last byte, until it is whole."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.whole = False

    async def get_async(self, path: str) -> Cut:
        """An answer, which is the store itself."""
        return self

    @property
    def meta(self) -> dict[str, int]:
        """What the answer says of the object."""
        return {"size": len(self.data)}

    async def bytes_async(self) -> bytes:
        """All of it."""
        return self.data if self.whole else self.data[:-1]

    async def stream(self, *, min_chunk_size: int) -> AsyncIterator[bytes]:
        """All of it, in pieces."""
        data = await self.bytes_async()
        for start in range(0, len(data), min_chunk_size):
            yield data[start : start + min_chunk_size]


@pytest.mark.fault(60)
@pytest.mark.parametrize("size_bytes", [1, 1000, PIECE_BYTES + 1], ids=["a byte", "in one piece", "in pieces"])
async def test_an_object_that_arrives_cut_off_is_nobody_s_answer(size_bytes: int) -> None:
    """It is worth another attempt, which gets all of it; what is there is not damaged."""
    cut: Any = Cut(bytes(size_bytes))
    blobs = ObjectBlobs("s3://bucket", lambda _: cut, request_timeout_s=1.0, retry_for_s=1.0)

    with pytest.raises(Unavailable, match=f"has {size_bytes:,} bytes, {size_bytes - 1:,} arrived") as caught:
        await blobs.get("key")
    assert caught.value.retryable
    cut.whole = True
    assert await blobs.get("key") == cut.data
