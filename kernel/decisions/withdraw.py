"""Withdrawing a deferred start: what takes the place of its run."""

from __future__ import annotations

from datetime import datetime

from ...ports.changes import EventBatch, NewRun, RunUpdate
from ...ports.records import FlowRow, RunRow
from ...ports.statuses import RunStatus
from ..events import RunCreated, encode_events
from ..facts import NEVER_LOOKED_AT, NULL
from ..references import is_reference
from ..schedules import StartEntry
from .cancel import cancel_run
from .start import FIRST_GENERATION, FIRST_SEQUENCE


def cancelled_run(
    entry: StartEntry, flow: FlowRow, reason: str | None, *, now: datetime
) -> tuple[NewRun, RunUpdate, EventBatch]:
    """A run that never begins, and whose id nobody else can have: what to insert, what ends it, and what tells of that.

    It has no key, which may be used again, none of the annotations, no config, and no input that lies in a blob, since
    that goes with the start. So it cannot be begun anew either, which its facts say.

    Args:
        entry: the deferred start.
        flow: any version of its flow.
        reason: why, in the words of whoever asked.
        now: the time of the transaction.
    """
    template = entry.template
    data = template.input.encode()
    event = EventBatch(
        run_id=entry.run_id,
        flow=flow.slug,
        generation=FIRST_GENERATION,
        first_sequence=FIRST_SEQUENCE,
        count=1,
        at=now,
        events=encode_events([RunCreated()]),
    )
    run = NewRun(
        id=entry.run_id,
        flow_id=flow.flow_id,
        flow=flow.slug,
        version=flow.version,
        fingerprint=flow.fingerprint,
        key=None,
        request_digest=template.digest,
        priority=template.priority,
        input=NULL if is_reference(data) else data,
        config=None,
        facts=NEVER_LOOKED_AT,
        created_at=now,
        event=event,
    )
    row = RunRow(
        id=run.id,
        flow_id=run.flow_id,
        flow=run.flow,
        status=RunStatus.PENDING,
        generation=FIRST_GENERATION,
        priority=run.priority,
        next_sequence=FIRST_SEQUENCE + 1,
        remaining_steps=0,
        facts=None,
    )
    changes = cancel_run(row, reason, now=now)
    (update,), (told,) = changes.runs, changes.events
    return run, update, told
