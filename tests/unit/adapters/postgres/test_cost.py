"""What a batch costs: round trips and statements, whatever its size; and rows that a claim looks at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncCursor

from fairlead.adapters.postgres import PostgresPersistence
from fairlead.adapters.postgres.adaptation import adapt
from fairlead.adapters.postgres.arrays import Column, documents, ints, texts, times, uuids
from fairlead.adapters.postgres.connecting import Connection
from fairlead.adapters.postgres.database import Database, DatabaseSettings, Row, Sent
from fairlead.adapters.postgres.statements import Statements
from fairlead.ports.changes import Changes, NewRun, TaskUpdate
from fairlead.ports.records import RunClaim, TaskKey
from fairlead.ports.statuses import RunStatus, StepStatus, TaskStatus
from tests.support.plans import plan_of, rows_read
from tests.support.records import START, events, load_request, new_run, new_tasks, run_update, step_write
from tests.support.scenes import register

ROUND_TRIPS_MAX = 2
STATEMENTS_MAX = 9


class CountingDatabase(Database):
    """Counts what is sent."""

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(settings)
        self.round_trips = 0
        self.sent = 0

    async def exchange(self, connection: Connection, sent: Sequence[Sent]) -> list[AsyncCursor[Row]]:
        """One round trip."""
        self.round_trips += 1
        self.sent += len(sent)
        return await super().exchange(connection, sent)

    async def commit(self, connection: Connection, last: Sequence[Sent] = ()) -> None:
        """One round trip, with what is sent along."""
        self.round_trips += 1
        self.sent += len(last) + 1
        await super().commit(connection, last)


@pytest.mark.parametrize("size", [1, 200])
async def test_a_batch_has_a_fixed_price(settings: DatabaseSettings, size: int) -> None:
    """Claiming runs, then settling their tasks with everything a settle can write."""
    database = CountingDatabase(settings)
    store = PostgresPersistence(database)
    flow = await register(store)
    runs: list[NewRun] = [new_run(flow, number) for number in range(1, size + 1)]
    await store.insert_runs(runs)

    database.round_trips = database.sent = 0
    async with store.transaction() as transaction:
        claimed = await transaction.claim_runs(RunClaim(flow_ids=(flow.flow_id,), limit=size))
        await transaction.apply(
            Changes(
                runs=tuple(run_update(run.id, next_sequence=4, remaining_steps=2, started_at=START) for run in claimed),
                new_steps=tuple(
                    step_write(run.id, slug, elements=1, remaining=1) for run in claimed for slug in ("pack", "ship")
                ),
                new_tasks=tuple(
                    new_tasks(flow, run.id, "pack", count=1, worker="worker-1", lease_until=START) for run in claimed
                ),
                events=tuple(events(run.id, 2, ["run.started", "step.started"]) for run in claimed),
            )
        )
    claiming = (database.round_trips, database.sent)

    database.round_trips = database.sent = 0
    keys = [TaskKey(run.id, "pack", 1, 0) for run in claimed]
    async with store.transaction() as transaction:
        snapshot = await transaction.load(
            load_request(*(run.id for run in claimed), steps=[(key.run_id, "pack") for key in keys], tasks=keys)
        )
        await transaction.apply(
            Changes(
                runs=tuple(run_update(run.id, next_sequence=6, remaining_steps=1) for run in claimed),
                steps=tuple(
                    step_write(run.id, "pack", status=StepStatus.COMPLETED, elements=1, remaining=0) for run in claimed
                ),
                tasks=tuple(
                    TaskUpdate(
                        key=task.key,
                        token=task.token,
                        status=TaskStatus.COMPLETED,
                        settled_token=task.token,
                        attempts=task.attempts,
                        losses=task.losses,
                        ended_at=START,
                        output=b"[1, 2]",
                    )
                    for task in snapshot.tasks.values()
                ),
                new_tasks=tuple(
                    new_tasks(flow, run.id, "ship", count=1, worker="worker-1", lease_until=START) for run in claimed
                ),
                events=tuple(events(run.id, 4, ["step.completed", "step.started"]) for run in claimed),
            )
        )
    settling = (database.round_trips, database.sent)
    await database.aclose()

    assert len(snapshot.tasks) == size
    assert claiming == (ROUND_TRIPS_MAX, 5)
    assert settling == (ROUND_TRIPS_MAX, 7)
    assert max(claiming[1], settling[1]) <= STATEMENTS_MAX


async def test_a_start_is_one_statement(settings: DatabaseSettings, observer: psycopg.Connection[Any]) -> None:
    """Run and event together, in one round trip, as a transaction of its own."""
    database = CountingDatabase(settings)
    store = PostgresPersistence(database)
    flow = await register(store)
    await store.insert_runs([new_run(flow, 1)])
    before = observer.execute("SELECT pg_current_xact_id()::text::bigint").fetchall()[0][0]
    await store.insert_runs([new_run(flow, 2)])
    after = observer.execute("SELECT pg_current_xact_id()::text::bigint").fetchall()[0][0]
    run = await store.read_run(new_run(flow, 2).id)
    await database.aclose()

    assert run is not None
    assert run.status is RunStatus.PENDING
    assert (database.round_trips, after - before) == (0, 2)


FILL = """
INSERT INTO fairlead.tasks
    (run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, status, losses, token, ended_at)
