"""Where two commands meet: in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.support.postgres_subject import create_tables

from .arenas import Arena, MemoryArena, PostgresArena


@pytest.fixture(params=["memory", "postgres"])
async def arena(request: pytest.FixtureRequest) -> AsyncGenerator[Arena]:
    """A store for two kernels."""
    if request.param == "memory":
        yield MemoryArena()
        return
    databases = request.getfixturevalue("database_factory")
    with databases(request.getfixturevalue("template_factory")("migrated", create_tables)) as url:
        made = PostgresArena(url)
        await made.open()
        yield made
        await made.close()
