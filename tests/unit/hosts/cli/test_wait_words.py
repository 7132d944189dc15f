"""Waiting as people read it: events, why nothing happens, and what a run shows."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from msgspec.structs import replace

from fairlead.hosts.cli.event_words import event_line, is_trouble
from fairlead.hosts.cli.idleness import idle_reason
from fairlead.hosts.cli.wait_words import print_waits
from fairlead.kernel.events import StepResumed, StepSuspended
from fairlead.ports.reading import TaskRecord
from fairlead.ports.records import WaitsFor
from fairlead.ports.statuses import TaskStatus
from tests.support.looks import event_record, run_record, task_record
from tests.support.records import at


def waiting(
    waits_for: WaitsFor, wake_at: datetime | None = None, give_up_at: datetime | None = None, checks: int = 0
) -> TaskRecord:
    """A suspended task of step `pay`."""
    return replace(
        task_record(TaskStatus.SUSPENDED), waits_for=waits_for, wake_at=wake_at, give_up_at=give_up_at, checks=checks
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (StepSuspended(step="pay", waits_for=WaitsFor.SIGNAL), "pay suspended, waits for a signal"),
        (
            StepSuspended(step="pay", waits_for=WaitsFor.SIGNAL, wake_at=at(90)),
            "pay suspended, waits for a signal for 1:30 min",
        ),
        (StepSuspended(step="pay", waits_for=WaitsFor.TIME, wake_at=at(5)), "pay suspended, waits for 5.00 s"),
        (StepSuspended(step="pay", waits_for=WaitsFor.CHECK, wake_at=at(5)), "pay suspended, checked in 5.00 s"),
        (StepResumed(step="pay", waited_for=WaitsFor.SIGNAL), "pay resumed, its signal is there"),
        (StepResumed(step="pay", waited_for=WaitsFor.TIME), "pay resumed, its time has come"),
        (StepResumed(step="pay", waited_for=WaitsFor.CHECK), "pay resumed, its check has found what it waited for"),
    ],
)
def test_events_of_waiting_are_sentences(event: StepSuspended | StepResumed, told: str) -> None:
    """What it waits for, and how long; none of it is trouble."""
    record = event_record(event)

    assert (
        event_line(record).partition("  ")[2].replace("\x1b[0m", "").replace("\x1b[35m", "").replace("\x1b[36m", "")
        == told
    )
    assert not is_trouble(record)


def test_a_run_that_only_waits_says_for_what() -> None:
    """The first of its waits, and how many more there are; a task that could run is more important."""
    signal, endless = waiting(WaitsFor.SIGNAL, at(90)), waiting(WaitsFor.SIGNAL)
    sleep, check = waiting(WaitsFor.TIME, at(90)), waiting(WaitsFor.CHECK, at(30), at(90))
    moment, sooner = f"{at(90):%Y-%m-%d %H:%M:%SZ}", f"{at(30):%Y-%m-%d %H:%M:%SZ}"

    def reason(*tasks: TaskRecord) -> str | None:
        return idle_reason(run_record(), tasks, [], at(20), "10 s")

    assert reason(signal) == f"pay waits for a signal, until {moment}"
    assert reason(endless) == "pay waits for a signal, for as long as it takes"
    assert reason(sleep, endless) == f"pay waits until {moment}; 1 more waits"
    assert reason(check, endless, sleep) == (
        f"pay is suspended; its next check is due at {sooner}, and gives up at {moment}; 2 more wait"
    )
    assert "next attempt is due" in (reason(signal, task_record(TaskStatus.QUEUED, ready_at=at(50))) or "")


def test_waits_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What each step waits for, when it is looked at, and when its wait ends."""
    print_waits(
        [
            waiting(WaitsFor.SIGNAL),
            waiting(WaitsFor.TIME, at(90)),
            waiting(WaitsFor.CHECK, at(30), at(90), checks=4),
            task_record(TaskStatus.QUEUED),
        ]
    )
    moment, sooner = f"{at(90):%Y-%m-%d %H:%M:%SZ}", f"{at(30):%Y-%m-%d %H:%M:%SZ}"

    assert [re.split("  +", line) for line in capsys.readouterr().out.splitlines()] == [
        ["WAITING", "FOR", "NEXT LOOK", "UNTIL", "CHECKS"],
        ["pay", "a signal", "-", "-", "-"],
        ["pay", "a time", "-", moment, "-"],
        ["pay", "its check", sooner, moment, "4"],
    ]
