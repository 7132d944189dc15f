"""Writing notes and removing their run: whoever is first has the run's row, and the other one sees what it did."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from fairlead.adapters.postgres import PostgresPersistence
from fairlead.ports.notes import LogLevel, NewLogEntry, ProgressRecord
from fairlead.ports.records import TaskKey
from tests.support.postgres_subject import until_waiting
from tests.support.records import at
from tests.support.scenes import PATIENCE_S, complete_run, register

Observer = psycopg.Connection[Any]

OF_NOTES = ("logs", "log_counters", "progress")


@pytest.fixture
async def run(store: PostgresPersistence) -> str:
    """A completed run, which may be removed."""
    return await complete_run(store, await register(store))


async def note(store: PostgresPersistence, run: str) -> None:
    """Write what its only attempt noted late."""
    key = TaskKey(run, "pack", 1, 0)
    entry = NewLogEntry(key=key, token=1, attempt=1, sequence=1, at=at(0), level=LogLevel.INFO, message="late")
    await store.write_notes([entry], [ProgressRecord(key=key, token=1, attempt=1, at=at(0), done=1)])


def left(observer: Observer) -> int:
    """How many rows there are of notes, of whatever run."""
    counts = [observer.execute(f"SELECT count(*) FROM fairlead.{table}".encode()).fetchall() for table in OF_NOTES]
    return sum(rows[0][0] for rows in counts)


async def test_notes_wait_for_a_removal_and_are_dropped(
    store: PostgresPersistence, observer: Observer, url: str, run: str
) -> None:
    """The removal holds the run and has looked for its notes already."""
    with observer.transaction():
        observer.execute("SELECT FROM fairlead.runs WHERE id = %s FOR UPDATE", (run,))
        writing = asyncio.create_task(note(store, run))
        await until_waiting(url)
        observer.execute("DELETE FROM fairlead.runs WHERE id = %s", (run,))
    await asyncio.wait_for(writing, PATIENCE_S)

    assert left(observer) == 0


async def test_a_removal_leaves_a_run_alone_that_is_being_noted_of(
    store: PostgresPersistence, observer: Observer, url: str, run: str
) -> None:
    """The writer holds the run, and is kept from its counter; the next removal takes everything."""
    with observer.transaction():
        observer.execute("INSERT INTO fairlead.log_counters (run_id, last) VALUES (%s, 0)", (run,))
        writing = asyncio.create_task(note(store, run))
        await until_waiting(url)
        removed = await store.delete_runs([run], ended_before=at(1))
    await asyncio.wait_for(writing, PATIENCE_S)

    assert removed == []
    assert left(observer) == len(OF_NOTES)
    assert await store.delete_runs([run], ended_before=at(1)) == [run]
    assert left(observer) == 0
