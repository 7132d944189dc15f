"""The installed command, run as a person runs it: in a process of its own, with nothing but an environment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from fairlead.adapters.postgres import migrate
from tests.support.commands import Commands


@pytest.fixture
def fairlead(tmp_path: Path) -> Iterator[Commands]:
    """The command, in an empty folder, without a database in its environment."""
    folder = tmp_path / "here"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    environment = {**kept, "XDG_DATA_HOME": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}
    commands = Commands(folder, environment, [])
    yield commands
    commands.end()


@pytest.fixture
def migrated_url(
    fairlead: Commands,
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[str]:
    """The URL of a fresh database that has Fairlead's tables."""

    def prepare(url: str) -> None:
        asyncio.run(migrate(url))

    template = template_factory("migrated_for_commands", prepare)
    with database_factory(template) as url:
        yield url
        fairlead.end()
