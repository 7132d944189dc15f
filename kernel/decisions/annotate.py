"""Annotating: what a run is found by changes, and an event tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ...ports.changes import AnnotationsWrite, Changes
from ...ports.records import RunRow, Snapshot
from ...ports.statuses import TERMINAL_RUN, TaskStatus
from ..annotations import merge_annotations
from ..commands import Annotation, AnnotationVerdict
from ..events import RunAnnotated
from .rows import event_batch, run_kept


class Annotated(msgspec.Struct, frozen=True):
    """What was decided of a batch."""

    changes: Changes
    verdicts: tuple[AnnotationVerdict, ...]
    """In the order of the annotations."""


def annotate_runs(
    annotations: Sequence[Annotation],
    snapshot: Snapshot,
    current: Mapping[str, bytes],
    *,
    now: datetime,
    absent: AnnotationVerdict,
) -> Annotated:
    """Decide what annotations do to the runs that are held. What is as it was is not told again.

    Args:
        annotations: in the order in which they apply.
        snapshot: the runs, and the tasks of the attempts among those who ask.
        current: what the runs are annotated with, by run id.
        now: the time of the transaction.
        absent: the verdict for a run that is not in the snapshot.
    """
    documents = dict(current)
    told: dict[str, list[RunAnnotated]] = {}
    verdicts: list[AnnotationVerdict] = []
    for annotation in annotations:
        run_id = annotation.run_id
        run = snapshot.runs.get(run_id)
        refusal = absent if run is None else _refusal(annotation, run, snapshot)
        if refusal is not None:
            verdicts.append(refusal)
            continue
        merged = merge_annotations(documents.get(run_id), annotation.values)
        if merged.told is not None:
            documents[run_id] = merged.document
            step = None if annotation.lease is None else annotation.lease.key.step
            told.setdefault(run_id, []).append(RunAnnotated(annotations=msgspec.Raw(merged.told), step=step))
        verdicts.append(AnnotationVerdict.FULL if merged.left_out else AnnotationVerdict.WRITTEN)
    changed = [snapshot.runs[run_id] for run_id in sorted(told)]
    changes = Changes(
        runs=tuple(run_kept(run, events=len(told[run.id])) for run in changed),
        annotations=tuple(AnnotationsWrite(run_id=run.id, annotations=documents[run.id]) for run in changed),
        events=tuple(event_batch(run, told[run.id], first=run.next_sequence, now=now) for run in changed),
    )
    return Annotated(changes, tuple(verdicts))


def _refusal(annotation: Annotation, run: RunRow, snapshot: Snapshot) -> AnnotationVerdict | None:
    """Why an annotation of a run that is held does not count; None where it does."""
    lease = annotation.lease
    if lease is None:
        return AnnotationVerdict.ENDED if run.status in TERMINAL_RUN else None
    task = snapshot.tasks.get(lease.key)
    holds = task is not None and task.status is TaskStatus.RUNNING and task.token == lease.token
    return None if holds else AnnotationVerdict.STALE
