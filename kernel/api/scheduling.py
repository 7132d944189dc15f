"""Runs that start by the clock: cron schedules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar, overload

from ..arguments import checked_text
from ..commands import PauseSchedule, PutSchedule, RemoveSchedule, ResumeSchedule, TriggerSchedule
from ..cron import Cron
from ..definition import Flow
from ..entries import entry_of, read_entries
from ..errors import InvalidArgument, InvalidCron, ScheduleNotFound
from ..hints import closest
from ..runs import RunHandle
from ..schedules import (
    CATCH_UPS,
    CRON_PREFIX,
    SCHEDULE_NAME_LENGTH_MAX,
    CatchUp,
    CronEntry,
    ScheduleRecord,
    cron_name,
    schedule_record,
)
from ..templates import checked_template
from .commanding import Commanding

T = TypeVar("T")


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
        if kept is None:
            raise ScheduleNotFound(name, closest(name, [record.name async for record in self._schedule_records()]))
        return Schedule(self, schedule_record(kept.scheduled, entry_of(kept, CronEntry)))

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
        async for kept, _ in read_entries(self.ports.scheduler, CRON_PREFIX):
            yield schedule_record(kept.scheduled, entry_of(kept, CronEntry))


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
    return checked_text("name", name, SCHEDULE_NAME_LENGTH_MAX)
