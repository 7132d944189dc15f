"""Decides which database to use when people do not want to think about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from attrs import frozen

from .errors import InvalidDatabaseUrl
from .server import EmbeddedServer, say_nothing

URL_VARIABLE = "DATABASE_URL"

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
"""How a URL of PostgreSQL may begin, for libpq and for SQLAlchemy."""

DATABASE = "fairlead"
"""The database on an embedded server."""


@frozen(kw_only=True)
class ResolvedDatabase:
    """A database to use, and the embedded server it needs for as long as it is used."""

    url: str
    source: str
    """Where it comes from, for people: "the command line", "DATABASE_URL" or "the embedded server in …"."""
    server: EmbeddedServer | None = None

    def close(self) -> None:
        """Leave the embedded server, if there is one."""
        if self.server is not None:
            self.server.close()

    def __enter__(self) -> ResolvedDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def resolve_database_url(
    url: str | None,
    env: Mapping[str, str],
    *,
    folder: Path | None = None,
    progress: Callable[[str], None] = say_nothing,
) -> ResolvedDatabase:
    """The database to use: the given URL, else `DATABASE_URL`, else `fairlead` on the embedded server.

    The given ones are not connected to; the embedded server runs when this returns.

    Args:
        url: The URL that was given, if one was.
        env: The environment.
        folder: The embedded server's data folder; `default_folder` where it is missing.
        progress: Told what the embedded server is doing.

    Raises:
        InvalidDatabaseUrl: The URL is that of another kind of database.
        EmbeddedServerError: No URL is given and no server can be run; the message says what to do.
    """
    for given, source in ((url, "the command line"), (env.get(URL_VARIABLE), URL_VARIABLE)):
        if given:
            scheme = urlsplit(given).scheme
            if scheme not in SCHEMES:
                raise InvalidDatabaseUrl(source, scheme or given[:20])
            return ResolvedDatabase(url=given, source=source)
    server = EmbeddedServer.open(folder, progress=progress)
    try:
        embedded = server.ensure_database(DATABASE)
    except BaseException:
        server.close()
        raise
    return ResolvedDatabase(url=embedded, source=f"the embedded server in {server.folder}", server=server)
