"""What the PostgreSQL adapter's own tests work with: a database that has the tables, and its ports."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import psycopg
import pytest

from fairlead.adapters.postgres import PostgresPersistence, migration_sql
from fairlead.adapters.postgres.adaptation import adapt
from fairlead.adapters.postgres.database import Database, DatabaseSettings
from fairlead.adapters.postgres.source import conninfo_of

Filled: TypeAlias = "Callable[[str, str], AbstractContextManager[psycopg.Connection[Any]]]"
"""Opens a database of one's own that has the tables and what a script has put into them, by a label of the script's."""


def create_tables(url: str) -> None:
    """Run the script that `fairlead migrate --sql` prints."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(migration_sql().encode())


@pytest.fixture
def url(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[str]:
    """The URL of a fresh database that has the tables."""
    with database_factory(template_factory("migrated", create_tables)) as made:
        yield made


@pytest.fixture
def filled_database(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Filled:
    """Makes databases with many rows, quickly: each script runs once, and what it made is copied."""

    @contextmanager
    def filled(label: str, script: str) -> Generator[psycopg.Connection[Any]]:
        def fill(url: str) -> None:
            create_tables(url)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(script.encode())

        with (
            database_factory(template_factory(label, fill)) as url,
            psycopg.connect(url, autocommit=True) as connection,
        ):
            adapt(connection)
            yield connection

    return filled


@pytest.fixture
def settings(url: str) -> DatabaseSettings:
    """That database, reached as the ports reach it; small enough to run dry."""
    return DatabaseSettings(conninfo=conninfo_of(url), pool_size=2, pool_wait_s=0.05, lock_wait_s=30.0)


@pytest.fixture
async def database(settings: DatabaseSettings) -> AsyncGenerator[Database]:
    """That database, closed after the test."""
    made = Database(settings)
    yield made
    await made.aclose()


@pytest.fixture
def store(database: Database) -> PostgresPersistence:
    """The store in that database."""
    return PostgresPersistence(database)


@pytest.fixture
def observer(url: str) -> Generator[psycopg.Connection[tuple[object, ...]]]:
    """A connection beside the adapter's, which commits each statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
