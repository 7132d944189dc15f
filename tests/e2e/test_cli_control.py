"""Runs ended and begun anew through the commands alone: one by one, many at once, and on trial."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.commands import Commands

APP = """
from pathlib import Path
from fairlead.kernel import Flow, Kernel, Ports

sheets = Flow("sheets", version=1, max_attempts=1)

@sheets.map(over="input", tolerate_failures=1)
def read(item: int) -> str:
    with open("read.txt", "a") as ledger:
        print(item, file=ledger)
    if item % 2 and not Path("mended").exists():
        raise ValueError(f"sheet {item} is torn")
    return f"sheet {item}"

@sheets.step
def bind(read: list[str | None]) -> str:
    return ", ".join(str(each) for each in read)

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[sheets], ports=ports)
"""


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


def start(app: Commands, sheets: list[int], *arguments: str) -> str:
    """Start a run; its id."""
    command = ("start", "sheets", "--kernel", "app:kernel", "--input", json.dumps(sheets), "--json")
    identity: str = json.loads(app.ok(*command, *arguments))["id"]
    return identity


def ended(app: Commands, run: str) -> dict[str, Any]:
    """A run at its end, with everything of it."""
    app("runs", "watch", run, "--timeout", "60")
    details: dict[str, Any] = json.loads(app.ok("runs", "show", run, "--payloads", "--json"))
    return details


def of_app(*arguments: str) -> tuple[str, ...]:
    """A command with the kernel that has the flow."""
    return ("runs", *arguments, "--kernel", "app:kernel")


def test_a_failed_run_is_retried(app: Commands) -> None:
    """Only the sheets that could not be read are read again; `show` tells both generations."""
    app.begin("worker", "app:kernel")
    run = start(app, [0, 1, 2, 3])
    assert ended(app, run)["run"]["status"] == "failed"
    (app.folder / "mended").touch()
    before = (app.folder / "read.txt").read_text().split()

    trial = app.ok(*of_app("retry", run[-8:], "--dry-run"))
    answer = json.loads(app.ok(*of_app("retry", run[-8:], "--json")))

    elements = answer["runs"][0]["elements"]
    assert answer == {
        "dry_run": False,
        "runs": [
            {
                "id": run,
                "restarted": True,
                "found": "failed",
                "generation": 2,
                "steps": ["read", "bind"],
                "elements": elements,
            }
        ],
    }
    assert trial == (
        f"run {run}: it was failed, and would begin anew in generation 2: read ({elements['read']} elements), bind\n"
    )
    details = ended(app, run)
    again = (app.folder / "read.txt").read_text().split()[len(before) :]
    assert {"1", "3"} <= set(again)
    assert len(again) == elements["read"]
    assert details["payloads"]["outputs"]["bind"]["outputs"] == ["sheet 0, sheet 1, sheet 2, sheet 3"]
    assert [(each["generation"], each["status"]) for each in details["generations"]] == [(1, "failed")]
    shown = app.ok("runs", "show", run)
    assert "anew      in generation 2" in shown
    assert [line.split()[:2] for line in shown.splitlines() if line.startswith("EVENT")] == [["EVENT", "GENERATION"]]
    assert "[0], attempt" not in shown.replace("[0], generation 1, attempt", "")
    assert "kept: elements that an earlier generation had completed" in shown


def test_a_completed_run_is_rerun_from_a_step(app: Commands) -> None:
    """Of the steps before it nothing is executed again."""
    app.begin("worker", "app:kernel")
    run = start(app, [0, 2])
    assert ended(app, run)["run"]["status"] == "completed"

    app.ok(*of_app("rerun", run, "--from", "bind"))
    details = ended(app, run)

    assert (details["run"]["status"], details["run"]["generation"]) == ("completed", 2)
    assert sorted((app.folder / "read.txt").read_text().split()) == ["0", "2"]
    assert [(step["step"], step["generation"]) for step in details["steps"]] == [("read", 1), ("bind", 1), ("bind", 2)]


def test_what_cannot_be_rerun_is_told(app: Commands) -> None:
    """A live run, or a step that there is none of: in a sentence each, and of several runs none is touched."""
    pending = start(app, [1])
    cancelled = start(app, [2])
    app.ok("runs", "cancel", cancelled)

    live = app(*of_app("rerun", cancelled, pending, "--from", "bind"))
    unknown = app(*of_app("rerun", cancelled, "--from", "bnid"))

    assert (live.returncode, unknown.returncode) == (2, 2)
    assert f"run {pending} is pending, and only a run that has ended can begin anew" in live.stderr
    assert "bnid" in unknown.stderr
    assert "'bind'" in unknown.stderr
    assert json.loads(app.ok("runs", "show", cancelled, "--json"))["run"]["generation"] == 1


def test_many_runs_are_cancelled_and_retried_by_what_they_are(app: Commands) -> None:
    """First on trial; without a person or --yes nothing is done; one that is refused keeps no other back."""
    runs = [start(app, [number]) for number in range(3)]
    chosen = ("runs", "cancel", "--flow", "sheets")

    trial = json.loads(app.ok(*chosen, "--dry-run", "--json"))
    unconfirmed = app(*chosen)
    text = app.ok(*chosen, "--yes", "--reason", "too many")
    again = json.loads(app.ok(*chosen, "--yes", "--json"))

    assert trial == {
        "dry_run": True,
        "runs": [{"id": run, "cancelled": False, "found": "pending"} for run in reversed(runs)],
    }
    assert unconfirmed.returncode == 2
    assert "nothing was done, since 3 runs are meant" in unconfirmed.stderr
    assert text.splitlines() == [f"run {run}: cancelled, it was pending" for run in reversed(runs)]
    assert again == {"dry_run": False, "runs": []}

    retried = json.loads(app.ok(*of_app("retry", "--status", "cancelled", "--yes", "--json")))["runs"]
    refused = json.loads(app.ok(*of_app("rerun", "--status", "running", "--from", "read", "--yes", "--json")))["runs"]

    assert [(each["id"], each["generation"]) for each in retried] == [(run, 2) for run in reversed(runs)]
    assert [each["id"] for each in refused] == list(reversed(runs))
    assert all("is running" in each["refused"] for each in refused)


def test_which_runs_are_meant_has_to_be_said(app: Commands) -> None:
    """By name or by what they are, and not by both."""
    neither = app("runs", "cancel")
    both = app("runs", "cancel", "latest", "--flow", "sheets")

    assert (neither.returncode, both.returncode) == (2, 2)
    assert "which runs?" in neither.stderr
    assert "not both" in both.stderr
