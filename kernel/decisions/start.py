"""Starting: what is put down for a run that was asked for."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from ...ports.changes import EventBatch, NewRun
from ..commands import RunRequest
from ..events import RunAnnotated, RunCreated, encode_events
from ..plan import Plan

FIRST_GENERATION = 1
FIRST_SEQUENCE = 1

_CREATED = encode_events([RunCreated()])


def start_run(request: RunRequest, flow_id: int, plan: Plan, *, run_id: str, now: datetime) -> NewRun:
    """A pending run and its first event."""
    event = EventBatch(
        run_id=run_id,
        flow=plan.slug,
        generation=FIRST_GENERATION,
        first_sequence=FIRST_SEQUENCE,
        count=1 if request.annotations is None else 2,
        at=now,
        events=_CREATED if request.annotations is None else _created_annotated(request.annotations),
    )
    return NewRun(
        id=run_id,
        flow_id=flow_id,
        flow=plan.slug,
        version=plan.version,
        fingerprint=plan.fingerprint,
        key=request.key,
        request_digest=request.digest or request_digest(request),
        priority=request.priority,
        input=request.input,
        config=request.config,
        facts=request.facts,
        created_at=now,
        event=event,
        annotations=request.annotations,
    )


def _created_annotated(annotations: bytes) -> bytes:
    return encode_events([RunCreated(), RunAnnotated(annotations=msgspec.Raw(annotations))])


def request_digest(request: RunRequest) -> str:
    """What a repeated key is compared with: SHA-256 over the canonical input and config.

    Neither the flow's version nor the priority is in it, nor are annotations: a repetition may come after a deployment.
    """
    digest = hashlib.sha256(request.input)
    digest.update(b"\0")
    digest.update(request.config or b"")
    return digest.hexdigest()
