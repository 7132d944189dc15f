"""Databases that earlier versions have written, kept as they were, are resumed by this one; see `kept_database`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from fairlead.adapters.postgres import migrate, migrating
from fairlead.adapters.postgres.migrating import LATEST, migrations
from fairlead.kernel import DeadLetterFilter, RunFilter, Severity, codec
from fairlead.kernel.fetching import fetch_payload
from fairlead.kernel.references import is_reference
from fairlead.ports.statuses import RunStatus
from tests.support.flushing import flush_all
from tests.support.kept_database import HOUR, KEPT, LARGE, KeptWorld

FILES = sorted(KEPT.glob("*.sql"))

ENDS = {
    "completed": RunStatus.COMPLETED,
    "cancelled": RunStatus.CANCELLED,
    "failed": RunStatus.FAILED,
    "running": RunStatus.COMPLETED,
    "rerun": RunStatus.COMPLETED,
    "asked": RunStatus.COMPLETED,
    "sleeping": RunStatus.COMPLETED,
    "checked": RunStatus.COMPLETED,
    "answered ahead": RunStatus.COMPLETED,
    "large": RunStatus.COMPLETED,
    "pending": RunStatus.COMPLETED,
    "later": RunStatus.COMPLETED,
    "large and later": RunStatus.COMPLETED,
    "to be cancelled": RunStatus.CANCELLED,
}
"""What becomes of each run, by its key."""

IDS_FROM = 1_000
"""Numbers of runs that the file does not have."""


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
async def world(
    request: pytest.FixtureRequest, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[KeptWorld]:
    """A database as the version that wrote the file left it, upgraded to this one."""
    path: Path = request.param
    version = int(path.stem)
    with monkeypatch.context() as earlier:
        known = tuple(migration for migration in migrations() if migration.version <= version)
        earlier.setattr(migrating, "migrations", lambda: known)
        earlier.setattr(migrating, "LATEST", version)
        await migrate(empty_database_url)
    _fill(empty_database_url, path)
    await migrate(empty_database_url)
    made = KeptWorld(empty_database_url, ids_from=IDS_FROM)
    yield made
    await made.ports.aclose()


def _fill(url: str, path: Path) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(path.read_bytes())
        connection.execute("SELECT setval(pg_get_serial_sequence('fairlead.flows', 'id'), max(id)) FROM fairlead.flows")


async def finish(world: KeptWorld) -> None:
    """Let hours pass in which a host works, somebody answers, and the subscriber is well again."""
    world.mail.well = True
    for _ in range(6):
        world.clock.advance(HOUR)
        await world.hands.fire(100)
        await world.hands.reap()
        await world.hands.wake()
        for run in (await world.kernel.runs(RunFilter(key="asked"))).runs:
            if run.status is RunStatus.RUNNING:
                await world.kernel.signal(run.id, "answer", "yes", key="asked")
        await world.hands.drain([1])
    await world.kernel.replay_dead_letters(DeadLetterFilter())
    for _ in range(3):
        world.clock.advance(timedelta(minutes=11))
        await flush_all(world.kernel, "mail")


async def test_what_was_kept_is_read(world: KeptWorld) -> None:
    """Annotations, log entries, large inputs, dead letters: all of it is there after the upgrade, and is sound."""
    kernel, store = world.kernel, world.ports.persistence
    (annotated,) = (await kernel.runs(RunFilter(annotations={"customer": "acme"}))).runs
    noted = {run.key for run in (await kernel.runs()).runs if await kernel.run(run.id).logs()}
    (large,) = (await kernel.runs(RunFilter(key="large"))).runs
    stored = (await store.read_payloads([large.id], [])).runs[large.id].input
    letters = (await kernel.dead_letters()).letters

    assert await store.check_invariants() == {}
    assert (annotated.key, noted) == ("pending", {"running"})
    assert is_reference(stored)
    assert codec.decode(await fetch_payload(world.ports.blobs, stored)) == LARGE
    assert {letter.event.type for letter in letters} == {"run.created"}


async def test_what_was_kept_is_finished(world: KeptWorld) -> None:
    """Every run comes to its end, every event to its subscriber, every tick to its run, and nothing is broken."""
    kernel = world.kernel
    await finish(world)
    runs = (await kernel.runs(limit=1_000)).runs
    ticks = [run for run in runs if run.key not in ENDS]
    (mail,) = await kernel.sinks()
    findings = (await kernel.doctor()).findings

    assert {run.key: run.status for run in runs if run.key in ENDS} == ENDS
    assert ticks
    assert {run.status for run in ticks} == {RunStatus.COMPLETED}
    assert (mail.waiting, (await kernel.dead_letters()).letters) == (0, [])
    assert {run.id for run in runs} == {heard for heard, _ in world.mail.heard}
    assert await world.ports.persistence.check_invariants() == {}
    assert Severity.BROKEN not in {finding.severity for finding in findings}


def test_there_is_a_file_of_this_version() -> None:
    """A release writes one with its tables; see CONTRIBUTING."""
    assert FILES
    assert int(FILES[-1].stem) <= LATEST
