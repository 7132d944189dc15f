"""Rows of statements as the records of the ports. Each function knows the columns of the files it names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ...ports.records import ClaimedTask, PendingRun, RunRow, SignalRow, StepRow, TaskKey, TaskPhase, TaskRow, WaitsFor
from ...ports.statuses import RunStatus, StepStatus, TaskStatus
from .arrays import ints, texts, uuids

Row: TypeAlias = tuple[Any, ...]

RUN_STATUS: Mapping[str, RunStatus] = {status.value: status for status in RunStatus}
STEP_STATUS: Mapping[str, StepStatus] = {status.value: status for status in StepStatus}
TASK_STATUS: Mapping[str, TaskStatus] = {status.value: status for status in TaskStatus}
PHASE: Mapping[str, TaskPhase] = {phase.value: phase for phase in TaskPhase}
WAITS_FOR: Mapping[str, WaitsFor] = {thing.value: thing for thing in WaitsFor}

_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_run_id(text: str) -> bool:
    """Whether `text` can name a run at all: nothing else is worth asking the database for."""
    return _RUN_ID.fullmatch(text) is not None


def key_columns(keys: Sequence[TaskKey]) -> Mapping[str, object]:
    """The columns of task keys."""
    return {
        "run_ids": uuids([key.run_id for key in keys]),
        "steps": texts([key.step for key in keys]),
        "generations": ints([key.generation for key in keys]),
        "elements": ints([key.element for key in keys]),
    }


def pending_run(row: Row) -> PendingRun:
    """`claim_runs` and `claim_runs_only`."""
    return PendingRun(
        id=row[1],
        flow_id=row[2],
        flow=row[3],
        generation=row[4],
        priority=row[5],
        next_sequence=row[6],
        facts=row[7],
        input=row[8],
        config=row[9],
        signals=row[10],
    )


def run_row(row: Row) -> RunRow:
    """`lock_runs` and `lock_runs_waiting`."""
    return RunRow(
        id=row[0],
        flow_id=row[1],
        flow=row[2],
        status=RUN_STATUS[row[3]],
        generation=row[4],
        priority=row[5],
        next_sequence=row[6],
        remaining_steps=row[7],
        facts=row[8],
        signals=row[9],
        deadline_at=row[10],
    )


def step_row(name: tuple[str, str], row: Row) -> StepRow:
    """`load_steps`."""
    return StepRow(
        run_id=name[0],
        slug=name[1],
        generation=row[1],
        status=STEP_STATUS[row[2]],
        remaining_dependencies=row[3],
        elements=row[4],
        remaining_tasks=row[5],
        failed_tasks=row[6],
        cursor=row[7],
        facts=row[8],
        gaps=row[9],
        retry_of=row[10],
        kept=row[11],
    )


def task_row(key: TaskKey, row: Row) -> TaskRow:
    """`load_tasks` and `lock_tasks`."""
    return TaskRow(
        key=key,
        flow_id=row[1],
        status=TASK_STATUS[row[2]],
        token=row[3],
        settled_token=row[4],
        attempts=row[5],
        losses=row[6],
        phase=PHASE[row[7]],
        worker=row[8],
        lease_until=row[9],
        priority=row[10],
        waits_for=row[11] if row[11] is None else WAITS_FOR[row[11]],
        wake_at=row[12],
        give_up_at=row[13],
        checks=row[14],
    )


def keyed_task_row(row: Row) -> TaskRow:
    """`load_leased`, `find_leased`, `find_expired` and `find_waits`: the key's four columns, then those of a task."""
    return task_row(TaskKey(*row[:4]), row[3:])


def claimed_task(row: Row) -> ClaimedTask:
    """`claim_tasks` and `claim_tasks_only`."""
    return ClaimedTask(
        key=TaskKey(row[1], row[2], row[3], row[4]),
        flow_id=row[5],
        token=row[6],
        attempt=row[7],
        losses=row[8],
        phase=PHASE[row[9]],
        lease_until=row[10],
        priority=row[11],
    )


def signal_row(row: Row) -> SignalRow:
    """`load_signals` and `read_signals`."""
    return SignalRow(
        run_id=row[0],
        step=row[1],
        key=row[2],
        request_digest=row[3],
        sent_at=row[4],
        consumed_at=row[5],
        payload=row[6],
        facts=row[7],
    )
