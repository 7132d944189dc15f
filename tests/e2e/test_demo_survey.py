"""The demo on a real PostgreSQL: complete, also when its worker is killed half-way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fairlead.hosts.demo import path_bytes
from tests.support.commands import PATIENCE_S, PROGRAM, Commands
from tests.support.waiting import until

FILES = 1_000
HALF_WAY = FILES // 4
"""Files analysed before a worker is stopped; the rest leaves time to notice."""


@pytest.fixture
def forest(tmp_path: Path) -> Path:
    """A folder of a thousand files: nested, duplicated, empty, binary, with odd names, links and a pipe."""
    root = tmp_path / "forest"
    chance = random.Random(7)
    words = ["salt", "ring", "größe", "line", "x" * 70, "日本"]
    odd = [b"caf\xe9.txt", b"two\nlines", b"back\\slash.md", b" space ", b"-rf", "naïve.py".encode(), b"\x1b[31m.c"]
    for number in range(FILES):
        folder = os.path.join(os.fsencode(root), b"%d/%d" % (number % 7, number % 11))
        os.makedirs(folder, exist_ok=True)
        name = odd[number] if number < len(odd) else b"file%d.%s" % (number, chance.choice([b"py", b"txt", b"gz"]))
        lines = [" ".join(chance.choices(words, k=chance.randint(0, 9))) for _ in range(chance.randint(0, 200))]
        content = "\n".join(lines).encode() if number % 10 else b"the same everywhere\n"
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"\0" + content if number % 50 == 1 else content)
    (root / "link").symlink_to("0")
    os.mkfifo(root / "pipe")
    return root


def walked(root: Path) -> dict[bytes, tuple[str, int]]:
    """Digest and size of every regular file by its path, found without any code of the demo."""
    found: dict[bytes, tuple[str, int]] = {}
    top = os.fsencode(root)
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    content = file.read()
                found[os.path.relpath(path, top)] = (hashlib.sha256(content).hexdigest(), len(content))
    return found


def reported(path: Path) -> list[tuple[bytes, tuple[str, int]]]:
    """Path, digest and size of every file in a report, as often as they stand there."""
    report = json.loads(path.read_bytes())
    return [(path_bytes(each["path"]), (each["sha256"], each["size_bytes"])) for each in report["files"]]


def assert_complete(report: Path, root: Path) -> None:
    """The report names every file once, in order, with its digest."""
    expected = walked(root)
    found = reported(report)

    assert len(expected) == FILES
    assert [path for path, count in Counter(path for path, _ in found).items() if count > 1] == []
    assert dict(found) == expected
    assert [path for path, _ in found] == sorted(expected)


def when_analysed(count: int, process: subprocess.Popen[str], url: str, stop: signal.Signals) -> int:
    """Signal a process when so many files are recorded as analysed; returns how many were in the end."""
    statement = "SELECT count(*) FROM fairlead.tasks WHERE step = 'analyse' AND status = 'completed'"
    deadline = time.monotonic() + PATIENCE_S
    with psycopg.connect(url, autocommit=True) as connection:

        def analysed() -> int:
            row = connection.execute(statement).fetchone()
            return 0 if row is None else int(row[0])

        while analysed() < count:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
        process.send_signal(stop)
        process.wait(PATIENCE_S)
        return analysed()


def test_every_file_is_reported_once(fairlead: Commands, migrated_url: str, forest: Path) -> None:
    """A thousand files, odd ones among them, against an independent walk; the answer for programs agrees."""
    report = forest / "report.json"
    answer = json.loads(fairlead.ok("demo", forest, "--report", report, "--json", "--database", migrated_url))
    first = report.read_bytes()
    again = json.loads(fairlead.ok("demo", forest, "--report", report, "--json", "--database", migrated_url))

    assert first == report.read_bytes()
    report.rename(fairlead.folder / "report.json")
    assert_complete(fairlead.folder / "report.json", forest)
    assert (answer["tasks"], answer["executions"], answer["repeated"], answer["lost"]) == (FILES + 3, FILES + 3, 0, 0)
    assert answer["totals"]["files"] == FILES
    assert answer["run"] != again["run"]
    assert max(len(group["paths"]) for group in answer["totals"]["duplicates"]) >= FILES // 10


def test_a_killed_survey_is_taken_up_where_it_stopped(fairlead: Commands, migrated_url: str, forest: Path) -> None:
    """SIGKILL half-way; the same command finishes the same run, and analyses nothing again that was recorded."""
    report = fairlead.folder / "report.json"
    command = ("demo", forest, "--report", report, "--concurrency", "2", "--database", migrated_url)
    recorded = when_analysed(HALF_WAY, fairlead.begin(*command), migrated_url, signal.SIGKILL)
    assert recorded < FILES
    assert not report.exists()

    answer = json.loads(fairlead.ok(*command, "--json"))
    runs = json.loads(fairlead.ok("runs", "list", "--json", "--database", migrated_url))["runs"]
    shown = json.loads(fairlead.ok("runs", "show", answer["run"], "--json", "--database", migrated_url))

    assert_complete(report, forest)
    assert [(run["id"], run["status"]) for run in runs] == [(answer["run"], "completed")]
    assert answer["tasks"] == FILES + 3
    assert answer["executions"] == answer["tasks"] + answer["repeated"]
    assert answer["repeated"] == answer["lost"] < FILES // 20, "only what was in the killed worker's hands"
    completed = Counter((task["step"], task["element"]) for task in shown["tasks"] if task["status"] == "completed")
    assert set(completed.values()) == {1}
    assert sum(event["type"] == "step.completed" for event in shown["events"]) == 4
    assert [event["step"] for event in shown["events"] if event["type"] == "step.skipped"] == ["write_markdown"]
    assert [path.name for path in fairlead.folder.iterdir()] == ["report.json"]


def test_a_killed_worker_is_replaced_by_another(fairlead: Commands, migrated_url: str, forest: Path) -> None:
    """The command only watches; of two workers elsewhere one is killed, and another finishes."""
    report = fairlead.folder / "report.json"
    place = ("--database", migrated_url)
    watching = fairlead.begin("demo", forest, "--report", report, "--no-worker", "--json", *place)
    worker = ("worker", "fairlead.hosts.demo:kernel", "--concurrency", "2", "--lease", "2", *place)
    when_analysed(HALF_WAY, fairlead.begin(*worker), migrated_url, signal.SIGKILL)
    second = fairlead.begin(*worker)
    answer, _ = watching.communicate(timeout=PATIENCE_S)
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=PATIENCE_S)

    assert (watching.returncode, second.returncode) == (0, 0)
    assert json.loads(answer)["totals"]["files"] == FILES
    assert_complete(report, forest)


def test_a_crash_is_shown_and_survived(fairlead: Commands, migrated_url: str, tmp_path: Path) -> None:
    """A few files are enough: a real worker is killed half-way, another finishes; told is who did what, twice."""
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(5):
        (folder / f"file{number}").write_text("x" * number)
    place = ("--report", fairlead.folder / "report.md", "--database", migrated_url)
    answer = json.loads(fairlead.ok("demo", folder, "--crash", "--json", *place))
    shown = json.loads(fairlead.ok("runs", "show", answer["run"], "--json", "--database", migrated_url))
    killed, finisher = answer["killed"], answer["finished_by"]
    again = answer["executed_again"]
    outcomes = Counter((task["step"], task["element"]) for task in shown["tasks"] if task["status"] == "completed")

    assert shown["run"]["status"] == "completed"
    assert answer["totals"]["files"] == 5
    assert 2 <= killed["analysed"] < 5
    assert killed["pid"] != finisher["pid"]
    assert not [pid for pid in (killed["pid"], finisher["pid"]) if Path(f"/proc/{pid}").exists()]
    assert again
    for each in again:
        assert [attempt["worker"] for attempt in each["attempts"]] == [killed["worker"], finisher["worker"]]
        assert [attempt["reason"] for attempt in each["attempts"]] == ["worker_lost", None]
    assert answer["executions"] == answer["tasks"] + len(again)
    assert set(outcomes.values()) == {1}
    assert {path.name for path in fairlead.folder.iterdir()} == {"report.md"}


def test_a_crash_is_told_to_people(fairlead: Commands, migrated_url: str, tmp_path: Path) -> None:
    """One file: its task is executed twice and recorded once. What happens is said while it happens."""
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "file").write_text("x")
    place = ("--report", fairlead.folder / "report.md", "--database", migrated_url)
    found = fairlead("demo", folder, "--crash", *place)
    lines = found.stdout.splitlines()

    assert found.returncode == 0, found.stderr
    assert "kill -9" in found.stderr
    assert "worker 2 is process" in found.stderr
    assert "with 0 of 1 files analysed, and 1 in its hands" in lines[0]
    assert lines[4].split() == ["analyse[0]", "file", "worker", "1:", "killed", "worker", "2:", "completed"]
    assert "4 tasks, each with one result; 5 executions: 1 task was executed again" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--no-worker",), "--crash starts a new run and workers of its own"),
        (("--key", "k"), "--crash starts a new run and workers of its own"),
        ((), "holds no files, so there is nothing to interrupt"),
    ],
)
def test_a_crash_needs_something_to_interrupt(
    fairlead: Commands, migrated_url: str, arguments: tuple[str, ...], said: str
) -> None:
    """What cannot be shown is refused."""
    found = fairlead("demo", fairlead.folder, "--crash", *arguments, "--database", migrated_url)

    assert found.returncode == 2
    assert said in found.stderr


def test_a_crash_that_is_interrupted_leaves_no_worker(fairlead: Commands, migrated_url: str, forest: Path) -> None:
    """SIGTERM ends the command and the worker that it started."""
    running = fairlead.begin("demo", forest, "--crash", "--report", "report.md", "--database", migrated_url)
    assert running.stderr is not None
    line = next(line for line in running.stderr if line.startswith("worker 1 is process "))
    pid = int(line.split()[-1])
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=PATIENCE_S)

    assert running.returncode == 130
    assert said.splitlines()[-1] == "stopped, and its workers with it"
    assert not Path(f"/proc/{pid}").exists()


def test_a_crash_that_is_killed_itself_leaves_no_worker(fairlead: Commands, migrated_url: str, forest: Path) -> None:
    """SIGKILL leaves the command no time to say goodbye; its worker notices."""
    running = fairlead.begin("demo", forest, "--crash", "--report", "report.md", "--database", migrated_url)
    assert running.stderr is not None
    line = next(line for line in running.stderr if line.startswith("worker 1 is process "))
    status = Path(f"/proc/{int(line.split()[-1])}/status")
    running.kill()
    running.communicate(timeout=PATIENCE_S)

    def has_ended() -> bool:
        try:
            return "State:\tZ" in status.read_text()  # whoever inherits it may not ask for its exit code
        except (FileNotFoundError, ProcessLookupError):
            return True

    assert asyncio.run(until(has_ended))


def test_ctrl_c_loses_nothing(fairlead: Commands, migrated_url: str, forest: Path) -> None:
    """What is running is finished and recorded; the same command goes on, and nothing is executed twice."""
    report = fairlead.folder / "report.json"
    command = ("demo", forest, "--report", report, "--concurrency", "2", "--database", migrated_url)
    running = fairlead.begin(*command)
    when_analysed(HALF_WAY, running, migrated_url, signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE_S)
    answer = json.loads(fairlead.ok(*command, "--json"))

    assert running.returncode == 130
    assert said.splitlines()[-1] == "stopped; the same command goes on from here"
    assert_complete(report, forest)
    assert (answer["executions"], answer["repeated"], answer["lost"]) == (FILES + 3, 0, 0)


def test_a_key_names_one_survey(fairlead: Commands, migrated_url: str, tmp_path: Path) -> None:
    """The same key shows the run that there was, the same key for another folder is refused."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    command = ("--key", "weekly", "--json", "--database", migrated_url)
    first = json.loads(fairlead.ok("demo", tmp_path / "one", *command))
    second = json.loads(fairlead.ok("demo", tmp_path / "one", *command))
    other = fairlead("demo", tmp_path / "two", *command)

    assert first["run"] == second["run"]
    assert other.returncode == 2
    assert json.loads(other.stderr)["error"] == "IdempotencyConflict"


