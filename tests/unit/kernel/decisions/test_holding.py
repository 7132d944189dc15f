"""Holding: where a sink stands with a run after what it accepted, refused, or was spared."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace

from fairlead.kernel.decisions.holding import (
    ATTEMPTS_MAX,
    PAUSE_MAX_S,
    RETRY_DELAY_MAX_S,
    RETRY_DELAY_S,
    RETRY_JITTER,
    accepted,
    beginning,
    offered,
    pause,
    refused,
    resuming,
    retry_delay,
)
from fairlead.ports.outbox import HeldRun, OutboxRow
from tests.support.records import START, at, run_id

LATER = at(60)


def row(first: int, *told: str) -> OutboxRow:
    """The events of one transaction, from a sequence number on."""
    events = json.dumps([{"type": each} for each in told]).encode()
    return OutboxRow(
        run_id=run_id(1), flow="orders", generation=1, first_sequence=first, count=len(told), at=START, events=events
    )


ROWS = [row(4, "step.started", "step.completed"), row(6, "run.completed")]

HELD = HeldRun(run_id=run_id(1), next_sequence=5, attempts=3, not_before=at(40), problem="it was full")


def test_a_sink_begins_with_the_first_event_that_is_there() -> None:
    """Without trouble, and at once."""
    assert beginning(ROWS, LATER) == HeldRun(
        run_id=run_id(1), next_sequence=4, attempts=0, not_before=LATER, problem=""
    )


@pytest.mark.parametrize("next_sequence", [4, 5])
def test_a_sink_goes_on_where_it_stands(next_sequence: int) -> None:
    """Its trouble with the next event is the trouble that it had."""
    held = replace(HELD, next_sequence=next_sequence, lost=True)

    assert resuming(held, ROWS) is held


@pytest.mark.fault(9)
def test_what_was_delivered_since_is_behind_a_sink() -> None:
    """Its refusals, and the loss, were of an event that is gone; the next one begins with none."""
    held = replace(HELD, next_sequence=3, lost=True)

    assert resuming(held, ROWS) == replace(HELD, next_sequence=4, lost=False, attempts=0, problem="")


def test_a_sink_is_offered_what_it_has_not_accepted() -> None:
    """A row of which it accepted a part begins in its middle."""
    assert [(each.sequence, each.type) for each in offered(HELD, ROWS)] == [(5, "step.completed"), (6, "run.completed")]


def test_a_loss_is_announced_in_its_place() -> None:
    """Instead of the event, before anything later."""
    loss, further = offered(replace(HELD, lost=True), ROWS)

    assert (loss.sequence, further.sequence) == (5, 6)
    assert (loss.type, further.type) == ("event.lost", "run.completed")
    assert offered(replace(HELD, next_sequence=7, lost=True), ROWS) == []


def test_what_is_accepted_ends_the_trouble() -> None:
    """As many as it says; none changes nothing."""
    held = replace(HELD, lost=True)

    assert accepted(held, 2) == replace(HELD, next_sequence=7, lost=False, attempts=0, problem="")
    assert accepted(held, 0) is held


def test_a_refused_event_is_offered_again_after_a_delay() -> None:
    """It counts, and what the sink said is kept."""
    assert refused(HELD, "it is full", LATER) == replace(
        HELD, attempts=4, not_before=LATER + retry_delay(run_id(1), 4), problem="it is full"
    )


@pytest.mark.parametrize(("attempts_max", "last"), [(None, ATTEMPTS_MAX), (5, 5), (1, 1)])
def test_the_last_attempt_makes_a_dead_letter(attempts_max: int | None, last: int) -> None:
    """Its loss is next, at once; with one attempt less the event is still offered."""
    before = replace(HELD, attempts=last - 1)

    lost = refused(before, "no", LATER, attempts_max=attempts_max)

    assert lost == replace(HELD, lost=True, attempts=0, not_before=LATER, problem="no")
    if last > 1:
        spared = refused(replace(HELD, attempts=last - 2), "no", LATER, attempts_max=attempts_max)
        assert (spared.lost, spared.attempts) == (False, last - 1)


def test_a_sink_that_gives_up_needs_no_last_attempt() -> None:
    """It says that no further one can help."""
    lost = refused(replace(HELD, attempts=0), "never", LATER, gave_up=True)

    assert (lost.lost, lost.next_sequence, lost.not_before) == (True, 5, LATER)


@pytest.mark.fault(75)
def test_an_announcement_that_is_refused_as_long_is_not_made() -> None:
    """The sink goes on behind it, with no trouble left."""
    held = replace(HELD, lost=True, attempts=4)

    assert refused(held, "no", LATER, attempts_max=5) == replace(
        HELD, next_sequence=6, lost=False, attempts=0, not_before=LATER, problem="no"
    )


def test_delays_double_up_to_the_longest() -> None:
    """A tenth shorter at most, other for other runs, and the same whenever they are asked for."""
    for attempts, whole_s in [
        (1, RETRY_DELAY_S),
        (2, 2 * RETRY_DELAY_S),
        (5, 16 * RETRY_DELAY_S),
        (90, RETRY_DELAY_MAX_S),
    ]:
        delays = {retry_delay(run_id(number), attempts) for number in range(200)}

        assert max(delays) <= timedelta(seconds=whole_s)
        assert min(delays) >= timedelta(seconds=whole_s * (1 - RETRY_JITTER))
        assert max(delays) - min(delays) > timedelta(seconds=whole_s * RETRY_JITTER * 0.9)
    assert retry_delay(run_id(1), 3) == retry_delay(run_id(1), 3)
    assert retry_delay(run_id(1), 90) != retry_delay(run_id(1), 91)


def test_pauses_of_a_sink_double_up_to_the_longest() -> None:
    """They are the same for everybody."""
    assert [pause(count).total_seconds() for count in (1, 2, 5, 6, 90)] == [1, 2, 16, PAUSE_MAX_S, PAUSE_MAX_S]
