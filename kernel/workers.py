"""Hosts as they announced themselves, and what that says of them now."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

from ..ports.workers import HostKind, WorkerRecord

ANNOUNCE_INTERVAL = timedelta(seconds=30)
"""How often a host says that it is there: rarely enough to cost nothing, often enough to be believed."""

SILENT_AFTER = 3 * ANNOUNCE_INTERVAL
"""A host that was not heard of for so long has missed two announcements: something is wrong with it, or with its way
to the store."""


class WorkerState(enum.StrEnum):
    """What is to be thought of a host."""

    RUNNING = "running"
    """It was heard of a moment ago."""
    SILENT = "silent"
    """It should have been heard of: killed, stuck, or cut off from the store. Of a serverless host it only says that
    there was no call."""
    ENDED = "ended"
    """It said that it ends."""


@frozen(kw_only=True)
class Worker:
    """A host."""

    record: WorkerRecord
    """As it announced itself."""
    state: WorkerState

    def serves(self, flow: str, version: str) -> bool:
        """Whether it has the code of a flow's version."""
        return any(each.slug == flow and each.version == version for each in self.record.flows)

    def may_have(self, sink: str) -> bool:
        """Whether it may publish to a sink: it has not ended, and does not say that it has no such one."""
        called = self.record.kind is HostKind.SERVERLESS and self.state is WorkerState.SILENT
        if self.state is not WorkerState.RUNNING and not called:
            return False
        return self.record.sinks is None or sink in self.record.sinks

    def holds(self, lease_worker: str) -> bool:
        """Whether a lease that names `lease_worker` is one of its own."""
        own = self.record.worker
        if self.record.kind is not HostKind.SERVERLESS:
            return lease_worker == own
        head, _, call = lease_worker.rpartition("-")
        return head == own and call.isdecimal()


def running_workers(workers: Sequence[Worker]) -> list[Worker]:
    """Those that were heard of a moment ago."""
    return [each for each in workers if each.state is WorkerState.RUNNING]


def able_workers(workers: Sequence[Worker], flow: str, version: str) -> list[Worker]:
    """Those that run and have the code of a flow's version."""
    return [each for each in running_workers(workers) if each.serves(flow, version)]


def serving_workers(workers: Sequence[Worker], queue: str) -> list[Worker]:
    """Those that take tasks from a queue."""
    return [each for each in workers if queue in each.record.queues]


def as_worker(record: WorkerRecord, now: datetime) -> Worker:
    """What a record says at a time."""
    if record.ended_at is not None:
        state = WorkerState.ENDED
    elif now - record.seen_at > SILENT_AFTER:
        state = WorkerState.SILENT
    else:
        state = WorkerState.RUNNING
    return Worker(record=record, state=state)
