"""What can go wrong with the embedded server, each with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ....ports.errors import AdapterError, Unavailable, UsageError

WHEEL_MAJOR = 18
"""The major version of the server that the extra `embedded` installs."""


class EmbeddedServerError(AdapterError):
    """The machine does not let the embedded server run."""


class NoServerBinaries(EmbeddedServerError):
    """No usable PostgreSQL server was found on this machine."""

    def __init__(self, searched: Sequence[Path], oldest_major: int) -> None:
        self.searched = tuple(searched)
        places = ", ".join(str(place) for place in searched) or "no folder at all"
        super().__init__(
            f"found no PostgreSQL server of version {oldest_major} or later (looked into {places}); "
            'install one with `pip install "fairlead[embedded]"` or from the system\'s packages, '
            "or set DATABASE_URL to a database that is already there"
        )


class ClusterVersionMismatch(EmbeddedServerError):
    """The data folder was made by a major version whose binaries are not here."""

    def __init__(self, folder: Path, cluster_major: int, found_majors: Sequence[int]) -> None:
        self.folder = folder
        self.cluster_major = cluster_major
        self.found_majors = tuple(found_majors)
        found = " and ".join(str(major) for major in dict.fromkeys(found_majors))
        source = (
            'with `pip install "fairlead[embedded]"`' if cluster_major == WHEEL_MAJOR else "from the system's packages"
        )
        super().__init__(
            f"the data in {folder} was written by PostgreSQL {cluster_major}, and the binaries found here are "
            f"of version {found}; install PostgreSQL {cluster_major} {source}, or move the data over with its pg_dump, "
            "or choose another data folder"
        )


class DataFolderUnusable(EmbeddedServerError):
    """The data folder cannot be created, read or written, or holds something else."""

    def __init__(self, folder: Path, reason: str, advice: str) -> None:
        self.folder = folder
        self.reason = reason
        super().__init__(f"the data folder {folder} cannot be used: {reason}; {advice}")


class PortInUse(EmbeddedServerError):
    """The port that was asked for belongs to another program."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} on 127.0.0.1 is used by another program; give another port, or none to have a free one chosen"
        )


class ServerStartFailed(EmbeddedServerError):
    """A server program ended, or did not become ready, while it was being started."""

    def __init__(self, action: str, log_lines: Sequence[str], advice: str) -> None:
        self.action = action
        self.log_lines = tuple(log_lines)
        said = "".join(f"\n  {line}" for line in log_lines) or "\n  (nothing)"
        super().__init__(f"{action} failed; {advice}. Its last words:{said}")


class ServerBusy(Unavailable):
    """Another process holds the data folder's lock for longer than it should."""

    def __init__(self, path: Path, waited_s: float) -> None:
        self.path = path
        self.waited_s = waited_s
        super().__init__(
            f"waited {waited_s:.0f} s for another process to finish starting or stopping the server "
            f"(lock {path}); try again, and end that process if it hangs"
        )


class ServerConflict(UsageError):
    """The running server, or the data folder, differs from what was asked for."""

    def __init__(self, folder: Path, option: str, expected: object, found: object) -> None:
        self.folder = folder
        self.option = option
        self.expected = expected
        self.found = found
        super().__init__(
            f"{option}={expected!r} was asked for, but the server of {folder} has {option}={found!r}; "
            "leave the option out, stop that server first, or choose another data folder"
        )


class InvalidServerOption(UsageError):
    """An option of the embedded server is outside what it allows."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        self.option = option
        self.value = value
        super().__init__(f"{option}={value!r} is not possible; expected {expected}")


class ServerNotRunning(UsageError):
    """An answer was asked for that only a running server can give."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"no server is running in {folder}; start one with `fairlead db start`")


class InvalidDatabaseUrl(UsageError):
    """A database URL is not one of PostgreSQL."""

    def __init__(self, source: str, scheme: str) -> None:
        self.source = source
        self.scheme = scheme
        super().__init__(
            f"the database URL from {source} starts with {scheme!r}; "
            "expected postgresql://user:password@host:port/database"
        )
