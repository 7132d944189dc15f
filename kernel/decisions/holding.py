"""How a sink gets on with a run: where it stands after what it accepted, and what a refusal means.

A sink is offered a run's events in order of sequence. One that it refuses holds back that run alone: the event is
offered again after a delay that doubles, and with its last attempt it becomes a dead letter. Then its loss is announced
to the sink, in its place, before anything later; an announcement that is refused as long is not made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from ...ports.outbox import EventRecord, HeldRun, OutboxRow
from ..events import event_records, loss_of
from .doubling import doubled, fraction_of

ATTEMPTS_MAX = 90
"""How often a sink is offered an event. With the delays between them, half a day passes before the event is a dead
letter: a sink that is down over night loses nothing."""

RETRY_DELAY_S = 1.0
"""The delay before the second attempt; it doubles with each further one."""

RETRY_DELAY_MAX_S = 600.0
"""The longest delay between two attempts: what an event waits at most after its sink is well again."""

RETRY_JITTER = 0.1
"""By which part of itself a delay may be shorter, so that runs that were refused together come again apart."""

PAUSE_MAX_S = 30.0
"""The longest pause of a sink that accepts nothing: a few attempts in that time tell whether it is well again."""


def beginning(rows: Sequence[OutboxRow], now: datetime) -> HeldRun:
    """Where a sink stands with a run that it is offered for the first time, or without trouble."""
    return HeldRun(run_id=rows[0].run_id, next_sequence=rows[0].first_sequence, attempts=0, not_before=now, problem="")


def resuming(held: HeldRun, rows: Sequence[OutboxRow]) -> HeldRun:
    """Where a sink stands before rows that it has not: what was delivered since its place was recorded is behind it."""
    if rows[0].first_sequence <= held.next_sequence:
        return held
    # recovers 9: what was delivered stands behind the place that was recorded
    return replace(held, next_sequence=rows[0].first_sequence, lost=False, attempts=0, problem="")


def offered(held: HeldRun, rows: Sequence[OutboxRow]) -> list[EventRecord]:
    """What a sink is offered of these rows: the events from where it stands, the first of them perhaps as its loss."""
    events = [event for row in rows for event in event_records(row) if event.sequence >= held.next_sequence]
    if held.lost and events:
        events[0] = loss_of(events[0])
    return events


def accepted(held: HeldRun, count: int) -> HeldRun:
    """Where a sink stands once it has accepted so many of what it was offered."""
    if not count:
        return held
    return replace(held, next_sequence=held.next_sequence + count, lost=False, attempts=0, problem="")


def refused(
    held: HeldRun, problem: str, now: datetime, *, attempts_max: int | None = None, gave_up: bool = False
) -> HeldRun:
    """Where a sink stands once it has refused the next event, or the announcement of its loss.

    The event has become a dead letter with this where it is `lost` now and was not before.

    Args:
        held: where it stood.
        problem: what it raised or did.
        now: the time.
        attempts_max: how often it is offered an event; None for `ATTEMPTS_MAX`.
        gave_up: whether it says that no further attempt can help.
    """
    attempts = held.attempts + 1
    if not gave_up and attempts < (ATTEMPTS_MAX if attempts_max is None else attempts_max):
        again = now + retry_delay(held.run_id, attempts)
        return replace(held, attempts=attempts, not_before=again, problem=problem)
    if held.lost:  # recovers 75: the announcement of a loss is refused as well
        return replace(
            held, next_sequence=held.next_sequence + 1, lost=False, attempts=0, not_before=now, problem=problem
        )
    return replace(held, lost=True, attempts=0, not_before=now, problem=problem)


def retry_delay(run_id: str, attempts: int) -> timedelta:
    """How long to wait after so many refusals of one event, from 1; the same for the same run and number."""
    jitter = RETRY_JITTER * fraction_of(f"{run_id}#{attempts}")
    return timedelta(seconds=doubled(RETRY_DELAY_S, RETRY_DELAY_MAX_S, attempts) * (1 - jitter))


def pause(pauses: int) -> timedelta:
    """How long to offer a sink nothing that accepted nothing, the so-manieth time in a row, from 1."""
    return timedelta(seconds=doubled(RETRY_DELAY_S, PAUSE_MAX_S, pauses))
