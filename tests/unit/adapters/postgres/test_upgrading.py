"""Runs that an earlier installation began go on after an upgrade of their tables."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager

import psycopg
import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock, MemoryWakeups
from fairlead.adapters.postgres import migrate, migrating, postgres_ports
from fairlead.adapters.postgres.migrating import migrations
from fairlead.kernel import Kernel, RunFilter, Severity
from fairlead.ports import Ports
from fairlead.ports.records import TaskKey
from tests.support.flushing import flush_all
from tests.support.hands import LEASE, Hands
from tests.support.records import at
from tests.support.scenes import register
from tests.support.survey import survey
from tests.support.waits import run_that_waits

EARLIER = [migration.version for migration in migrations()][:-1]

COLUMNS = """
SELECT table_name, column_name
FROM information_schema.columns
WHERE table_schema = 'fairlead' AND is_generated = 'NEVER' AND table_name NOT IN ('migrations', 'outbox_shards')
ORDER BY table_name, ordinal_position
"""


class World:
    """A kernel on a database, on a clock that is moved by hand."""

    def __init__(self, url: str, clock: ManualClock, sink: CollectingSink | None = None) -> None:
        ports = postgres_ports(url, sink=sink)
        self.ports: Ports = evolve(ports, clock=clock, transport=MemoryWakeups(clock))
        self.kernel = Kernel(flows=[survey()], ports=self.ports)
        self.hands = Hands(self.kernel)

    async def begin(self) -> None:
        """Leave runs that are completed, cancelled, half done, and pending."""
        for key in ("completed", "cancelled", "running", "pending"):
            handle = await self.kernel.start("survey", [1, 2, 3], key=key)
            if key == "pending":
                continue
            await self.hands.claim_runs()
            await self.hands.complete(await self.hands.claim_task(), [1, 2, 3])
            if key == "completed":
                await self.hands.drain([1])
            elif key == "cancelled":
                await handle.cancel(reason="no longer wanted")
            else:
                done, failed, _ = await self.hands.claim_tasks()
                await self.hands.complete(done, 1)
                await self.hands.fail(failed)


@pytest.fixture
def earlier_url(database_factory: Callable[[str], AbstractContextManager[str]]) -> Generator[str]:
    """Another empty database."""
    with database_factory("template1") as url:
        yield url


def _copy(source: str, target: str) -> None:
    """Copy the rows of all tables, as far as both have the columns."""
    with psycopg.connect(source) as here, psycopg.connect(target, autocommit=True) as there:
        known = set(here.execute(COLUMNS).fetchall())
        columns: dict[str, list[str]] = {}
        for table, column in there.execute(COLUMNS).fetchall():
            if (table, column) in known:
                columns.setdefault(table, []).append(f'"{column}"')
        for table, names in columns.items():
            listed = ", ".join(names)
            there.execute(f"TRUNCATE fairlead.{table}".encode())
            with (
                here.cursor().copy(f"COPY fairlead.{table} ({listed}) TO STDOUT".encode()) as rows,
                there.cursor().copy(f"COPY fairlead.{table} ({listed}) FROM STDIN".encode()) as copied,
            ):
                for data in rows:
                    copied.write(data)
        there.execute("SELECT setval(pg_get_serial_sequence('fairlead.flows', 'id'), max(id)) FROM fairlead.flows")


async def _migrate_to(version: int, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the tables as an earlier installation made them."""
    known = tuple(migration for migration in migrations() if migration.version <= version)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrating, "migrations", lambda: known)
        earlier.setattr(migrating, "LATEST", version)
        await migrate(url)


