"""The raw baseline: what this database can do at all, by hand, with the least durable work for the same job.

A job is a row that is inserted, claimed under SKIP LOCKED and completed with its output; a step that follows is a row
inserted with the completion of the one before. A handler gets its input as a Python value and gives one back. There
are no flows, events, tokens, leases or retries. Everything goes through one psycopg connection in batches of `batch`,
one transaction a batch. Inserting and draining are timed apart, so that each is compared with its like.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from attrs import frozen

from .flows import PAYLOAD

SCHEMA = """
DROP SCHEMA IF EXISTS raw CASCADE;
CREATE SCHEMA raw;
CREATE TABLE raw.jobs (
    id bigint PRIMARY KEY,
    step integer NOT NULL,
    status text NOT NULL,
    input json,
    output json
) WITH (fillfactor = 75);
CREATE INDEX jobs_queued ON raw.jobs (id) WHERE status = 'queued';
"""

CLAIM = """
WITH picked AS MATERIALIZED (
    SELECT id FROM raw.jobs WHERE status = 'queued' ORDER BY id LIMIT %b FOR UPDATE SKIP LOCKED
)
UPDATE raw.jobs SET status = 'running' FROM picked WHERE jobs.id = picked.id
RETURNING jobs.id, jobs.step, jobs.input::text
"""

COMPLETE = """
UPDATE raw.jobs SET status = 'completed', output = done.output::json
FROM unnest(%b::bigint[], %b::text[]) AS done (id, output)
WHERE jobs.id = done.id
"""

FOLLOW = """
INSERT INTO raw.jobs (id, step, status, input)
SELECT id, step, 'running', input::json FROM unnest(%b::bigint[], %b::int[], %b::text[]) AS next (id, step, input)
"""

INSERT = """
INSERT INTO raw.jobs (id, step, status, input)
SELECT id, 1, 'queued', input::json FROM unnest(%b::bigint[], %b::text[]) AS job (id, input)
"""

RIGHT = """
SELECT count(*) FROM raw.jobs WHERE status = 'completed' AND (output ->> 'handled')::integer = step
"""

STEPS_MAX = 100
"""Ids of one job's steps lie this far from the next job's."""


@frozen(kw_only=True)
class Drained:
    """How long a drain took, in seconds."""

    insert_s: float
    drain_s: float


def handler(value: Any) -> Any:
    """The trivial handler of every workload."""
    value["handled"] += 1
    return value


def drain(url: str, jobs: int, *, steps: int, batch: int) -> Drained:
    """Insert jobs and run each through `steps` steps, in batches of `batch`.

    Raises:
        RuntimeError: a step is not completed afterwards, or has another output than it should have.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        insert_s = _insert(connection, jobs, batch)
        inserted = time.perf_counter()
        while claimed := connection.execute(CLAIM, (batch,)).fetchall():
            current = [(int(row[0]), int(row[1]), str(row[2])) for row in claimed]
            while current:
                current = _finish(connection, current, steps)
        ended = time.perf_counter()
        done = connection.execute(RIGHT).fetchone()
        if done != (jobs * steps,):
            raise RuntimeError(f"raw: {done} of {jobs * steps} steps are completed with the right output")
    return Drained(insert_s=insert_s, drain_s=ended - inserted)


def insert(url: str, jobs: int, *, batch: int) -> float:
    """Insert jobs in batches of `batch`; the seconds it took.

    Raises:
        RuntimeError: they are not all there afterwards.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        took_s = _insert(connection, jobs, batch)
        found = connection.execute("SELECT count(*) FROM raw.jobs WHERE status = 'queued'").fetchone()
        if found != (jobs,):
            raise RuntimeError(f"raw: {found} of {jobs} jobs are there")
    return took_s


def round_trips(url: str, runs: int) -> list[float]:
    """Start, claim, complete and read one job at a time; the seconds of each."""
    found: list[float] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        for number in range(runs):
            began = time.perf_counter()
            connection.execute(INSERT, ([number * STEPS_MAX], [PAYLOAD]))
            row = connection.execute(CLAIM, (1,)).fetchone()
            if row is None:
                raise RuntimeError("raw: the job just inserted was not claimed")
            connection.execute(COMPLETE, ([row[0]], [PAYLOAD]))
            connection.execute("SELECT output FROM raw.jobs WHERE id = %b", (number * STEPS_MAX,)).fetchone()
            found.append(time.perf_counter() - began)
    return found


def _insert(connection: psycopg.Connection[tuple[object, ...]], jobs: int, batch: int) -> float:
    began = time.perf_counter()
    for first, last in _ranges(jobs, batch):
        ids = [number * STEPS_MAX for number in range(first, last)]
        connection.execute(INSERT, (ids, [PAYLOAD] * len(ids)))
    return time.perf_counter() - began


def _finish(
    connection: psycopg.Connection[tuple[object, ...]], current: list[tuple[int, int, str]], steps: int
) -> list[tuple[int, int, str]]:
    outputs = [json.dumps(handler(json.loads(payload)), separators=(",", ":")) for _, _, payload in current]
    following = [
        (job + 1, step + 1, output) for (job, step, _), output in zip(current, outputs, strict=True) if step < steps
    ]
    with connection.transaction():
        connection.execute(COMPLETE, ([job for job, _, _ in current], outputs))
        if following:
            ids, numbers, inputs = (list(column) for column in zip(*following, strict=True))
            connection.execute(FOLLOW, (ids, numbers, inputs))
    return following


def _ranges(count: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, size):
        yield first, min(count, first + size)
