"""What breaks an invariant of waiting is found in PostgreSQL, by name, in a run that waits in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager

import psycopg
import pytest

from fairlead.adapters.postgres import migration_sql, postgres_ports
from fairlead.ports.persistence import Persistence
from tests.support.scenes import register
from tests.support.waits import run_that_waits


async def _work(url: str) -> None:
    ports = postgres_ports(url)
    try:
        await run_that_waits(ports.persistence, await register(ports.persistence))
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
    """A healthy database of one's own with that run."""
    with database_factory(template_factory("waiting", _prepare)) as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Persistence]:
    """The store on that database."""
    ports = postgres_ports(url)
    yield ports.persistence
    await ports.aclose()


def run(change: str) -> str:
    """Changes the run's row."""
    return f"UPDATE fairlead.runs SET {change}"


def step(slug: str, change: str) -> str:
    """Changes one of its steps."""
    return f"UPDATE fairlead.steps SET {change} WHERE slug = '{slug}'"


def task(slug: str, change: str) -> str:
    """Changes the task of one of its steps."""
    return f"UPDATE fairlead.tasks SET {change} WHERE step = '{slug}'"


def signal(slug: str, step: str, key: str, more: str = "") -> str:
    """Copies a signal of one step to another place."""
    return (
        "INSERT INTO fairlead.signals (run_id, step, key, request_digest, sent_at, consumed_at, payload)"
        f" SELECT run_id, '{step}', '{key}', request_digest, sent_at, consumed_at, payload"
        f" FROM fairlead.signals WHERE step = '{slug}';{more}"
    )


CASES = {
    "I1_terminal_is_absorbing": [run("status = 'completed', ended_at = started_at")],
    "I3_one_outcome": [
        task("answer", "token = 2"),
        task("late", "worker = 'worker-1'"),
        "INSERT INTO fairlead.attempts (run_id, step, generation, element, token, attempt, ended_at, reason)"
        " SELECT run_id, step, generation, element, token, 1, ended_at, 'timed_out'"
        " FROM fairlead.tasks WHERE step = 'late'",
    ],
    "I18_changes_have_events": [
        "UPDATE fairlead.outbox SET events = replace(events::text, 'step.suspended', 'nothing.happened')::json",
        step("nap", "status = 'completed', ended_at = started_at"),
    ],
    "I26_suspended_waits": [
        task("approval", "waits_for = NULL"),
        task("approval", "waits_for = 'rain'"),
        task("nap", "wake_at = NULL"),
        task("batch", "state = NULL"),
        task("batch", "phase = 'run'"),
        task("batch", "give_up_at = wake_at - interval '1 s'"),
        task("answer", "waits_for = 'signal'"),
        task("answer", "wake_at = ended_at"),
        step("nap", "status = 'running'"),
        task("batch", "status = 'queued', phase = 'run'"),
        "DELETE FROM fairlead.tasks WHERE step = 'nap'",
    ],
    "I27_consumed_once": [
        run("signals = 0"),
        "DELETE FROM fairlead.signals",
        signal("review", "review", "key-2", run("signals = 2")),
        signal("review", "approval", "key-1", run("signals = 2")),
        signal("answer", "answer", "key-2"),
        "UPDATE fairlead.signals SET consumed_at = sent_at;" + run("signals = 0"),
        "UPDATE fairlead.signals SET run_id = '00000000-0000-7000-8000-000000000099'",
    ],
    "I32_queued_tasks_are_findable": [task("nap", "flow_id = 99")],
}


async def test_a_run_that_waits_is_healthy(store: Persistence) -> None:
    """Nothing is reported of a check, a signal, a sleep, a kept signal, and waits that are over."""
    assert await store.check_invariants() == {}


@pytest.mark.parametrize(
    ("name", "statement"),
    [pytest.param(name, sql, id=f"{name}-{n}") for name, sqls in CASES.items() for n, sql in enumerate(sqls)],
)
async def test_a_broken_invariant_of_waiting_is_named(store: Persistence, url: str, name: str, statement: str) -> None:
    """The query finds the row that was tampered with, and a line tells of it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())

    broken = await store.check_invariants()

    assert name in broken
    assert all(line.strip() for line in broken[name])