@pytest.mark.fault(59)
@pytest.mark.parametrize("version", EARLIER)
async def test_runs_of_an_earlier_version_go_on(
    empty_database_url: str, earlier_url: str, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """What was pending, queued, leased and to be retried is completed; what had ended stays; every invariant holds."""
    clock = ManualClock()
    await migrate(empty_database_url)
    before = World(empty_database_url, clock)
    await before.begin()
    await before.ports.aclose()
    await _migrate_to(version, earlier_url, monkeypatch)
    _copy(empty_database_url, earlier_url)

    await migrate(earlier_url)
    world = World(earlier_url, clock)
    healthy = await world.ports.persistence.check_invariants()
    await world.kernel.register()
    clock.advance(LEASE * 2)
    reaped = await world.hands.reap()
    clock.advance(LEASE * 2)
    await world.hands.drain([1])
    runs = (await world.kernel.runs(RunFilter(flow="survey"))).runs
    broken = await world.ports.persistence.check_invariants()
    await world.ports.aclose()

    assert (healthy, broken, reaped) == ({}, {}, 1)
    assert {run.key: run.status for run in runs} == {
        "completed": "completed",
        "cancelled": "cancelled",
        "running": "completed",
        "pending": "completed",
    }


@pytest.mark.fault(59)
@pytest.mark.parametrize("version", EARLIER)
async def test_events_that_waited_for_the_only_sink_are_delivered(
    empty_database_url: str, earlier_url: str, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """Before sinks had names they waited for whoever came. All come, in order, whatever was told since then."""
    clock, sink = ManualClock(), CollectingSink()
    await migrate(empty_database_url)
    before = World(empty_database_url, clock, sink)
    await before.begin()
    await before.ports.aclose()
    await _migrate_to(version, earlier_url, monkeypatch)
    _copy(empty_database_url, earlier_url)
    with psycopg.connect(earlier_url) as connection:
        if version > 4:
            connection.execute("TRUNCATE fairlead.sinks")
            connection.execute("UPDATE fairlead.outbox SET published = true WHERE first_sequence > 2")
    await migrate(earlier_url)
    world = World(earlier_url, clock, sink)
    owed = [(found.name, found.waiting > 0) for found in await world.kernel.sinks()]
    await world.kernel.register()
    await flush_all(world.kernel)
    runs = (await world.kernel.runs()).runs
    told = {run.id: len((await world.kernel.run(run.id).details()).events) for run in runs}
    broken = await world.ports.persistence.check_invariants()
    await world.ports.aclose()

    assert owed == [("default", True)]
    assert {run: [event.sequence for event in sink.of_run(run)] for run in told} == {
        run: list(range(1, count + 1)) for run, count in told.items()
    }
    assert broken == {}


async def test_events_that_an_interrupted_removal_left_are_history(empty_database_url: str) -> None:
    """What waits while the store knows no sink is trouble with a remedy, and a migration makes history of it."""
    await migrate(empty_database_url)
    world = World(empty_database_url, ManualClock(), CollectingSink())
    await world.begin()
    await world.kernel.remove_sink("default")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE fairlead.outbox SET published = false WHERE first_sequence = 1")
    found = await Kernel(flows=[], ports=world.ports).doctor()
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("ALTER TABLE fairlead.workers DROP COLUMN sinks")
        connection.execute("DELETE FROM fairlead.migrations WHERE version >= 10")
    await migrate(empty_database_url)
    after = await Kernel(flows=[], ports=evolve(world.ports, sink=None)).doctor()
    sinks = await world.kernel.sinks()
    await world.ports.aclose()

    assert "events_without_sink" in {finding.name for finding in found.findings}
    assert Severity.BROKEN not in {finding.severity for finding in found.findings}
    assert "events_without_sink" not in {finding.name for finding in after.findings}
    assert sinks == []


async def test_upgraded_tables_keep_what_waits(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that were there before anything could wait hold waits like new ones."""
    await _migrate_to(2, empty_database_url, monkeypatch)
    await migrate(empty_database_url)
    ports = postgres_ports(empty_database_url)
    store = ports.persistence
    flow = await register(store)
    run = await run_that_waits(store, flow)
    waits = await store.find_waits(at(1_000), flow_ids=[flow.flow_id], limit=10)
    signals = await store.read_signals(run)
    broken = await store.check_invariants()
    await ports.aclose()

    assert [task.key for task in waits] == [TaskKey(run, "batch", 1, 0), TaskKey(run, "nap", 1, 0)]
    assert [signal.step for signal in signals] == ["answer", "review"]
    assert broken == {}
