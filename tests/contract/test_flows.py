"""Persistence: registering the shapes of flows."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow
from fairlead.ports.statuses import RunStatus
from tests.support.records import at, new_flow, new_run, run_id, run_update
from tests.support.scenes import apply, complete_run, run_with_tasks, start

SHAPE = b'{"steps":{"b":[1e22,-0.0],"a":{}},"name":"caf\xc3\xa9"}'


async def test_a_shape_is_registered_byte_for_byte(store: Persistence) -> None:
    """The answer is the row, its shape as it was given."""
    row = await store.register_flow(new_flow("orders", "7", "shape-7", shape=SHAPE), replace=False)

    assert row == FlowRow(flow_id=row.flow_id, slug="orders", version="7", fingerprint="shape-7", shape=SHAPE)


async def test_registering_again_answers_the_same_row(store: Persistence) -> None:
    """Every host registers at its start; only the first inserts."""
    first = await store.register_flow(new_flow(), replace=False)

    assert await store.register_flow(new_flow(), replace=False) == first
    assert await store.register_flow(replace(new_flow(), registered_at=at(99)), replace=False) == first
    assert await store.register_flow(new_flow(), replace=True) == first


async def test_a_shape_can_be_read_without_registering_one(store: Persistence) -> None:
    """What stands there now, also after a replacement; nothing for what was never registered."""
    await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)
    current = await store.register_flow(new_flow(version="dev", fingerprint="two", shape=SHAPE), replace=True)

    assert await store.read_flow("orders", "dev") == current
    assert await store.read_flow("orders", "7") is None
    assert await store.read_flow("returns", "dev") is None


async def test_every_shape_has_an_id_of_its_own(store: Persistence) -> None:
    """`flow_id` stands for exactly one (slug, version, fingerprint)."""
    rows = [
        await store.register_flow(new_flow(slug, version), replace=False)
        for slug in ("orders", "returns")
        for version in ("1", "2", "01")
    ]

    assert len({row.flow_id for row in rows}) == 6


@pytest.mark.fault(59)
async def test_a_different_shape_is_answered_with_the_one_that_is_there(store: Persistence) -> None:
    """The caller compares fingerprints and refuses; nothing was changed."""
    first = await store.register_flow(new_flow(fingerprint="one"), replace=False)

    answer = await store.register_flow(new_flow(fingerprint="two", shape=b"[]"), replace=False)

    assert answer == first
    assert await store.register_flow(new_flow(fingerprint="one"), replace=False) == first


@pytest.mark.parametrize("replacing", [True, False])
async def test_another_document_of_the_same_shape_is_taken_on_demand(store: Persistence, replacing: bool) -> None:
    """It says what no run relies on, so that runs do not stand in its way; the row and its id stay."""
    first = await store.register_flow(new_flow(), replace=False)
    await run_with_tasks(store, first)

    answer = await store.register_flow(new_flow(shape=SHAPE), replace=replacing)

    assert answer == (replace(first, shape=SHAPE) if replacing else first)
    assert await store.read_flow("orders", "1") == answer


async def test_a_different_shape_takes_the_place_of_an_unused_one(store: Persistence) -> None:
    """With `replace`, the new shape is the version's from now on, under an id of its own."""
    old = await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)

    new = await store.register_flow(new_flow(version="dev", fingerprint="two", shape=b"[2]"), replace=True)

    assert (new.fingerprint, new.shape) == ("two", b"[2]")
    assert new.flow_id != old.flow_id
    assert await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=False) == new


async def test_a_shape_can_come_back(store: Persistence) -> None:
    """Going back to earlier code is a replacement like any other; the old shape's id stands for the old shape."""
    old = await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)
    await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=True)

    assert await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True) == old
    assert await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=False) == old


async def test_a_shape_with_a_pending_run_is_not_replaced(store: Persistence) -> None:
    """Permission to destroy is never inferred: a run that waits still needs its shape."""
    old = await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)
    await start(store, old)

    assert await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=True) == old


@pytest.mark.fault(59)
async def test_a_shape_with_a_running_run_is_not_replaced(store: Persistence) -> None:
    """A run in flight keeps its shape."""
    old = await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)
    await run_with_tasks(store, old)

    assert await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=True) == old


async def test_a_shape_whose_runs_have_ended_is_replaced(store: Persistence) -> None:
    """Completed, failed and cancelled runs hold nobody up, and still tell the shape they ran with."""
    old = await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)
    await complete_run(store, old, 1)
    for number, status in ((2, RunStatus.FAILED), (3, RunStatus.CANCELLED)):
        run = await run_with_tasks(store, old, number, steps={})
        await apply(store, run, Changes(runs=(run_update(run, status, next_sequence=3, ended_at=at(1)),)))

    new = await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=True)

    assert new.fingerprint == "two"
    record = await store.read_run(run_id(1))
    assert record is not None
    assert (record.flow, record.version, record.fingerprint) == ("orders", "dev", "one")


async def test_runs_of_other_versions_hold_nobody_up(store: Persistence) -> None:
    """Only runs of the very shape count."""
    other = await store.register_flow(new_flow(version="1"), replace=False)
    await store.insert_runs([new_run(other)])
    await store.register_flow(new_flow(version="dev", fingerprint="one"), replace=True)

    new = await store.register_flow(new_flow(version="dev", fingerprint="two"), replace=True)

    assert new.fingerprint == "two"


async def test_concurrent_registrations_get_one_answer(store: Persistence) -> None:
    """A fleet that starts at once agrees on one row."""
    rows = await asyncio.gather(*(store.register_flow(new_flow(), replace=False) for _ in range(12)))

    assert len({(row.flow_id, row.fingerprint) for row in rows}) == 1


async def test_concurrent_registrations_of_different_shapes_get_one_answer(store: Persistence) -> None:
    """One of the shapes is first, and everybody is told that one."""
    rows = await asyncio.gather(
        *(store.register_flow(new_flow(fingerprint=f"shape-{n % 3}"), replace=False) for n in range(12))
    )

    assert len({(row.flow_id, row.fingerprint) for row in rows}) == 1


async def test_concurrent_replacements_end_with_one_shape(store: Persistence) -> None:
    """Whoever is last has replaced the others; the store is never left with two or none."""
    await store.register_flow(new_flow(version="dev", fingerprint="old"), replace=True)
    rows = await asyncio.gather(
        *(store.register_flow(new_flow(version="dev", fingerprint=f"shape-{n}"), replace=True) for n in range(6))
    )

    current = await store.register_flow(new_flow(version="dev", fingerprint="unknown"), replace=False)

    assert current in rows
    assert current.fingerprint != "old"
