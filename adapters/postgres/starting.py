"""Flows and runs come into the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from ...ports.changes import AnnotationsWrite, Changes, EventBatch, NewRun, RunUpdate
from ...ports.errors import Contention
from ...ports.outbox import shard_of
from ...ports.records import FlowRow, NewFlow, StartedRun
from .arrays import documents, ints, texts, times, uuids
from .database import Database, Parameters, Row
from .patience import lock_timeout
from .settling import annotations_columns, parts_of, sent_of

RETRIES = 3
"""How often an insert is repeated whose obstacle was gone when it was looked for: pruned, or replaced."""


class RunStarting:
    """The methods of `Persistence` that insert."""

    _database: Database

    async def insert_runs(self, runs: Sequence[NewRun], *, patience_s: float | None = None) -> Sequence[StartedRun]:
        """Insert runs and their first events."""
        if not runs:
            return []
        lock_wait = self._lock_wait(patience_s)
        for _ in range(RETRIES):
            one = runs[0] if len(runs) == 1 and runs[0].annotations is None else None
            answers = await (self._insert_many(runs, lock_wait) if one is None else self._insert_one(one, lock_wait))
            if answers is not None:
                return answers
        raise Contention("the runs that hold these keys come and go; start again")

    async def insert_cancelled(self, run: NewRun, update: RunUpdate, event: EventBatch) -> bool:
        """Insert a run together with what cancels it."""
        database = self._database
        parts = parts_of(Changes(runs=(update,), events=(event,)))
        async with database.transaction() as connection:
            if not await database.fetch(connection, "insert_run", {**_run_values(run), **self._lock_wait()}):
                return False
            await database.exchange(connection, [sent_of(parts, database.statements)])
            return True

    async def register_flow(self, flow: NewFlow, *, replace: bool) -> FlowRow:
        """Insert a shape, or return the one that its (slug, version) has."""
        parameters = _flow_parameters(flow)
        for _ in range(RETRIES):
            rows = await self._database.read("current_flow", parameters)
            if not rows:
                await self._database.write("register_flow", parameters)
                rows = await self._database.read("current_flow", parameters)
            if rows and replace and rows[0][3] != flow.fingerprint:
                rows = await self._replace_flow(flow)
            elif rows and replace and rows[0][4] != flow.shape:
                rows = await self._database.write("describe_flow", parameters)
            if rows:
                return _flow_row(rows[0])
        raise Contention(f"flow {flow.slug} {flow.version} is being replaced by others; register it again")

    async def read_flow(self, slug: str, version: str) -> FlowRow | None:
        """The shape that a (slug, version) has now, or None."""
        rows = await self._database.read("current_flow", {"slug": slug, "version": version})
        return _flow_row(rows[0]) if rows else None

    async def _replace_flow(self, flow: NewFlow) -> list[Row]:
        """The row that stands afterwards. Replacements of one version happen one after the other."""
        parameters = _flow_parameters(flow)
        async with self._database.transaction() as connection:
            await self._database.fetch(connection, "lock_flow", parameters)
            current = await self._database.fetch(connection, "current_flow", parameters)
            if not current or current[0][3] == flow.fingerprint:
                return current
            if not await self._database.fetch(connection, "retire_flow", {"flow_id": current[0][0]}):
                return current
            return await self._database.fetch(connection, "replace_flow", parameters)

    def _lock_wait(self, patience_s: float | None = None) -> Parameters:
        """How long an insert waits for whoever else inserts its key: a parameter of its own statement, so that this
        costs no other."""
        return {"lock_wait": lock_timeout(self._database.settings, patience_s)}

    async def _insert_one(self, run: NewRun, lock_wait: Parameters) -> list[StartedRun] | None:
        """One statement where nothing stands in the way, as nearly always."""
        if await self._database.write("insert_run", {**_run_values(run), **lock_wait}):
            return [created(run)]
        # recovers 2, 66: a run, or its key, is there already
        holders = await self._database.read("find_holders", _names([run]))
        return holders_answers([run], frozenset(), holders)

    async def _insert_many(self, runs: Sequence[NewRun], lock_wait: Parameters) -> list[StartedRun] | None:
        """All of them or, where a key is held by another request, none."""
        database = self._database
        columns = {**_run_columns(runs), **lock_wait}
        async with database.transaction() as connection:
            inserted = {row[0] for row in await database.fetch(connection, "insert_runs", columns)}
            annotated = _annotations(run for run in runs if run.id in inserted)
            if annotated:
                await database.fetch(connection, "insert_annotations", annotations_columns(annotated))
            if len(inserted) == len(runs):
                return [created(run) for run in runs]
            holders = await database.fetch(connection, "find_holders", _names(runs))
            answers = holders_answers(runs, inserted, holders)
            if answers is None:  # recovers 37, 66: who had a key is gone
                await database.roll_back(connection)
                return None
            if any(answer.request_digest != run.request_digest for answer, run in zip(answers, runs, strict=True)):
                await database.roll_back(connection)
                # recovers 66: a key of several has another request
                return [replace(answer, created=False) if answer.id in inserted else answer for answer in answers]
            return answers


def _run_values(run: NewRun) -> Parameters:
    event = run.event
    return {
        "id": run.id,
        "flow_id": run.flow_id,
        "flow": run.flow,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "key": run.key,
        "request_digest": run.request_digest,
        "priority": run.priority,
        "next_sequence": event.first_sequence + event.count,
        "created_at": run.created_at,
        "input": run.input.decode(),
        "config": None if run.config is None else run.config.decode(),
        "facts": None if run.facts is None else run.facts.decode(),
        "first_sequence": event.first_sequence,
        "count": event.count,
        "generation": event.generation,
        "shard": shard_of(run.id),
        "at": event.at,
        "events": event.events.decode(),
    }


def _run_columns(runs: Sequence[NewRun]) -> Parameters:
    events = [run.event for run in runs]
    return {
        "ids": uuids([run.id for run in runs]),
        "flow_ids": ints([run.flow_id for run in runs]),
        "flows": texts([run.flow for run in runs]),
        "versions": texts([run.version for run in runs]),
        "fingerprints": texts([run.fingerprint for run in runs]),
        "keys": texts([run.key for run in runs]),
        "request_digests": texts([run.request_digest for run in runs]),
        "priorities": ints([run.priority for run in runs]),
        "next_sequences": ints([event.first_sequence + event.count for event in events]),
        "created_ats": times([run.created_at for run in runs]),
        "inputs": documents([run.input for run in runs]),
        "configs": documents([run.config for run in runs]),
        "facts": documents([run.facts for run in runs]),
        "first_sequences": ints([event.first_sequence for event in events]),
        "counts": ints([event.count for event in events]),
        "generations": ints([event.generation for event in events]),
        "shards": ints([shard_of(run.id) for run in runs]),
        "ats": times([event.at for event in events]),
        "events": documents([event.events for event in events]),
    }


def _annotations(runs: Iterable[NewRun]) -> list[AnnotationsWrite]:
    return [AnnotationsWrite(run_id=run.id, annotations=run.annotations) for run in runs if run.annotations is not None]


def _names(runs: Sequence[NewRun]) -> Parameters:
    return {
        "ids": uuids([run.id for run in runs]),
        "flows": texts([run.flow for run in runs]),
        "keys": texts([run.key for run in runs]),
    }


def created(run: NewRun) -> StartedRun:
    """What whoever inserted a run is told."""
    return StartedRun(id=run.id, created=True, request_digest=run.request_digest)


def holders_answers(
    runs: Sequence[NewRun], inserted: frozenset[str] | set[str], holders: Sequence[Row]
) -> list[StartedRun] | None:
    """What whoever wanted to insert `runs` is told, in their order; None where one was neither inserted nor is its
    obstacle there any more."""
    by_id: Mapping[str, Row] = {row[0]: row for row in holders}
    by_key: Mapping[tuple[str, str | None], Row] = {(row[1], row[2]): row for row in holders if row[2] is not None}
    answers: list[StartedRun] = []
    for run in runs:
        if run.id in inserted:
            answers.append(created(run))
            continue
        row = by_id.get(run.id) or by_key.get((run.flow, run.key))
        if row is None:
            return None
        answers.append(StartedRun(id=row[0], created=row[0] == run.id, request_digest=row[3]))
    return answers


def _flow_parameters(flow: NewFlow) -> Parameters:
    return {
        "slug": flow.slug,
        "version": flow.version,
        "fingerprint": flow.fingerprint,
        "shape": flow.shape.decode(),
        "registered_at": flow.registered_at,
    }


def _flow_row(row: Row) -> FlowRow:
    return FlowRow(flow_id=row[0], slug=row[1], version=row[2], fingerprint=row[3], shape=row[4])
