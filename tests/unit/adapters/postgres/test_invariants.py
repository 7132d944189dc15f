"""Each invariant's query finds the row that breaks it, and nothing in a database that real work has filled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from datetime import timedelta

import psycopg
import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.adapters.memory.invariants import INVARIANTS
from fairlead.adapters.postgres import PostgresPersistence, migration_sql, postgres_ports
from fairlead.adapters.postgres.database import Database, DatabaseSettings
from fairlead.adapters.postgres.invariants import invariant_names
from fairlead.kernel import Kernel, RunFilter
from fairlead.ports.persistence import Persistence
from tests.support.hands import LEASE, Hands
from tests.support.survey import survey


async def _work(url: str) -> None:
    """Leave runs that are completed, over an empty map, failed, cancelled, running and pending, by keys of these names.

    The cancelled one had a completed step and two queued tasks.
    """
    clock = ManualClock()
    ports = evolve(postgres_ports(url), clock=clock, sink=CollectingSink())
    kernel = Kernel(flows=[survey()], ports=ports)
    hands = Hands(kernel)

    async def start(key: str, value: object) -> None:
        await kernel.start("survey", value, key=key)

    async def find(key: str) -> str:
        return (await kernel.runs(RunFilter(flow="survey", key=key))).runs[0].id

    async def read(value: object) -> None:
        await hands.claim_runs()
        await hands.complete(await hands.claim_task(), value)

    try:
        await start("completed", [1, 2])
        await hands.drain([1, 2])
        await start("empty", [])
        await hands.drain([])
        await start("failed", [1])
        await read([1])
        await hands.fail(await hands.claim_task(), retry_after=timedelta(0))
        await hands.fail(await hands.claim_task())
        await start("cancelled", [1, 2])
        await read([1, 2])
        await kernel.cancel(await find("cancelled"), reason="no longer wanted")
        await start("running", [1, 2, 3])
        await read([1, 2, 3])
        lost, done, _ = await hands.claim_tasks()
        await hands.complete(done)
        clock.advance(LEASE * 2)
        assert await hands.reap() == 2
        await hands.heartbeat(lost)
        await hands.claim_tasks(1)
        await start("pending", [1])
    finally:
        await ports.aclose()


def _prepare(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(migration_sql().encode())
    asyncio.run(_work(url))


@pytest.fixture
def url(
    database_factory: Callable[[str], AbstractContextManager[str]],
    template_factory: Callable[[str, Callable[[str], None]], str],
) -> Generator[str]:
    """A healthy, filled database of one's own."""
    with database_factory(template_factory("at_work", _prepare)) as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Persistence]:
    """The store on that database."""
    ports = postgres_ports(url)
    yield ports.persistence
    await ports.aclose()


RUN = "(SELECT id FROM fairlead.runs WHERE key = '{}')"
COMPLETED, EMPTY, FAILED, RUNNING, CANCELLED, PENDING = map(
    RUN.format, ("completed", "empty", "failed", "running", "cancelled", "pending")
)


def runs(of: str, change: str) -> str:
    """Changes a run's row."""
    return f"UPDATE fairlead.runs SET {change} WHERE id = {of}"


def steps(of: str, slug: str, change: str) -> str:
    """Changes one of its steps."""
    return f"UPDATE fairlead.steps SET {change} WHERE run_id = {of} AND slug = '{slug}'"


def tasks(of: str, status: str, change: str) -> str:
    """Changes its tasks of the map that have a status."""
    return f"UPDATE fairlead.tasks SET {change} WHERE run_id = {of} AND step = 'weigh' AND status = '{status}'"


def told(of: str, event: str) -> str:
    """Replaces its events of one type, and leaves their number as it is."""
    return (
        f"UPDATE fairlead.outbox SET events = replace(events::text, '{event}', 'nothing.happened')::json"
        f" WHERE run_id = {of}"
    )


def tell(of: str, event: str) -> str:
    """Adds an event after its last."""
    return (
        "INSERT INTO fairlead.outbox (run_id, first_sequence, count, generation, shard, published, at, flow, events)"
        f" SELECT id, next_sequence, 1, 1, 0, true, created_at, flow, '[{event}]' FROM fairlead.runs WHERE id = {of};"
        + runs(of, "next_sequence = next_sequence + 1")
    )


def hold(of: str, sequence: int) -> str:
    """Says that the sink stands before an event of the run."""
    return (
        "INSERT INTO fairlead.held_runs (sink, run_id, shard, next_sequence, lost, attempts, not_before, problem)"
        f" SELECT 0, id, 0, {sequence}, false, 1, created_at, 'no' FROM fairlead.runs WHERE id = {of}"
    )


