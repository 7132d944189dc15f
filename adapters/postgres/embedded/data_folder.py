"""The data folder: what lies where in it, who may enter it, and what is remembered of its server.

FOLDER/cluster/data       the cluster that PostgreSQL reads and writes
FOLDER/cluster/password   the superuser's generated password
FOLDER/locks/…            see the package's essay
FOLDER/server.json        how the server was last started
FOLDER/server.log         what it has said since then (before that: server.log.previous)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
from attrs import field, frozen

from .errors import DataFolderUnusable, InvalidServerOption, ServerConflict
from .identity import namespaces_allowed
from .locks import FolderVanished, Lock, is_held

LOG_LINES_MAX = 12
"""Lines of the server's log that an error repeats: enough for a fatal message with its hints."""

LOG_TAIL_BYTES_MAX = 16_384
"""Bytes read from the end of the log to find those lines."""

OPENING_TIMEOUT_S = 240.0
"""How long to wait while another process starts or stops the server: longer than both together may take."""

NAME_BYTES_MAX = 63
"""PostgreSQL cuts longer names off without an error."""

SUPERUSER = "postgres"
HOST = "127.0.0.1"

OWN_ENTRIES = frozenset({"cluster", "locks", "server.json", "server.log", "server.log.previous"})
STAGING_PREFIX = ".cluster-"


@frozen(kw_only=True)
class ServerState:
    """How the server of a folder was last started. Whether it runs is a question for the locks."""

    port: int
    binaries: str
    """The folder its programs lie in."""
    durable: bool
    settings: Mapping[str, str] = field(factory=dict[str, str])
    stay: bool = False
    """It runs until it is stopped, not until its last user leaves."""
    discard: bool = False
    """The whole folder is deleted when the server stops."""


