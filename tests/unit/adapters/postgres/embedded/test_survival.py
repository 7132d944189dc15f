"""Processes that die, and processes that come at the same moment. Waiting is done on the kernel's locks."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from fairlead.adapters.postgres.embedded import EmbeddedServer, launcher, server_status, watchdog
from fairlead.adapters.postgres.embedded.binaries import Binaries, candidate_folders, find_binaries
from fairlead.adapters.postgres.embedded.data_folder import DataFolder
from fairlead.adapters.postgres.embedded.locks import Lock, is_held

GONE_TIMEOUT_S = 20.0
"""What takes a tenth of a second may take longer on a machine that is busy; only failures wait this long."""

NewUser = Callable[..., Any]


def wait_until_gone(folder: Path) -> None:
    """Wait until the watchdog and every process of PostgreSQL have let their locks go."""
    place = DataFolder(folder)
    for path in (place.watchdog_lock, place.server_lock):
        Lock.take(path, exclusive=True, timeout_s=GONE_TIMEOUT_S).close()


def processes(folder: Path) -> list[int]:
    """The watchdog and the postmaster of a folder."""
    place = DataFolder(folder)
    postmaster = place.postmaster_pid()
    assert postmaster is not None
    return [int(place.watchdog_lock.read_text()), postmaster]


def is_dead(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to notice."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def port_is_open(url: str) -> bool:
    """Whether anybody listens on the port of a URL."""
    try:
        with socket.create_connection(("127.0.0.1", urlsplit(url).port)):
            return True
    except ConnectionRefusedError:
        return False


def test_nothing_is_left_after_the_only_user_is_killed(folder: Path, new_user: NewUser) -> None:
    """SIGKILL to the only user: watchdog and PostgreSQL end, and the port is closed."""
    user = new_user(folder)
    url = user.line()
    pids = processes(folder)
    alive = [not is_dead(pid) for pid in pids]
    user.kill()
    wait_until_gone(folder)

    assert alive == [True, True]
    assert [pid for pid in pids if not is_dead(pid)] == []
    assert not port_is_open(url)


def test_a_temporary_folder_goes_with_a_killed_user(empty_folder: Path, new_user: NewUser) -> None:
    """SIGKILL to the only user of a temporary server: its folder is deleted as well."""
    code = (
        "import sys; from pathlib import Path; from fairlead.adapters.postgres.embedded import EmbeddedServer\n"
        "server = EmbeddedServer.open(Path(sys.argv[1]), durable=False, discard=True)\n"
        "print(server.url, flush=True); sys.stdin.read()"
    )
    user = new_user(empty_folder, code)
    user.line()
    with open(DataFolder(empty_folder).watchdog_lock) as watchdog:
        user.kill()
        fcntl.flock(watchdog, fcntl.LOCK_EX)

    assert list(empty_folder.parent.iterdir()) == []


def test_a_killed_user_does_not_take_the_server_from_the_others(folder: Path, new_user: NewUser) -> None:
    """SIGKILL to the process that started the server: who joined it goes on without noticing."""
    starter = new_user(folder)
    url = starter.line()
    with EmbeddedServer.open(folder) as server, psycopg.connect(server.url) as connection:
        starter.kill()
        answered = connection.execute("SELECT 42").fetchone()

    assert server.url == url
    assert answered == (42,)


def test_processes_that_open_at_the_same_moment_share_one_server(empty_folder: Path, new_user: NewUser) -> None:
    """Of four processes that open a folder nobody has used, one creates the cluster, and all get one URL."""
    users = [new_user(empty_folder) for _ in range(4)]
    urls = {user.line() for user in users}
    said = [user.end()[1] for user in users]
    wait_until_gone(empty_folder)

    assert len(urls) == 1
    assert ["creating the database cluster" in lines for lines in said].count(True) == 1
    assert [user.process.returncode for user in users] == [0, 0, 0, 0]


@pytest.mark.parametrize("discard", [False, True])
def test_coming_and_going_never_meets_a_stopping_server(folder: Path, new_user: NewUser, discard: bool) -> None:
    """Three processes open, query and leave again and again, in each other's way; every query is answered."""
    code = f"""
import sys
from pathlib import Path
import psycopg
from fairlead.adapters.postgres.embedded import EmbeddedServer

for _ in range({4 if discard else 12}):
    with EmbeddedServer.open(Path(sys.argv[1]), durable=False, discard={discard}) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("SELECT 1")
print("done")
"""
    place = folder.parent / "temporary" if discard else folder
    users = [new_user(place, code) for _ in range(3)]
    ends = [user.end() for user in users]

    assert ends == [("done\n", "")] * 3
    assert not server_status(place).running


def test_a_folder_that_is_replaced_while_it_is_entered_is_entered_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder goes and comes back between opening its lock's file and locking it: the new one is locked."""
    place = DataFolder(folder)
    lock_now = Lock.convert
    opened: list[Path] = []

    def lock_after_all_was_replaced(lock: Lock, *, exclusive: bool) -> bool:
        opened.append(lock.path)
        if opened == [place.opening_lock]:
            watchdog.discard(str(folder))
            place.prepare()
        return lock_now(lock, exclusive=exclusive)

    monkeypatch.setattr(Lock, "convert", lock_after_all_was_replaced)
    locked: list[bool] = []
    with (
        EmbeddedServer.open(
            folder, durable=False, progress=lambda _line: locked.append(is_held(place.opening_lock))
        ) as server,
        psycopg.connect(server.url) as connection,
    ):
        row = connection.execute("SELECT 42").fetchone()

    assert locked == [True, True]
    assert row == (42,)


