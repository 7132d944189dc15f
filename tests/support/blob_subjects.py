"""Adapters of the one port BlobStore, for its contract suite."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from fairlead.adapters.s3 import folder_blobs, object_blobs
from fairlead.ports.blobs import BlobInfo, BlobStore

from .s3_servers import S3Server
from .subjects import AdapterSubject

Ask: TypeAlias = Callable[[BlobStore], Awaitable[object]]


async def _list(blobs: BlobStore) -> list[BlobInfo]:
    return [info async for info in blobs.list()]


ASKED: dict[str, Ask] = {
    "put": lambda blobs: blobs.put("key", b""),
    "get": lambda blobs: blobs.get("key"),
    "has": lambda blobs: blobs.has("key"),
    "delete": lambda blobs: blobs.delete("key"),
    "list": _list,
}
"""Everything that a store is asked, for tests of what goes wrong with it."""

_numbers = itertools.count()


def ministack(request: pytest.FixtureRequest) -> AdapterSubject:
    """A bucket on ministack; every test has a prefix of its own."""
    return _on_server(request.getfixturevalue("ministack"))


def moto(request: pytest.FixtureRequest) -> AdapterSubject:
    """The same on moto."""
    return _on_server(request.getfixturevalue("moto"))


def obstore_memory(request: pytest.FixtureRequest) -> AdapterSubject:
    """The same class on obstore's own memory."""
    return _of(lambda: object_blobs("memory://"))


def folder(request: pytest.FixtureRequest) -> AdapterSubject:
    """A folder of its own for every test."""
    return AdapterSubject(open_blobs=partial(_open_folder, request.getfixturevalue("fast_place")))


def _on_server(server: S3Server) -> AdapterSubject:
    return _of(lambda: server.blobs(f"tests/{os.getpid()}-{next(_numbers)}"))


def _of(make: Callable[[], BlobStore]) -> AdapterSubject:
    @asynccontextmanager
    async def open_blobs() -> AsyncGenerator[BlobStore]:
        blobs = make()
        yield blobs
        await blobs.aclose()

    return AdapterSubject(open_blobs=open_blobs)


@asynccontextmanager
async def _open_folder(place: Path) -> AsyncGenerator[BlobStore]:
    with tempfile.TemporaryDirectory(dir=place, prefix="fairlead-blobs-") as folder:
        blobs = folder_blobs(Path(folder) / "made" / "when needed")
        yield blobs
        await blobs.aclose()
