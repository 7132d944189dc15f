"""Which database a command uses, and the ports on it.

In this order: `--database`, `DATABASE_URL`, the embedded server. The embedded database is Fairlead's own, so its
tables are brought up to date unasked; any other is somebody's, and `fairlead migrate` is theirs to run.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager

import click
from attrs import frozen

from ...ports import Ports
from .blobs import open_blobs
from .command import DatabaseChoice
from .extras import importing_postgres


@frozen(kw_only=True)
class Database:
    """A database that can be connected to for as long as it is open here."""

    url: str
    source: str
    """Where the URL is from, for people."""
    embedded: bool
    schema: str | None
    blobs: str | None = None
    """The address of large payloads on the command line."""

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return without_password(self.url)

    def ports(self) -> Ports:
        """New ports on it; nothing is connected yet. Whoever asks closes them.

        Raises:
            UsageError: the address of blobs is none.
            AdapterError: what the ports need is not installed.
        """
        with importing_postgres():
            from ...adapters.postgres import DEFAULT_SCHEMA, postgres_ports

        schema = DEFAULT_SCHEMA if self.schema is None else self.schema
        return postgres_ports(self.url, schema=schema, blobs=open_blobs(self.blobs))

    async def migrate(self) -> list[str]:
        """Bring its tables up to date; returns the names of the migrations that were applied."""
        with importing_postgres():
            from ...adapters.postgres import migrate

        return await (migrate(self.url) if self.schema is None else migrate(self.url, schema=self.schema))


@contextmanager
def open_database(choice: DatabaseChoice, *, progress: Callable[[str], None] | None = None) -> Generator[Database]:
    """Find the database and, if it is the embedded one, have its server run and its tables up to date.

    Args:
        choice: what the command line says.
        progress: told what the embedded server is doing; on stderr where None.

    Raises:
        UsageError: a URL is none of PostgreSQL's.
        AdapterError: the embedded server cannot run here, or the driver is not installed.
    """
    with importing_postgres():
        from ...adapters.postgres.embedded import resolve_database_url

    environment: Mapping[str, str] = {} if choice.folder is not None else os.environ
    told = tell if progress is None else progress
    with resolve_database_url(choice.url, environment, folder=choice.folder, progress=told) as found:
        embedded = found.server is not None
        database = Database(
            url=found.url, source=found.source, embedded=embedded, schema=choice.schema, blobs=choice.blobs
        )
        if embedded:
            asyncio.run(database.migrate())
        yield database


@asynccontextmanager
async def opened_ports(database: Database) -> AsyncGenerator[Ports]:
    """Ports on a database, closed when the block ends."""
    ports = database.ports()
    try:
        yield ports
    finally:
        await ports.aclose()


def tell(line: str) -> None:
    """Say something on stderr, if a person may be reading there."""
    if sys.stderr.isatty():
        click.echo(click.style(line, fg="bright_black"), err=True)


_PASSWORD_OF_USER = re.compile(r"^([^:/?#]+://[^:/?#@]*):[^/?#]*@")
_PASSWORD_IN_QUERY = re.compile(r"([?&](?:ssl)?password=)[^&#]*")


def without_password(url: str) -> str:
    """A URL that may be shown to anybody."""
    return _PASSWORD_IN_QUERY.sub(r"\1***", _PASSWORD_OF_USER.sub(r"\1:***@", url))