SELECT gen_random_uuid(), 'pack', 1, n, 1, 'default', 0, now(), now(), 'completed', 0, 1, now()
FROM generate_series(1, 20000) AS n
UNION ALL
SELECT gen_random_uuid(), 'pack', 1, n, 1, 'default', 9, now(), now() + interval '1 day', 'queued', 0, 0, NULL
FROM generate_series(1, 20000) AS n
UNION ALL
SELECT gen_random_uuid(), 'pack', 1, n, 2, 'default', 9, now(), now(), 'queued', 0, 0, NULL
FROM generate_series(1, 20000) AS n
UNION ALL
SELECT gen_random_uuid(), 'pack', 1, n, 1, 'default', 9, now(), now(), 'queued', 1, 1, NULL
FROM generate_series(1, 20000) AS n
UNION ALL
SELECT gen_random_uuid(), 'pack', 1, n, 1, 'default', 0, now(), now(), 'queued', 0, 0, NULL
FROM generate_series(1, 1000) AS n
"""
"""Tasks that are done, wait for their time, belong to a flow that is not served, were lost; 1,000 that are ready."""

PLANNERS = {
    "as it is": "SELECT",
    "with statistics": "ANALYZE fairlead.tasks",
    "without nested loops": "SET enable_nestloop = off",
    "without index scans": "SET enable_indexscan = off",
    "without hashes": "SET enable_hashjoin = off; SET enable_hashagg = off",
    "everything parallel": "SET debug_parallel_query = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0",
}


@pytest.fixture
def filled(url: str, observer: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A connection to a database with many tasks, most of which a claim must not look at, without statistics."""
    observer.execute("ALTER TABLE fairlead.tasks SET (autovacuum_enabled = off)")
    observer.execute(FILL)
    adapt(observer)
    return observer


@pytest.mark.fault(30)
@pytest.mark.parametrize("planner", PLANNERS)
def test_a_claim_gets_its_limit_under_any_plan(filled: psycopg.Connection[Any], planner: str) -> None:
    """Never more, whatever the planner thinks; `LIMIT … SKIP LOCKED` in a subquery can take every row."""
    if planner == "everything parallel" and filled.info.server_version < 160_000:
        pytest.skip("this server calls it otherwise")
    for setting in PLANNERS[planner].split(";"):
        filled.execute(setting.encode())
    statement = Statements()["claim_tasks"]
    cursor = psycopg.RawCursor(filled)
    cursor.execute(statement.text, statement.arguments(CLAIM))
    rows = cursor.fetchall()
    running = filled.execute("SELECT count(*), count(*) FILTER (WHERE lost) FROM fairlead.tasks WHERE running")

    assert len(rows) == 50
    assert running.fetchall() == [(50, 1)]


@pytest.mark.fault(34, 52)
@pytest.mark.parametrize("planner", ["as it is", "with statistics"])
@pytest.mark.parametrize("name", ["claim_tasks", "due"])
def test_what_cannot_be_claimed_is_not_looked_at(filled: psycopg.Connection[Any], planner: str, name: str) -> None:
    """A claim of 50 among 81,000 tasks reads some hundred index entries."""
    filled.execute(PLANNERS[planner].encode())

    assert rows_read(plan_of(filled, name, CLAIM))["tasks"] < 50 * 6


