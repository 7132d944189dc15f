"""The embedded server as its users see it: open it, get URLs, leave."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from ....ports.errors import Unavailable
from .binaries import candidate_folders
from .data_folder import DataFolder, ServerState
from .errors import EmbeddedServerError, InvalidServerOption, ServerBusy, ServerConflict
from .launcher import OWN_SETTINGS, STOP_TIMEOUT_S, end_server, launch_server, wait_until_ready
from .locks import FolderVanished, Lock
from .watchdog import discard as discard_folder

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

CLOSING_TIMEOUT_S = 5.0
"""How long a leaving user waits to see whether it is the last; after that the watchdog sees to it."""

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


def say_nothing(_line: str) -> None:
    """The progress of those who do not want to hear of it."""


class EmbeddedServer:
    """One user's share of the PostgreSQL server of a data folder. Leaving twice does no harm."""

    def __init__(self, folder: DataFolder, state: ServerState, users: Lock) -> None:
        self._folder = folder
        self._state = state
        self._users: Lock | None = users

    @classmethod
    def open(
        cls,
        folder: Path | None = None,
        *,
        port: int | None = None,
        durable: bool | None = None,
        settings: Mapping[str, str] = NO_SETTINGS,
        binaries: Path | None = None,
        discard: bool = False,
        stay: bool = False,
        progress: Callable[[str], None] = say_nothing,
    ) -> EmbeddedServer:
        """Start the server of a data folder, or join the one that runs there.

        It blocks: half a second when the cluster has to be created, some hundredths of a second otherwise.

        Args:
            folder: The data folder, on a local disk; `default_folder` where it is missing.
            port: The TCP port on 127.0.0.1; the one of last time or a free one where it is missing.
            durable: `False` trades safety at a power cut for speed (tests). A new server is durable unless told
                otherwise; `True` refuses to join one that is not.
            settings: Further settings of PostgreSQL (`postgresql.conf`) for a server that is started.
            binaries: The folder with `postgres` and `initdb`; found where it is missing (`candidate_folders`).
            discard: The folder is temporary and goes when the server stops.
            stay: The server runs on when its last user leaves, until `stop_server`.
            progress: Called with short lines for a person: "starting PostgreSQL 18.0".

        Raises:
            NoServerBinaries: There is no PostgreSQL server here; the message says what to install.
            ClusterVersionMismatch: The folder belongs to a major version that is not here.
            DataFolderUnusable: The folder cannot be created or written, or holds something else.
            PortInUse: `port` is taken.
            ServerStartFailed: PostgreSQL did not start; the error holds its last words.
            ServerConflict: A server that was started with other options runs there.
            ServerBusy: Another process has been starting or stopping the server for minutes.
            InvalidServerOption: A port or setting that is not possible.
        """
        _check_options(port, settings)
        wanted = _Wanted(port, durable, settings, binaries, discard, stay)
        place = DataFolder.at(folder)
        while True:
            try:
                place.prepare()
                with place.access():
                    return cls._enter(place, wanted, progress)
            except FolderVanished:
                continue  # A temporary folder was discarded at this moment; the next round makes it anew.

    @classmethod
    def _enter(cls, place: DataFolder, wanted: _Wanted, progress: Callable[[str], None]) -> EmbeddedServer:
        with place.opening(progress) as opening:
            users = Lock.take(place.users_lock, exclusive=False, timeout_s=STOP_TIMEOUT_S)
            try:
                if not (opening.is_current() and users.is_current()):
                    raise FolderVanished(place.path)
                return cls(place, _join_or_start(place, wanted, progress), users)
            except BaseException:
                users.close()
                raise

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._folder.path

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._state.port

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, with the superuser's name and password."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """The URL of a database on this server, whether it exists or not."""
        return self._folder.url(name, self._state.port)

    def ensure_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database unless it exists.

        Args:
            name: Its name, at most 63 bytes; lower-case letters, digits and underscores need no quoting in SQL.
            template: The database to copy, to which nobody may be connected.

        Returns:
            Its URL.

        Raises:
            Unavailable: The server cannot be reached, or somebody is connected to the template.
            EmbeddedServerError: There is no such template.
        """
        from psycopg import errors, sql

        url = self.database_url(name)
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self._superuser() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return url
            # A unique violation when another process creates it at this very moment.
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return url

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, disconnecting whoever uses it.

        Raises:
            Unavailable: The server cannot be reached.
        """
        from psycopg import sql

        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        with self._superuser() as connection:
            connection.execute(statement.format(sql.Identifier(name)))

    def close(self) -> None:
        """Leave. The last one's leaving stops the server, unless it is to stay, and waits for its end."""
        users, self._users = self._users, None
        if users is None:
            return
        with users:
            try:
                # While this is held nobody joins, so being the last is not a matter of luck.
                opening = Lock.take(self._folder.opening_lock, exclusive=True, timeout_s=CLOSING_TIMEOUT_S)
            except (ServerBusy, FolderVanished):
                return  # The watchdog stops the server when it sees that nobody is left.
            with opening:
                if users.is_current() and users.convert(exclusive=True):
                    _end_unused(self._folder)

    @contextmanager
    def _superuser(self) -> Generator[Connection[TupleRow]]:
        import psycopg

        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise Unavailable(f"the embedded server of {self.folder} cannot be reached: {error}") from error
        except psycopg.Error as error:
            raise EmbeddedServerError(f"the embedded server of {self.folder} refused: {error}") from error

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@frozen
class _Wanted:
    """What a caller of `open` asked for."""

    port: int | None
    durable: bool | None
    settings: Mapping[str, str]
    binaries: Path | None
    discard: bool
    stay: bool

    def conflicts(self, state: ServerState) -> Iterator[tuple[str, object, object]]:
        """Where a running server does not keep what was asked for: option, asked for, found."""
        if self.port not in (None, state.port):
            yield "port", self.port, state.port
        if self.durable and not state.durable:
            yield "durable", True, False
        if self.binaries is not None and str(self.binaries) != state.binaries:
            yield "binaries", str(self.binaries), state.binaries
        if self.discard != state.discard:
            yield "discard", self.discard, state.discard
        for name, value in self.settings.items():
            if state.settings.get(name) != value:
                yield f"settings[{name}]", value, state.settings.get(name)


