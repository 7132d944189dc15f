"""Reading what happened. Every method is one statement, hence one state of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ...ports.reading import (
    AttemptRecord,
    GenerationRecord,
    OutputPage,
    OutputRequest,
    Payloads,
    RunCursor,
    RunFilter,
    RunPage,
    RunPayload,
    RunRecord,
    StepOutput,
    StepRecord,
    TaskRecord,
    WorkInHand,
)
from ...ports.records import SignalRow, TaskKey
from ...ports.statuses import StepStatus
from .arrays import ints, texts, uuids
from .database import Database, Parameters, Row
from .rows import PHASE, RUN_STATUS, STEP_STATUS, TASK_STATUS, WAITS_FOR, is_run_id, key_columns, signal_row


class RunReading:
    """The methods of `RunReader`."""

    _database: Database

    async def read_run(self, run_id: str) -> RunRecord | None:
        """One run, or None."""
        rows = await self._of_run("read_run", run_id)
        return _run_record(rows[0]) if rows else None

    async def read_steps(self, run_id: str) -> Sequence[StepRecord]:
        """All steps of a run in all generations, by generation."""
        return [_step_record(row) for row in await self._of_run("read_steps", run_id)]

    async def read_tasks(self, run_id: str, *, step: str | None = None) -> Sequence[TaskRecord]:
        """All tasks of a run, or of one of its steps, by step, generation, index."""
        return [_task_record(row) for row in await self._of_run("read_tasks", run_id, step=step)]

    async def read_generations(self, run_id: str) -> Sequence[GenerationRecord]:
        """The generations that a run has left, by generation."""
        return [_generation_record(row) for row in await self._of_run("read_generations", run_id)]

    async def read_attempts(self, run_id: str) -> Sequence[AttemptRecord]:
        """The attempts of a run that did not complete, by task, then token."""
        return [_attempt_record(row) for row in await self._of_run("read_attempts", run_id)]

    async def list_runs(self, chosen: RunFilter, *, limit: int, after: RunCursor | None) -> RunPage:
        """Runs that `chosen` admits, newest first."""
        parameters = {**_filter(chosen, after), "limit": limit + 1}
        if chosen.annotations:
            parameters["annotations"] = msgspec.json.encode(chosen.annotations).decode()
        rows = await self._database.read(_listing(chosen), parameters)
        runs = [_run_record(row) for row in rows[:limit]]
        return RunPage(runs, RunCursor(runs[-1].created_at, runs[-1].id) if len(rows) > limit and runs else None)

    async def read_payloads(
        self, runs: Sequence[str], outputs: Sequence[OutputRequest], states: Sequence[TaskKey] = ()
    ) -> Payloads:
        """The inputs of `runs`, the outputs and the states asked for. What was recorded never changes again."""
        inputs = sorted({run_id for run_id in runs if is_run_id(run_id)})
        requests = [request for request in dict.fromkeys(outputs) if is_run_id(request.run_id)]
        keys = [key for key in dict.fromkeys(states) if is_run_id(key.run_id)]
        wanted: dict[str, Parameters] = {}
        if inputs:
            wanted["read_inputs"] = {"runs": uuids(inputs)}
        if requests:
            wanted["read_outputs"] = _output_columns(requests)
        if keys:
            wanted["read_states"] = key_columns(keys)
        found = await self._together(wanted)
        return Payloads(
            runs={row[0]: RunPayload(input=row[1], config=row[2]) for row in found.get("read_inputs", ())},
            outputs=_step_outputs(requests, found.get("read_outputs", [])),
            states={keys[row[0] - 1]: row[1] for row in found.get("read_states", ())},
        )

    async def read_output_page(self, page: OutputPage) -> StepOutput | None:
        """Consecutive outputs of a step's tasks, as many as fit.

        A map that was retried is asked for again, as a whole: what others would pay for it costs more than that.
        """
        last = page.first + page.limit - 1
        more = {"step": page.step, "first": page.first, "last": last, "size_bytes_max": page.size_bytes_max}
        rows = await self._of_run("read_output_page", page.run_id, **more)
        if rows and rows[0][1] is not None:
            rows = await self._of_run("read_output_page_retried", page.run_id, **more)
        return _output_page(page, rows) if rows else None

    async def read_signals(self, run_id: str) -> Sequence[SignalRow]:
        """The signals that were sent to a run, consumed or kept."""
        return [signal_row(row) for row in await self._of_run("read_signals", run_id)]

    async def _together(self, wanted: Mapping[str, Parameters]) -> dict[str, list[Row]]:
        """What several statements find, in one round trip."""
        if not wanted:
            return {}
        statements = self._database.statements
        async with self._database.connection() as connection:
            sent = [(statements[name], parameters) for name, parameters in wanted.items()]
            answers = await self._database.exchange(connection, sent)
            return {name: await answer.fetchall() for name, answer in zip(wanted, answers, strict=True)}

    async def _of_run(self, name: str, run_id: str, **more: object) -> list[Row]:
        if not is_run_id(run_id):
            return []
        return await self._database.read(name, {"run": run_id, **more})

    async def read_work_in_hand(self, now: datetime) -> Sequence[WorkInHand]:
        """How many running tasks have a lease that lasts beyond `now`, by queue and flow."""
        rows = await self._database.read("read_work_in_hand", {"now": now})
        return [WorkInHand(queue=row[0], flow=row[1], version=row[2], tasks=row[3]) for row in rows]


def _listing(chosen: RunFilter) -> str:
    """The statement that finds runs by what few of them have in common."""
    if chosen.annotations:
        return "list_annotated_runs"
    return "list_runs_of_flow" if chosen.flow is not None and chosen.key is None else "list_runs"


def _filter(chosen: RunFilter, after: RunCursor | None) -> dict[str, object]:
    return {
        "flow": chosen.flow,
        "key": chosen.key,
        "statuses": None if chosen.statuses is None else texts(sorted(chosen.statuses)),
        "created_from": chosen.created_from,
        "created_before": chosen.created_before,
        "after_created_at": None if after is None else after.created_at,
        "after_id": None if after is None else after.id,
    }


def _output_columns(requests: Sequence[OutputRequest]) -> Parameters:
    return {
        "run_ids": uuids([request.run_id for request in requests]),
        "slugs": texts([request.step for request in requests]),
        "elements": ints([request.element for request in requests]),
    }


def _step_outputs(requests: Sequence[OutputRequest], rows: Sequence[Row]) -> dict[OutputRequest, StepOutput]:
    """The rows of `read_outputs`, several for a map, put together by request."""
    heads: dict[int, tuple[int, str, int | None]] = {}
    found: dict[int, dict[int, bytes | None]] = {}
    for place, generation, status, elements, element, output in rows:
        heads[place] = (generation, status, elements)
        if element is not None:
            found.setdefault(place, {})[element] = output
    answers: dict[OutputRequest, StepOutput] = {}
    for place, (generation, status, elements) in heads.items():
        request = requests[place - 1]
        wanted = range(elements or 0) if request.element is None else (request.element,)
        if request.element is not None and not 0 <= request.element < (elements or 0):
            continue
        outputs = found.get(place, {})
        completed = STEP_STATUS[status] == "completed"
        answers[request] = StepOutput(
            generation=generation,
            status=STEP_STATUS[status],
            elements=elements,
            outputs=[outputs.get(index) for index in wanted] if completed else [],
        )
    return answers


def _output_page(page: OutputPage, rows: Sequence[Row]) -> StepOutput:
    """The rows of `read_output_page`: elements that fit, and perhaps the first one that does not."""
    generation, status, elements = rows[0][0], STEP_STATUS[rows[0][2]], rows[0][3]
    outputs = {element: output for *_, element, fits, output in rows if fits}
    first_left_out = next((element for *_, element, fits, _ in rows if fits is False), None)
    if status is not StepStatus.COMPLETED:
        end = page.first
    elif first_left_out is not None:
        end = first_left_out
    else:
        end = min(page.first + page.limit, elements or 0)
    return StepOutput(
        generation=generation,
        status=status,
        elements=elements,
        outputs=[outputs.get(index) for index in range(page.first, end)],
    )


def _run_record(row: Row) -> RunRecord:
    return RunRecord(
        id=row[0],
        flow=row[1],
        version=row[2],
        fingerprint=row[3],
        key=row[4],
        status=RUN_STATUS[row[5]],
        generation=row[6],
        priority=row[7],
        remaining_steps=row[8],
        next_sequence=row[9],
        created_at=row[10],
        started_at=row[11],
        ended_at=row[12],
        reason=row[13],
        error=row[14],
        deadline_at=row[15],
    )


def _step_record(row: Row) -> StepRecord:
    return StepRecord(
        run_id=row[0],
        slug=row[1],
        generation=row[2],
        status=STEP_STATUS[row[3]],
        remaining_dependencies=row[4],
        elements=row[5],
        remaining_tasks=row[6],
        failed_tasks=row[7],
        cursor=row[8],
        started_at=row[9],
        ended_at=row[10],
        reason=row[11],
        error=row[12],
        gaps=row[13],
        retry_of=row[14],
        kept=row[15],
    )


def _task_record(row: Row) -> TaskRecord:
    return TaskRecord(
        key=TaskKey(*row[:4]),
        status=TASK_STATUS[row[4]],
        phase=PHASE[row[5]],
        queue=row[6],
        priority=row[7],
        token=row[8],
        settled_token=row[9],
        attempts=row[10],
        losses=row[11],
        worker=row[12],
        lease_until=row[13],
        ready_at=row[14],
        created_at=row[15],
        started_at=row[16],
        ended_at=row[17],
        reason=row[18],
        error=row[19],
        has_output=row[20],
        waits_for=row[21] if row[21] is None else WAITS_FOR[row[21]],
        wake_at=row[22],
        give_up_at=row[23],
        checks=row[24],
    )


def _generation_record(row: Row) -> GenerationRecord:
    return GenerationRecord(
        run_id=row[0],
        generation=row[1],
        status=RUN_STATUS[row[2]],
        started_at=row[3],
        ended_at=row[4],
        reason=row[5],
        error=row[6],
    )


def _attempt_record(row: Row) -> AttemptRecord:
    return AttemptRecord(
        key=TaskKey(*row[:4]),
        token=row[4],
        attempt=row[5],
        worker=row[6],
        ended_at=row[7],
        reason=row[8],
        error=row[9],
    )