@pytest.mark.fault(34)
def test_a_pinned_horizon_costs_what_was_settled_since(filled: psycopg.Connection[Any], url: str) -> None:
    """While a neighbour's transaction keeps dead rows, a claim passes those that were claimable, and no others.

    Of 81,000 tasks, 1,000 were settled in that time: their pages are read, a few for each, and the claim is whole.
    """
    statement = Statements()["claim_tasks"]
    with psycopg.connect(url) as neighbour:
        neighbour.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        neighbour.execute("SELECT FROM fairlead.flows")
        before = _pages_of_a_claim(filled)
        for _ in range(SETTLED // 50):
            claimed = psycopg.RawCursor(filled).execute(statement.text, statement.arguments(CLAIM)).fetchall()
            assert len(claimed) == 50
            filled.execute("UPDATE fairlead.tasks SET status = 'completed', lease_until = NULL WHERE running")
        growth = _pages_of_a_claim(filled) - before

    assert 0 < growth < 3 * SETTLED


SETTLED = 1_000


def _pages_of_a_claim(connection: psycopg.Connection[Any]) -> int:
    plan = plan_of(connection, "claim_tasks", CLAIM)
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


CLAIM = {
    "flow_ids": ints([1]),
    "queue": "default",
    "sinks": texts(["default"]),
    "queues": texts(["default"]),
    "window": 50,
    "limit": 50,
    "lost_limit": 1,
    "worker": "worker-1",
    "now": START + timedelta(days=3650),
    "lease_until": START + timedelta(days=3651),
    "expired_before": START,
}


def test_outcomes_find_their_tasks_by_key_whatever_statistics_say(observer: psycopg.Connection[Any]) -> None:
    """They are from before a burst, when nothing was running: each outcome would look at all that is now."""
    adapt(observer)
    observer.execute("ALTER TABLE fairlead.tasks SET (autovacuum_enabled = off)")
    observer.execute(BURST, ("completed", None, None))
    observer.execute("ANALYZE fairlead.tasks")
    observer.execute(BURST, ("running", "worker", START))
    rows = observer.execute("SELECT run_id::text FROM fairlead.tasks WHERE running LIMIT 200").fetchall()
    ids = [run_id for (run_id,) in rows]

    plan = plan_of(observer, "apply/tasks", _completed(ids), by_key=True)

    assert rows_read(plan)["tasks"] == 200


def test_a_heartbeat_reads_the_tasks_it_is_for(observer: psycopg.Connection[Any]) -> None:
    """However many others there are: it is planned like any statement, so it must not look expensive."""
    adapt(observer)
    for _ in range(20):
        observer.execute(BURST, ("completed", None, None))
    observer.execute(BURST, ("running", "worker", START))
    observer.execute("ANALYZE fairlead.tasks")
    (leased,) = observer.execute("SELECT run_id::text FROM fairlead.tasks WHERE running LIMIT 1").fetchall()[0]
    one = ints([1])
    heartbeat = {
        "run_ids": uuids([leased]),
        "steps": texts(["pack"]),
        "generations": one,
        "elements": ints([0]),
        "tokens": one,
        "until": START,
    }

    plan = plan_of(observer, "extend_leases", heartbeat)

    assert rows_read(plan)["tasks"] <= 3


BURST = """
INSERT INTO fairlead.tasks (run_id, step, generation, element, flow_id, queue, priority, created_at, ready_at, status,
    token, attempts, losses, worker, lease_until)
SELECT gen_random_uuid(), 'pack', 1, 0, 1, 'default', 0, now(), now(), status, 1, 1, 0, worker, until
FROM generate_series(1, 1000), (VALUES (%s, %s::text, %s::timestamptz)) AS given (status, worker, until)
"""
"""A thousand tasks of one status."""


def _completed(ids: Sequence[str]) -> dict[str, Column]:
    """What `apply/tasks` takes for the outcomes of one task of each run."""
    ones = ints([1] * len(ids))
    return {
        "task_runs": uuids(ids),
        "task_steps": texts(["pack"] * len(ids)),
        "task_generations": ones,
        "task_elements": ints([0] * len(ids)),
        "task_tokens": ones,
        "task_statuses": texts(["completed"] * len(ids)),
        "task_settled_tokens": ones,
        "task_attempts": ones,
        "task_losses": ints([0] * len(ids)),
        "task_ready_ats": times([None] * len(ids)),
        "task_ended_ats": times([START] * len(ids)),
        "task_outputs": documents([b"1"] * len(ids)),
        "task_errors": documents([None] * len(ids)),
        "task_reasons": texts([None] * len(ids)),
    }
