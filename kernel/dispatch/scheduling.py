"""Making, changing and forgetting what is scheduled.

An entry that was read is written back with its token, so whoever was slower looks again: a pause and the host that
puts the schedule back for its next tick never overwrite each other. Each change is an intent that is recognised when
it is repeated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from ...ports.errors import CommitUnknown, Contention
from ...ports.reading import RunFilter
from ...ports.scheduler import KeptCommand, ScheduledCommand
from ...ports.statuses import RunStatus
from ..commands import (
    DeferCancel,
    Deferral,
    DeferStart,
    PauseSchedule,
    PutSchedule,
    RemoveSchedule,
    ResumeSchedule,
    RetryDeferred,
    WithdrawDeferred,
)
from ..decisions.scheduling import define_schedule, is_defined_so, pause_schedule, resume_schedule
from ..entries import deferred_entry_of, entry_of
from ..errors import DeferredNotFound, IdempotencyConflict, ScheduleNotFound, ScheduleTaken
from ..fetching import fetch_payload
from ..schedules import (
    CancelEntry,
    CronEntry,
    DeferredEntry,
    DeferredRecord,
    ScheduleRecord,
    SignalEntry,
    StartEntry,
    cancel_name,
    cron_name,
    deferred_record,
    read_entry,
    schedule_record,
    start_name,
    write_entry,
)
from ..templates import discard_template, stored_template
from .means import Handlers, Means
from .withdrawing import WITHDRAWN, forget_start, never_began, withdraw_start

CHANGE_TRIES_MAX = 50
"""How often a change is tried that somebody else was faster than: more than there are hosts that fire at one moment."""

Done = TypeVar("Done")


class Scheduling:
    """Carries out all commands about schedules and deferred commands but the firing."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._ports = means.ports
        self._scheduler = means.ports.scheduler

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {
            PutSchedule: self._put,
            PauseSchedule: self._pause,
            ResumeSchedule: self._resume,
            RemoveSchedule: self._remove,
            DeferStart: self._defer_start,
            DeferCancel: self._defer_cancel,
            WithdrawDeferred: self._withdraw,
            RetryDeferred: self._retry,
        }

    # Schedules

    async def _put(self, command: PutSchedule) -> ScheduleRecord:
        return await self._written(f"schedule {command.name!r}", lambda: self._put_once(command))

    async def _put_once(self, command: PutSchedule) -> ScheduleRecord | None:
        kept = await self._scheduler.read(cron_name(command.name))
        before = None if kept is None else entry_of(kept, CronEntry)
        if before is not None and before.template.flow != command.template.flow:
            raise ScheduleTaken(name=command.name, flow=before.template.flow, wanted=command.template.flow)
        if kept is not None and before is not None and is_defined_so(kept.scheduled, before, command):
            # recovers 2, 69: a schedule is as it is to be
            return schedule_record(kept.scheduled, before)
        template = await stored_template(self._ports, command.template, size_bytes_max=self._means.inline_bytes_max)
        scheduled = define_schedule(command, before, template, now=self._means.clock.now())
        if kept is None or before is None:
            if await self._scheduler.schedule(scheduled, replace=False):
                return _record_of(scheduled)
        elif await self._scheduler.put_back(kept, scheduled):
            await discard_template(self._ports, before.template)
            return _record_of(scheduled)
        # recovers 69: somebody else was faster to write a schedule
        await discard_template(self._ports, template)
        return None

    async def _pause(self, command: PauseSchedule) -> ScheduleRecord:
        return await self._change(command.name, lambda _, entry: pause_schedule(entry))

    async def _resume(self, command: ResumeSchedule) -> ScheduleRecord:
        def resumed(scheduled: ScheduledCommand, entry: CronEntry) -> ScheduledCommand | None:
            return resume_schedule(scheduled, entry, now=self._means.clock.now())

        return await self._change(command.name, resumed)

    async def _change(
        self, name: str, change: Callable[[ScheduledCommand, CronEntry], ScheduledCommand | None]
    ) -> ScheduleRecord:
        """Change a schedule; None from `change` leaves it as it is."""

        async def changed() -> ScheduleRecord | None:
            kept = await self._scheduler.read(cron_name(name))
            if kept is None:
                raise ScheduleNotFound(name)
            entry = entry_of(kept, CronEntry)
            scheduled = change(kept.scheduled, entry)
            if scheduled is None:
                return schedule_record(kept.scheduled, entry)
            return _record_of(scheduled) if await self._scheduler.put_back(kept, scheduled) else None

        return await self._written(f"schedule {name!r}", changed)

    async def _remove(self, command: RemoveSchedule) -> bool:
        name = cron_name(command.name)
        tried: KeptCommand | None = None
        """What an earlier try, whose effect is unknown, was to remove."""

        async def removed() -> bool:
            nonlocal tried
            gone, kept = tried, await self._scheduler.read(name)
            if kept is not None:
                tried = kept
                gone = kept if await self._scheduler.cancel(name) else gone
                tried = None
            if gone is None:
                return False
            await discard_template(self._ports, entry_of(gone, CronEntry).template)
            return True

        return await self._means.until_known(removed)

    # Deferred commands

    async def _defer_start(self, command: DeferStart) -> Deferral:
        run_id = self._ports.new_id()
        name = start_name(run_id, command.template.flow, command.key)
        tried = False
        """Whether an earlier try, whose effect is unknown, may have deferred it."""

        async def deferred() -> Deferral | None:
            nonlocal tried
            if tried and await self._means.persistence.read_run(run_id) is not None:
                # recovers 22, 62: a start is withdrawn or carried out before whoever deferred it is answered
                return Deferral(record=_start_record(command, name, run_id), created=True)
            earlier = await self._deferred_before(command, name, run_id)
            if earlier is not None:
                return earlier
            template = await stored_template(self._ports, command.template, size_bytes_max=self._means.inline_bytes_max)
            entry = StartEntry(template=template, run_id=run_id, key=command.key)
            scheduled = ScheduledCommand(
                name=name, due_at=command.due_at, command=write_entry(entry), flow=template.flow
            )
            tried = True
            created = await self._scheduler.schedule(scheduled, replace=False)
            tried = False
            if created:
                return Deferral(record=deferred_record(scheduled, entry), created=True)
            # recovers 69: somebody else was faster to defer a start
            await discard_template(self._ports, template)
            return None

        return await self._written(f"what has key {command.key!r}", deferred)

    async def _deferred_before(self, command: DeferStart, name: str, run_id: str) -> Deferral | None:
        """The start with this key that was deferred before, or the run that has it already."""
        standing = await self._standing_start(name, run_id)
        if standing is not None:
            scheduled, entry = standing
            record = deferred_record(scheduled, entry)
            same = entry.template.digest == command.template.digest
        elif command.key is None:
            return None
        else:
            chosen = RunFilter(flow=command.template.flow, key=command.key)
            page = await self._means.persistence.list_runs(chosen, limit=1, after=None)
            if not page.runs:
                return None
            record = _start_record(command, name, page.runs[0].id)
            same = await self._has_input(record.run_id, command)
        if not same:
            raise IdempotencyConflict(flow=command.template.flow, key=command.key or "", run_id=record.run_id)
        return Deferral(record=record, created=record.run_id == run_id)

    async def _standing_start(self, name: str, run_id: str) -> tuple[ScheduledCommand, StartEntry] | None:
        """The start of that name; another's that was withdrawn, and could not be forgotten then, is forgotten now."""
        kept = await self._scheduler.read(name)
        if kept is None:
            return None
        entry = entry_of(kept, StartEntry)
        if entry.run_id == run_id or not await never_began(self._means, entry.run_id):
            return kept.scheduled, entry
        # recovers 21, 22: a start was withdrawn, and could not be forgotten
        await forget_start(self._means, kept, entry)
        return None

    async def _has_input(self, run_id: str, command: DeferStart) -> bool:
        """Whether a run was started with this input. Settings cannot be compared, since a run has those of its version
        merged in."""
        stored = (await self._means.persistence.read_payloads((run_id,), ())).runs.get(run_id)
        data = None if stored is None else await fetch_payload(self._ports.blobs, stored.input)
        return data == command.template.input.encode()

    async def _defer_cancel(self, command: DeferCancel) -> Deferral:
        entry = CancelEntry(run_id=command.run_id, reason=command.reason, asked_at=self._means.clock.now())
        name = cancel_name(command.run_id)
        scheduled = ScheduledCommand(name=name, due_at=command.due_at, command=write_entry(entry))
        await self._means.until_known(lambda: self._scheduler.schedule(scheduled))
        return Deferral(record=deferred_record(scheduled, entry), created=True)

    async def _withdraw(self, command: WithdrawDeferred) -> bool:
        tried: DeferredEntry | None = None
        """What an earlier try, whose effect is unknown, was to withdraw."""

        async def withdrawn() -> bool | None:
            nonlocal tried
            before, kept = tried, await self._scheduler.read(command.name)
            if kept is None:
                return before is not None and await self._is_withdrawn(command.name, before)
            entry = deferred_entry_of(kept)
            if isinstance(before, StartEntry) and before.run_id != entry.run_id:
                # recovers 62: a start is forgotten by whoever defers another one of its key, which is left alone
                return await self._is_withdrawn(command.name, before)
            done: bool | None
            if not isinstance(entry, StartEntry):
                if kept.claimed_until is not None and kept.claimed_until > self._means.clock.now():
                    return False
                tried = entry
                done = await self._scheduler.ack(kept) or None
            else:
                tried = entry
                done = await withdraw_start(self._means, kept, entry, WITHDRAWN, again=before is not None)
                if done is None:
                    return None
            tried = None
            return done

        return await self._written(repr(command.name), withdrawn)

    async def _is_withdrawn(self, name: str, entry: DeferredEntry) -> bool:
        """Whether what is not there any more was withdrawn: whoever carries it out does so before it is forgotten.

        Raises:
            CommitUnknown: its run is not there, or not any more, so nobody can tell.
        """
        if isinstance(entry, StartEntry):
            return await never_began(self._means, entry.run_id)
        persistence = self._means.persistence
        sent = isinstance(entry, SignalEntry) and any(
            (each.step, each.key) == (entry.step, entry.key) for each in await persistence.read_signals(entry.run_id)
        )
        run = await persistence.read_run(entry.run_id)
        if run is None:  # recovers 22: the run is gone whose cancel or signal may have been withdrawn
            raise CommitUnknown(f"it is unknown whether {name!r} was withdrawn, or carried out before")
        if isinstance(entry, SignalEntry):
            return not sent
        return not (run.status is RunStatus.CANCELLED and run.reason == entry.reason)

    async def _retry(self, command: RetryDeferred) -> DeferredRecord:
        async def retried() -> DeferredRecord | None:
            kept = await self._scheduler.read(command.name)
            if kept is None:
                raise DeferredNotFound(command.name)
            entry = deferred_entry_of(kept)
            scheduled = replace(kept.scheduled, due_at=self._means.clock.now(), failures=0, problem=None)
            return deferred_record(scheduled, entry) if await self._scheduler.put_back(kept, scheduled) else None

        return await self._written(repr(command.name), retried)

    # Both

    async def _written(self, what: str, write: Callable[[], Awaitable[Done | None]]) -> Done:
        """Write until nobody else was faster, which `write` tells by None; what it does is recognised when repeated."""

        async def written() -> Done:
            for _ in range(CHANGE_TRIES_MAX):
                done = await write()
                if done is not None:
                    return done
            # recovers 69: others are always faster
            raise Contention(f"{what} is changed by others all the time; try again")

        return await self._means.until_known(written)


def _start_record(command: DeferStart, name: str, run_id: str) -> DeferredRecord:
    """A start that is carried out or withdrawn already, as whoever defers it is told."""
    return DeferredRecord(
        name=name,
        kind="start",
        run_id=run_id,
        flow=command.template.flow,
        key=command.key,
        due_at=command.due_at,
    )


def _record_of(scheduled: ScheduledCommand) -> ScheduleRecord:
    entry = read_entry(scheduled.command)
    assert isinstance(entry, CronEntry), "a schedule was written"
    return schedule_record(scheduled, entry)
