"""Everything that a person can get wrong, or the world can refuse: one sentence, an exit code, no traceback."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.support.commands import Commands

APP = """
from fairlead.kernel import Flow, Kernel, Ports

greet = Flow("greet", version=1)

@greet.step
def hello(input: str) -> str:
    return f"hello {input}"

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[greet], ports=ports)
"""


@pytest.fixture
def app(fairlead: Commands) -> Commands:
    """The command, in a folder with an app."""
    (fairlead.folder / "app.py").write_text(APP)
    return fairlead


def told(fairlead: Commands, *arguments: str | Path) -> tuple[int, str]:
    """The exit code and the one line on stderr of a command that fails; stdout must be empty."""
    found = fairlead(*arguments)
    lines = found.stderr.splitlines()

    assert found.stdout == ""
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("Error: ")
    return found.returncode, lines[0].removeprefix("Error: ")


def changed(url: str, *, password: str | None = None, database: str | None = None, port: int | None = None) -> str:
    """The URL of another password, database or port."""
    parts = urlsplit(url)
    secret = parts.password if password is None else password
    place = f"{parts.username}:{secret}@{parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=place, path=parts.path if database is None else f"/{database}"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["start", "greet", "--kernel", "app:kernel", "--input", '{"a":'], 2, "--input: $: is not JSON"),
        (["start", "gret", "--kernel", "app:kernel"], 2, "did you mean 'greet'?"),
        (["start", "greet", "--kernel", "app:kernel", "--input", "[1]"], 2, "$: Expected `str`, got `array`"),
        (["start", "greet", "--kernel", "ap:kernel"], 2, "there is no module 'ap'; did you mean 'app'?"),
        (["worker", "app:kernl"], 2, "module 'app' has no 'kernl'; did you mean 'kernel'?"),
        (["worker", "app:__name__"], 2, "it is of type str; expected a Kernel"),
        (["worker", "app:kernel", "--queue", "defualt"], 2, "did you mean 'default'?"),
        (["worker", "app:kernel", "--resources", "app:APP"], 2, "module 'app' has no 'APP'"),
        (["worker", "app:kernel", "--resources", "os.path:join"], 2, "it wants 'a'; expected a mapping of resources"),
        (["worker", "app:kernel", "--lease", "-1"], 2, "option 'lease_duration' must be"),
        (["runs", "show", "no-such-run"], 2, "'no-such-run' names no run: expected an id, the end"),
        (["runs", "watch", "01a1fa92-ec1b-75cc-81fc-41a37d9b0bf2"], 2, "there is no run '01a1fa92-"),
        (["runs", "cancel", "latest"], 2, "'latest' is no run, since none was ever started"),
        (["runs", "show", "01a1fa92-ec1b-75cc-81fc-41a37d9b0bf2"], 2, "there is no run '01a1fa92-"),
    ],
)
def test_wrong_words(app: Commands, migrated_url: str, arguments: list[str], code: int, said: str) -> None:
    """Malformed JSON, unknown flows, modules, names, queues, runs; values that do not fit."""
    found_code, sentence = told(app, *arguments, "--database", migrated_url)

    assert said in sentence
    assert found_code == code
    assert json.loads(app.ok("runs", "list", "--json", "--database", migrated_url)) == {"runs": [], "next": None}


COMMANDS = [
    ["runs", "list"],
    ["start", "greet", "--kernel", "app:kernel", "--input", '"x"'],
    ["worker", "app:kernel"],
    ["demo", "."],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_a_database_without_tables(app: Commands, empty_database_url: str, arguments: list[str]) -> None:
    """Each command says which command makes them."""
    code, sentence = told(app, *arguments, "--database", empty_database_url)

    assert "run `fairlead migrate" in sentence
    assert code == 1


@pytest.mark.parametrize("arguments", [*COMMANDS, ["migrate"]], ids=lambda words: words[0])
def test_a_database_of_a_newer_version(app: Commands, migrated_url: str, arguments: list[str]) -> None:
    """An old installation touches nothing and says to upgrade."""
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("INSERT INTO fairlead.migrations (version, name) VALUES (9999, 'from_the_future')")
    code, sentence = told(app, *arguments, "--database", migrated_url)

    assert "9999" in sentence
    assert "upgrade fairlead" in sentence
    assert code == 1


@pytest.mark.parametrize("arguments", [*COMMANDS, ["migrate"]], ids=lambda words: words[0])
def test_a_database_that_is_not_there(app: Commands, arguments: list[str]) -> None:
    """A port where nobody listens: check the URL and the server."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://me:secret@127.0.0.1:{nobody.getsockname()[1]}/x"
        code, sentence = told(app, *arguments, "--database", url)

    assert "Connection refused; check the URL, and that the server runs and is reachable" in sentence
    assert "secret" not in sentence
    assert code == 1


