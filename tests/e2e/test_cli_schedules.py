"""Runs that start by themselves, through the commands alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.support.commands import PATIENCE_S, Commands

APP = """
from fairlead.kernel import Flow, Kernel, Ports

report = Flow("report", version=1)

@report.step
def compute(input: int) -> int:
    return input

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[report], ports=ports)
"""


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


def asked(app: Commands, *words: str) -> Any:
    """What a command answers to a program."""
    return json.loads(app.ok(*words, "--json"))


def add(app: Commands, *words: str) -> Any:
    """Make a schedule."""
    return asked(app, "schedules", "add", "report", "--kernel", "app:kernel", *words)


def test_a_worker_fires_what_was_scheduled(app: Commands) -> None:
    """A cron of every second, a trigger and a start that was put off, in a process of its own."""
    schedule = add(app, "--cron", "* * * * * *", "--input", "7", "--annotation", "made=tick")
    assert (schedule["name"], schedule["status"], schedule["zone"], schedule["runs"]) == ("report", "active", "UTC", 0)
    app.begin("worker", "app:kernel", "--concurrency", "5")
    until = time.monotonic() + PATIENCE_S
    while asked(app, "schedules", "show", "report")["runs"] < 2:
        assert time.monotonic() < until
    paused = asked(app, "schedules", "pause", "report")["schedules"][0]
    run = asked(app, "schedules", "trigger", "report")["run"]
    later = asked(
        app, "start", "report", "--kernel", "app:kernel", "--input", "3", "--after", "0s", "--key", "k",
        "--annotation", "made=later",
    )  # fmt: skip
    ids = {run, later["id"]}
    runs: list[Any] = []
    while time.monotonic() < until and not ids <= {each["id"] for each in runs}:
        runs = asked(app, "runs", "list", "--status", "completed", "--limit", "1000")["runs"]

    assert (paused["status"], paused["next_at"]) == ("paused", None)
    assert ids <= {each["id"] for each in runs}
    ticks = [each["key"] for each in runs if each["key"] is not None and each["key"].startswith("schedule/report/")]
    assert len(ticks) == len(set(ticks)) == asked(app, "schedules", "show", "report")["runs"]
    assert asked(app, "deferred", "list") == {"deferred": []}
    ticked = asked(app, "runs", "list", "--annotation", "made=tick", "--limit", "1000")["runs"]
    by_tick = {each["id"] for each in ticked}
    assert (run in by_tick, later["id"] in by_tick) == (True, False)
    assert [each["id"] for each in asked(app, "runs", "list", "--annotation", "made=later")["runs"]] == [later["id"]]


def test_schedules_are_looked_after(app: Commands) -> None:
    """Without the code of their flows: listed, paused, resumed, removed, as tables and as JSON."""
    assert app.ok("schedules", "list") == "no schedules\n"
    add(app, "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--catch-up", "last", "--input", "1")
    add(app, "--cron", "@yearly", "--input", "2", "--name", "other", "--priority", "3", "--annotation", "tier=3")

    listed = app.ok("schedules", "list").splitlines()
    assert listed[0].split() == ["SCHEDULE", "FLOW", "CRON", "ZONE", "STATUS", "NEXT", "LAST", "TICK", "RUNS"]
    assert [line.split()[0] for line in listed[1:]] == ["other", "report"]
    assert "schedule report is paused: it does not tick" in app.ok("schedules", "pause", "report")
    assert "schedule report is active: next at" in app.ok("schedules", "resume", "report")
    shown = app.ok("schedules", "show", "other")
    assert "schedule other: active\n  flow       report, priority 3\n  ticks      @yearly in UTC" in shown
    assert "  annotated  tier=3\n" in shown
    assert asked(app, "schedules", "show", "other")["annotations"] == {"tier": 3}
    missing = app("schedules", "remove", "other", "reprot")
    assert (missing.returncode, "did you mean 'report'?" in missing.stderr) == (2, True)
    assert app.ok("schedules", "remove", "other", "report") == "schedule other is removed\nschedule report is removed\n"
    assert asked(app, "schedules", "list") == {"schedules": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cron", "61 * * * *"], "is no cron expression: bad minute"),
        (["--cron", "@daily", "--zone", "Europe/Berlim"], "did you mean 'Europe/Berlin'"),
        (["--cron", "@daily", "--input", '"x"'], "Expected `int`"),
        (["--cron", "@daily", "--catch-up", "some"], "'some' is not one of"),
    ],
)
def test_what_is_wrong_is_told(app: Commands, words: list[str], said: str) -> None:
    """With exit code 2, and nothing is scheduled."""
    found = app("schedules", "add", "report", "--kernel", "app:kernel", *words)

    assert (found.returncode, said in found.stderr) == (2, True), found.stderr
    assert asked(app, "schedules", "list") == {"schedules": []}


def test_what_is_put_off_is_looked_after(app: Commands) -> None:
    """Starts and deadlines: listed, withdrawn, and tried at once."""
    assert app.ok("deferred", "list") == "nothing is put off\n"
    later = ["start", "report", "--kernel", "app:kernel", "--input", "3"]
    first = asked(app, *later, "--after", "2h")
    second = asked(app, *later, "--at", "2099-01-01T00:00+02:00", "--key", "k")
    again = app.ok(*later, "--after", "5m", "--key", "k")
    run = asked(app, *later)
    deadline = asked(app, "deferred", "cancel", "latest", "--after", "1h", "--reason", "too slow")

    assert (second["due_at"], second["command"]) == ("2098-12-31T22:00:00Z", "start/report/k")
    assert f"run {second['id']} of report: known already, by its key" in again
    assert (deadline["run"], deadline["kind"]) == (run["id"], "cancel")
    names = [each["name"] for each in asked(app, "deferred", "list")["deferred"]]
    assert names == [f"cancel/{run['id']}", *sorted([first["command"], second["command"]])]
    assert app.ok("deferred", "withdraw", first["command"]) == f"{first['command']}: withdrawn\n"
    gone = app("deferred", "withdraw", first["command"])
    assert (gone.returncode, "too late" in gone.stdout) == (2, True)
    assert "by the next worker" in app.ok("deferred", "retry", second["command"])
    for words in ([*later, "--after", "1s", "--wait"], [*later, "--after", "1s", "--at", "2099-01-01"]):
        assert app(*words).returncode == 2
    assert app("deferred", "cancel", "latest").returncode == 2
    assert app("deferred", "retry", "start/nothing").returncode == 2
