"""What a host logs of sinks in trouble, and how seldom."""

from __future__ import annotations

import logging

import pytest

from fairlead.adapters.memory import ManualClock
from fairlead.hosts.sink_log import LOG_INTERVAL_S, SinkLog
from fairlead.kernel.commands import Flushed

HELD = Flushed(published=0, held_back=(("run-1", "OSError: down"), ("run-2", "OSError: down")), problem="OSError: down")
PAUSED = Flushed(published=0, held_back=HELD.held_back, paused=True, problem="OSError: down")
STUCK = Flushed(published=0, stuck=True, problem="TimeoutError: it took longer than 9 s")
DEAD = Flushed(published=0, dead=2, held_back=HELD.held_back, problem="OSError: down")
WELL = Flushed(published=5, problem="OSError: down")

HELD_LINE = "sink 'mail': events of run run-1 and of 1 more are held back: OSError: down"


@pytest.fixture
def clock() -> ManualClock:
    """The time of the log."""
    return ManualClock()


@pytest.mark.parametrize(
    ("flushed", "level", "line"),
    [
        (HELD, logging.WARNING, HELD_LINE),
        (PAUSED, logging.WARNING, "sink 'mail': it accepts nothing and is given a pause: OSError: down"),
        (
            STUCK,
            logging.WARNING,
            "sink 'mail': a call has not ended, and until it has this process gives it nothing: "
            "TimeoutError: it took longer than 9 s",
        ),
        (
            DEAD,
            logging.ERROR,
            "sink 'mail': 2 more dead letters; events of run run-1 and of 1 more are held back: OSError: down",
        ),
        (WELL, None, None),
    ],
)
def test_trouble_is_told_at_once(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, flushed: Flushed, level: int | None, line: str | None
) -> None:
    """In one line; dead letters are an error."""
    SinkLog(clock).note("mail", flushed)

    assert caplog.record_tuples == ([] if line is None else [("fairlead.hosts.sink_log", level, line)])


def test_each_sink_has_one_line_a_minute(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """The next one says how many were left out; other sinks have lines of their own."""
    log = SinkLog(clock)
    for _ in range(11 * 60):
        for _ in range(4):
            log.note("mail", HELD)
        log.note("audit", WELL)
        clock.advance(1)
    log.note("audit", HELD)

    messages = [record.getMessage() for record in caplog.records]
    assert messages == [HELD_LINE] + [f"{HELD_LINE}; 239 such lines were left out"] * 10 + [
        HELD_LINE.replace("mail", "audit")
    ]


def test_dead_letters_are_told_of_later_if_not_at_once(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """All of them, with the first flush after the minute, though nothing is wrong any more."""
    log = SinkLog(clock)
    for flushed in (HELD, DEAD, DEAD, WELL):
        log.note("mail", flushed)
    clock.advance(LOG_INTERVAL_S)
    log.note("mail", WELL)
    log.note("mail", WELL)

    assert caplog.record_tuples[1:] == [
        (
            "fairlead.hosts.sink_log",
            logging.ERROR,
            "sink 'mail': 4 more dead letters; 2 such lines were left out",
        )
    ]
