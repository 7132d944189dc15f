"""Runs that start by the clock: cron schedules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar, overload

from ...ports.notes import AnnotationValue
from ..arguments import checked_text
from ..commands import PutSchedule
from ..cron import Cron
from ..definition import Flow
from ..entries import entry_of, read_entries
from ..errors import InvalidArgument, InvalidCron, ScheduleNotFound
from ..hints import closest
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
from .schedule import Schedule

T = TypeVar("T")


class Schedules(Commanding):
    """What a kernel starts by the clock."""

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
        annotations: Mapping[str, AnnotationValue] | None = None,
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
        annotations: Mapping[str, AnnotationValue] | None = None,
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
        annotations: Mapping[str, AnnotationValue] | None = None,
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
            annotations: what the runs are found by, as for `start`.
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
        await self._keep_time()
        if ticks.after(self.ports.clock.now()) is None:
            raise InvalidCron(cron, "it never ticks")
        if catch_up not in CATCH_UPS:
            raise InvalidArgument("catch_up", " or ".join(map(repr, CATCH_UPS)), catch_up)
        called = _checked_name(found.slug if name is None else name)
        template = checked_template(found, input, config, priority=priority, annotations=annotations)
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
        kept = await self.ports.scheduler.read(cron_name(_checked_name(name)))
        if kept is None:
            raise ScheduleNotFound(name, closest(name, [record.name async for record in self._schedule_records()]))
        return Schedule(self, schedule_record(kept.scheduled, entry_of(kept, CronEntry)))

    async def _schedule_records(self) -> AsyncIterator[ScheduleRecord]:
        async for kept, _ in read_entries(self.ports.scheduler, CRON_PREFIX):
            yield schedule_record(kept.scheduled, entry_of(kept, CronEntry))


def _checked_name(name: object) -> str:
    return checked_text("name", name, SCHEDULE_NAME_LENGTH_MAX)
