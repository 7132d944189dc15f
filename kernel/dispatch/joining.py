"""Joining a transaction of the caller's: what is put down there is there once they commit, and never if they do not.

A run is put down as it is anywhere. A signal and a cancel would need the lock of their run, which nobody may hold for
as long as a caller likes; so they are put down as commands that are due at once, and the next host to look carries
them out, under all rules that hold then. Nothing is repeated here: after a failed statement only the caller can.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ports.callers import CallerConnection, CallerConnections
from ...ports.changes import NewRun
from ...ports.errors import CorruptionError
from ...ports.scheduler import ScheduledCommand
from ..commands import CancelRun, Deferral, RequestCancel, RequestSignal, RunStart, StartRunsOn
from ..errors import ConnectionsUnsupported, RunNotFound, SignalConflict
from ..schedules import (
    CancelEntry,
    DeferredEntry,
    DeferredRecord,
    Entry,
    SignalEntry,
    deferred_record,
    read_entry,
    requested_cancel_name,
    requested_signal_name,
    write_entry,
)
from .announcing import jobs_of_runs
from .means import Handlers, Means
from .running import new_runs, require_one_payload, run_starts


class Joining:
    """Carries out `StartRunsOn`, `RequestSignal` and `RequestCancel`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {
            StartRunsOn: self._start_runs,
            RequestSignal: self._request_signal,
            RequestCancel: self._request_cancel,
        }

    async def _start_runs(self, command: StartRunsOn) -> tuple[RunStart, ...]:
        callers = callers_of(self._means.ports.callers)
        runs = new_runs(command.requests, self._means)
        require_one_payload(runs)
        started = await callers.insert_runs(command.connection, runs)
        answers = run_starts(runs, started)
        created = [run for run, answer in zip(runs, answers, strict=True) if answer.created]
        if created:
            self._wake_later(callers, command.connection, created)
        return answers

    def _wake_later(self, callers: CallerConnections, connection: CallerConnection, runs: Sequence[NewRun]) -> None:
        jobs = jobs_of_runs(runs, delivers=self._means.ports.transport.delivers)
        callers.after_commit(connection, lambda: self._means.wake(jobs))

    async def _request_signal(self, command: RequestSignal) -> Deferral:
        signal = command.signal
        name = requested_signal_name(signal.run_id, signal.step, signal.key)
        entry = SignalEntry(
            run_id=signal.run_id,
            flow=command.flow,
            step=signal.step,
            key=signal.key,
            payload=signal.payload.decode(),
            facts=None if signal.facts is None else signal.facts.decode(),
            digest=signal.digest,
        )
        record, earlier = await self._request(command.connection, name, entry, flow=command.flow)
        if isinstance(earlier, SignalEntry) and earlier.digest != signal.digest:
            raise SignalConflict(run_id=signal.run_id, step=signal.step, key=signal.key)
        return Deferral(record=record, created=earlier is None)

    async def _request_cancel(self, command: RequestCancel) -> Deferral:
        CancelRun(command.run_id, command.reason)
        callers = callers_of(self._means.ports.callers)
        if await callers.see_run(command.connection, command.run_id, step="", key="") is None:
            raise RunNotFound(command.run_id)
        name = requested_cancel_name(command.run_id, self._means.ports.new_id())
        entry = CancelEntry(run_id=command.run_id, reason=command.reason)
        record, _ = await self._request(command.connection, name, entry, flow=None)
        return Deferral(record=record, created=True)

    async def _request(
        self, connection: CallerConnection, name: str, entry: DeferredEntry, *, flow: str | None
    ) -> tuple[DeferredRecord, Entry | None]:
        """Put a command down that is due at once; answers it, and the entry that has its name already, or None."""
        callers = callers_of(self._means.ports.callers)
        now = self._means.clock.now()
        scheduled = ScheduledCommand(name=name, due_at=now, command=write_entry(entry), flow=flow)
        record = deferred_record(scheduled, entry)
        earlier = await callers.insert_command(connection, scheduled)
        if earlier is None:
            return record, None
        found = read_entry(earlier)
        if type(found) is not type(entry):
            raise CorruptionError(f"the entry {name!r} is a {type(found).__name__}, not a {type(entry).__name__}")
        return record, found


def callers_of(callers: CallerConnections | None) -> CallerConnections:
    """The port, where there is one.

    Raises:
        ConnectionsUnsupported: there is none.
    """
    if callers is None:
        raise ConnectionsUnsupported
    return callers
