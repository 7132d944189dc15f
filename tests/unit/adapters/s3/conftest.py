"""What the tests of blobs have in common."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncGenerator, Callable

import pytest

from fairlead.adapters.s3 import ObjectBlobs
from tests.support.http_faults import FaultyProxy, faulty
from tests.support.s3_servers import S3Server

_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    """A place in the server's bucket that is nobody else's."""
    return f"unit/{os.getpid()}-{next(_numbers)}"


@pytest.fixture
async def proxy(ministack: S3Server) -> AsyncGenerator[FaultyProxy]:
    """A proxy before the server; whatever a test plans must happen in it."""
    async with faulty(ministack.endpoint) as made:
        yield made
        assert made.left == 0


@pytest.fixture
async def reached(
    ministack: S3Server, proxy: FaultyProxy, prefix: str
) -> AsyncGenerator[Callable[[float, float], ObjectBlobs]]:
    """Makes blob stores behind the proxy, with so many seconds for one request, and for all of its repetitions."""
    made: list[ObjectBlobs] = []

    def make(request_timeout_s: float, retry_for_s: float) -> ObjectBlobs:
        blobs = ministack.blobs(
            prefix, endpoint=proxy.endpoint, request_timeout_s=request_timeout_s, retry_for_s=retry_for_s
        )
        made.append(blobs)
        return blobs

    yield make
    for blobs in made:
        await blobs.aclose()


@pytest.fixture
async def behind(reached: Callable[[float, float], ObjectBlobs]) -> ObjectBlobs:
    """A blob store behind the proxy that is patient."""
    return reached(20.0, 20.0)


@pytest.fixture
async def direct(ministack: S3Server, prefix: str) -> AsyncGenerator[ObjectBlobs]:
    """The same blobs without the proxy."""
    blobs = ministack.blobs(prefix)
    yield blobs
    await blobs.aclose()
