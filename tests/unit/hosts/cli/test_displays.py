"""How a run is shown: a picture on a terminal, lines elsewhere, JSON or nothing for programs."""

from __future__ import annotations

import io
import json
import logging

import msgspec
import pytest

from fairlead.hosts.cli.displays import JsonLines, Lines, Silence, display_on, log_to
from fairlead.hosts.cli.picture import Picture, kept
from fairlead.kernel.events import RunStarted, StepCompleted, StepSkipped, StepStarted, TaskRetrying
from fairlead.kernel.failures import encode_failure
from fairlead.ports.statuses import RunStatus, StepStatus
from tests.support.looks import event_record, look, run_record, step_record
from tests.support.records import at

DONE, SKIPPED, CREATED, FAILED = StepStatus.COMPLETED, StepStatus.SKIPPED, StepStatus.CREATED, StepStatus.FAILED


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that displays see; its one element is set by the test."""
    now = [100.0]
    monkeypatch.setattr("fairlead.hosts.cli.displays.monotonic", lambda: now[0])
    return now


@pytest.fixture
def stream() -> io.StringIO:
    """What is written to."""
    return io.StringIO()


def test_lines_tell_each_end_and_now_and_then_how_far_it_is(seconds: list[float], stream: io.StringIO) -> None:
    """A line every two seconds at most, one per step at its end, with the pace."""
    with Lines(stream, events=False) as lines:
        lines.show(look())
        lines.show(look(step_record("list", DONE, done=1), step_record("read", total=1_000)))
        for _ in range(4):
            seconds[0] += 1
            lines.show(look(step_record("read", done=int(seconds[0] - 100) * 200, total=1_000)))
        seconds[0] += 1
        last = (step_record("read", DONE, done=1_000, total=1_000, failed=2, gaps=3), step_record("add", DONE, done=1))
        lines.show(look(*last))
        lines.show(look(*last))

    assert stream.getvalue().splitlines() == [
        "list: done",
        "read: 400 of 1,000, 200/s in 2.00 s",
        "read: 800 of 1,000, 200/s in 4.00 s",
        "read: done, 1,000 of 1,000, 200/s in 5.00 s, 2 failed, 3 without a task",
        "add: done",
    ]


def test_lines_tell_what_happens(seconds: list[float], stream: io.StringIO) -> None:
    """Every event, except the end of a map, which has its numbers; and how a step ended otherwise than well."""
    events = [
        event_record(RunStarted(), 1),
        event_record(StepStarted(step="read", tasks=3), 2),
        event_record(StepCompleted(step="read"), 3),
        event_record(StepSkipped(step="pay", reason="condition_unmet"), 4, seconds=1),
    ]
    with Lines(stream) as lines:
        skipped = step_record("pay", SKIPPED, total=None, reason="condition_unmet")
        lines.show(look(step_record("read", DONE, done=3, total=3), skipped, events=events))

    assert stream.getvalue().splitlines() == [
        "12:00:00Z  run started",
        "12:00:00Z  read started, 3 tasks",
        "12:00:01Z  pay skipped (condition_unmet)",
        "read: done, 3 of 3",
    ]


def test_failures_are_told_even_where_events_are_not(stream: io.StringIO) -> None:
    """Of a flood of them the first."""
    error = encode_failure(type="ValueError", message="no\nluck", attempt=1)
    retried = [
        event_record(
            TaskRetrying(
                step="read", element=n, attempt=1, reason="handler_failed", ready_at=at(1.5), error=msgspec.Raw(error)
            ),
            n,
        )
        for n in range(30)
    ]
    with Lines(stream, events=False) as lines:
        lines.show(look(events=retried))
    told = stream.getvalue().splitlines()

    assert told[0] == "12:00:00Z  read[0] attempt 1 failed (handler_failed): ValueError: no luck; again in 1.50 s"
    assert told[10:] == ["… and 20 more attempts that failed at about the same time"]


def test_that_nothing_happens_is_told_now_and_then(seconds: list[float], stream: io.StringIO) -> None:
    """Once, again after half a minute, and anew when it happens again."""
    with Lines(stream) as lines:
        for second, idle in ((0, "nobody"), (10, "nobody"), (31, "still nobody"), (32, None), (33, "nobody again")):
            seconds[0] = 100 + second
            lines.show(look(idle=idle))

    assert stream.getvalue().splitlines() == ["nobody", "still nobody", "nobody again"]


def test_a_map_over_nothing_is_done_at_once(stream: io.StringIO) -> None:
    """No division by zero, no missing line."""
    with Lines(stream, events=False) as lines:
        lines.show(look(step_record("read", DONE, total=0)))

    assert stream.getvalue() == "read: done, 0 of 0\n"


def test_programs_get_an_object_per_line(stream: io.StringIO) -> None:
    """Events, changes of how far a step is, that nobody works, and the run at its end; nothing twice."""
    with JsonLines(stream) as lines:
        lines.show(look(step_record("read", done=1, total=3), events=[event_record(RunStarted(), 7)], idle="nobody"))
        lines.show(look(step_record("read", done=1, total=3), idle="nobody"))
        lines.say("for people")
        lines.show(look(step_record("read", DONE, done=3, total=3), run=run_record(RunStatus.COMPLETED)))
    found = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert [each["kind"] for each in found] == ["event", "progress", "idle", "progress", "run"]
    assert (found[0]["sequence"], found[0]["type"]) == (7, "run.started")
    assert [each["tasks_ended"] for each in found if each["kind"] == "progress"] == [1, 3]
    assert found[2]["message"] == "nobody"
    assert found[4]["status"] == "completed"


def test_a_picture_shows_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each step, bars for maps, failures above, and why nothing happens."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    skipped = event_record(StepSkipped(step="pay", reason="condition_unmet"), 4)
    with Picture(stream) as picture:
        picture.say("survey of /data: started run [1]")
        picture.show(
            look(
                step_record("list", DONE, done=1),
                step_record("read", done=7, total=1_000, failed=2),
                step_record("pay", SKIPPED, total=None, reason="condition_unmet"),
                step_record("later", CREATED, total=None),
                events=[skipped, event_record(StepStarted(step="read", tasks=1_000), 5)],
                idle="no worker",
                seconds=5,
            )
        )
    shown = stream.getvalue()

    assert "survey of /data: started run [1]" in shown
    assert "7 of 1,000, 2 failed" in shown
    assert "━" in shown
    assert "12:00:00Z  pay " in shown
    assert "read started" not in shown
    assert all(word in shown for word in ("✓", "list", "↷", "skipped (condition_unmet)", "later", "no worker"))


def test_of_many_steps_the_interesting_ones_are_drawn() -> None:
    """What failed or runs, then what ended last, then what is next; in order, in as many lines as there are."""
    steps = [
        *(step_record(f"done_{n}", DONE) for n in range(5)),
        step_record("broken", FAILED),
        step_record("running"),
        *(step_record(f"next_{n}", CREATED) for n in range(5)),
    ]

    assert [step.slug for step in kept(steps, 5)] == ["done_3", "done_4", "broken", "running"]
    assert [step.slug for step in kept(steps, 10)] == [step.slug for step in steps[:9]]
    assert kept(steps, 12) == steps


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json`, stderr is for failures alone."""
    with Silence() as display:
        display.say("x")
        display.show(look(step_record("read", done=1, total=2)))

    assert capsys.readouterr() == ("", "")


def test_who_reads_decides() -> None:
    """A terminal gets the picture, a file or pipe the lines."""
    assert isinstance(display_on(io.StringIO()), Lines)
    assert isinstance(display_on(Terminal()), Picture)


def test_warnings_of_hosts_are_said_where_the_run_is_shown(stream: io.StringIO) -> None:
    """They do not tear the picture."""
    before = list(logging.root.handlers)
    try:
        log_to(Lines(stream))
        logging.getLogger("fairlead.hosts.worker").warning("attempt %d failed", 3)
    finally:
        logging.root.handlers[:] = before

    assert stream.getvalue() == "attempt 3 failed\n"