def test_it_needs_nothing_but_a_folder(fairlead: Commands) -> None:
    """On a machine without a database and without configuration: a PostgreSQL of its own, lines, a table, a report."""
    (fairlead.folder / "src").mkdir()
    (fairlead.folder / "src" / "main.py").write_text("print('hello')\n")
    (fairlead.folder / ".git").mkdir()
    (fairlead.folder / ".git" / "config").write_text("x")
    found = fairlead("demo")

    assert found.returncode == 0, found.stderr
    assert "analyse: done" in found.stderr.splitlines()
    assert found.stdout.splitlines()[1].split()[:4] == ["Python", "1", "1", "1"]
    assert f"report: {fairlead.folder / 'fairlead-survey.md'}" in found.stdout.splitlines()
    assert "\x1b" not in found.stdout + found.stderr
    text = (fairlead.folder / "fairlead-survey.md").read_text()
    assert "src/main.py" in text
    assert "left out       .git" in text
    assert not running(fairlead)
    listed = json.loads(fairlead.ok("runs", "list", "--json"))["runs"]
    assert [(run["flow"], run["status"]) for run in listed] == [("survey_folder", "completed")]


def running(fairlead: Commands) -> bool:
    """Whether the embedded server of the test's data folder runs."""
    status: dict[str, Any] = json.loads(fairlead.ok("db", "status", "--json"))
    return bool(status["running"])


def test_a_terminal_sees_bars(fairlead: Commands, migrated_url: str, tmp_path: Path) -> None:
    """Where stderr is a terminal the survey is drawn; what is written to stdout stays plain in a pipe."""
    (tmp_path / "one").mkdir()
    for name in ("file", "other"):
        (tmp_path / "one" / name).write_text(name)
    reading, terminal = os.openpty()
    process = subprocess.Popen(
        [PROGRAM, "demo", tmp_path / "one", "--database", migrated_url],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**fairlead.environment, "TERM": "xterm"},
        cwd=fairlead.folder,
        text=True,
    )
    os.close(terminal)
    picture = drawn(reading)
    output, _ = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert "\x1b" not in output
    assert "Plain text" in output
    assert "write_markdown" in picture
    assert "2 of 2" in picture
    assert "━" in picture


def drawn(terminal: int) -> str:
    """What was written to a terminal until its last writer closed it."""
    parts: list[bytes] = []
    with os.fdopen(terminal, "rb", buffering=0) as reading, suppress(OSError):
        while part := reading.read(65_536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")
