"""A server that stays: start, stop, status and URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres.embedded import (
    EmbeddedServer,
    ServerNotRunning,
    server_status,
    server_url,
    start_server,
    stop_server,
)

STARTER = """
import sys
from pathlib import Path
from fairlead.adapters.postgres.embedded import start_server

print(start_server(Path(sys.argv[1])).url, flush=True)
"""


def test_a_started_server_outlives_its_starter_and_its_users(folder: Path, new_user: Callable[..., Any]) -> None:
    """It is there after the process that started it, and after users who came and left; then it is stopped."""
    starter = new_user(folder, STARTER)
    url = starter.line()
    starter.end()
    EmbeddedServer.open(folder).close()
    status = server_status(folder)
    with psycopg.connect(server_url(folder)) as connection:
        row = connection.execute("SELECT 42").fetchone()
    stopped = [stop_server(folder), stop_server(folder)]

    assert (status.running, status.stays, status.url) == (True, True, url)
    assert row == (42,)
    assert stopped == [True, False]
    with pytest.raises(ServerNotRunning):
        server_url(folder)


def test_a_running_server_can_be_made_to_stay(folder: Path) -> None:
    """Starting a server that somebody uses lets it stay when that user leaves."""
    with EmbeddedServer.open(folder) as server:
        url = start_server(folder).url
    stayed = server_status(folder).running
    stop_server(folder)

    assert url == server.url
    assert stayed


def test_staying_ends_with_stopping(folder: Path) -> None:
    """A server that stayed once and was stopped stops with its last user the next time."""
    start_server(folder)
    stop_server(folder)
    with EmbeddedServer.open(folder):
        stays = server_status(folder).stays

    assert not stays
    assert not server_status(folder).running


def test_stopping_does_not_ask_the_users(folder: Path) -> None:
    """A server in use is stopped; its users can leave afterwards, or open it again."""
    with EmbeddedServer.open(folder) as first:
        stopped = stop_server(folder)
        with EmbeddedServer.open(folder) as second, psycopg.connect(second.url) as connection:
            row = connection.execute("SELECT 42").fetchone()

    assert stopped
    assert row == (42,)
    assert second.url == first.url


def test_stopping_where_nothing_is_makes_nothing(tmp_path: Path) -> None:
    """Stopping and asking about a folder that does not exist is answered without creating it."""
    folder = tmp_path / "postgres"

    assert not stop_server(folder)
    assert not server_status(folder).running
    assert not folder.exists()
