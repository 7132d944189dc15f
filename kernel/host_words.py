"""Hosts in the words of explanations: which there are, and when they were last heard of.

A host that was killed is believed to run until it should have been heard of, so it is told when that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..ports.reading import RunRecord
from ..ports.workers import HostKind
from .amounts import counted, lasting
from .workers import ANNOUNCE_INTERVAL, Worker, WorkerState, running_workers

LATE_AFTER = ANNOUNCE_INTERVAL + timedelta(seconds=10)
"""A host that was not heard of for so long has not announced itself in its time, and may be gone."""


def code_of(run: RunRecord) -> str:
    """What a host must have for a run."""
    return f"flow {run.flow!r} in version {run.version}"


def heard_of(worker: Worker, now: datetime) -> str:
    """When a host was last heard of, and that it is late where it is."""
    silence = now - worker.record.seen_at
    called = worker.record.kind is HostKind.SERVERLESS
    late = "" if called or silence <= LATE_AFTER else f", though it announces itself every {lasting(ANNOUNCE_INTERVAL)}"
    return f"last heard of {lasting(silence)} ago{late}"


def last_heard(workers: Sequence[Worker], now: datetime) -> str:
    """When some hosts that are believed to run, at least one, were last heard of."""
    if len(workers) == 1:
        return f"{workers[0].record.worker} was {heard_of(workers[0], now)}"
    silences = [now - each.record.seen_at for each in workers]
    newest, oldest = lasting(min(silences)), lasting(max(silences))
    span = newest if newest == oldest else f"{newest} to {oldest}"
    return f"{len(workers):,} hosts were last heard of {span} ago"


def hosts_there_are(run: RunRecord, workers: Sequence[Worker], now: datetime) -> str:
    """Which hosts there are instead of one that could take a run."""
    alive = running_workers(workers)
    others = sorted({served.version for each in alive for served in each.record.flows if served.slug == run.flow})
    if others:
        return f"hosts that run have version {', '.join(others)}; a run stays with the version it was started with"
    between = [
        each
        for each in workers
        if each.record.kind is HostKind.SERVERLESS
        and each.state is WorkerState.SILENT
        and each.serves(run.flow, run.version)
    ]
    if between:
        latest = max(between, key=_seen_at)
        return f"serverless {last_heard([latest], now)}; it works only while it is called"
    if alive:
        return f"{counted(len(alive), 'host')} {'runs' if len(alive) == 1 else 'run'}, none with that flow"
    return f"no host runs at all{_the_last(workers, now)}"


def _the_last(workers: Sequence[Worker], now: datetime) -> str:
    """The host that was heard of last, and how long ago."""
    if not workers:
        return ""
    last = max(workers, key=_seen_at)
    worker, ended_at = last.record.worker, last.record.ended_at
    if ended_at is not None:
        return f"; the last, {worker}, ended {lasting(now - ended_at)} ago"
    return f"; the last, {worker}, was last heard of {lasting(now - last.record.seen_at)} ago"


def _seen_at(worker: Worker) -> datetime:
    return worker.record.seen_at
