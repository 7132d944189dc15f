"""Scheduling: what a schedule becomes when somebody defines, pauses or resumes it."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from ...ports.scheduler import ScheduledCommand
from ..commands import PutSchedule
from ..cron import Cron
from ..schedules import CronEntry, Template, cron_name, write_entry


def is_defined_so(scheduled: ScheduledCommand, entry: CronEntry, command: PutSchedule) -> bool:
    """Whether a schedule is defined as it is wanted, and not held: whoever defines it again lets it go on."""
    before, after = entry.template, command.template
    ticks_alike = (entry.cron, entry.zone, entry.catch_up) == (command.cron, command.zone, command.catch_up)
    runs_alike = (before.digest, before.annotations) == (after.digest, after.annotations)
    return ticks_alike and runs_alike and (entry.paused or scheduled.due_at is not None)


def define_schedule(
    command: PutSchedule, before: CronEntry | None, template: Template, *, now: datetime
) -> ScheduledCommand:
    """A schedule as it is wanted. It keeps its place where its ticks stay the same, else it begins anew.

    Args:
        command: what is wanted.
        before: the schedule of that name, where there is one.
        template: that of the command, as it is stored.
        now: the time.
    """
    if before is None:
        entry = CronEntry(
            name=command.name,
            template=template,
            cron=command.cron,
            zone=command.zone,
            catch_up=command.catch_up,
            created_at=now,
            after=now,
        )
    else:
        ticks_alike = (before.cron, before.zone) == (command.cron, command.zone)
        entry = replace(
            before,
            template=template,
            cron=command.cron,
            zone=command.zone,
            catch_up=command.catch_up,
            created_at=now,
            after=before.after if ticks_alike else now,
        )
    return _without_trouble(entry)


def pause_schedule(entry: CronEntry) -> ScheduledCommand | None:
    """A schedule that does not tick any more; None where it is paused already."""
    return None if entry.paused else _without_trouble(replace(entry, paused=True))


def resume_schedule(scheduled: ScheduledCommand, entry: CronEntry, *, now: datetime) -> ScheduledCommand | None:
    """A schedule that goes on, a paused one from now, any other with what it has missed; None where it goes well."""
    if entry.paused:
        return _without_trouble(replace(entry, paused=False, after=max(now, entry.after)))
    is_in_trouble = scheduled.due_at is None or scheduled.failures
    return _without_trouble(entry) if is_in_trouble else None


def _without_trouble(entry: CronEntry) -> ScheduledCommand:
    """Due at its next tick, unless it is paused."""
    return ScheduledCommand(
        name=cron_name(entry.name),
        due_at=None if entry.paused else Cron(entry.cron, entry.zone).after(entry.after),
        command=write_entry(entry),
        flow=entry.template.flow,
    )
