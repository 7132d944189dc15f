"""`Schedule`: a cron schedule, as whoever made or looked for it holds it."""

from __future__ import annotations

from ..commands import PauseSchedule, RemoveSchedule, ResumeSchedule, TriggerSchedule
from ..entries import entry_of
from ..errors import ScheduleNotFound
from ..runs import RunHandle
from ..schedules import CronEntry, ScheduleRecord, cron_name, schedule_record
from .commanding import Commanding


class Schedule:
    """A cron schedule. Holding it costs nothing, and nothing here needs the flow's code."""

    def __init__(self, kernel: Commanding, record: ScheduleRecord) -> None:
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
        kept = await self._kernel.ports.scheduler.read(cron_name(self.name))
        if kept is None:
            raise ScheduleNotFound(self.name)
        self.record = schedule_record(kept.scheduled, entry_of(kept, CronEntry))
        return self.record

    async def pause(self) -> ScheduleRecord:
        """Let it not tick before it is resumed. A tick that is being fired at this moment may still start its run.

        Raises:
            ScheduleNotFound: it was removed.
        """
        self.record = await self._kernel.dispatch(PauseSchedule(self.name))
        return self.record

    async def resume(self) -> ScheduleRecord:
        """Let it go on: a paused one from now, one that is held or failing with what it has missed.

        Raises:
            ScheduleNotFound: it was removed.
        """
        self.record = await self._kernel.dispatch(ResumeSchedule(self.name))
        return self.record

    async def trigger(self) -> RunHandle:
        """Start a run as a tick would, now; its ticks stay as they are. Each call starts one, of a paused one too.

        Returns:
            A handle on the run; where this kernel lacks the flow, the run is there once a host has started it.

        Raises:
            ScheduleNotFound: it was removed.
            InvalidInput: its input does not fit the flow any more.
        """
        return self._kernel.handle_of(await self._kernel.dispatch(TriggerSchedule(self.name)), created=True)

    async def remove(self) -> bool:
        """Forget it; runs that it has started go on. False where it was removed before."""
        return await self._kernel.dispatch(RemoveSchedule(self.name))
