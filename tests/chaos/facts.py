"""What there is after a campaign: rows of the database and lines of the ledger, as plain data for the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg
from attrs import define, field, frozen

from fairlead.kernel import RunStatus, TaskStatus
from tests.chaos.ledger import Execution, Line, Published
from tests.chaos.workers import Stopped


@frozen(kw_only=True)
class RunFact:
    """A run."""

    id: str
    flow: str
    key: str | None
    status: RunStatus
    generation: int
    events: int
    """How many it has."""
    reason: str | None = None
    output: int | None = None
    """The value of its leaf, where it is completed."""


@frozen(kw_only=True)
class TaskFact:
    """A task."""

    id: str
    flow: str
    status: TaskStatus
    token: int
    attempts: int
    reason: str | None = None
    recorded: int | None = None
    """The attempt that made its output, by the output's own words; None where it says nothing."""

    @property
    def run(self) -> str:
        """Of which run."""
        return self.id.partition("/")[0]


@frozen(kw_only=True)
class SignalFact:
    """A signal that was accepted."""

    run: str
    key: str
    consumed: bool


@frozen(kw_only=True)
class LostAttempt:
    """An attempt whose lease ran out."""

    task: str
    attempt: int
    worker: str
    """Who had the lease."""


@frozen(kw_only=True)
class Ticks:
    """A schedule: which ticks there should be, and which there are, by the keys of runs."""

    expected: Sequence[datetime]
    found: Sequence[datetime]


@define(kw_only=True)
class Facts:
    """All of it."""

    runs: Mapping[str, RunFact]
    tasks: Mapping[str, TaskFact]
    signals: Sequence[SignalFact]
    rows: frozenset[str] = frozenset()
    """Those that an application has written."""
    lost: Sequence[LostAttempt] = ()
    stopped: Mapping[str, Stopped] = field(factory=dict[str, Stopped])
    """By name, the workers that were told to stop."""
    executions: Sequence[Execution]
    published: Sequence[Published]
    """In the order in which the sink got them."""
    ticks: Ticks
    deaths: Sequence[str] = ()
    broken: Mapping[str, Sequence[str]] = field(factory=dict[str, Sequence[str]])
    """Rows that break invariants, and what else the doctor found, by name."""


def executions_of(lines: Sequence[Line]) -> list[Execution]:
    """The lines about handlers."""
    return [line for line in lines if isinstance(line, Execution)]


def published_of(lines: Sequence[Line]) -> list[Published]:
    """The lines about events."""
    return [line for line in lines if isinstance(line, Published)]


_RUNS = "SELECT id::text, flow, key, status, generation, next_sequence - 1, reason FROM fairlead.runs ORDER BY id"
_TASKS = """
SELECT t.run_id || '/' || t.step || '/' || t.generation || '/' || t.element, r.flow,
    t.status, t.token, t.attempts, t.reason, t.output::text
FROM fairlead.tasks AS t JOIN fairlead.runs AS r ON r.id = t.run_id
"""
_LOST = """
SELECT run_id || '/' || step || '/' || generation || '/' || element, attempt, worker
FROM fairlead.attempts WHERE reason = 'worker_lost' AND worker IS NOT NULL
"""
_WRITTEN = "SELECT name FROM public.orders"
_SIGNALS = "SELECT run_id::text, key, consumed_at IS NOT NULL FROM fairlead.signals"


class Rows(NamedTuple):
    """What the database holds."""

    runs: dict[str, RunFact]
    tasks: dict[str, TaskFact]
    signals: list[SignalFact]
    lost: list[LostAttempt]
    written: frozenset[str]
    """Rows of an application."""


async def read_rows(url: str, outputs: Mapping[str, int]) -> Rows:
    """Everything as it stands in the database.

    Args:
        url: of the database.
        outputs: the values of the leaves of runs that are completed.
    """
    async with await psycopg.AsyncConnection.connect(url) as connection:
        runs = {
            row[0]: RunFact(
                id=row[0],
                flow=row[1],
                key=row[2],
                status=RunStatus(row[3]),
                generation=row[4],
                events=row[5],
                reason=row[6],
                output=outputs.get(row[0]),
            )
            for row in await (await connection.execute(_RUNS)).fetchall()
        }
        tasks = {
            row[0]: TaskFact(
                id=row[0],
                flow=row[1],
                status=TaskStatus(row[2]),
                token=row[3],
                attempts=row[4],
                reason=row[5],
                recorded=_attempt_in(row[6]),
            )
            for row in await (await connection.execute(_TASKS)).fetchall()
        }
        signals = [
            SignalFact(run=row[0], key=row[1], consumed=row[2])
            for row in await (await connection.execute(_SIGNALS)).fetchall()
        ]
        lost = [
            LostAttempt(task=row[0], attempt=row[1], worker=row[2])
            for row in await (await connection.execute(_LOST)).fetchall()
        ]
        written = frozenset(row[0] for row in await (await connection.execute(_WRITTEN)).fetchall())
    return Rows(runs, tasks, signals, lost, written)


def _attempt_in(output: str | None) -> int | None:
    if output is None:
        return None
    value: Any = msgspec.json.decode(output)
    return value.get("attempt") if isinstance(value, dict) else None  # pyright: ignore