def bury(of: str, sequence: int) -> str:
    """Makes an event of the run a dead letter, and nothing else."""
    return (
        "INSERT INTO fairlead.dead_letters"
        " (sink, run_id, sequence, shard, generation, flow, type, at, attempts, problem, died_at, event)"
        f" SELECT 0, id, {sequence}, 0, 1, flow, 'run.created', created_at, 1, 'no', created_at, '{{}}'"
        f" FROM fairlead.runs WHERE id = {of}"
    )


CASES = {
    "I1_terminal_is_absorbing": [
        runs(PENDING, "ended_at = created_at"),
        runs(COMPLETED, "ended_at = NULL"),
        steps(FAILED, "weigh", "ended_at = NULL"),
        steps(RUNNING, "weigh", "ended_at = started_at"),
        tasks(FAILED, "failed", "ended_at = NULL"),
        tasks(RUNNING, "queued", "ended_at = created_at"),
    ],
    "I2_statuses_agree": [
        runs(PENDING, "started_at = created_at"),
        runs(RUNNING, "started_at = NULL"),
        f"UPDATE fairlead.tasks SET run_id = {PENDING} WHERE run_id = {COMPLETED}",
        steps(RUNNING, "weigh", "status = 'created'"),
        steps(RUNNING, "weigh", "status = 'skipped', started_at = NULL"),
        tasks(RUNNING, "running", "token = 0"),
        tasks(RUNNING, "queued", "status = 'sleeping'"),
    ],
    "I3_one_outcome": [
        tasks(COMPLETED, "completed", "settled_token = 0"),
        tasks(FAILED, "failed", "settled_token = 0"),
        f"DELETE FROM fairlead.attempts WHERE run_id = {FAILED}",
    ],
    "I4_outcome_of_latest_claim": [
        tasks(RUNNING, "running", "settled_token = token + 1"),
        f"UPDATE fairlead.attempts SET token = token + 9 WHERE run_id = {FAILED}",
        f"UPDATE fairlead.attempts SET element = 9 WHERE run_id = {FAILED}",
    ],
    "I5_tokens_increase": [
        tasks(RUNNING, "running", "attempts = token + 1"),
        tasks(RUNNING, "running", "losses = token + 1"),
        tasks(RUNNING, "queued", "attempts = -1"),
    ],
    "I6_one_live_lease": [
        tasks(RUNNING, "queued", "lease_until = ready_at"),
        tasks(RUNNING, "running", "lease_until = NULL"),
        tasks(RUNNING, "running", "worker = NULL"),
    ],
    "I10_dependencies_settled": [
        steps(RUNNING, "weigh", "remaining_dependencies = 1"),
        steps(RUNNING, "total", "remaining_dependencies = 0"),
    ],
    "I11_remaining_tasks": [
        steps(RUNNING, "weigh", "remaining_tasks = 3"),
        steps(RUNNING, "weigh", "failed_tasks = 1"),
        steps(RUNNING, "weigh", "cursor = 2"),
        steps(RUNNING, "weigh", "gaps = 1"),
        steps(RUNNING, "total", "gaps = -1"),
    ],
    "I12_remaining_dependencies": [
        steps(RUNNING, "total", "remaining_dependencies = 2"),
        steps(COMPLETED, "total", "remaining_dependencies = -1"),
    ],
    "I13_remaining_steps": [runs(RUNNING, "remaining_steps = 1"), runs(FAILED, "remaining_steps = -1")],
    "I14_step_completion": [
        steps(COMPLETED, "weigh", "remaining_tasks = 1"),
        steps(COMPLETED, "weigh", "elements = NULL"),
        steps(RUNNING, "weigh", "remaining_tasks = 0"),
        tasks(COMPLETED, "completed", "status = 'cancelled', output = NULL"),
    ],
    "I15_run_completion": [
        steps(COMPLETED, "total", "status = 'failed'"),
        runs(COMPLETED, "remaining_steps = 1"),
        runs(COMPLETED, "status = 'running', ended_at = NULL"),
    ],
    "I16_outputs_aligned": [
        f"DELETE FROM fairlead.tasks WHERE run_id = {COMPLETED} AND step = 'weigh' AND element = 0",
        f"UPDATE fairlead.tasks SET element = 7 WHERE run_id = {COMPLETED} AND step = 'weigh' AND element = 0",
        steps(COMPLETED, "weigh", "gaps = 1"),
        tasks(COMPLETED, "completed", "output = NULL"),
        tasks(RUNNING, "queued", "output = '1'"),
    ],
    "I17_one_terminal_event": [
        tell(COMPLETED, '{"type":"run.completed"}'),
        tell(COMPLETED, '{"type":"step.started","step":"read"}'),
        tell(RUNNING, '{"type":"run.completed"}'),
        tell(RUNNING, '{"type":"step.completed","step":"read"}'),
        told(COMPLETED, "run.completed"),
        told(CANCELLED, "run.cancelled"),
        tell(CANCELLED, '{"type":"run.cancelled"}'),
    ],
    "I18_changes_have_events": [
        told(COMPLETED, "step.completed"),
        told(COMPLETED, "run.completed"),
        told(RUNNING, "run.started"),
        told(RUNNING, "step.started"),
        told(RUNNING, "task.retrying"),
        told(PENDING, "run.created"),
        tell(RUNNING, '{"type":"step.failed","step":"weigh"}'),
        steps(RUNNING, "weigh", "started_at = NULL"),
        steps(RUNNING, "total", "started_at = (SELECT created_at FROM fairlead.runs AS r WHERE r.id = run_id)"),
        steps(EMPTY, "weigh", "started_at = ended_at"),
        f"DELETE FROM fairlead.attempts WHERE run_id = {RUNNING}",
    ],
    "I19_sequence": [
        f"DELETE FROM fairlead.outbox WHERE run_id = {RUNNING} AND first_sequence = 2",
        f"UPDATE fairlead.outbox SET events = '[]' WHERE run_id = {PENDING}",
        runs(PENDING, "next_sequence = 1"),
    ],
    "I20_sinks_get_prefixes": [
        f"UPDATE fairlead.outbox SET published = true WHERE run_id = {RUNNING} AND first_sequence > 1",
        f"UPDATE fairlead.outbox SET delivered = 1 WHERE run_id = {RUNNING} AND first_sequence > 1",
        hold(PENDING, 2),
    ],
    "I21_published_means_accepted": [
        f"UPDATE fairlead.outbox SET delivered = 1 WHERE run_id = {PENDING}",
        f"UPDATE fairlead.outbox SET published = true, at = at + interval '1 hour' WHERE run_id = {PENDING}",
    ],
    "I22_one_run_per_key": [
        "DROP INDEX fairlead.runs_key;" + runs(PENDING, "key = 'running'"),
    ],
    "I25_nothing_live_in_terminal_run": [
        tasks(FAILED, "failed", "status = 'running'"),
        steps(FAILED, "total", "status = 'created'"),
        steps(CANCELLED, "total", "status = 'created'"),
        tasks(CANCELLED, "cancelled", "status = 'queued'"),
        steps(RUNNING, "weigh", "status = 'completed'"),
        f"DELETE FROM fairlead.steps WHERE run_id = {RUNNING} AND slug = 'weigh'",
    ],
    "I26_suspended_waits": [steps(RUNNING, "weigh", "status = 'suspended'")],
    "I27_consumed_once": [runs(PENDING, "signals = 1")],
    "I30_shape_never_changes": [
        runs(RUNNING, "fingerprint = 'another'"),
        runs(COMPLETED, "flow_id = 99"),
    ],
    "I32_queued_tasks_are_findable": [tasks(RUNNING, "queued", "flow_id = 99")],
    "I33_nothing_is_lost": [
        f"UPDATE fairlead.outbox SET held = 1 WHERE run_id = {PENDING}",
        bury(PENDING, 1),
        hold(PENDING, 1) + ";" + bury(PENDING, 1),
        bury(PENDING, 2),
    ],
}


