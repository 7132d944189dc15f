"""Claiming pending runs: each becomes running, with a row for every step and tasks for those that are ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ...ports.records import PendingRun, SignalRow
from ..failures import failure_of
from ..plan import Plan
from .handover import HandOver
from .progress import RunProgress
from .state import ChangeSet, RunState, new_steps


def claim_runs(
    runs: Sequence[PendingRun],
    plans: Mapping[int, Plan],
    *,
    now: datetime,
    hand_over: HandOver,
    signals: Mapping[str, Sequence[SignalRow]] | None = None,
) -> ChangeSet:
    """Decide what becomes of pending runs that were locked for their claim.

    A run whose evaluation raises fails alone, as `internal_error` and without steps; the others are claimed.

    Args:
        runs: as locked, each of a flow in `plans`.
        plans: by flow id.
        now: the time of the claim.
        hand_over: the claiming host's slots; taken from as first tasks are born leased.
        signals: by run id, for every run that signals are kept for.
    """
    kept = signals or {}
    changes = ChangeSet()
    for run in runs:
        slots = hand_over.remaining
        try:
            plan = plans[run.flow_id]
            steps = new_steps(plan, run.generation)
            state, mine = RunState.pending(run, plan), kept.get(run.id)
            progress = RunProgress(plan, state, steps, now=now, hand_over=hand_over, signals=mine)
            progress.claim()
            progress.write(changes)
        except Exception as error:  # recovers 78: the rules raise over a run that begins
            hand_over.remaining = slots
            plan = plans[run.flow_id]
            progress = RunProgress(plan, RunState.pending(run, plan), {}, now=now, hand_over=hand_over)
            progress.fail("internal_error", failure_of(error))
            progress.write(changes)
    return changes
