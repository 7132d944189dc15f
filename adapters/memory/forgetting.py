"""Forgetting in memory: what may be pruned, and removing it. Every function expects the store's mutex to be held."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime

from ...ports.reading import RunCursor
from ...ports.retention import PrunablePage, PrunableRun
from .rows import StoredRun
from .store import Store


def find_prunable(
    store: Store, ended_before: datetime, flow: str | None, after: RunCursor | None, limit: int
) -> PrunablePage:
    """Terminal runs that ended before a time, oldest first, and which of their events keep them."""
    first = 0 if after is None else bisect_right(store.by_age, (after.created_at, after.id))
    looked_at: list[StoredRun] = []
    for created_at, run_id in store.by_age[first:]:
        if created_at >= ended_before or len(looked_at) == limit:
            break
        run = store.runs[run_id]
        if flow is None or run.row.flow == flow:
            looked_at.append(run)
    ends = [run.row.ended_at for run in looked_at if run.row.ended_at is not None]
    prunable = [_prunable_run(store, run, ended_before) for run in looked_at]
    return PrunablePage(
        runs=[run for run in prunable if run is not None],
        last=RunCursor(looked_at[-1].row.created_at, looked_at[-1].row.id) if looked_at else None,
        more=len(looked_at) == limit,
        next_end=min((ended_at for ended_at in ends if ended_at >= ended_before), default=None),
    )


def delete_runs(store: Store, runs: Sequence[str], ended_before: datetime, *, dead_letters: bool) -> list[str]:
    """Remove runs with everything of theirs, unless somebody holds them."""
    gone: list[str] = []
    for run_id in sorted(set(runs)):
        run = store.runs.get(run_id)
        if run is None or store.locks.is_locked(run_id):
            # recovers 13, 69: a run that is old is gone, or in somebody's hands
            continue
        found = _prunable_run(store, run, ended_before)
        if found is not None and not found.stays(dead_letters=dead_letters):
            _delete(store, run)
            gone.append(run_id)
    return gone


def _prunable_run(store: Store, run: StoredRun, ended_before: datetime) -> PrunableRun | None:
    ended_at = run.row.ended_at
    if ended_at is None or ended_at >= ended_before:
        return None
    return PrunableRun(
        id=run.row.id,
        flow=run.row.flow,
        ended_at=ended_at,
        tasks=len(run.tasks),
        unpublished=not all(batch.published for batch in run.events.values()),
        dead_letters=store.outbox.has_dead_letters(run.row.id),
    )


def _delete(store: Store, run: StoredRun) -> None:
    row = run.row
    del store.runs[row.id]
    if row.key is not None:
        del store.by_key[row.flow, row.key]
    for digest in [digest for digest, token in store.resume_tokens.items() if token.run_id == row.id]:
        del store.resume_tokens[digest]
    place = bisect_left(store.by_age, (row.created_at, row.id))
    del store.by_age[place]
    store.outbox.forget_run(row.id)
