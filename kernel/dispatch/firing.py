"""Firing: carrying out what is due, one command after the other, each with its own fate.

Claim, act, put back or forget: three steps and no transaction around them. Whatever happens between two of them, the
command is claimed again when its claim runs out, and acting a second time finds what the first has done: a run has the
key of its tick, a deferred start the id of its run, a signal its own key, and a cancel finds a run that has ended. So
there is one run for each tick, whatever the number of hosts, and a claim only saves work.

Trouble. What the caller of a command would be told (an input that does not fit the flow's newest version here) holds
the command at once, for nobody will be luckier. What the world refuses is tried again with growing pauses: for ever
where it may be reached again, else `FAILURES_MAX` times, then it is held. A held command keeps its problem and waits
for somebody to resume, retry, change or remove it. No other command is held up: one that meets a lock waits for it a
moment only, and each further one of a round half as long, since others wait behind them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from attrs import define, evolve, field
from msgspec.structs import replace

from ...ports.errors import AdapterError, Contention, UsageError
from ...ports.scheduler import KeptCommand, ScheduledCommand
from ..commands import CancelRun, Command, Fired, FireScheduled, RunStart, SendSignal, TriggerSchedule, Trouble
from ..cron import Cron
from ..decisions.firing import FAILURES_MAX, fire_ticks, may_be_started, retry_at
from ..entries import entry_of, read_entries
from ..errors import IdempotencyConflict, RunNotFound, ScheduleNotFound, UnknownFlow
from ..failures import problem_of
from ..registry import RegisteredFlow, rank
from ..schedules import (
    START_PREFIX,
    CancelEntry,
    CronEntry,
    LeftOut,
    SignalEntry,
    StartEntry,
    Template,
    cancel_name,
    cron_name,
    read_entry,
    start_name,
    tick_key,
    write_entry,
)
from ..starting import Start, start_runs
from ..templates import loaded_template, start_of, stored_template
from .means import Handlers, Means
from .withdrawing import forget_start, never_began, withdraw_start

Result = TypeVar("Result")

FIRE_CLAIM = timedelta(seconds=10)
"""How long a command belongs to the host that carries it out: as long as a host may take, and as long as a command of
one that died waits for another."""

FIRE_PATIENCE_S = 0.5
"""How long the first command of a round that meets a lock waits for it, longer than a transaction takes; those of a
round wait twice as long in all."""

NEVER = "it never ticks again"
"""The problem of a schedule that is over."""


class Firing:
    """Carries out `FireScheduled` and `TriggerSchedule`.

    Args:
        means: of the kernel.
        dispatch: carries out the commands that are due.
    """

    def __init__(self, means: Means, dispatch: Callable[[Command[Any]], Awaitable[Any]]) -> None:
        self._means = means
        self._dispatch = dispatch
        self._ports = means.ports
        self._scheduler = means.ports.scheduler

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {FireScheduled: self._fire_scheduled, TriggerSchedule: self._trigger}

    async def _fire_scheduled(self, command: FireScheduled) -> Fired:
        now = self._means.clock.now()
        claimed = await self._scheduler.claim_due(
            flows=self._slugs, now=now, until=now + FIRE_CLAIM, limit=command.limit
        )
        tally = _Tally()
        for kept in claimed:
            # What another host may hold by now is left to it, and to the key that both would use.
            if kept.claimed_until is not None and self._means.clock.now() < kept.claimed_until:
                await self._carry_out(kept, tally)
        return Fired(
            claimed=len(claimed),
            started=tally.started,
            cancelled=tally.cancelled,
            signalled=tally.signalled,
            left_out=tuple(tally.left_out),
            troubles=tuple(tally.troubles),
        )

    async def _carry_out(self, kept: KeptCommand, tally: _Tally) -> None:
        try:
            entry = read_entry(kept.scheduled.command)
            if isinstance(entry, CronEntry):
                await self._fire_schedule(kept, entry, tally)
            elif isinstance(entry, StartEntry):
                await self._fire_start(kept, entry, tally)
            elif isinstance(entry, SignalEntry):
                await self._fire_signal(kept, entry, tally)
            else:
                await self._fire_cancel(kept, entry, tally)
        except Exception as error:  # recovers 76: a scheduled command fails; it concerns no other
            await self._put_off(kept, error, tally)

    async def _put_off(self, kept: KeptCommand, error: Exception, tally: _Tally) -> None:
        """Keep the problem of a command that could not be carried out, and hold it or try it again later."""
        if isinstance(error, Contention):  # recovers 24: a scheduled command meets a lock; others wait behind it
            tally.patience_s /= 2
        problem = problem_of(error)
        failures = kept.scheduled.failures + 1
        held = self._is_final(kept, error, failures)
        due_at = None if held else retry_at(self._means.clock.now(), failures)
        scheduled = replace(kept.scheduled, due_at=due_at, failures=failures, problem=problem)
        if await self._scheduler.put_back(kept, scheduled):
            tally.troubles.append(Trouble(name=kept.scheduled.name, problem=problem, held=held))

    def _is_final(self, kept: KeptCommand, error: Exception, failures: int) -> bool:
        if isinstance(error, UsageError):
            return not self._is_behind(kept, error)
        if isinstance(error, AdapterError) and error.retryable:
            return False
        return failures >= FAILURES_MAX

    def _is_behind(self, kept: KeptCommand, error: UsageError) -> bool:
        """Whether a command takes another version of its flow than this kernel has, as during a deployment: a host that
        has it too will come by. Or whether it takes a run that whoever starts it has not committed yet."""
        entry = read_entry(kept.scheduled.command)
        if isinstance(entry, CancelEntry):
            return isinstance(error, RunNotFound)
        if isinstance(entry, SignalEntry):
            return isinstance(error, UnknownFlow)
        return rank(self._found(entry.template).flow.version) < rank(entry.template.version)

    # Schedules

    async def _fire_schedule(self, kept: KeptCommand, entry: CronEntry, tally: _Tally) -> None:
        cron = Cron(entry.cron, entry.zone)
        firing = fire_ticks(cron, entry.after, self._means.clock.now(), entry.catch_up)
        keys = [tick_key(entry.name, tick) for tick in firing.ticks]
        started = await self._start_ticks(entry, keys, tally.patience_s)
        tally.started += started
        fired = replace(
            entry,
            after=firing.after,
            started=entry.started + started,
            last_tick=firing.ticks[-1] if firing.ticks else entry.last_tick,
            left_out=firing.left_out or entry.left_out,
        )
        scheduled = ScheduledCommand(
            name=kept.scheduled.name,
            due_at=firing.next_at,
            command=write_entry(fired),
            flow=entry.template.flow,
            problem=None if firing.next_at is not None else NEVER,
        )
        if await self._scheduler.put_back(kept, scheduled) and firing.left_out is not None:
            tally.left_out.append((entry.name, firing.left_out))

    async def _start_ticks(self, entry: CronEntry, keys: Sequence[str], patience_s: float) -> int:
        """Start the runs of some ticks; how many were not there."""
        if not keys:
            return 0
        found = self._found(entry.template)
        start = start_of(await loaded_template(self._ports, entry.template), None)
        try:
            starts = [evolve(start, key=key) for key in keys]
            return _created(await self._start(found, starts, patience_s=patience_s))
        except IdempotencyConflict:  # recovers 70: a tick was fired before the schedule's input was changed
            pass
        started = 0
        for key in keys:
            try:
                started += _created(await self._start(found, [evolve(start, key=key)], patience_s=patience_s))
            except IdempotencyConflict:  # recovers 70: it was this one, which is left out
                continue
        return started

    async def _trigger(self, command: TriggerSchedule) -> str:
        kept = await self._scheduler.read(cron_name(command.name))
        if kept is None:
            raise ScheduleNotFound(command.name)
        template = await loaded_template(self._ports, entry_of(kept, CronEntry).template)
        run_id = self._ports.new_id()
        if template.flow in self._slugs:
            await self._start(self._found(template), [start_of(template, None)], run_id=run_id)
            return run_id
        stored = await stored_template(self._ports, template, size_bytes_max=self._means.inline_bytes_max)
        scheduled = ScheduledCommand(
            name=start_name(run_id, template.flow, None),
            due_at=self._means.clock.now(),
            command=write_entry(StartEntry(template=stored, run_id=run_id)),
            flow=template.flow,
        )
        await self._means.until_known(lambda: self._scheduler.schedule(scheduled))
        return run_id

    # Deferred commands

    async def _fire_start(self, kept: KeptCommand, entry: StartEntry, tally: _Tally) -> None:
        template = await loaded_template(self._ports, entry.template)
        start = start_of(template, entry.key)
        try:
            (answer,) = await self._start(
                self._found(template), [start], run_id=entry.run_id, patience_s=tally.patience_s
            )
        except IdempotencyConflict as conflict:
            if conflict.run_id != entry.run_id:
                raise
            # recovers 2, 59: a host with another version of the flow has started the run, and died
            # Or somebody has withdrawn the start meanwhile, and put the run down as cancelled.
            answer = RunStart(run_id=entry.run_id, created=not await never_began(self._means, entry.run_id))
        tally.started += answer.created
        if answer.run_id != entry.run_id:  # recovers 66: somebody was faster to start what has the key
            await self._move_deadline(entry.run_id, answer.run_id)
        await forget_start(self._means, kept, entry)

    async def _move_deadline(self, run_id: str, to: str) -> None:
        """Give the deadline of a run that never was to the one that is in its place, unless that has one of its own."""
        kept = await self._scheduler.read(cancel_name(run_id))
        if kept is None:
            return
        entry = replace(entry_of(kept, CancelEntry), run_id=to)
        moved = replace(kept.scheduled, name=cancel_name(to), command=write_entry(entry))
        await self._scheduler.schedule(moved, replace=False)
        await self._scheduler.ack(kept)

    async def _fire_cancel(self, kept: KeptCommand, entry: CancelEntry, tally: _Tally) -> None:
        cancel = CancelRun(entry.run_id, entry.reason, patience_s=tally.patience_s)
        try:
            tally.cancelled += (await self._dispatch(cancel)).took_effect
        except RunNotFound:  # recovers 62: the run is pruned, or not started yet and not to be any more
            if not await self._withdraw_start(entry):
                # recovers 62: a start is gone, perhaps because it was carried out meanwhile
                try:
                    tally.cancelled += (await self._dispatch(cancel)).took_effect
                except RunNotFound:
                    if may_be_started(entry, self._means.clock.now()):
                        # recovers 62: the run of a deadline may lie in a transaction of a caller that is still open
                        raise
        await self._scheduler.ack(kept)

    async def _withdraw_start(self, cancel: CancelEntry) -> bool:
        """Withdraw the deferred start of a run; with a key it stands under that, and has to be looked for.

        Returns:
            Whether the run will never begin; False where there is no such start, or its run is there.
        """
        kept = await self._scheduler.read(start_name(cancel.run_id, "", None))
        if kept is None:
            found = (
                each
                async for each, entry in read_entries(self._scheduler, START_PREFIX)
                if isinstance(entry, StartEntry) and entry.run_id == cancel.run_id
            )
            kept = await anext(found, None)
        if kept is None:
            return False
        start = entry_of(kept, StartEntry)
        return await withdraw_start(self._means, kept, start, cancel.reason, again=True) is not False

    async def _fire_signal(self, kept: KeptCommand, entry: SignalEntry, tally: _Tally) -> None:
        signal = SendSignal(
            run_id=entry.run_id,
            step=entry.step,
            key=entry.key,
            payload=entry.payload.encode(),
            facts=None if entry.facts is None else entry.facts.encode(),
            digest=entry.digest,
            patience_s=tally.patience_s,
        )
        tally.signalled += not (await self._dispatch(signal)).repeated
        await self._scheduler.ack(kept)

    async def _start(
        self,
        found: RegisteredFlow,
        starts: Sequence[Start],
        *,
        run_id: str | None = None,
        patience_s: float | None = None,
    ) -> Sequence[RunStart]:
        """Put runs down, unless they are there."""
        return await start_runs(
            self._dispatch,
            self._ports,
            found,
            starts,
            size_bytes_max=self._means.inline_bytes_max,
            run_id=run_id,
            patience_s=patience_s,
        )

    @property
    def _slugs(self) -> list[str]:
        """The flows whose code this kernel has."""
        return sorted({flow.slug for flow in self._means.registry.flows})

    def _found(self, template: Template) -> RegisteredFlow:
        """The newest version of a flow that this kernel has."""
        return self._means.registry.registered_flow(self._means.registry.find(template.flow))


def _created(answers: Sequence[RunStart]) -> int:
    """How many runs were not there."""
    return sum(answer.created for answer in answers)


@define
class _Tally:
    """What one round has done so far."""

    patience_s: float = FIRE_PATIENCE_S
    """What is left of it for the next command that meets a lock."""
    started: int = 0
    cancelled: int = 0
    signalled: int = 0
    left_out: list[tuple[str, LeftOut]] = field(factory=list[tuple[str, LeftOut]])
    troubles: list[Trouble] = field(factory=list[Trouble])