def test_a_killed_postmaster_is_replaced_by_the_next_opening(folder: Path) -> None:
    """SIGKILL to PostgreSQL: the next opening recovers the data, on the same port."""
    with EmbeddedServer.open(folder) as first:
        with psycopg.connect(first.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
        os.kill(processes(folder)[1], signal.SIGKILL)
        wait_until_gone(folder)
        with EmbeddedServer.open(folder) as second, psycopg.connect(second.url) as connection:
            row = connection.execute("SELECT seven FROM kept").fetchone()

    assert row == (7,)
    assert second.url == first.url


def test_a_temporary_folder_goes_although_its_server_was_killed(empty_folder: Path) -> None:
    """SIGKILL to PostgreSQL: the last user's leaving deletes the temporary folder all the same."""
    with EmbeddedServer.open(empty_folder, durable=False, discard=True):
        os.kill(processes(empty_folder)[1], signal.SIGKILL)
        wait_until_gone(empty_folder)

    assert list(empty_folder.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_postgresql_does_not_outlive_its_watchdog(folder: Path) -> None:
    """SIGKILL to the watchdog: PostgreSQL stops by itself, and the next opening starts both again."""
    with EmbeddedServer.open(folder) as first:
        os.kill(processes(folder)[0], signal.SIGKILL)
        wait_until_gone(folder)
        with EmbeddedServer.open(folder) as second, psycopg.connect(second.url) as connection:
            row = connection.execute("SELECT 42").fetchone()

    assert row == (42,)
    assert second.url == first.url


def test_the_locks_tell_a_dead_watchdog_from_a_living_server(folder: Path) -> None:
    """While PostgreSQL outlives its watchdog, the server's lock is held and the watchdog's is not."""
    place = DataFolder(folder)
    with EmbeddedServer.open(folder):
        watchdog_pid, postmaster = processes(folder)
        os.kill(postmaster, signal.SIGSTOP)
        os.kill(watchdog_pid, signal.SIGKILL)
        Lock.take(place.watchdog_lock, exclusive=True, timeout_s=GONE_TIMEOUT_S).close()
        server_lives = is_held(place.server_lock)
        os.kill(postmaster, signal.SIGCONT)
        os.kill(postmaster, signal.SIGINT)
        wait_until_gone(folder)

    assert server_lives


def test_a_server_without_watchdog_is_stopped_before_another_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that still holds the server's lock gets SIGINT, and the new server waits for its end."""
    monkeypatch.setattr(launcher, "ORPHAN_PATIENCE_S", 0.05)
    place = DataFolder(folder)
    with Lock.take(place.server_lock, exclusive=True, timeout_s=1) as lock:
        orphan = subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()])
    (place.data / "postmaster.pid").write_text(f"{orphan.pid}\n")
    said: list[str] = []
    with EmbeddedServer.open(folder, progress=said.append):
        ended = orphan.wait(GONE_TIMEOUT_S)

    assert ended == -signal.SIGINT
    assert said[0] == "stopping a PostgreSQL that lost its watchdog"


def test_a_stale_pid_file_with_a_living_number_is_no_obstacle(folder: Path) -> None:
    """After a crash some other program may have the postmaster's number; the server starts nevertheless."""
    place = DataFolder(folder)
    lines = [str(os.getpid()), str(place.data), "1", "5432", "", "127.0.0.1", "0 0", "ready   "]
    (place.data / "postmaster.pid").write_text("\n".join(lines) + "\n")
    with EmbeddedServer.open(folder) as server, psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT 42").fetchone()

    assert row == (42,)


def fake_binaries(folder: Path, initdb: str) -> Path:
    """Programs of a real server with another initdb."""
    real: Binaries = find_binaries(candidate_folders(os.environ))
    folder.mkdir()
    for name, text in (("initdb", initdb), ("postgres", f'exec "{real.postgres}" "$@"')):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def test_death_while_the_cluster_is_created_leaves_nothing_in_the_way(empty_folder: Path, new_user: NewUser) -> None:
    """SIGKILL in the midst of initdb: no half cluster, and the next opening works and clears up."""
    killing = 'for word; do case $word in --pgdata=*) : > "${word#*=}/half";; esac; done; kill -9 $PPID'
    binaries = fake_binaries(empty_folder.parent / "bin", killing)
    code = (
        "import sys; from pathlib import Path; from fairlead.adapters.postgres.embedded import EmbeddedServer\n"
        f"EmbeddedServer.open(Path(sys.argv[1]), binaries=Path({str(binaries)!r}))"
    )
    user = new_user(empty_folder, code)
    user.end()
    halves = list(empty_folder.glob(".cluster-*/data/half"))
    cluster_existed = DataFolder(empty_folder).cluster.exists()
    with EmbeddedServer.open(empty_folder, durable=False) as server, psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT 42").fetchone()

    assert user.process.returncode == -signal.SIGKILL
    assert len(halves) == 1
    assert not cluster_existed
    assert row == (42,)
    assert list(empty_folder.glob(".cluster-*")) == []


def test_ctrl_c_reaches_the_user_and_not_the_server(folder: Path, new_user: NewUser) -> None:
    """SIGINT to the user's whole process group: the server lives on until the user has cleared up."""
    code = """
import signal, sys
from pathlib import Path
import psycopg
from fairlead.adapters.postgres.embedded import EmbeddedServer

with EmbeddedServer.open(Path(sys.argv[1])) as server, psycopg.connect(server.url) as connection:
    try:
        print(server.url, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print(connection.execute("SELECT 42").fetchone(), flush=True)
"""
    user = new_user(folder, code)
    user.line()
    os.killpg(user.process.pid, signal.SIGINT)
    said = user.end()

    assert said == ("(42,)\n", "")
    assert not is_held(DataFolder(folder).server_lock)
