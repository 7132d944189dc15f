"""Starting, working and looking, through the commands alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.postgres import migration_sql
from tests.support.commands import PATIENCE_S, Commands

APP = """
import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from fairlead.kernel import Context, Flow, Kernel, Ports, Resource

greet = Flow("greet", version=2)

@greet.step
async def hello(input: str, greeting: Resource[str]) -> str:
    return f"{greeting} {input}"

odd = Flow("odd", version=1, max_attempts=1)

@odd.step
def bad(input: str):
    return {"answer": object()}

slow = Flow("slow", version=1)

@slow.step
async def wait(input: str) -> str:
    Path("begun").touch()
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    return input

noisy = Flow("noisy", version=1)

@noisy.map(over="input")
async def say(item: str, ctx: Context) -> None:
    ctx.log(f"saying {item}", level="warning" if item == "b" else "info", word=item)
    ctx.progress(1, 2, f"half of {item}")
    ctx.annotate(word=item, tier=3)
    if item == "wait":
        Path("begun").touch()
        while not Path("go").exists():
            await asyncio.sleep(0.01)
        ctx.log("over")

@asynccontextmanager
async def resources():
    yield {"greeting": "hello"}

def kernel(ports: Ports) -> Kernel:
    return Kernel(flows=[greet, odd, slow, noisy], ports=ports)
