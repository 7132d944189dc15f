"""Signals: whether one that was sent is accepted, and what it does.

A signal is accepted while its step waits, and then ends the wait; or before that, and then it is kept until the step
waits. Its key makes a repetition recognisable whatever has become of the step since. Only where a rerun lets the step
wait again is there nothing to confirm: what an earlier generation has used does not count for this one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime

from ...ports.callers import SeenRun
from ...ports.changes import NewSignal
from ...ports.records import RunRow, SignalRow, Snapshot, StepRow
from ...ports.statuses import TERMINAL_RUN, TERMINAL_STEP, StepStatus
from ..commands import SendSignal, SentSignal, SignalFate
from ..errors import NotASignal, ResumeTokenExpired, SignalConflict, SignalNotAwaited, SignalSpent, SignalWaiting
from ..plan import Plan, StepKind
from .handover import HandOver
from .rows import run_kept
from .settled import Settled, progress_of, steps_by_run
from .state import ChangeSet, NotLoaded, loaded_steps

_UNANSWERED = frozenset({StepStatus.CREATED, StepStatus.SUSPENDED})
"""Of a signal step that has no answer yet, and may still get one."""


class Reception(enum.Enum):
    """What is to be done with a signal that is not refused."""

    REPEATED = enum.auto()
    """Nothing: it was accepted before."""
    KEEP = enum.auto()
    DELIVER = enum.auto()


def receive(
    command: SendSignal, run: RunRow, step: StepRow | None, plan: Plan, signals: Sequence[SignalRow], *, now: datetime
) -> Reception:
    """Decide what to do with a signal.

    Args:
        command: the signal.
        run: as locked.
        step: the step's row; None where the run was not claimed yet.
        plan: of the run.
        signals: all that were sent to the run.
        now: the time of the transaction.

    Raises:
        SignalSpent: its key was used by an earlier generation, and its step waits again, or is to.
        SignalConflict: another payload was sent with its key.
        ResumeTokenExpired: the token it was sent with has expired.
        NotASignal: its step takes none.
        SignalNotAwaited: the step, or the run, is over.
        SignalWaiting: another signal is kept for the step already.
    """
    earlier = next((each for each in signals if (each.step, each.key) == (command.step, command.key)), None)
    if earlier is not None:  # recovers 2, 63: a signal with this key was accepted before
        if earlier.consumed_at is not None and step is not None and step.status in _UNANSWERED:
            raise SignalSpent(run_id=run.id, step=command.step, key=command.key)
        if earlier.request_digest != command.digest:
            raise SignalConflict(run_id=run.id, step=command.step, key=command.key)
        return Reception.REPEATED
    if command.expires_at is not None and command.expires_at <= now:
        raise ResumeTokenExpired(command.expires_at)
    if run.status in TERMINAL_RUN:
        raise SignalNotAwaited(run_id=run.id, step=None, status=run.status)
    if command.step not in plan.steps or plan.steps[command.step].kind is not StepKind.SIGNAL:
        raise NotASignal(flow=plan.slug, step=command.step, signals=signals_of(plan))
    if step is not None and step.status is StepStatus.SUSPENDED:
        return Reception.DELIVER
    if step is not None and step.status is not StepStatus.CREATED:
        raise SignalNotAwaited(run_id=run.id, step=command.step, status=step.status)
    kept = next((each for each in signals if each.step == command.step and each.consumed_at is None), None)
    if kept is not None:
        raise SignalWaiting(run_id=run.id, step=command.step, key=kept.key)
    return Reception.KEEP


def foreseen(command: SendSignal, seen: SeenRun) -> bool:
    """Whether a signal was accepted before, as far as the transaction of whoever asks for it can see.

    Raises:
        SignalSpent: its key was used by an earlier generation, and its step waits again, or is to.
        SignalConflict: another payload was sent with its key.
        SignalNotAwaited: its step, or the run, is over.
    """
    if seen.signal_used and seen.step_status in _UNANSWERED:
        raise SignalSpent(run_id=command.run_id, step=command.step, key=command.key)
    if seen.signal_digest is not None and seen.signal_digest != command.digest:
        raise SignalConflict(run_id=command.run_id, step=command.step, key=command.key)
    if seen.signal_digest is not None:
        return True
    if seen.status in TERMINAL_RUN:
        raise SignalNotAwaited(run_id=command.run_id, step=None, status=seen.status)
    if seen.step_status is not None and seen.step_status in TERMINAL_STEP:
        raise SignalNotAwaited(run_id=command.run_id, step=command.step, status=seen.step_status)
    return False


def signals_of(plan: Plan) -> tuple[str, ...]:
    """The steps of a flow that can be answered."""
    return tuple(slug for slug, step in plan.steps.items() if step.kind is StepKind.SIGNAL)


def sent(command: SendSignal, reception: Reception, signals: Sequence[SignalRow]) -> SentSignal:
    """What whoever sent a signal is told."""
    waits = any((each.step, each.key) == (command.step, command.key) and each.consumed_at is None for each in signals)
    kept = waits if reception is Reception.REPEATED else reception is Reception.KEEP
    return SentSignal(
        run_id=command.run_id,
        step=command.step,
        fate=SignalFate.KEPT if kept else SignalFate.DELIVERED,
        repeated=reception is Reception.REPEATED,
    )


def keep_signal(command: SendSignal, run: RunRow, *, now: datetime) -> ChangeSet:
    """Put a signal down for a step that does not wait yet. The run's status is not touched, and nothing is told."""
    return ChangeSet(runs=[run_kept(run, signals=1)], new_signals=[_new_signal(command, now, consumed=False)])


def deliver_signal(
    command: SendSignal, snapshot: Snapshot, plan: Plan, *, now: datetime, hand_over: HandOver
) -> Settled:
    """Advance a run whose step waits for the signal: the payload is the step's output."""
    settled = Settled()
    run = snapshot.runs[command.run_id]
    steps = loaded_steps(steps_by_run(snapshot).get(run.id, {}))
    try:
        progress = progress_of(run, {run.flow_id: plan}, steps, snapshot, now, hand_over)
        progress.signalled(command.step, command.payload, command.facts)
        progress.write(settled.changes)
        settled.changes.new_signals.append(_new_signal(command, now, consumed=True))
    except NotLoaded as lack:
        settled.ask(run.id, lack)
    return settled


def _new_signal(command: SendSignal, now: datetime, *, consumed: bool) -> NewSignal:
    return NewSignal(
        run_id=command.run_id,
        step=command.step,
        key=command.key,
        request_digest=command.digest,
        sent_at=now,
        payload=command.payload,
        facts=command.facts,
        consumed_at=now if consumed else None,
    )
