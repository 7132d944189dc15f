"""Which hosts there are, by worker id. Every method expects the store's mutex to be held."""

from __future__ import annotations

from datetime import datetime

from ...ports.workers import WorkerRecord


class AnnouncedWorkers:
    """The table of workers."""

    def __init__(self) -> None:
        self._workers: dict[str, WorkerRecord] = {}

    def announce(self, worker: WorkerRecord, forget_before: datetime) -> None:
        """Put a worker down, and forget those that were last seen before a time."""
        kept = {name: each for name, each in self._workers.items() if each.seen_at >= forget_before}
        current = self._workers.get(worker.worker)
        if current is None or _said(current) <= _said(worker):
            current = worker
        kept[worker.worker] = current
        self._workers = kept

    def all(self) -> list[WorkerRecord]:
        """All workers that are known, by worker id."""
        return [self._workers[name] for name in sorted(self._workers)]


def _said(worker: WorkerRecord) -> tuple[datetime, datetime]:
    """What decides whose word counts."""
    return worker.started_at, worker.seen_at
