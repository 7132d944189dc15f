"""Which hosts there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ...ports.workers import HostKind, ServedFlow, WorkerRecord
from .arrays import texts
from .database import Database, Row

_KIND: Mapping[str, HostKind] = {kind.value: kind for kind in HostKind}


class WorkerKeeping:
    """The methods of `Workers`. Each is one statement."""

    _database: Database

    async def announce_worker(self, worker: WorkerRecord, *, forget_before: datetime) -> None:
        """Put a worker down, and forget those that were last seen before a time."""
        parameters = {
            "worker": worker.worker,
            "kind": str(worker.kind),
            "host": worker.host,
            "pid": worker.pid,
            "flows": texts([flow.slug for flow in worker.flows]),
            "versions": texts([flow.version for flow in worker.flows]),
            "queues": texts(worker.queues),
            "slots": worker.slots,
            "sinks": None if worker.sinks is None else texts(worker.sinks),
            "started_at": worker.started_at,
            "seen_at": worker.seen_at,
            "ended_at": worker.ended_at,
            "forget_before": forget_before,
        }
        await self._database.write("announce_worker", parameters)

    async def read_workers(self) -> Sequence[WorkerRecord]:
        """All workers that are known, by worker id."""
        return [_worker_record(row) for row in await self._database.read("read_workers")]


def _worker_record(row: Row) -> WorkerRecord:
    worker, kind, host, pid, flows, versions, queues, slots, sinks, started_at, seen_at, ended_at = row
    return WorkerRecord(
        worker=worker,
        kind=_KIND[kind],
        host=host,
        pid=pid,
        flows=tuple(ServedFlow(*each) for each in zip(flows, versions, strict=True)),
        queues=tuple(queues),
        slots=slots,
        sinks=None if sinks is None else tuple(sinks),
        started_at=started_at,
        seen_at=seen_at,
        ended_at=ended_at,
    )
