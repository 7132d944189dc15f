"""As whom the server runs: root with and without user namespaces, and ordinary users."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from fairlead.adapters.postgres.embedded import (
    DataFolderUnusable,
    EmbeddedServer,
    EmbeddedServerError,
    default_folder,
    identity,
)
from fairlead.adapters.postgres.embedded import data_folder as data_folder_module
from fairlead.adapters.postgres.embedded.data_folder import DataFolder
from fairlead.adapters.postgres.embedded.locks import Lock

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that forbids user namespaces, as most containers do."""
    for module in (identity, data_folder_module):
        monkeypatch.setattr(module, "namespaces_allowed", lambda: False)


def owner_of_server(folder: Path) -> int:
    """The user of the postmaster's process, as the system sees it."""
    pid = DataFolder(folder).postmaster_pid()
    return Path(f"/proc/{pid}").stat().st_uid


@as_root
def test_root_keeps_its_files_where_namespaces_are_allowed(empty_folder: Path) -> None:
    """In a user namespace PostgreSQL accepts root's own folder, and nothing in it changes hands."""
    if not identity.namespaces_allowed():
        pytest.skip("this machine forbids user namespaces")
    with EmbeddedServer.open(empty_folder, durable=False) as server, psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT 42").fetchone()
        owners = {owner_of_server(empty_folder), DataFolder(empty_folder).data.stat().st_uid}

    assert row == (42,)
    assert owners == {0}
    assert stat.S_IMODE(empty_folder.stat().st_mode) == 0o700


@as_root
@pytest.mark.usefixtures("no_namespaces")
def test_root_becomes_another_user_where_namespaces_are_forbidden(
    empty_folder: Path, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server and its data belong to `nobody`, the password to root; it stays so when namespaces are back."""
    empty_folder.parent.chmod(0o755)
    for _ in range(2):
        with (
            EmbeddedServer.open(empty_folder, durable=False) as server,
            psycopg.connect(server.url) as connection,
        ):
            row = connection.execute("SELECT 42").fetchone()
            owners = {owner_of_server(empty_folder), DataFolder(empty_folder).data.stat().st_uid}
        password = DataFolder(empty_folder).password_file.stat()

        assert row == (42,)
        assert owners == {nobody}
        assert (password.st_uid, stat.S_IMODE(password.st_mode)) == (0, 0o600)
        monkeypatch.undo()


@as_root
@pytest.mark.usefixtures("no_namespaces", "nobody")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_the_other_user_s_server_does_not_outlive_its_watchdog(empty_folder: Path) -> None:
    """Becoming another user does not undo what ends PostgreSQL when its watchdog is killed."""
    empty_folder.parent.chmod(0o755)
    place = DataFolder(empty_folder)
    with EmbeddedServer.open(empty_folder, durable=False):
        os.kill(int(place.watchdog_lock.read_text()), signal.SIGKILL)
        lock = Lock.take(place.server_lock, exclusive=True, timeout_s=20)
        given_up = lock.is_current()
        lock.close()

    assert given_up


@as_root
@pytest.mark.usefixtures("no_namespaces")
def test_a_folder_the_other_user_cannot_reach_is_refused(empty_folder: Path) -> None:
    """Without namespaces a folder below a closed one is an error that names it and a better place."""
    with pytest.raises(DataFolderUnusable, match="/var/lib/fairlead/postgres") as caught:
        EmbeddedServer.open(empty_folder)

    assert str(empty_folder.parent) in str(caught.value)
    assert not DataFolder(empty_folder).cluster.exists()
    assert list(empty_folder.glob(".cluster-*")) == []


@as_root
def test_an_ordinary_user_s_server_is_that_user_s_alone(
    empty_folder: Path, nobody: int, nobody_s_python: str, new_user: Callable[..., Any]
) -> None:
    """An ordinary user's server runs as that user; root does not meddle with it, so it opens again."""
    empty_folder.parent.chmod(0o755)
    os.chown(empty_folder.parent, nobody, nobody)
    for _ in range(2):
        user = new_user(empty_folder, uid=nobody, python=nobody_s_python)
        url = user.line()
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT 42").fetchone()
        owner = owner_of_server(empty_folder)
        said = user.end()[1]
        with pytest.raises(DataFolderUnusable, match=f"belongs to user {nobody}"):
            EmbeddedServer.open(empty_folder)

        assert (row, owner, user.process.returncode) == ((42,), nobody, 0), said


@as_root
def test_nothing_is_left_after_an_ordinary_user_is_killed(
    empty_folder: Path, nobody: int, nobody_s_python: str, new_user: Callable[..., Any]
) -> None:
    """SIGKILL to an ordinary user's process ends its server as well."""
    empty_folder.parent.chmod(0o755)
    os.chown(empty_folder.parent, nobody, nobody)
    user = new_user(empty_folder, uid=nobody, python=nobody_s_python)
    port = urlsplit(str(user.line())).port
    user.kill()
    for path in (DataFolder(empty_folder).watchdog_lock, DataFolder(empty_folder).server_lock):
        Lock.take(path, exclusive=True, timeout_s=20).close()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


@as_root
@pytest.mark.usefixtures("no_namespaces")
def test_root_s_own_cluster_needs_namespaces(folder: Path) -> None:
    """A cluster that root made in a namespace is not given away; the error says what to do instead."""
    os.chown(DataFolder(folder).data, 0, 0)
    with pytest.raises(EmbeddedServerError, match="DATABASE_URL"):
        EmbeddedServer.open(folder)


@as_root
@pytest.mark.usefixtures("no_namespaces")
def test_root_s_default_folder_is_one_that_others_can_reach() -> None:
    """Without namespaces root's home is no place for the server."""

    assert default_folder({}) == Path("/var/lib/fairlead/postgres")


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data home is the absolute one of the environment, else `~/.local/share`."""
    monkeypatch.setattr(data_folder_module, "namespaces_allowed", lambda: True)
    monkeypatch.setenv("HOME", "/home/somebody")

    assert default_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/fairlead/postgres")
    assert default_folder({"XDG_DATA_HOME": "relative"}) == Path("/home/somebody/.local/share/fairlead/postgres")
    assert default_folder({}) == Path("/home/somebody/.local/share/fairlead/postgres")


def test_a_user_without_a_name_needs_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initdb wants a user that /etc/passwd knows; without one, and without namespaces, the error says so."""
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    monkeypatch.setattr(identity, "namespaces_allowed", lambda: False)
    with pytest.raises(EmbeddedServerError, match="user 3999999999"):
        identity.identity_for(Path(tempfile.gettempdir()))
    monkeypatch.setattr(identity, "namespaces_allowed", lambda: True)

    assert identity.identity_for(Path(tempfile.gettempdir())).prefix[1] == "--user"
