"""Watching runs and cancelling them, through the commands alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

import pytest

from tests.support.commands import PATIENCE_S, PROGRAM, Commands

APP = """
import asyncio
from pathlib import Path
from fairlead.kernel import Context, Flow, Kernel, Ports

parade = Flow("parade", version=1, base_delay=0)

@parade.step
def line_up(input: int) -> list[int]:
    return list(range(input))

@parade.map(over=line_up)
def march(item: int, ctx: Context) -> int:
    if item == 1 and ctx.attempt == 1:
        raise ValueError("tripped")
    return item

@parade.step(when={"input": 99})
def salute(input: int) -> str:
    return "attention"

broken = Flow("broken", version=1, max_attempts=1)

@broken.step
def fall(input: int) -> int:
    raise ValueError("no legs")

slow = Flow("slow", version=1)

@slow.step
async def wait(input: int) -> int:
    Path("begun").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    return input

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[parade, broken, slow], ports=ports)
"""


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


def start(app: Commands, flow: str, value: int) -> str:
    answer = app.ok("start", flow, "--kernel", "app:kernel", "--input", str(value), "--json")
    found: dict[str, Any] = json.loads(answer)
    return str(found["id"])


def when_begun(app: Commands) -> None:
    """Wait until the slow handler runs."""
    while not (app.folder / "begun").exists():
        for process in app.started:
            assert process.poll() is None, process.communicate()


def test_a_run_is_watched_from_its_start_to_its_end(app: Commands) -> None:
    """Lines as they happen: steps, a retry, a skip, the end; the exit code is 0."""
    run = start(app, "parade", 3)
    watching = app.begin("runs", "watch", run[-8:])
    app.begin("worker", "app:kernel")
    told, said = watching.communicate(timeout=PATIENCE_S)
    words = [line.partition("Z  ")[2] or line for line in told.splitlines()]

    assert (watching.returncode, said) == (0, "")
    assert words[0] == "run created"
    assert "march started, 3 tasks" in words
    assert "march[1] attempt 1 failed (handler_failed): ValueError: tripped; again at once" in words
    assert "salute skipped (condition_unmet)" in words
    assert words[-1].startswith(("run completed", "march: done, 3 of 3"))
    assert "\x1b" not in told


def test_a_run_that_fails_is_told_by_the_exit_code(app: Commands) -> None:
    """3, with the error and the way to see more; as JSON, with the run as the last object."""
    run = start(app, "broken", 1)
    app.begin("worker", "app:kernel")
    people = app("runs", "watch", run)
    programs = app("runs", "watch", "latest", "--json")
    found = [json.loads(line) for line in programs.stdout.splitlines()]

    assert (people.returncode, programs.returncode) == (3, 3)
    assert "run failed (handler_failed): ValueError: no legs" in people.stdout
    assert people.stderr == f"more of it: `fairlead runs show {run}`\n"
    assert [each["kind"] for each in found] == ["event"] * (len(found) - 1) + ["run"]
    assert found[-1]["error"]["message"] == "no legs"
    assert programs.stderr == ""


def test_a_start_can_be_watched(app: Commands) -> None:
    """What happens goes to stderr, the output to stdout."""
    app.begin("worker", "app:kernel")
    found = app("start", "parade", "--kernel", "app:kernel", "--input", "2", "--watch", "--timeout", "60")

    assert found.returncode == 0
    assert "run completed" in found.stderr
    assert json.loads(found.stdout.splitlines()[1]) == {"march": [0, 1]}


def test_ctrl_c_leaves_the_run_alone(app: Commands) -> None:
    """Watching ends with 130; the run goes on and completes."""
    run = start(app, "slow", 7)
    app.begin("worker", "app:kernel")
    watching = app.begin("runs", "watch", run)
    when_begun(app)
    assert watching.stdout is not None
    assert "run created" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=PATIENCE_S)
    (app.folder / "go").touch()

    assert (watching.returncode, said) == (130, "the run goes on\n")
    assert app("runs", "watch", run).returncode == 0


def test_a_terminal_sees_the_run_drawn(app: Commands) -> None:
    """A line for each step, and colours."""
    start(app, "parade", 3)
    app.begin("worker", "app:kernel")
    reading, terminal = os.openpty()
    process = subprocess.Popen(
        [PROGRAM, "runs", "watch", "latest"],
        stdout=terminal,
        stderr=subprocess.PIPE,
        env={**app.environment, "TERM": "xterm", "COLUMNS": "120"},
        cwd=app.folder,
        text=True,
    )
    os.close(terminal)
    picture = drawn(reading)
    _, said = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, said) == (0, "")
    assert all(word in picture for word in ("parade", "✓", "march", "3 of 3", "━", "skipped (condition_unmet)"))


def drawn(terminal: int) -> str:
    """What was written to a terminal until its last writer closed it."""
    parts: list[bytes] = []
    with os.fdopen(terminal, "rb", buffering=0) as reading, suppress(OSError):
        while part := reading.read(65_536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


def test_runs_are_cancelled(app: Commands) -> None:
    """One that waits, one that runs, one that has ended; each is told, and the reason is kept. No flow is needed."""
    ended = start(app, "parade", 1)
    app.begin("worker", "app:kernel")
    app.ok("runs", "watch", ended)
    running = start(app, "slow", 1)
    when_begun(app)
    for process in app.started:
        process.send_signal(signal.SIGSTOP)
    pending = start(app, "parade", 2)
    (app.folder / "app.py").unlink()
    told = app.ok("runs", "cancel", pending[-8:], running, ended, "--reason", "wrong input")
    again = json.loads(app.ok("runs", "cancel", running, "--json"))
    shown = json.loads(app.ok("runs", "show", running, "--json"))

    assert told.splitlines() == [
        f"run {pending}: cancelled, it was pending",
        f"run {running}: cancelled, it was running",
        f"run {ended}: had ended before: completed",
    ]
    assert again["runs"] == [{"id": running, "cancelled": False, "found": "cancelled"}]
    assert (shown["run"]["status"], shown["run"]["reason"]) == ("cancelled", "wrong input")
    assert "cancelled: wrong input" in app("runs", "watch", running).stdout


def test_where_one_name_is_wrong_nothing_is_cancelled(app: Commands) -> None:
    """Exit code 2, and the run that was named rightly goes on waiting."""
    run = start(app, "parade", 1)
    unknown = app("runs", "cancel", run, "0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10")
    misspelt = app("runs", "cancel", run, "ffffff")
    listed = json.loads(app.ok("runs", "list", "--json"))["runs"]

    assert (unknown.returncode, misspelt.returncode) == (2, 2)
    assert "there is no run '0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10'" in unknown.stderr
    assert "'ffffff' is neither the end nor the beginning of an id" in misspelt.stderr
    assert [each["status"] for each in listed] == ["pending"]


def test_payloads_are_shown_on_request(app: Commands) -> None:
    """Input and outputs, for people and for programs; not unasked."""
    run = start(app, "parade", 2)
    app.begin("worker", "app:kernel")
    app.ok("runs", "watch", run)
    shown = app.ok("runs", "show", "latest", "--payloads").splitlines()
    document = json.loads(app.ok("runs", "show", "latest", "--payloads", "--json"))

    assert shown[shown.index("PAYLOADS") + 1 :] == ["input     2", "line_up   [0,1]", "march[0]  0", "march[1]  1"]
    assert document["payloads"]["outputs"]["march"] == {"elements": 2, "outputs": [0, 1]}
    assert "payloads" not in json.loads(app.ok("runs", "show", "latest", "--json"))
