"""A server that stays: what `fairlead db start|stop|url` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from .data_folder import DataFolder
from .errors import ServerNotRunning
from .launcher import end_server
from .locks import FolderVanished
from .server import NO_SETTINGS, EmbeddedServer, say_nothing


@frozen(kw_only=True)
class ServerStatus:
    """What there is to say about the server of a data folder."""

    folder: Path
    running: bool
    url: str | None
    """The URL of the database `postgres` on a running server, password included."""
    stays: bool
    """Whether it runs until it is stopped, rather than until its last user leaves."""


def start_server(
    folder: Path | None = None,
    *,
    port: int | None = None,
    settings: Mapping[str, str] = NO_SETTINGS,
    progress: Callable[[str], None] = say_nothing,
) -> ServerStatus:
    """Start a server that runs on when this process ends, or let the one that is running stay.

    Args and errors are those of `EmbeddedServer.open`.
    """
    with EmbeddedServer.open(folder, port=port, settings=settings, stay=True, progress=progress) as server:
        return server_status(server.folder)


def stop_server(folder: Path | None = None) -> bool:
    """Stop the server of a data folder, whoever uses it, and wait until it has ended.

    Returns:
        Whether there was one to stop.

    Raises:
        ServerBusy: It does not stop, or another process has been starting it for minutes.
        DataFolderUnusable: The folder is closed to this user.
    """
    place = DataFolder.at(folder)
    with place.access():
        if not place.opening_lock.exists():
            return False
        try:
            with place.opening(say_nothing):
                running = place.watchdog_lives()
                end_server(place)
                return running
        except FolderVanished:
            return False


def server_status(folder: Path | None = None) -> ServerStatus:
    """Whether a server runs in a data folder, and where; it changes nothing.

    Raises:
        DataFolderUnusable: The folder is closed to this user.
    """
    place = DataFolder.at(folder)
    with place.access():
        state = place.read_state()
        if state is None or not place.watchdog_lives():
            return ServerStatus(folder=place.path, running=False, url=None, stays=False)
    url = place.url("postgres", state.port)
    return ServerStatus(folder=place.path, running=True, url=url, stays=state.stay)


def server_url(folder: Path | None = None, *, database: str = "postgres") -> str:
    """The URL of a database on the running server of a data folder.

    Raises:
        ServerNotRunning: No server runs there.
        DataFolderUnusable: The folder is closed to this user.
    """
    place = DataFolder.at(folder)
    with place.access():
        state = place.read_state()
        if state is None or not place.watchdog_lives():
            raise ServerNotRunning(place.path)
    return place.url(database, state.port)