@frozen
class DataFolder:
    """Paths and small files of one data folder."""

    path: Path

    @classmethod
    def at(cls, path: Path | None) -> DataFolder:
        """The folder at a path, or the default one."""
        return cls((path or default_folder(os.environ)).expanduser().absolute())

    @property
    def cluster(self) -> Path:
        """The cluster and its password, which come into being together."""
        return self.path / "cluster"

    @property
    def data(self) -> Path:
        """What PostgreSQL itself calls the data directory."""
        return self.cluster / "data"

    @property
    def password_file(self) -> Path:
        """The superuser's password, readable for the owner alone."""
        return self.cluster / "password"

    @property
    def opening_lock(self) -> Path:
        """Held exclusively by the one process that is starting, joining or stopping the server."""
        return self.path / "locks" / "opening"

    @property
    def users_lock(self) -> Path:
        """Shared by everybody who uses the server; the watchdog waits to have it for itself."""
        return self.path / "locks" / "users"

    @property
    def watchdog_lock(self) -> Path:
        """Held by the watchdog for as long as it lives; its process id is the content."""
        return self.path / "locks" / "watchdog"

    @property
    def server_lock(self) -> Path:
        """Inherited by PostgreSQL's processes, so held while any of them lives."""
        return self.path / "locks" / "server"

    @property
    def state_file(self) -> Path:
        """The `ServerState`, as JSON."""
        return self.path / "server.json"

    @property
    def log_file(self) -> Path:
        """What the server and the watchdog say."""
        return self.path / "server.log"

    def prepare(self) -> None:
        """Make the folder and see that it can be written.

        Raises:
            DataFolderUnusable: It cannot be made or written, or belongs to somebody else.
            FolderVanished: It was discarded while it was being made.
        """
        with self.access():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                owner = self.path.stat().st_uid
                self.opening_lock.parent.mkdir(mode=0o700, exist_ok=True)
            except FileNotFoundError as error:
                raise FolderVanished(self.path) from error
            user = os.geteuid()
            # Root could enter, but would leave files behind that their owner can no longer write.
            spoils = user == 0 and self.data.exists() and self.data.stat().st_uid == owner
        if user != owner and (user != 0 or spoils):
            advice = "run as that user, or choose a folder of your own"
            raise DataFolderUnusable(self.path, f"it belongs to user {owner}", advice)

    @contextmanager
    def opening(self, progress: Callable[[str], None]) -> Generator[Lock]:
        """Be the one process that starts, joins or stops the server; tells `progress` when it has to wait.

        Raises:
            ServerBusy: Another process has been at it for minutes.
        """
        lock = Lock.attempt(self.opening_lock, exclusive=True)
        if lock is None:
            progress("waiting for another process that is starting or stopping the server")
            lock = Lock.take(self.opening_lock, exclusive=True, timeout_s=OPENING_TIMEOUT_S)
        with lock:
            yield lock

    @contextmanager
    def access(self) -> Generator[None]:
        """Turn what the file system refuses into `DataFolderUnusable`."""
        try:
            yield
        except OSError as error:
            reason = f"{error.strerror or error} ({error.filename or self.path})"
            raise DataFolderUnusable(
                self.path, reason, "choose a folder that you may write to, with some 100 MB of room"
            ) from error

    def watchdog_lives(self) -> bool:
        """Whether there is a watchdog, and with it a server that runs, starts or stops."""
        return is_held(self.watchdog_lock)

    def read_state(self) -> ServerState | None:
        """How the server was last started; nothing when it never was, or when the file is damaged."""
        try:
            return msgspec.json.decode(self.state_file.read_bytes(), type=ServerState)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def write_state(self, state: ServerState) -> None:
        """Replace the state at once, so that no reader meets half of it."""
        self.write_private(self.state_file, msgspec.json.encode(state))

    def write_private(self, path: Path, content: bytes) -> None:
        """Replace a small file that only its owner may read."""
        staged = path.with_name(f"{path.name}.new")
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        staged.replace(path)

    def read_password(self) -> str:
        """The superuser's password."""
        with self.access():
            return self.password_file.read_text()

    def url(self, database: str, port: int) -> str:
        """The URL of a database on the server of this folder.

        Raises:
            InvalidServerOption: No database can have that name.
        """
        if not database or "\0" in database or len(database.encode()) > NAME_BYTES_MAX:
            raise InvalidServerOption("database", database, f"a name of 1 to {NAME_BYTES_MAX} bytes")
        return f"postgresql://{SUPERUSER}:{self.read_password()}@{HOST}:{port}/{quote(database, safe='')}"

    def server_is_ready(self) -> bool:
        """Whether PostgreSQL says of itself that it takes connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def postmaster_pid(self) -> int | None:
        """The process id that PostgreSQL left, which may be stale."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def log_tail(self) -> list[str]:
        """The last lines of the server's log."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES_MAX))
                lines = log.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return lines[-LOG_LINES_MAX:]

    def refuse_foreign_content(self) -> None:
        """Raise before a folder is marked for deletion that holds more than a server of ours.

        Raises:
            ServerConflict: It holds a cluster that was meant to last, or other people's files.
        """
        state = self.read_state()
        foreign = {entry.name for entry in self.path.iterdir()} - OWN_ENTRIES
        foreign = {name for name in foreign if not name.startswith(STAGING_PREFIX)}
        if foreign or (self.cluster.exists() and not (state and state.discard)):
            raise ServerConflict(self.path, "discard", expected=True, found=False)


def default_folder(env: Mapping[str, str]) -> Path:
    """Where the server lives when nobody names a folder: `~/.local/share/fairlead/postgres`, as XDG has it.

    Root's home is closed to the user that the server becomes where namespaces are forbidden; there it is
    `/var/lib/fairlead/postgres`.
    """
    if os.geteuid() == 0 and not namespaces_allowed():
        return Path("/var/lib/fairlead/postgres")
    data_home = env.get("XDG_DATA_HOME", "")
    base = Path(data_home) if os.path.isabs(data_home) else Path.home() / ".local" / "share"
    return base / "fairlead" / "postgres"
