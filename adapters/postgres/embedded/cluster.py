"""Creates the cluster: all of it, password included, or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .binaries import Binaries, find_binaries
from .data_folder import STAGING_PREFIX, SUPERUSER, DataFolder
from .errors import DataFolderUnusable, ServerStartFailed
from .identity import Identity, identity_for

PASSWORD_BYTES = 24
"""192 random bits, in characters that need no quoting in a URL."""

INITDB_TIMEOUT_S = 120.0
"""initdb takes half a second here; a loaded machine with a slow disk may take a hundred times that."""

BUILTIN_LOCALE_MAJOR = 17
"""The first major version with a C.UTF-8 of its own."""


def ensure_cluster(
    folder: DataFolder, candidates: Iterable[Path], *, durable: bool, progress: Callable[[str], None]
) -> Binaries:
    """Create the folder's cluster unless it is there, and find the programs that can serve it.

    It is created beside its place and renamed into it, so a crash leaves a staging folder, which the next
    start removes, and never half a cluster. The caller holds the opening lock.

    Args:
        folder: A prepared data folder.
        candidates: Where to look for server programs, the preferred place first.
        durable: Whether the new files are synced to disk before they count.
        progress: Told when a cluster is being created.

    Raises:
        DataFolderUnusable: What lies at the cluster's place is none of ours.
        ClusterVersionMismatch: No program here can read the cluster.
        NoServerBinaries: There are no server programs.
        ServerStartFailed: initdb failed.
    """
    with folder.access():
        for leftover in folder.path.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if folder.cluster.exists():
            return find_binaries(candidates, cluster=folder.data, cluster_major=_cluster_major(folder))
    binaries = find_binaries(candidates)
    progress(f"creating the database cluster in {folder.path} (PostgreSQL {binaries.version})")
    with folder.access():
        _create(folder, binaries, durable=durable)
    return binaries


def server_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for server programs: without the variables by which PostgreSQL's own are steered."""
    return {name: value for name, value in env.items() if not name.startswith("PG")}


def _cluster_major(folder: DataFolder) -> int:
    try:
        return int((folder.data / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError):
        advice = "move it away, or choose another data folder"
        raise DataFolderUnusable(folder.path, f"{folder.data} is not a database cluster", advice) from None


def _create(folder: DataFolder, binaries: Binaries, *, durable: bool) -> None:
    identity = identity_for(folder.data)
    staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=folder.path))
    try:
        data, password = staging / "data", staging / "password"
        data.mkdir(mode=0o700)
        folder.write_private(password, secrets.token_urlsafe(PASSWORD_BYTES).encode())
        _open_for(identity, folder, staging)
        _run_initdb(folder, binaries, identity, _initdb_options(binaries, data, password, durable=durable))
        if identity.uid is not None:
            os.chown(password, os.geteuid(), os.getegid())
        staging.rename(folder.cluster)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _initdb_options(binaries: Binaries, data: Path, password: Path, *, durable: bool) -> list[str]:
    options = [f"--pgdata={data}", f"--username={SUPERUSER}", f"--pwfile={password}"]
    options += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    if binaries.major >= BUILTIN_LOCALE_MAJOR:
        # Independent of the system's locales: a system upgrade cannot reorder an index.
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return options if durable else [*options, "--no-sync"]


def _open_for(identity: Identity, folder: DataFolder, staging: Path) -> None:
    """Let another user come through to the cluster, and own it."""
    if identity.uid is None or identity.gid is None:
        return
    for passage in (folder.path, staging):
        passage.chmod(0o711)
    for owned in (staging / "data", staging / "password"):
        os.chown(owned, identity.uid, identity.gid)
    for parent in folder.path.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise DataFolderUnusable(
                folder.path,
                f"PostgreSQL refuses to run as root, and the user it becomes cannot pass through {parent}",
                "choose a data folder that every user can reach, such as /var/lib/fairlead/postgres",
            )


def _run_initdb(folder: DataFolder, binaries: Binaries, identity: Identity, options: list[str]) -> None:
    try:
        done = subprocess.run(
            [*identity.prefix, str(binaries.initdb), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INITDB_TIMEOUT_S,
            check=False,
            cwd="/",
            env=server_environment(os.environ),
            user=identity.uid,
            group=identity.gid,
            extra_groups=None if identity.uid is None else [],
        )
    except PermissionError as error:
        raise ServerStartFailed(
            f"running {binaries.initdb}",
            [str(error)],
            "PostgreSQL refuses to run as root, and the user it becomes must be able to reach its programs: "
            "install PostgreSQL from the system's packages",
        ) from error
    except subprocess.TimeoutExpired as error:
        advice = f"it took longer than {INITDB_TIMEOUT_S:.0f} s; look for a hanging disk"
        raise ServerStartFailed("creating the database cluster", [], advice) from error
    if done.returncode != 0:
        advice = f"see that {folder.path} can be written and has 100 MB of room"
        raise ServerStartFailed("creating the database cluster", done.stdout.splitlines()[-12:], advice)