def _join_or_start(place: DataFolder, wanted: _Wanted, progress: Callable[[str], None]) -> ServerState:
    """Make the server run. The caller holds the opening lock and shares the users' lock."""
    state = place.read_state()
    if state is not None and place.watchdog_lives():
        for option, expected, found in wanted.conflicts(state):
            raise ServerConflict(place.path, option, expected, found)
        if wait_until_ready(place):
            return _mark_staying(place, state) if wanted.stay else state
    if wanted.discard:
        place.refuse_foreign_content()
    return launch_server(
        place,
        ServerState(
            port=state.port if state else 0,
            binaries="",
            durable=wanted.durable is not False,
            settings=dict(wanted.settings),
            stay=wanted.stay,
            discard=wanted.discard,
        ),
        port=wanted.port,
        candidates=candidate_folders(os.environ) if wanted.binaries is None else [wanted.binaries],
        progress=progress,
    )


def _mark_staying(place: DataFolder, state: ServerState) -> ServerState:
    staying = evolve(state, stay=True)
    place.write_state(staying)
    return staying


def _end_unused(place: DataFolder) -> None:
    """Stop the server that nobody else uses. The caller holds the opening lock and the users' lock alone."""
    state = place.read_state()
    if state is not None and state.stay:
        return
    running = place.watchdog_lives()
    end_server(place)
    if state is not None and state.discard and not running:
        # The watchdog discards what it stops; a server that ended by itself left its folder behind.
        discard_folder(str(place.path))


def _check_options(port: int | None, settings: Mapping[str, str]) -> None:
    if port is not None and not 1 <= port <= 65_535:
        raise InvalidServerOption("port", port, "a number from 1 to 65535")
    for name, value in settings.items():
        if name in OWN_SETTINGS:
            raise InvalidServerOption(f"settings[{name}]", value, "this setting to be left to the launcher")
        if not name.replace("_", "").replace(".", "").isalnum():
            raise InvalidServerOption("settings", name, "names of PostgreSQL settings")
