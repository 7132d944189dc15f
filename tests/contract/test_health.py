"""What one look tells of the health of a store: what waits, since when, and for whom."""

from __future__ import annotations

from datetime import datetime

import pytest

from fairlead.ports import Ports
from fairlead.ports.health import Health, Overdue, WaitingWork
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import FlowRow
from fairlead.ports.scheduler import ScheduledCommand
from tests.support.records import at
from tests.support.scenes import claim_one, register, run_with_tasks, start

NOTHING = Overdue(0, None)


def health(**found: object) -> Health:
    """A store in which nothing but this waits."""
    calm: dict[str, object] = {
        "waiting": [],
        "leases": NOTHING,
        "waits": NOTHING,
        "deadlines": NOTHING,
        "events": NOTHING,
        "commands": NOTHING,
        "held": 0,
    }
    return Health(**{**calm, **found})  # type: ignore[arg-type]


async def test_an_empty_store_is_healthy(store: Persistence) -> None:
    """Nothing waits for anybody."""
    assert await store.read_health(at(0)) == health()


async def test_work_is_told_by_flow_version_and_queue(store: Persistence, flow: FlowRow) -> None:
    """Pending runs have no queue; tasks whose time has not come are not ready."""
    await store.register_sinks(["default"], now=at(0))
    letters = await register(store, "letters", "2")
    await run_with_tasks(store, letters, 3, steps={"pack": 3}, queue="mail", ready_at=at(-5))
    await run_with_tasks(store, letters, 4, steps={"pack": 2}, queue="mail", ready_at=at(60))
    await store.register_sinks(["default"], now=at(0))
    await start(store, flow, 1, 2)

    found = await store.read_health(at(10))

    assert found.waiting == [
        WaitingWork(queue="mail", flow="letters", version="2", count=3, since=at(-5)),
        WaitingWork(queue=None, flow="orders", version="1", count=2, since=at(0)),
    ]
    assert found.events == Overdue(6, at(0))


@pytest.mark.parametrize(("now", "expected"), [(at(29), NOTHING), (at(31), Overdue(1, at(30)))])
async def test_leases_that_have_ended_are_told(
    store: Persistence, flow: FlowRow, now: datetime, expected: Overdue
) -> None:
    """Those that last are none of it."""
    await run_with_tasks(store, flow, 1)
    await claim_one(store, flow)

    assert (await store.read_health(now)).leases == expected


async def test_commands_that_are_due_and_those_that_are_held_are_told(ports: Ports) -> None:
    """One that was paused by somebody is neither."""
    for name, due_at, problem in (
        ("due", at(0), None),
        ("later", at(60), None),
        ("paused", None, None),
        ("held", None, "its input no longer fits"),
    ):
        await ports.scheduler.schedule(ScheduledCommand(name=name, due_at=due_at, command=b"{}", problem=problem))

    found = await ports.persistence.read_health(at(10))

    assert (found.commands, found.held) == (Overdue(1, at(0)), 1)