def test_a_database_that_refuses(app: Commands, migrated_url: str) -> None:
    """A wrong password and a database that does not exist are told apart."""
    password = told(app, "runs", "list", "--database", changed(migrated_url, password="wrong"))
    database = told(app, "runs", "list", "--database", changed(migrated_url, database="nowhere"))

    assert "password authentication failed" in password[1]
    assert "check the user and the password in the URL" in password[1]
    assert 'database "nowhere" does not exist; create the database, or correct its name in the URL' in database[1]
    assert (password[0], database[0]) == (1, 1)


def test_a_url_of_something_else(app: Commands) -> None:
    """Only PostgreSQL will do, on the command line and in the environment."""
    given = told(app, "runs", "list", "--database", "mysql://me@host/x")
    app.environment["DATABASE_URL"] = "sqlite:///x"
    inherited = told(app, "runs", "list")

    assert "the database URL from the command line starts with 'mysql'; expected postgresql://" in given[1]
    assert "the database URL from DATABASE_URL starts with 'sqlite'; expected postgresql://" in inherited[1]
    assert (given[0], inherited[0]) == (2, 2)


def test_a_data_folder_that_cannot_be_written(app: Commands) -> None:
    """The embedded server's folder lies where nothing can be made."""
    (app.folder / "file").write_text("")
    code, sentence = told(app, "runs", "list", "--data-folder", "file/under")

    assert "file/under cannot be used: Not a directory" in sentence
    assert "choose a folder that you may write to" in sentence
    assert code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_data_folder(app: Commands) -> None:
    """Permission denied is told with the folder."""
    closed = app.folder / "closed"
    closed.mkdir(mode=0o500)
    code, sentence = told(app, "runs", "list", "--data-folder", closed / "data")

    assert "cannot be used: Permission denied" in sentence
    assert code == 1


def test_a_port_that_is_taken(app: Commands) -> None:
    """The embedded server is asked to listen where another program does."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, sentence = told(app, "db", "start", "--port", str(other.getsockname()[1]))

    assert "is used by another program; give another port" in sentence
    assert code == 1


@pytest.mark.parametrize(
    ("report", "said"),
    [("missing/report.md", "its folder does not exist"), (".", "it is a folder"), ("app.py/x", "its folder does not")],
)
def test_a_report_without_a_place(app: Commands, migrated_url: str, report: str, said: str) -> None:
    """Told before anything is started."""
    code, sentence = told(app, "demo", ".", "--report", report, "--database", migrated_url)

    assert said in sentence
    assert code == 2
    assert json.loads(app.ok("runs", "list", "--json", "--database", migrated_url))["runs"] == []


def test_failures_are_json_for_programs(app: Commands, empty_database_url: str) -> None:
    """One object on stderr, nothing on stdout."""
    found = app("runs", "list", "--json", "--database", empty_database_url)

    assert found.stdout == ""
    assert found.returncode == 1
    failure = json.loads(found.stderr)
    assert (failure["error"], failure["exit_code"]) == ("SchemaMissing", 1)


def test_a_folder_that_is_not_there(fairlead: Commands) -> None:
    """Click's own checks have the same exit code."""
    found = fairlead("demo", "missing")

    assert found.returncode == 2
    assert "Directory 'missing' does not exist" in found.stderr
