"""Which database is used when several could be."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from fairlead.adapters.postgres.embedded import (
    EmbeddedServer,
    InvalidDatabaseUrl,
    resolve_database_url,
    server_status,
)
from fairlead.ports.errors import Unavailable

GIVEN = "postgresql://somebody@db.example/given"
FROM_ENVIRONMENT = "postgres://somebody@db.example/environment"


@pytest.mark.parametrize(
    ("url", "env", "expected", "source"),
    [
        (GIVEN, {"DATABASE_URL": FROM_ENVIRONMENT}, GIVEN, "the command line"),
        (None, {"DATABASE_URL": FROM_ENVIRONMENT}, FROM_ENVIRONMENT, "DATABASE_URL"),
        ("", {"DATABASE_URL": "postgresql+psycopg:///db"}, "postgresql+psycopg:///db", "DATABASE_URL"),
    ],
)
def test_a_given_url_is_taken_before_the_environment_s(
    empty_folder: Path, url: str | None, env: dict[str, str], expected: str, source: str
) -> None:
    """Given and environment URLs are taken in that order, unconnected; no server is started for them."""
    with resolve_database_url(url, env, folder=empty_folder) as resolved:
        assert (resolved.url, resolved.source, resolved.server) == (expected, source, None)

    assert not empty_folder.exists()


@pytest.mark.parametrize("url", ["mysql://localhost/db", "just a name", "host=localhost"])
def test_urls_of_other_databases_are_refused(url: str) -> None:
    """The error says where the URL came from, since it may be another program's."""
    with pytest.raises(InvalidDatabaseUrl, match="from DATABASE_URL"):
        resolve_database_url(None, {"DATABASE_URL": url})


def test_the_embedded_server_is_used_where_nothing_is_given(folder: Path) -> None:
    """Without URLs the database `fairlead` of the embedded server is there, until it is left."""
    with resolve_database_url(None, {"DATABASE_URL": ""}, folder=folder) as resolved:
        with psycopg.connect(resolved.url) as connection:
            row = connection.execute("SELECT current_database()").fetchone()
        source = resolved.source

    assert row == ("fairlead",)
    assert source == f"the embedded server in {folder}"
    assert not server_status(folder).running


def test_a_failure_after_the_start_leaves_the_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database cannot be made, the server that was started for it is left."""

    def refuse(_server: EmbeddedServer, _name: str) -> str:
        raise Unavailable("no")

    monkeypatch.setattr(EmbeddedServer, "ensure_database", refuse)
    with pytest.raises(Unavailable):
        resolve_database_url(None, {}, folder=folder)

    assert not server_status(folder).running
