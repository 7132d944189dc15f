"""A database is named by a URL, a libpq string or an engine."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from fairlead.adapters.postgres import InvalidSource, migrate, postgres_ports
from fairlead.adapters.postgres.embedded import EmbeddedServer
from fairlead.adapters.postgres.source import Source, conninfo_of
from fairlead.ports.errors import UnstorableValue
from tests.support.records import new_run
from tests.support.scenes import register

ADDRESS = {"host": "db.example", "port": "6543", "user": "ann", "password": "p@ss:/word", "dbname": "app"}
REST = "ann:p%40ss%3A%2Fword@db.example:6543/app"


@pytest.mark.parametrize(
    "source",
    [
        f"postgresql://{REST}",
        f"postgres://{REST}",
        f"postgresql+psycopg://{REST}",
        f"postgresql+asyncpg://{REST}",
        create_engine(f"postgresql+psycopg://{REST}"),
        create_async_engine(f"postgresql+psycopg://{REST}"),
    ],
    ids=lambda source: source if isinstance(source, str) else type(source).__name__,
)
def test_every_way_to_name_a_database(source: Source) -> None:
    """The address is the same, whatever named it; an engine gives its password too."""
    found = conninfo_to_dict(conninfo_of(source))

    assert {name: str(found[name]) for name in ADDRESS} == ADDRESS
    assert found["application_name"] == "fairlead"
    assert int(str(found["tcp_user_timeout"])) > 0


def test_what_the_source_says_wins() -> None:
    """Defaults fill gaps only."""
    found = conninfo_to_dict(conninfo_of("postgresql://h/d?application_name=shop&connect_timeout=3"))

    assert (found["application_name"], str(found["connect_timeout"])) == ("shop", "3")


@pytest.mark.parametrize(
    "source", ["mysql://h/d", "app.db", "", "postgresql://h/d?no_such_option=1", "postgresql://[h/d"]
)
def test_what_names_no_database_is_refused(source: str) -> None:
    """Said at once, before anything is connected."""
    with pytest.raises(InvalidSource):
        postgres_ports(source)


async def test_the_databases_encoding_does_not_matter(postgres_server: EmbeddedServer) -> None:
    """What it can store comes back byte for byte; what it cannot is refused."""
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            url = postgres_server.database_url("latin")
            await migrate(url)
            ports = postgres_ports(url)
            flow = await register(ports.persistence)
            (started,) = await ports.persistence.insert_runs([new_run(flow, 1, input='"süß"'.encode())])
            payloads = await ports.persistence.read_payloads([started.id], [])
            with pytest.raises(UnstorableValue):
                await ports.persistence.insert_runs([new_run(flow, 2, input='"€"'.encode())])
            await ports.aclose()
        finally:
            connection.execute("DROP DATABASE latin WITH (FORCE)")

    assert payloads.runs[started.id].input == '"süß"'.encode()


def test_a_pool_without_connections_is_refused() -> None:
    """An option that could never work."""
    with pytest.raises(ValueError, match="pool_size"):
        postgres_ports("postgresql://h/d", pool_size=0)