async def test_a_database_at_work_is_healthy(store: Persistence, url: str) -> None:
    """Nothing is reported of runs in every state, after retries, lost leases and an empty map."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT key, status FROM fairlead.runs").fetchall()

    assert dict(rows) == {
        "completed": "completed",
        "empty": "completed",
        "failed": "failed",
        "running": "running",
        "cancelled": "cancelled",
        "pending": "pending",
    }
    assert await store.check_invariants() == {}


@pytest.mark.parametrize(
    ("name", "statement"),
    [pytest.param(name, sql, id=f"{name}-{n}") for name, sqls in CASES.items() for n, sql in enumerate(sqls)],
)
async def test_a_broken_invariant_is_named(store: Persistence, url: str, name: str, statement: str) -> None:
    """The query finds the row that was tampered with, and a line tells of it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())

    broken = await store.check_invariants()

    assert name in broken
    assert all(line.strip() for line in broken[name])


def test_both_stores_check_the_same_invariants() -> None:
    """What is an invariant in memory is one in PostgreSQL, under the same name, and each is broken here once."""
    assert set(invariant_names()) == {invariant.__name__ for invariant in INVARIANTS} == set(CASES)


async def test_an_invariant_may_take_longer_than_other_statements(settings: DatabaseSettings, url: str) -> None:
    """A look at everything that is kept has more time than what a host waits for."""
    database = Database(settings)
    store = PostgresPersistence(database)
    await store.check_invariants()
    database.settings = evolve(settings, deadline_s=0.05)  # now that it is connected
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE fairlead.tasks")
        looking = asyncio.ensure_future(store.check_invariants())
        await asyncio.wait([looking], timeout=0.3)
        waits = not looking.done()
        connection.rollback()
        broken = await looking
    await database.aclose()

    assert (waits, broken) == (True, {})
