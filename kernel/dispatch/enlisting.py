"""Keeping the list of hosts."""

from __future__ import annotations

from datetime import timedelta

from ...ports.workers import WorkerRecord
from ..commands import AnnounceWorker
from .means import Handlers, Means

WORKERS_KEPT = timedelta(days=7)
"""For how long a worker is listed that does not announce itself any more: over a weekend, and not for ever, since
every process has an id of its own."""


class Enlisting:
    """Carries out `AnnounceWorker`."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @property
    def handlers(self) -> Handlers:
        """What carries out each command."""
        return {AnnounceWorker: self._announce_worker}

    async def _announce_worker(self, command: AnnounceWorker) -> None:
        now = self._means.clock.now()
        worker = WorkerRecord(
            worker=command.worker,
            kind=command.kind,
            host=command.host,
            pid=command.pid,
            flows=command.flows,
            queues=command.queues,
            slots=command.slots,
            sinks=command.sinks,
            started_at=command.started_at,
            seen_at=now,
            ended_at=now if command.ends else None,
        )
        await self._means.persistence.announce_worker(worker, forget_before=now - WORKERS_KEPT)
