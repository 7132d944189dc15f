"""Events on their way, through the commands alone: status, dead letters, replay, removal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.commands import PATIENCE_S, Commands

APP = """
from pathlib import Path

from fairlead.kernel import EventRecord, Flow, Kernel, Ports

greet = Flow("greet", version=1)

@greet.step
def hello(input: str) -> str:
    return f"hello {input}"

def mail(event: EventRecord) -> None:
    if not Path("well").exists():
        raise ConnectionError("the mail server is down")
    with Path("mailed").open("a") as mailed:
        mailed.write(f"{event.run_id} {event.sequence} {event.type}\\n")

async def count(event: EventRecord) -> None:
    with Path("counted").open("a") as counted:
        counted.write(f"{event.run_id}\\n")

def kernel(ports: Ports) -> Kernel:
    kernel = Kernel(flows=[greet], ports=ports)
    kernel.subscribe("run.completed", mail, name="mail", max_attempts=1)
    kernel.subscribe(["run.completed", "run.failed"], count, name="count")
    return kernel
"""


@pytest.fixture
def app(fairlead: Commands, migrated_url: str) -> Commands:
    """The command, in a folder with an app, and a database in the environment."""
    (fairlead.folder / "app.py").write_text(APP)
    fairlead.environment["DATABASE_URL"] = migrated_url
    return fairlead


def until(found: Callable[[], Any]) -> Any:
    """What is found, once something is."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        if what := found():
            return what
        time.sleep(0.1)
    raise AssertionError("nothing was found in time")


def asked(app: Commands, *words: str) -> dict[str, Any]:
    """The answer of a command as JSON."""
    answer: dict[str, Any] = json.loads(app.ok("outbox", *words, "--json"))
    return answer


def test_a_dead_letter_is_replayed_and_a_sink_is_removed(app: Commands) -> None:
    """One subscriber fails, the other is told once; a worker publishes what was asked for; what is removed is gone."""
    assert "no sink is known" in app.ok("outbox", "status")
    app.begin("worker", "app:kernel")
    run = json.loads(app.ok("start", "greet", "--kernel", "app:kernel", "--input", '"Ada"', "--wait", "--json"))["id"]
    (letter,) = until(lambda: asked(app, "dead", "--sink", "mail")["dead_letters"])
    counted = until(lambda: (app.folder / "counted").exists() and (app.folder / "counted").read_text())
    table = app.ok("outbox", "dead", "--run", run[-6:])

    assert (letter["run"], letter["type"], letter["event"], letter["attempts"]) == (run, "run.completed", 5, 1)
    assert letter["problem"] == "ConnectionError: the mail server is down"
    assert "the mail server is down" in table
    assert counted == f"{run}\n"

    would_be = until(lambda: told if "dead" in (told := app.ok("prune", "--older-than", "0s", "--dry-run")) else None)
    assert would_be == (
        "would be removed: 0 runs with 0 tasks\n"
        "kept back: 1 run with dead letters: `fairlead outbox replay --all`, or --dead-letters\n"
    )
    assert "removed: 1 run with" in app.ok("prune", "--older-than", "0s", "--dead-letters", "--dry-run")
    (app.folder / "well").touch()
    assert asked(app, "replay", "--all", "--dry-run") == {"dry_run": True, "dead_letters": 1}
    assert app.ok("outbox", "replay", "--run", run, "--event", "5") == ("1 dead letter is to be published again\n")
    until(lambda: (app.folder / "mailed").exists())
    until(lambda: asked(app, "dead")["dead_letters"] == [])
    assert (app.folder / "mailed").read_text() == f"{run} 5 run.completed\n"
    assert (app.folder / "counted").read_text() == f"{run}\n"

    assert [(sink["sink"], sink["state"], sink["waiting"]) for sink in asked(app, "status")["sinks"]] == [
        ("count", "well", 0),
        ("mail", "well", 0),
    ]
    assert "SINK" in app.ok("outbox", "status")
    assert asked(app, "remove", "mail") == {"removed": ["mail"]}
    assert [sink["sink"] for sink in asked(app, "status")["sinks"]] == ["count"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["remove", "post"], "there is no sink 'post'; there are none"),
        (["replay"], "say which"),
        (["replay", "--all", "--type", "run.failed"], "say which"),
        (["replay", "--event", "3"], "it needs --run"),
        (["dead", "--sink", "post"], "there is no sink 'post'"),
        (["dead", "--type", "run.complete"], "'run.complete' is not one of"),
        (["dead", "--after", "nowhere"], "this is no cursor"),
    ],
)
def test_what_is_wrong_is_said(app: Commands, words: list[str], said: str) -> None:
    """Exit code 2, one sentence."""
    found = app("outbox", *words)

    assert found.returncode == 2
    assert said in found.stderr


def test_status_and_doctor_say_why_events_wait(app: Commands, migrated_url: str) -> None:
    """No host has the sink; a host has it, and it refuses; its removal was interrupted: each with what helps."""
    (app.folder / "app.py").write_text(APP.replace(", max_attempts=1", ""))
    run = json.loads(app.ok("start", "greet", "--kernel", "app:kernel", "--input", '"Ada"', "--json"))["id"]
    with psycopg.connect(migrated_url) as connection:
        connection.execute("UPDATE fairlead.outbox SET at = at - interval '1 hour'")
    unserved, doubted = app.ok("outbox", "status"), app("doctor")
    assert "mail: no host that runs has it\n  → start a host that has it" in unserved
    assert doubted.returncode == 1
    assert "trouble: sink 'mail' is owed 1 event, the first since" in doubted.stdout
    assert "if nobody has it any more: `fairlead outbox remove" in doubted.stdout

    app.begin("worker", "app:kernel")
    held = until(lambda: next((sink for sink in asked(app, "status")["sinks"] if sink["state"] == "holding"), None))
    shown = app.ok("outbox", "status")
    assert (held["sink"], held["worst_held"]["run"], held["worst_held"]["event"]) == ("mail", run, 5)
    assert held["worst_held"]["problem"] == "ConnectionError: the mail server is down"
    assert "mail: 1 run is held back; event 5 of run" in shown
    assert "ConnectionError: the mail server is down\n  → put right what it says" in shown

    with psycopg.connect(migrated_url) as connection:
        connection.execute("UPDATE fairlead.sinks SET removed = true WHERE name = 'count'")
    going = app.ok("outbox", "status")
    assert "count: its removal has begun and has not ended\n  → unless somebody is at it, finish it: " in going
    assert "sink 'count': its removal has begun and has not ended" in app("doctor").stdout
    app.ok("outbox", "remove", "count")
    assert [sink["sink"] for sink in asked(app, "status")["sinks"]] == ["mail"]
