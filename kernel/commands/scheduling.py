"""Commands about what is scheduled: making and changing schedules, deferring commands, and carrying out what is due."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from ...ports.record import Record
from ..schedules import CatchUp, DeferredRecord, LeftOut, ScheduleRecord, Template
from .base import Command, at_least


class PutSchedule(Command[ScheduleRecord], frozen=True, kw_only=True):
    """Make a schedule, or change the one of that name. Repeatable: the same definition again changes nothing.

    All of it has been checked.
    """

    needs_flows: ClassVar[bool] = False
    name: str
    template: Template
    cron: str
    zone: str
    catch_up: CatchUp


class PauseSchedule(Command[ScheduleRecord], frozen=True):
    """Let a schedule not tick before it is resumed. Repeatable. It needs no code, nor do the other changes."""

    needs_flows: ClassVar[bool] = False
    name: str


class ResumeSchedule(Command[ScheduleRecord], frozen=True):
    """Let a schedule go on: a paused one from now, one that is held or failing with what it has missed. Repeatable."""

    needs_flows: ClassVar[bool] = False
    name: str


class RemoveSchedule(Command[bool], frozen=True):
    """Forget a schedule; runs that it has started go on. False where there is none."""

    needs_flows: ClassVar[bool] = False
    name: str


class TriggerSchedule(Command[str], frozen=True):
    """Start a run as a tick would, now; its ticks stay as they are. Answers the run's id.

    Where the kernel lacks the flow's code, the start is put down for a host that has it.
    """

    name: str


class DeferStart(Command["Deferral"], frozen=True, kw_only=True):
    """Put down a start for later. Repeatable where it has a key. The template has been checked."""

    template: Template
    key: str | None
    due_at: datetime


class DeferCancel(Command["Deferral"], frozen=True, kw_only=True):
    """Put down a cancel for later. Repeatable: a run has one, the last. It needs no code."""

    needs_flows: ClassVar[bool] = False
    run_id: str
    reason: str | None
    due_at: datetime


class Deferral(Record, frozen=True, kw_only=True):
    """What became of a command that was deferred."""

    record: DeferredRecord
    """The command, or the one that was deferred before."""
    created: bool
    """False where the same was deferred before, with the same key, or carried out already."""


class WithdrawDeferred(Command[bool], frozen=True):
    """Forget a deferred command. False where it was carried out, is being carried out, or never was.

    Of a start it is certain: after True its run never begins, and is there as cancelled.
    """

    needs_flows: ClassVar[bool] = False
    name: str


class RetryDeferred(Command[DeferredRecord], frozen=True):
    """Carry a deferred command out as soon as a host can, whatever its time is and however often it has failed."""

    needs_flows: ClassVar[bool] = False
    name: str


class FireScheduled(Command["Fired"], frozen=True):
    """Carry out scheduled commands that are due. Repeatable, and any number of hosts may do it at once."""

    limit: int = 20
    """Commands at most."""

    def __post_init__(self) -> None:
        at_least("limit", self.limit, 1)


class Trouble(Record, frozen=True, kw_only=True):
    """A scheduled command that could not be carried out."""

    name: str
    problem: str
    held: bool
    """Whether it waits for somebody to look at it; otherwise it is tried again by itself."""


class Fired(Record, frozen=True, kw_only=True):
    """What was carried out."""

    claimed: int
    """Commands that were due and that nobody else held."""
    started: int = 0
    """Runs that were started."""
    cancelled: int = 0
    """Runs that were cancelled."""
    signalled: int = 0
    """Signals that were sent."""
    left_out: tuple[tuple[str, LeftOut], ...] = ()
    """Which ticks of which schedules were missed and are not caught up on."""
    troubles: tuple[Trouble, ...] = ()
