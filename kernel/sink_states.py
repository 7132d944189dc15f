"""How each sink stands: whether it gets its events, and if not, why, and what helps."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

from ..ports.outbox import HeldRun, SinkRecord
from .amounts import coming, counted, times
from .proposals import KERNEL, proposed
from .workers import Worker

EVENTS_PATIENCE = timedelta(minutes=5)
"""What waits for less is dealt with by hosts as they go: a sink that was down for a moment is asked again after a
pause, and then has a backlog."""


class SinkState(enum.StrEnum):
    """How a sink stands; where several are true, the first."""

    GOING = "going"
    """Its removal has begun, and has not ended."""
    UNSERVED = "unserved"
    """It is owed events, and no host has it."""
    PAUSED = "paused"
    """It accepted nothing, and is left in peace for a while."""
    HOLDING = "holding"
    """It refused events of some runs, which wait for their next attempt."""
    LATE = "late"
    """It has been owed events for long, and refused none of them."""
    WELL = "well"


@frozen(kw_only=True)
class SinkStanding:
    """How a sink stands."""

    sink: SinkRecord
    state: SinkState
    why: str = ""
    """Why it is not well, as a part of a sentence."""
    remedy: str = ""
    """What helps, with the command, where there is one."""

    def overdue(self, now: datetime) -> bool:
        """Whether it has been owed events for so long that somebody should look."""
        return self.sink.oldest_at is not None and now - self.sink.oldest_at >= EVENTS_PATIENCE


def standing_of(sink: SinkRecord, workers: Sequence[Worker], now: datetime) -> SinkStanding:
    """How a sink stands.

    Args:
        sink: as the store has it.
        workers: the hosts that are known.
        now: the time.
    """
    remove = proposed("outbox", "remove", sink.name)
    if sink.removed:
        return SinkStanding(
            sink=sink,
            state=SinkState.GOING,
            why="its removal has begun and has not ended",
            remedy=f"unless somebody is at it, finish it: {remove}",
        )
    if sink.waiting and not any(worker.may_have(sink.name) for worker in workers):
        return SinkStanding(
            sink=sink,
            state=SinkState.UNSERVED,
            why="no host that runs has it",
            remedy=f"start a host that has it: {proposed('worker', KERNEL)}; if nobody has it any more: {remove}",
        )
    if sink.pauses:
        until = sink.not_before
        again = f", and is asked again {coming(until, now)}" if until is not None and until > now else ""
        return SinkStanding(
            sink=sink,
            state=SinkState.PAUSED,
            why=f"it accepted nothing{again}: {sink.problem}",
            remedy="put right what it says; it is tried again by itself, and nothing is lost meanwhile",
        )
    if sink.held_runs and sink.worst is not None:
        return SinkStanding(
            sink=sink,
            state=SinkState.HOLDING,
            why=_why_held(sink.held_runs, sink.worst, now),
            remedy="put right what it says; each event is offered again by itself, and once it is a dead letter: "
            f"{proposed('outbox', 'replay', '--sink', sink.name)}",
        )
    standing = SinkStanding(
        sink=sink,
        state=SinkState.LATE,
        why="hosts have it, and do not keep up, or a call of it does not end there",
        remedy=f"look at the logs of these hosts: {proposed('workers')}",
    )
    return standing if standing.overdue(now) else SinkStanding(sink=sink, state=SinkState.WELL)


def _why_held(count: int, worst: HeldRun, now: datetime) -> str:
    runs = f"{counted(count, 'run')} {'is' if count == 1 else 'are'} held back"
    again = f"is offered again {coming(worst.not_before, now) if worst.not_before > now else 'now'}"
    event = f"event {worst.next_sequence} of run {worst.run_id}"
    if not worst.problem:
        return f"{runs}; {event} {again}"
    return f"{runs}; {event} was refused {times(worst.attempts)} and {again}: {worst.problem}"
