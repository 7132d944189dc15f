"""Looking after a database through the commands alone: why, doctor, prune."""

from __future__ import annotations

import json
import shlex
import signal
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support.commands import PATIENCE_S, Commands

APP = """
from fairlead.kernel import Flow, Kernel, Ports

greet = Flow("greet", version=1, max_attempts=2, base_delay=3600)

@greet.step
def hello(input: str) -> str:
    if input == "nobody":
        raise ValueError("there is nobody to greet")
    return f"hello {input}"

@greet.step
def bye(hello: str) -> str:
    return hello

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[greet], ports=ports)
"""


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


def start(app: Commands, value: str, *arguments: str) -> str:
    """Start a run; its id."""
    answer = app.ok("start", "greet", "--kernel", "app:kernel", "--input", json.dumps(value), "--json", *arguments)
    return str(json.loads(answer)["id"])


def causes(app: Commands, run: str) -> list[dict[str, Any]]:
    """Why a run is where it is."""
    found: list[dict[str, Any]] = json.loads(app.ok("why", run, "--json"))["causes"]
    return found


def test_why_a_run_does_not_move(app: Commands) -> None:
    """No host yet; then a retry that has its time; then it has ended."""
    run = start(app, "nobody")
    (before,) = causes(app, run)
    worker = app.begin("worker", "app:kernel")
    completed = start(app, "Ada", "--wait", "--timeout", "60")
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    nobody, after = causes(app, run)
    (done,) = causes(app, completed)
    told = app.ok("why", run)

    assert (before["kind"], before["what"]) == (
        "no_host",
        "no host that runs has flow 'greet' in version 1 (no host runs at all)",
    )
    assert nobody["kind"] == "no_host"
    assert "nothing of it happens while no host runs" in nobody["what"]
    assert " ended " in nobody["what"]
    assert after["kind"] == "retry"
    assert "ValueError: there is nobody to greet" in after["what"]
    assert done["kind"] == "ended"
    assert done["what"].startswith("the run is completed, and ended at ")
    assert "nothing is left to be done" in done["remedy"]
    assert f"run {run} of greet (version 1): running" in told
    assert "behind that: bye" in told


def test_a_command_that_is_proposed_does_what_it_says(app: Commands, migrated_url: str) -> None:
    """It is typed as it is printed, with the kernel and the database that its reader gave."""
    run = start(app, "nobody")
    parts = urlsplit(migrated_url)
    address = f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"
    del app.environment["DATABASE_URL"]
    app.environment["PGPASSWORD"] = parts.password or ""
    remedy = app.ok("why", run, "--kernel", "app:kernel", "--database", address).rpartition("`fairlead ")[2]
    worker = app.begin(*shlex.split(remedy.partition("`")[0]))
    start(app, "Ada", "--wait", "--timeout", "60", "--database", address)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    unknown = app("runs", "show", "ffffffff", "--database", address)

    assert remedy.startswith(f"worker app:kernel --database {address}`")
    assert f"`fairlead runs list --database {address}`" in unknown.stderr


def test_why_of_nothing(app: Commands) -> None:
    """A run that is not there is told as everywhere."""
    found = app("why", "latest")

    assert found.returncode == 2
    assert "no run" in found.stderr


def test_the_doctor_says_what_is_wrong(app: Commands, migrated_url: str) -> None:
    """0 where all is well, 1 where something needs somebody, 70 where a rule is broken; nothing is changed."""
    assert "all is well" in app.ok("doctor")
    run = start(app, "Ada")
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("UPDATE fairlead.runs SET created_at = created_at - interval '1 hour'")
    trouble = app("doctor", "--json")
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("UPDATE fairlead.runs SET status = 'completed', next_sequence = 7")
    broken = app("doctor")

    assert trouble.returncode == 1
    (finding,) = json.loads(trouble.stdout)["findings"]
    assert (finding["severity"], finding["name"]) == ("trouble", "no_host")
    assert broken.returncode == 70
    assert "broken: " in broken.stdout
    assert run in broken.stdout
    assert "report it" in broken.stdout


def test_prune_removes_what_ended_long_ago(app: Commands) -> None:
    """First it says what it would do; then the run is gone, and its key is free."""
    worker = app.begin("worker", "app:kernel")
    gone = start(app, "Ada", "--key", "ada", "--wait", "--timeout", "60")
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    kept = start(app, "Bob")

    assert app.ok("prune", "--older-than", "1h") == "removed: 0 runs with 0 tasks and 0 blobs\n"
    assert app.ok("prune", "--older-than", "0s", "--dry-run") == "would be removed: 1 run with 2 tasks\n"
    pruned = json.loads(app.ok("prune", "--older-than", "0s", "--orphaned-blobs", "--json"))

    assert pruned == {
        "dry_run": False,
        "pruned": {"runs": 1, "tasks": 2, "blobs": 0, "kept_back": {"unpublished": 0, "dead_letters": 0}},
        "orphans": {"blobs": 0, "size_bytes": 0, "kept": 0, "foreign": 0},
    }
    assert [run["id"] for run in json.loads(app.ok("runs", "list", "--json"))["runs"]] == [kept]
    assert start(app, "Ada", "--key", "ada") not in (gone, kept)
    assert "all is well" in app.ok("doctor")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what is old: --older-than 30d; or give --orphaned-blobs"),
        (("--older-than", "a while"), "'a while' is no length of time; write 45s, 90m, 12h, 30d or 4w"),
        (("--older-than", "9999999w"), "at most 3650 days"),
        (("--orphaned-blobs", "--flow", "greet"), "--flow says whose runs are removed, so it needs --older-than"),
        (("--orphaned-blobs", "--dead-letters"), "--dead-letters go with their runs, so it needs --older-than"),
    ],
)
def test_a_prune_that_makes_no_sense_removes_nothing(app: Commands, arguments: tuple[str, ...], told: str) -> None:
    """It says what is missing."""
    found = app("prune", *arguments)

    assert found.returncode == 2
    assert told in found.stderr
