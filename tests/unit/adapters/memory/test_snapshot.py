"""The plain view of all tables, and the ports as they are put together."""

from __future__ import annotations

from fairlead.adapters.memory import (
    ManualClock,
    MemoryPersistence,
    MemoryTransport,
    MemoryWakeups,
    SequentialIds,
    memory_ports,
)
from fairlead.ports.changes import Changes
from tests.support.records import START, at, load_request, retried, run_update, task_claim
from tests.support.scenes import claim_one, complete_run, register, run_with_tasks, start
from tests.support.waits import resume_token, run_that_waits


async def filled(*numbers: int) -> MemoryPersistence:
    """A store with runs of these numbers, completed in this order."""
    store = MemoryPersistence()
    flow = await register(store)
    await store.register_sinks(["default"], now=START)
    for number in numbers:
        await complete_run(store, flow, number)
    return store


async def test_rows_come_in_order_of_their_keys() -> None:
    """Two stores that hold the same are equal, in whatever order it was written."""
    one, other = await filled(1, 2, 3), await filled(3, 1, 2)

    assert list(one.snapshot()["runs"][0]) == list(other.snapshot()["runs"][0])
    assert one.snapshot() == other.snapshot()
    assert {name: len(rows) for name, rows in one.snapshot().items()} == {
        "flows": 1,
        "runs": 3,
        "steps": 3,
        "tasks": 3,
        "attempts": 0,
        "signals": 0,
        "resume_tokens": 0,
        "run_generations": 0,
        "run_annotations": 0,
        "logs": 0,
        "progress": 0,
        "outbox": 9,
        "outbox_shards": 0,
        "sinks": 1,
        "held_runs": 0,
        "dead_letters": 0,
    }


async def test_rows_are_plain_data() -> None:
    """Statuses as text, payloads as they were stored, a task's key spread over its columns."""
    snapshot = (await filled(1)).snapshot()
    (task,) = snapshot["tasks"]

    assert task["status"] == "completed"
    assert type(task["status"]) is str
    assert task["output"] == b'"done"'
    assert [task[column] for column in ("step", "generation", "element")] == ["pack", 1, 0]
    assert "entry" not in task
    assert "key" not in task
    assert snapshot["flows"][0]["current"] is True


async def test_what_is_published_is_told() -> None:
    """By the outbox rows as they stand, not as they were born."""
    store = await filled(1)
    (lease,) = (await store.lease_shards("default", "flusher", now=START, until=at(30), limit=1)).leases
    rows = await store.read_fresh(lease, limit=2)

    await store.mark_delivered(lease, [(row.run_id, row.first_sequence) for row in rows])

    assert [row["published"] for row in store.snapshot()["outbox"]] == [True, True, False]
    assert [shard["worker"] for shard in store.snapshot()["outbox_shards"]] == ["flusher"]


async def test_uncommitted_writes_are_not_in_it() -> None:
    """A snapshot taken while a transaction is open is that of before."""
    store = MemoryPersistence()
    (run,) = await start(store, await register(store))
    before = store.snapshot()

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(Changes(runs=(run_update(run, remaining_steps=9),)))
        during = store.snapshot()

    assert during == before
    assert store.snapshot() != before


async def test_a_snapshot_does_not_move_with_the_store() -> None:
    """It is a copy."""
    store = MemoryPersistence()
    flow = await register(store)
    run = await run_with_tasks(store, flow)
    before = store.snapshot()
    task = await claim_one(store, flow)
    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(Changes(tasks=(retried(task, ready_at=at(5)),)))

    assert [row["token"] for row in before["tasks"]] == [0]
    assert [row["token"] for row in store.snapshot()["tasks"]] == [1]
    assert await store.claim_tasks(task_claim(flow, now=at(4))) == []


def test_ports_are_all_new_and_share_one_clock() -> None:
    """Two sets of ports know nothing of each other; what is given is used."""
    clock, ids = ManualClock(), SequentialIds()
    transport = MemoryTransport(clock)

    ports = memory_ports(clock=clock, new_id=ids, transport=transport)
    others = memory_ports()

    assert (ports.clock, ports.new_id, ports.transport, ports.sink) == (clock, ids, transport, None)
    assert ports.persistence is not others.persistence
    assert isinstance(others.transport, MemoryWakeups)


def test_sequential_ids_are_uuids_that_can_be_foreseen() -> None:
    """Increasing, and the same in every execution."""
    ids = SequentialIds(first=9)

    assert [ids(), ids()] == ["00000000-0000-7000-8000-000000000009", "00000000-0000-7000-8000-00000000000a"]


async def test_what_waits_is_in_it() -> None:
    """What suspended tasks wait for, the signals of each run by step and key, and tokens by digest."""
    store = MemoryPersistence()
    run = await run_that_waits(store, await register(store))
    await store.insert_resume_tokens([resume_token(run, "b"), resume_token(run, "a")])
    snapshot = store.snapshot()
    waits = {task["step"]: task["waits_for"] for task in snapshot["tasks"] if task["status"] == "suspended"}

    assert waits == {"batch": "check", "approval": "signal", "nap": "time"}
    assert {type(each) for each in waits.values()} == {str}
    assert [(signal["step"], signal["key"]) for signal in snapshot["signals"]] == [
        ("answer", "key-1"),
        ("review", "key-1"),
    ]
    assert [token["digest"] for token in snapshot["resume_tokens"]] == ["a", "b"]
