"""Runs that start by themselves: cron schedules, and commands that are deferred to a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypeVar, overload

from ..commands import (
    CancelRun,
    DeferCancel,
    DeferStart,
    PauseSchedule,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    RetryDeferred,
    TriggerSchedule,
    WithdrawDeferred,
)
from ..cron import Cron
from ..definition import Flow
from ..durations import Duration, in_seconds
from ..errors import InvalidArgument, InvalidCron, ScheduleNotFound
from ..runs import RunHandle
from ..schedules import (
    CANCEL_PREFIX,
    CATCH_UPS,
    CRON_PREFIX,
    SCHEDULE_NAME_LENGTH_MAX,
    SIGNAL_PREFIX,
    START_PREFIX,
    CatchUp,
    CronEntry,
    DeferredRecord,
    Entry,
    ScheduleRecord,
    cron_name,
    deferred_record,
    read_entry,
    schedule_record,
)
from ..templates import checked_template
from .commanding import Commanding
from .deferred import Deferred, deferred_of

T = TypeVar("T")

ENTRIES_PER_PAGE = 500
"""Scheduled commands that are read at a time."""


class Scheduling(Commanding):
    """What a kernel schedules."""

    @overload
    async def schedule(
        self,
        flow: Flow[T],
        *,
        cron: str,
        input: T,
        zone: str = "UTC",
        catch_up: CatchUp = "none",
        config: Mapping[str, object] | None = None,
        priority: int = 0,
        name: str | None = None,
    ) -> Schedule: ...
    @overload
    async def schedule(
        self,
        flow: str,
        *,
        cron: str,
        input: object = None,
        zone: str = "UTC",
        catch_up: CatchUp = "none",
        config: Mapping[str, object] | None = None,
        priority: int = 0,
        name: str | None = None,
    ) -> Schedule: ...
    async def schedule(
        self,
        flow: Flow[Any] | str,
        *,
        cron: str,
        input: object = None,
        zone: str = "UTC",
        catch_up: CatchUp = "none",
        config: Mapping[str, object] | None = None,
        priority: int = 0,
        name: str | None = None,
    ) -> Schedule:
        """Start a run of a flow at every tick of a cron expression: one run per tick, whatever the number of hosts.

        Made to be called whenever an application starts: the same definition again changes nothing, a changed one
        takes the place of the old, and a schedule that was paused stays so. Ticks are fired by hosts that have the
        flow, in its newest version there; input and config are checked now and then again. Where they do not fit any
        more, the schedule is held with its problem until it is resumed or scheduled anew.

        Args:
            flow: the flow, or the slug of one.
            cron: five fields, six with seconds before them, or a name such as `@daily`.
            input: what every run is started with.
            zone: the IANA name of the time zone that the expression is read in. On the days on which clocks are
                changed, fixed times happen once, also where the time itself is left out or comes twice; what repeats
                (`*/10 * * * *`) goes by the clock.
            catch_up: what becomes of ticks that no host was there to fire within a minute: `"none"` leaves them out,
                `"last"` fires the last of them, `"all"` fires all of them, the last 1,000 at most. What is left out is
                logged, and told by `Schedule.record`. Ticks of the time in which a schedule is paused are no ticks.
            config: settings by step, as for `start`.
            priority: of the runs.
            name: what the schedule is called; the flow's slug where None.

        Raises:
            UnknownFlow, ForeignFlow, InvalidInput: as for `start`.
            InvalidCron: the expression is none, or never ticks.
            UnknownZone: there is no such time zone.
            InvalidArgument: `catch_up` or `name` are of another kind.
            ScheduleTaken: another flow has a schedule of that name.
            AdapterError: the store failed.
        """
        found = self._registry.find(flow)
        ticks = Cron(cron, zone)
        if ticks.after(self.ports.clock.now()) is None:
            raise InvalidCron(cron, "it never ticks")
        if catch_up not in CATCH_UPS:
            raise InvalidArgument("catch_up", " or ".join(map(repr, CATCH_UPS)), catch_up)
        called = _checked_name(found.slug if name is None else name)
        template = checked_template(found, input, config, priority=priority)
        record = await self.dispatch(
            PutSchedule(name=called, template=template, cron=cron, zone=zone, catch_up=catch_up)
        )
        return Schedule(self, record)

    async def schedules(self) -> list[Schedule]:
        """All schedules by name, those of flows that this kernel lacks too."""
        return [Schedule(self, record) async for record in self._schedule_records()]

    async def find_schedule(self, name: str) -> Schedule:
        """The schedule of that name.

        Raises:
            ScheduleNotFound: there is none.
        """
        _checked_name(name)
        kept = await self.ports.scheduler.read(cron_name(name))
        entry = None if kept is None else read_entry(kept.scheduled.command)
        if kept is None or not isinstance(entry, CronEntry):
            known = [record.name async for record in self._schedule_records()]
            close = get_close_matches(name, known, n=1)
            raise ScheduleNotFound(name, close[0] if close else None)
        return Schedule(self, schedule_record(kept, entry))

    @overload
    async def start_later(
        self,
        flow: Flow[T],
        input: T,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
    ) -> Deferred: ...
    @overload
    async def start_later(
        self,
        flow: str,
        input: object,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
    ) -> Deferred: ...
    async def start_later(
        self,
        flow: Flow[Any] | str,
        input: object,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        key: str | None = None,
        priority: int = 0,
        config: Mapping[str, object] | None = None,
    ) -> Deferred:
        """Start a run at a time. When this returns, the start is durable, and the run's id is known.

        Args:
            flow: as for `start`; the run is one of the newest version that the host has which starts it.
            input: as for `start`; checked now and then again.
            at: when; aware, and at once where it is past. Either this or `after`.
            after: how much later than now; a `timedelta`, or seconds.
            key: makes the call repeatable, as for `start`; the time is no part of what is compared.
            priority: as for `start`.
            config: as for `start`.

        Raises:
            UnknownFlow, ForeignFlow, InvalidInput, IdempotencyConflict: as for `start`.
            InvalidArgument: neither or both of `at` and `after` are given, or what is given is no such.
            AdapterError: the store failed.
        """
        found = self._registry.find(flow)
        due_at = self._due_at(at, after)
        template = checked_template(found, input, config, priority=priority, key=key)
        return deferred_of(self, await self.dispatch(DeferStart(template=template, key=key, due_at=due_at)), due_at)

    async def cancel_later(
        self,
        run_id: str,
        *,
        at: datetime | None = None,
        after: Duration | None = None,
        reason: str | None = None,
    ) -> Deferred:
        """Cancel a run at a time, if it has not ended by then: a deadline, of which a run has one, the last.

        Args:
            run_id: of the run. It need not have started yet; if it has not when the time comes, its start is withdrawn.
            at: when; aware, and at once where it is past. Either this or `after`.
            after: how much later than now; a `timedelta`, or seconds.
            reason: as for `cancel`.

        Raises:
            InvalidArgument: an argument is no such.
            AdapterError: the store failed.
        """
        CancelRun(run_id, reason)
        if not run_id.isprintable() or not 1 <= len(run_id) <= SCHEDULE_NAME_LENGTH_MAX:
            raise InvalidArgument("run_id", "the id of a run", run_id)
        due_at = self._due_at(at, after)
        return deferred_of(self, await self.dispatch(DeferCancel(run_id=run_id, reason=reason, due_at=due_at)), due_at)

    async def deferred(self) -> list[DeferredRecord]:
        """All deferred commands that are not carried out yet, by name."""
        return [
            deferred_record(kept, entry)
            for prefix in (CANCEL_PREFIX, SIGNAL_PREFIX, START_PREFIX)
            async for kept, entry in self._entries(prefix)
            if not isinstance(entry, CronEntry)
        ]

    async def withdraw(self, name: str) -> bool:
        """Forget a deferred command.

        Args:
            name: of the command, as `deferred` and `Deferred` tell it.

        Returns:
            False where it is too late: it was carried out, a host is just doing so, or there never was one.
        """
        return await self.dispatch(WithdrawDeferred(_checked_entry(name)))

    async def retry_deferred(self, name: str) -> DeferredRecord:
        """Carry a deferred command out as soon as a host can, whatever its time is and however often it has failed.

        Raises:
            DeferredNotFound: there is no such command (any more).
        """
        return await self.dispatch(RetryDeferred(_checked_entry(name)))

    # What the handles ask for

    async def pause_schedule(self, name: str) -> Schedule:
        """See `Schedule.pause`."""
        return Schedule(self, await self.dispatch(PauseSchedule(_checked_name(name))))

    async def resume_schedule(self, name: str) -> Schedule:
        """See `Schedule.resume`."""
        return Schedule(self, await self.dispatch(ResumeSchedule(_checked_name(name))))

    async def trigger_schedule(self, name: str) -> RunHandle:
        """See `Schedule.trigger`."""
        return self._handle(await self.dispatch(TriggerSchedule(_checked_name(name))), created=True)

    async def remove_schedule(self, name: str) -> bool:
        """See `Schedule.remove`."""
        return await self.dispatch(RemoveSchedule(_checked_name(name)))

    async def _schedule_records(self) -> AsyncIterator[ScheduleRecord]:
        async for kept, entry in self._entries(CRON_PREFIX):
            if isinstance(entry, CronEntry):
                yield schedule_record(kept, entry)

    async def _entries(self, prefix: str) -> AsyncIterator[tuple[Any, Entry]]:
        after = ""
        while page := await self.ports.scheduler.list(prefix, after=after, limit=ENTRIES_PER_PAGE):
            for kept in page:
                yield kept, read_entry(kept.scheduled.command)
            if len(page) < ENTRIES_PER_PAGE:
                return
            after = page[-1].scheduled.name

    def _due_at(self, at: object, after: object) -> datetime:
        if (at is None) == (after is None):
            raise InvalidArgument("at, after", "one of the two", (at, after))
        if after is not None:
            try:
                return self.ports.clock.now() + timedelta(seconds=in_seconds(after))
            except ValueError as problem:
                raise InvalidArgument("after", str(problem).partition(",")[0], after) from None
        if not isinstance(at, datetime) or at.tzinfo is None:
            raise InvalidArgument("at", "an aware datetime", at)
        try:
            return at.astimezone(UTC)
        except OverflowError:
            raise InvalidArgument("at", "a time of the calendar", at) from None


class Schedule:
    """A cron schedule. Holding it costs nothing; every method reads the store afresh.

    Nothing here needs the flow's code.
    """

    def __init__(self, kernel: Scheduling, record: ScheduleRecord) -> None:
        self._kernel = kernel
        self.name = record.name
        self.record = record
        """The schedule as it was read last."""

    def __repr__(self) -> str:
        return f"Schedule({self.name!r})"

    async def read(self) -> ScheduleRecord:
        """The schedule as it stands.

        Raises:
            ScheduleNotFound: it was removed.
        """
        self.record = (await self._kernel.find_schedule(self.name)).record
        return self.record

    async def pause(self) -> ScheduleRecord:
        """Let it not tick before it is resumed. A tick that is being fired at this moment may still start its run.

        Raises:
            ScheduleNotFound: it was removed.
        """
        self.record = (await self._kernel.pause_schedule(self.name)).record
        return self.record

    async def resume(self) -> ScheduleRecord:
        """Let it go on: a paused one from now, one that is held or failing with what it has missed.

        Raises:
            ScheduleNotFound: it was removed.
        """
        self.record = (await self._kernel.resume_schedule(self.name)).record
        return self.record

    async def trigger(self) -> RunHandle:
        """Start a run as a tick would, now; its ticks stay as they are. Each call starts one, of a paused one too.

        Returns:
            A handle on the run; where this kernel lacks the flow, the run is there once a host has started it.

        Raises:
            ScheduleNotFound: it was removed.
            InvalidInput: its input does not fit the flow any more.
        """
        return await self._kernel.trigger_schedule(self.name)

    async def remove(self) -> bool:
        """Forget it; runs that it has started go on. False where it was removed before."""
        return await self._kernel.remove_schedule(self.name)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= SCHEDULE_NAME_LENGTH_MAX or not name.isprintable():
        raise InvalidArgument("name", f"printable text of 1 to {SCHEDULE_NAME_LENGTH_MAX} characters", name)
    return name


def _checked_entry(name: object) -> str:
    prefixes = (START_PREFIX, CANCEL_PREFIX, SIGNAL_PREFIX)
    if not isinstance(name, str) or not name.startswith(prefixes) or not name.isprintable():
        raise InvalidArgument("name", "the name of a deferred command", name)
    return name
