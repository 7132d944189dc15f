"""All committed rows as plain data: for differential tests, trace hashes, and looking at a store while debugging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from attrs import asdict

from ...ports.records import TaskKey
from .store import Store

Table: TypeAlias = list[dict[str, Any]]


def snapshot_of(store: Store) -> Mapping[str, Table]:
    """Every table by name, its rows as dicts in order of their primary key, whatever order they were written in.

    Tables: `flows`, `runs`, `steps`, `tasks`, `attempts`, `signals`, `resume_tokens`, `run_generations`,
    `run_annotations`, `logs`, `progress`, `outbox`, `outbox_shards`, `sinks`, `held_runs`, `dead_letters`. Columns
    have the names of the records' fields; a task's key is spread over `run_id`, `step`, `generation` and `element`.
    Statuses are plain text, payloads the bytes that were stored, times aware datetimes. Leases of shards that were
    never leased are left out, and workers, which are never the same twice. What open transactions have written is not
    there.
    """
    runs = [store.runs[run_id] for run_id in sorted(store.runs)]
    flows = sorted(store.flows.values(), key=lambda flow: flow.flow_id)
    current = {flow.flow_id for flow in store.current_flows.values()}
    return {
        "flows": [{**msgspec.structs.asdict(flow), "current": flow.flow_id in current} for flow in flows],
        "runs": [_plain(run.row) for run in runs],
        "steps": [_plain(run.steps[key]) for run in runs for key in sorted(run.steps)],
        "tasks": [_keyed(run.tasks[key], key) for run in runs for key in sorted(run.tasks)],
        "attempts": [_keyed(run.attempts[lease], lease.key) for run in runs for lease in sorted(run.attempts)],
        "signals": [_plain(run.signals[name]) for run in runs for name in sorted(run.signals)],
        "resume_tokens": [_plain(store.resume_tokens[digest]) for digest in sorted(store.resume_tokens)],
        "run_generations": [_plain(run.endings[number]) for run in runs for number in sorted(run.endings)],
        "run_annotations": [
            {"run_id": run.row.id, "annotations": run.annotations} for run in runs if run.annotations is not None
        ],
        "logs": [_keyed(entry, entry.key) for run in runs for entry in run.logs.values()],
        "progress": [_keyed(run.progress[key], key) for run in runs for key in sorted(run.progress)],
        "outbox": [_plain(batch) for run in runs for batch in run.batches()],
        **_of_sinks(store),
    }


def _of_sinks(store: Store) -> dict[str, Table]:
    sinks = sorted(store.outbox.sinks.values(), key=lambda sink: sink.number)
    shards = [(sink, number, shard) for sink in sinks for number, shard in enumerate(sink.shards)]
    return {
        "outbox_shards": [
            {
                "sink": sink.number,
                "shard": number,
                "token": shard.token,
                "worker": shard.worker,
                "lease_until": shard.lease_until,
            }
            for sink, number, shard in shards
            if shard.token
        ],
        "sinks": [
            {
                "id": sink.number,
                "name": sink.name,
                "registered_at": sink.registered_at,
                "pauses": sink.pauses,
                "not_before": sink.not_before,
                "problem": sink.problem,
            }
            for sink in sinks
        ],
        "held_runs": [
            {"sink": sink.number, "shard": number, **_plain(shard.held[run_id])}
            for sink, number, shard in shards
            for run_id in sorted(shard.held)
        ],
        "dead_letters": [
            {**_plain(shard.letters[key].event), **_plain(shard.letters[key]), "sink": sink.number}
            for sink, _, shard in shards
            for key in sorted(shard.letters)
        ],
    }


def _keyed(row: Any, key: TaskKey) -> dict[str, Any]:
    columns = _plain(row)
    del columns["key"]
    return {**key._asdict(), **columns}


def _plain(row: Any) -> dict[str, Any]:
    columns = msgspec.structs.asdict(row) if isinstance(row, msgspec.Struct) else asdict(row, recurse=False)
    columns.pop("entry", None)
    for name in ("status", "phase", "waits_for", "level"):
        if columns.get(name) is not None:
            columns[name] = str(columns[name])
    return columns