"""


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


def start(app: Commands, flow: str, value: str | list[str], *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        app.ok("start", flow, "--kernel", "app:kernel", "--input", json.dumps(value), "--json", *arguments)
    )
    return answer


def test_a_worker_carries_out_what_was_started(app: Commands) -> None:
    """Started before and after the worker; it ends on SIGTERM, within a moment, with 0."""
    before = start(app, "greet", "early", "--key", "k")
    worker = app.begin("worker", "app:kernel", "--resources", "app:resources", "--concurrency", "5")
    waited = start(app, "greet", "you", "--wait", "--timeout", "60")
    again = start(app, "greet", "early", "--key", "k", "--wait", "--timeout", "60")
    worker.send_signal(signal.SIGTERM)
    _, log = worker.communicate(timeout=PATIENCE_S)

    assert before == {"id": before["id"], "flow": "greet", "version": "2", "created": True, "status": "pending"}
    assert (waited["status"], waited["output"]) == ("completed", {"hello": "hello you"})
    assert (again["id"], again["created"], again["output"]) == (before["id"], False, {"hello": "hello early"})
    assert worker.returncode == 0
    assert "5 slots, queues default" in log
    assert "Traceback" not in log


def test_a_worker_without_its_resources_does_not_start(app: Commands) -> None:
    """The missing resource is named, and how to pass it."""
    found = app("worker", "app:kernel")

    assert found.returncode == 2
    assert "flow 'greet', step 'hello', parameter 'greeting'" in found.stderr


def test_ctrl_c_lets_running_handlers_end(app: Commands) -> None:
    """What was running is finished and recorded; the log is JSON where that is wanted."""
    run = start(app, "slow", "x")
    worker = app.begin("worker", "app:kernel", "--resources", "app:resources", "--json")
    while not (app.folder / "begun").exists():
        assert worker.poll() is None, worker.communicate()
    worker.send_signal(signal.SIGINT)
    assert worker.stderr is not None
    log = [json.loads(worker.stderr.readline()) for _ in range(2)]
    (app.folder / "go").touch()
    _, rest = worker.communicate(timeout=PATIENCE_S)
    shown = json.loads(app.ok("runs", "show", run["id"], "--json"))

    assert worker.returncode == 0
    assert "SIGINT: no further claims" in log[-1]["message"]
    assert {record["level"] for record in [*log, *map(json.loads, rest.splitlines())]} == {"info"}
    assert (shown["run"]["status"], shown["tasks"][0]["attempts"]) == ("completed", 1)


def test_a_run_that_fails_is_told(app: Commands) -> None:
    """An output that is no JSON fails its task at once; whoever waits gets code 3, and `show` says why."""
    app.begin("worker", "app:kernel", "--resources", "app:resources")
    found = app("start", "odd", "--kernel", "app:kernel", "--input", '"x"', "--wait", "--timeout", "60")
    listed = json.loads(app.ok("runs", "list", "--status", "failed", "--json"))["runs"]
    shown = app.ok("runs", "show", listed[0]["id"])

    assert found.returncode == 3
    assert "is failed (invalid_output)" in found.stderr
    assert "output of step 'bad': $.answer: an object is not JSON" in found.stderr
    assert [(run["flow"], run["reason"]) for run in listed] == [("odd", "invalid_output")]
    assert "output of step 'bad': $.answer" in shown
    assert "bad[0], attempt 1, invalid_output" in shown


def test_runs_are_listed_in_pages(app: Commands) -> None:
    """Filters hold, pages follow each other without gap or repetition, and plain text has no colour codes."""
    ids = [start(app, "greet", str(number), "--key", f"k{number}")["id"] for number in range(3)]
    other = start(app, "odd", "x")["id"]

    def listed(*arguments: str) -> tuple[list[str], str | None]:
        page = json.loads(app.ok("runs", "list", "--json", *arguments))
        return [run["id"] for run in page["runs"]], page["next"]

    first, cursor = listed("--limit", "3")
    assert cursor is not None
    second, end = listed("--limit", "3", "--after", cursor)
    text = app.ok("runs", "list", "--limit", "1")

    assert (first + second, end) == ([other, *reversed(ids)], None)
    assert listed("--flow", "odd")[0] == [other]
    assert listed("--key", "k1")[0] == [ids[1]]
    assert listed("--status", "completed", "--status", "failed")[0] == []
    assert listed("--since", "1h")[0] == [other, *reversed(ids)]
    assert listed("--before", "1h")[0] == []
    assert [line.split()[0] for line in text.splitlines()] == ["RUN", other, "more:"]
    assert "\x1b" not in text


def test_a_reader_that_leaves_is_no_error(app: Commands) -> None:
    """`fairlead runs list | head -0`: nothing on stderr."""
    start(app, "greet", "x")
    reading, writing = os.pipe()
    os.close(reading)
    program = app.begin("--version").args
    assert isinstance(program, list)
    with os.fdopen(writing, "w") as closed:
        found = subprocess.run(
            [program[0], "runs", "list"],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=app.environment,
            cwd=app.folder,
            timeout=PATIENCE_S,
            check=False,
            text=True,
        )

    assert (found.returncode, found.stderr) == (0, "")


def test_migrating_twice_changes_nothing(fairlead: Commands, empty_database_url: str) -> None:
    """The first time tables are made, the second time none; the password stays out of sight."""
    first = json.loads(fairlead.ok("migrate", "--database", empty_database_url, "--json"))
    second = fairlead.ok("migrate", "--database", empty_database_url)

    assert first["applied"][0] == "initial"
    assert ":***@" in first["database"]
    assert second.endswith(": up to date\n")
    assert fairlead.ok("runs", "list", "--database", empty_database_url) == "no runs\n"


def test_a_schema_can_be_chosen(fairlead: Commands, empty_database_url: str) -> None:
    """Tables in another schema are found there, and nowhere else."""
    place = ("--database", empty_database_url)
    fairlead.ok("migrate", *place, "--schema", "flows")

    assert fairlead.ok("runs", "list", *place, "--schema", "flows") == "no runs\n"
    assert "run `fairlead migrate" in fairlead("runs", "list", *place).stderr


def test_the_sql_is_printed_for_others_to_run(fairlead: Commands) -> None:
    """The script alone, without a database; and nothing that would be ignored."""
    assert fairlead.ok("migrate", "--sql") == migration_sql()
    assert json.loads(fairlead.ok("migrate", "--sql", "--json", "--schema", "x")) == {"sql": migration_sql(schema="x")}
    assert fairlead("migrate", "--sql", "--database", "postgresql://x").returncode == 2


def test_the_embedded_server_can_stay(fairlead: Commands, tmp_path: Path) -> None:
    """Started, used by its URL and without one, stopped; each answer also for programs."""
    folder = ("--data-folder", str(tmp_path / "server"))
    assert "not running" in fairlead.ok("db", "status", *folder)
    assert fairlead("db", "url", *folder).returncode == 2
    try:
        started = json.loads(fairlead.ok("db", "start", *folder, "--json"))
        url = fairlead.ok("db", "url", *folder).strip()
        status = json.loads(fairlead.ok("db", "status", *folder, "--json"))

        assert started == {"running": True, "url": url, "folder": str(tmp_path / "server")}
        assert status == {"running": True, "stays": True, "folder": str(tmp_path / "server")}
        assert fairlead.ok("runs", "list", "--database", url) == "no runs\n"
        assert fairlead.ok("runs", "list", *folder) == "no runs\n"
        assert fairlead.ok("db", "start", *folder).strip() == url
    finally:
        stopped = fairlead.ok("db", "stop", *folder)
    assert stopped == "stopped\n"
    assert json.loads(fairlead.ok("db", "stop", *folder, "--json")) == {"stopped": False}


def test_workers_are_listed_with_what_they_serve(app: Commands) -> None:
    """As a table and as JSON; one that has ended only where it is asked for."""
    nobody = app.ok("workers")
    worker = app.begin(
        "worker", "app:kernel", "--resources", "app:resources", "--worker-id", "mill", "--queue", "default"
    )
    start(app, "greet", "you", "--wait", "--timeout", "60")
    shown = app.ok("workers", "--flow", "greet")
    (found,) = json.loads(app.ok("workers", "--json"))["workers"]
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    afterwards, everything = app.ok("workers"), app.ok("workers", "--all")

    assert nobody == "no host has worked here\n"
    assert "mill    running  node" in shown
    assert "greet 2, odd 1, slow 1, noisy 1" in shown
    assert (found["worker"], found["pid"], found["queues"]) == ("mill", worker.pid, ["default"])
    assert found["flows"][0] == {"flow": "greet", "version": "2"}
    assert afterwards == "no host runs; 1 have ended (--all shows them)\n"
    assert "mill    ended" in everything


def test_logs_progress_and_annotations_are_seen_while_a_handler_runs(app: Commands) -> None:
    """From other processes: followed, listed, shown; and all of it is there afterwards."""
    worker = app.begin("worker", "app:kernel", "--resources", "app:resources")
    run = start(app, "noisy", ["wait"], "--annotation", "customer=acme", "--annotation", 'code="7"')
    following = app.begin("runs", "logs", run["id"], "--follow", "--json")
    assert following.stdout is not None
    first = json.loads(following.stdout.readline())
    shown = ""
    while "half of wait" not in shown or "word=wait" not in shown:
        shown = app.ok("runs", "show", run["id"])
    listed = json.loads(app.ok("runs", "list", "--annotation", "word=wait", "--annotation", 'code="7"', "--json"))
    nothing = app.ok("runs", "list", "--annotation", "code=7")
    annotated = app.ok("runs", "annotate", run["id"], "tier=4", "note=two words", "--remove", "customer")
    (app.folder / "go").touch()
    rest, _ = following.communicate(timeout=PATIENCE_S)
    document = json.loads(app.ok("runs", "show", run["id"], "--json"))
    late = app("runs", "annotate", run["id"], "tier=5")
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)

    assert (first["message"], first["level"], first["fields"], first["step"]) == (
        "saying wait",
        "info",
        {"word": "wait"},
        "say",
    )
    assert [json.loads(line)["message"] for line in rest.splitlines()] == ["over"]
    assert "say[0]" in shown
    assert "1/2" in shown
    assert 'annotated code="7", customer=acme, tier=3, word=wait' in shown
    assert [each["id"] for each in listed["runs"]] == [run["id"]]
    assert listed["runs"][0]["annotations"] == {"code": "7", "customer": "acme", "tier": 3, "word": "wait"}
    assert nothing == "no runs\n"
    assert annotated == f'run {run["id"]}: code="7", note=two words, tier=4, word=wait\n'
    assert document["annotations"] == {"code": "7", "note": "two words", "tier": 4, "word": "wait"}
    assert [entry["message"] for entry in document["logs"]] == ["saying wait", "over"]
    assert [each["message"] for each in document["progress"]] == ["half of wait"]
    assert late.returncode == 2
    assert "has ended" in late.stderr


def test_logs_are_chosen_by_step_level_and_place(app: Commands) -> None:
    """As lines for people; what is wrong is said."""
    worker = app.begin("worker", "app:kernel", "--resources", "app:resources")
    run = start(app, "noisy", ["a", "b", "c"], "--wait", "--timeout", "60")
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_S)
    everything = app.ok("runs", "logs", run["id"])
    warnings = app.ok("runs", "logs", run["id"], "--level", "warning")

    assert sorted(line.partition("saying ")[2] for line in everything.splitlines()) == [
        "a word=a",
        "b word=b",
        "c word=c",
    ]
    assert warnings.endswith("  warning  say[1]: saying b word=b\n")
    assert app.ok("runs", "logs", run["id"], "--step", "other") == ""
    assert len(app.ok("runs", "logs", run["id"], "--last", "2").splitlines()) == 2
    assert app("runs", "logs", "ffffffff").returncode == 2
    assert app("runs", "annotate", run["id"]).returncode == 2
    assert "is not KEY=VALUE" in app("runs", "annotate", run["id"], "novalue").stderr
