"""Fixtures for the embedded server: data folders that must be left without a server, and other processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from fairlead.adapters.postgres.embedded import EmbeddedServer, candidate_folders, find_binaries, stop_server
from fairlead.adapters.postgres.embedded.data_folder import DataFolder

NOBODY = 65_534
"""An ordinary user that owns nothing; ids need no account to own files."""

PYTHON_PATH = [str(Path(__file__).parents[5] / ".dev"), *filter(None, sys.path)]
"""What another interpreter needs to find this package and what it depends on."""

USER = """
import sys
from pathlib import Path
from fairlead.adapters.postgres.embedded import EmbeddedServer

with EmbeddedServer.open(Path(sys.argv[1]), progress=lambda line: print(line, file=sys.stderr)) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
"""A process that uses the server of a folder until its standard input ends."""


class User:
    """Another process that uses the server of a folder."""

    def __init__(self, command: list[str], uid: int | None) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(PYTHON_PATH)},
            cwd="/",
        )

    def line(self) -> str:
        """The next line it prints; of `USER` the first is the server's URL."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[str, str]:
        """Let it end by itself; what else it printed, and what it said on standard error."""
        return self.process.communicate(timeout=60)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def new_user() -> Generator[Callable[..., User]]:
    """Starts processes: `new_user(folder)`, or with code of their own; none survives the test."""
    users: list[User] = []

    def start(folder: Path, code: str = USER, *, uid: int | None = None, python: str = sys.executable) -> User:
        users.append(User([python, "-c", code, str(folder)], uid))
        return users[-1]

    yield start
    for user in users:
        user.kill()
        for stream in (user.process.stdin, user.process.stdout, user.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def empty_folder(fast_place: Path) -> Generator[Path]:
    """A data folder that does not exist yet. After the test no server may run in it."""
    base = Path(tempfile.mkdtemp(prefix="fairlead-", dir=fast_place))
    yield base / "postgres"
    left_running = stop_server(base / "postgres")
    shutil.rmtree(base)
    assert not left_running


@pytest.fixture(scope="session")
def pristine_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that was created and never started."""
    folder = tmp_path_factory.mktemp("pristine") / "postgres"
    EmbeddedServer.open(folder, durable=False).close()
    return folder / "cluster"


@pytest.fixture
def folder(empty_folder: Path, pristine_cluster: Path) -> Path:
    """A data folder with a cluster in it; quicker than one that has to be created."""
    place = DataFolder(empty_folder)
    place.prepare()
    shutil.copytree(pristine_cluster, place.cluster)
    return empty_folder


@pytest.fixture(scope="session")
def nobody() -> int:
    """The id of a user that owns nothing and can run the server's programs; skips where there is none."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    programs = find_binaries(candidate_folders(os.environ))
    if not can_run(NOBODY, [str(programs.initdb), "--version"], {}):
        pytest.skip(f"another user cannot reach {programs.folder}")
    return NOBODY


@pytest.fixture(scope="session")
def nobody_s_python(nobody: int) -> str:
    """A Python that the other user can run with this package: this very one, or the system's if it is alike."""
    for python in (sys.executable, "/usr/bin/python3"):
        check = (
            f"import sys, fairlead.adapters.postgres.embedded; assert sys.version_info[:2] == {sys.version_info[:2]}"
        )
        if can_run(nobody, [python, "-c", check], {"PYTHONPATH": os.pathsep.join(PYTHON_PATH)}):
            return python
    pytest.skip("another user can reach no Python of this version with this package")


def can_run(uid: int, command: list[str], env: dict[str, str]) -> bool:
    """Whether another user can run a command to its good end."""
    try:
        subprocess.run(command, user=uid, group=uid, extra_groups=[], check=True, capture_output=True, env=env, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
