"""Persistence: leasing queued tasks."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.records import ClaimedTask, FlowRow, TaskClaim, TaskKey, TaskPhase
from fairlead.ports.statuses import TaskStatus
from tests.support.records import (
    at,
    attempt,
    completed,
    keys,
    load_request,
    new_tasks,
    retried,
    run_id,
    run_update,
    task_claim,
)
from tests.support.scenes import apply, claim_one, look_at_task, lose_lease, register, run_with_tasks
from tests.support.subjects import StoreSubject


async def elements(store: Persistence, claim: TaskClaim) -> list[tuple[str, int]]:
    """The steps and elements that a claim gets, in the order of its answer."""
    return [(task.key.step, task.key.element) for task in await store.claim_tasks(claim)]


async def test_a_claim_leases_a_task(store: Persistence, flow: FlowRow) -> None:
    """The task runs now: first token, first attempt, under this worker until its lease ends."""
    run = await run_with_tasks(store, flow, priority=7)

    (task,) = await store.claim_tasks(task_claim(flow, worker="worker-7", now=at(1), lease_s=60))

    key = TaskKey(run, "pack", 1, 0)
    assert task == ClaimedTask(
        key=key,
        flow_id=flow.flow_id,
        token=1,
        attempt=1,
        losses=0,
        phase=TaskPhase.RUN,
        lease_until=at(61),
        priority=7,
    )
    row = await look_at_task(store, key)
    assert (row.status, row.token, row.settled_token) == (TaskStatus.RUNNING, 1, 0)
    assert (row.attempts, row.losses, row.worker, row.lease_until) == (1, 0, "worker-7", at(61))
    assert (row.flow_id, row.phase) == (flow.flow_id, TaskPhase.RUN)


async def test_a_running_task_is_not_claimed(store: Persistence, flow: FlowRow) -> None:
    """One lease at a time, even when it ran out: only the reaper takes it back."""
    await run_with_tasks(store, flow)
    await claim_one(store, flow)

    assert await elements(store, task_claim(flow, now=at(3600))) == []


async def test_token_and_attempt_increase_with_each_claim(store: Persistence, flow: FlowRow) -> None:
    """A retried task comes back under a new token, as another attempt."""
    run = await run_with_tasks(store, flow)
    first = await claim_one(store, flow)
    await apply(store, run, Changes(tasks=(retried(first, ready_at=at(10)),), attempts=(attempt(first),)))

    second = await claim_one(store, flow, now=at(10), worker="worker-2")

    assert (second.token, second.attempt, second.losses) == (2, 2, 0)
    assert (await look_at_task(store, second.key)).settled_token == 1


async def test_a_task_is_not_claimed_before_it_is_ready(store: Persistence, flow: FlowRow) -> None:
    """`ready_at` is inclusive, and naming the task does not make it ready."""
    run = await run_with_tasks(store, flow, ready_at=at(10))

    assert await elements(store, task_claim(flow, now=at(9.999))) == []
    assert await elements(store, task_claim(flow, now=at(9.999), only=keys(run, "pack", [0]))) == []
    assert await elements(store, task_claim(flow, now=at(10))) == [("pack", 0)]


async def test_order_is_priority_then_ready_at_then_key(store: Persistence, flow: FlowRow) -> None:
    """Higher priority first; among equals who was ready first; among those the lower key."""
    run = await run_with_tasks(store, flow, 2, steps={})
    other = await run_with_tasks(store, flow, 1, steps={})
    await apply(
        store,
        run,
        Changes(
            new_tasks=(
                new_tasks(flow, run, "b", first=0, count=2, ready_at=at(1)),
                new_tasks(flow, run, "a", first=3, ready_at=at(1)),
                new_tasks(flow, run, "late", ready_at=at(2)),
                new_tasks(flow, run, "high", priority=1, ready_at=at(3)),
                new_tasks(flow, run, "low", priority=-1, ready_at=at(0)),
            )
        ),
    )
    await apply(store, other, Changes(new_tasks=(new_tasks(flow, other, "z", ready_at=at(1)),)))

    assert await elements(store, task_claim(flow, now=at(5))) == [
        ("high", 0),
        ("z", 0),
        ("a", 3),
        ("b", 0),
        ("b", 1),
        ("late", 0),
        ("low", 0),
    ]


async def test_the_limit_takes_the_first_in_order(store: Persistence, flow: FlowRow) -> None:
    """A claim by free slots takes as many as there are slots."""
    await run_with_tasks(store, flow, steps={"pack": 5})

    assert await elements(store, task_claim(flow, limit=0)) == []
    assert await elements(store, task_claim(flow, limit=2)) == [("pack", 0), ("pack", 1)]
    assert await elements(store, task_claim(flow, limit=9)) == [("pack", 2), ("pack", 3), ("pack", 4)]


async def test_the_order_holds_over_all_flows(store: Persistence, flow: FlowRow) -> None:
    """However few are taken, they are the first of everything that is served, not of one flow."""
    other = await register(store, slug="returns")
    for number, served, ready_at, priority in ((1, flow, 5, 0), (2, flow, 3, 0), (3, other, 4, 0), (4, other, 9, 1)):
        await run_with_tasks(store, served, number, ready_at=at(ready_at), priority=priority)

    taken = [
        [task.key.run_id for task in await store.claim_tasks(task_claim(flow, other, limit=limit, now=at(9)))]
        for limit in (1, 2, 3)
    ]

    assert taken == [[run_id(4)], [run_id(2), run_id(3)], [run_id(1)]]


@pytest.mark.fault(59)
async def test_only_the_queue_and_the_flows_that_are_served_are_claimed(store: Persistence, flow: FlowRow) -> None:
    """A host without a flow's code, or of another queue, leaves its tasks alone."""
    other = await register(store, slug="returns")
    await run_with_tasks(store, flow, 1, steps={"cpu": 1}, queue="cpu")
    await run_with_tasks(store, flow, 2, steps={"plain": 1})
    await run_with_tasks(store, other, 3, steps={"other": 1})

    assert await elements(store, task_claim(queue="default")) == []
    assert await elements(store, task_claim(flow, other, queue="gpu")) == []
    assert await elements(store, task_claim(flow, queue="cpu")) == [("cpu", 0)]
    assert await elements(store, task_claim(flow, other)) == [("plain", 0), ("other", 0)]


async def test_a_claim_can_name_the_tasks_it_wants(store: Persistence, flow: FlowRow) -> None:
    """With `only`, no other task is leased, and a named one has to be claimable like any other."""
    other = await register(store, slug="returns")
    run = await run_with_tasks(store, flow, 1, steps={"pack": 4})
    foreign = await run_with_tasks(store, other, 2)
    named = keys(run, "pack", [2, 1]) + keys(foreign, "pack", [0]) + keys(run_id(99), "pack", [0])

    assert await elements(store, task_claim(flow, only=[])) == []
    assert await elements(store, task_claim(flow, only=named)) == [("pack", 1), ("pack", 2)]
    assert await elements(store, task_claim(flow, only=named)) == []
    assert await elements(store, task_claim(flow, queue="cpu", only=keys(run, "pack", [0]))) == []
    assert await elements(store, task_claim(flow)) == [("pack", 0), ("pack", 3)]


async def test_a_named_task_of_another_generation_is_not_claimed(store: Persistence, flow: FlowRow) -> None:
    """The generation is part of a task's name."""
    run = await run_with_tasks(store, flow)

    assert await elements(store, task_claim(flow, only=keys(run, "pack", [0], generation=2))) == []


async def test_tasks_with_losses_are_claimed_up_to_their_limit(store: Persistence, flow: FlowRow) -> None:
    """A host that may hold one dangerous task fills its other slots with harmless ones."""
    run = await run_with_tasks(store, flow, steps={"pack": 5})
    await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0, 1, 3])))
    for key in keys(run, "pack", [0, 1, 3]):
        await lose_lease(store, key)

    assert await elements(store, task_claim(flow, limit=1, lost_limit=0)) == [("pack", 2)]
    claimed = await store.claim_tasks(task_claim(flow, limit=4, lost_limit=1))
    assert [(task.key.element, task.losses, task.token, task.attempt) for task in claimed] == [
        (0, 1, 2, 2),
        (4, 0, 1, 1),
    ]
    assert await elements(store, task_claim(flow, limit=9, lost_limit=0)) == []
    assert await elements(store, task_claim(flow, lost_limit=0, only=keys(run, "pack", [1, 3]))) == []
    assert await elements(store, task_claim(flow, limit=9, lost_limit=9)) == [("pack", 1), ("pack", 3)]


async def test_the_limit_of_losses_holds_over_all_flows_and_priorities(store: Persistence, flow: FlowRow) -> None:
    """A host that serves many flows still holds as many dangerous tasks as it asked for, the first in order."""
    other = await register(store, slug="returns")
    for number, served, priority in ((1, flow, 0), (2, other, 3), (3, flow, 3), (4, other, 0)):
        run = await run_with_tasks(store, served, number, steps={"pack": 2}, priority=priority)
        await store.claim_tasks(task_claim(served, only=keys(run, "pack", [0])))
        await lose_lease(store, TaskKey(run, "pack", 1, 0))

    claimed = await store.claim_tasks(task_claim(flow, other, limit=6, lost_limit=1))

    assert [(task.key.run_id, task.key.element) for task in claimed] == [
        (run_id(2), 0),
        (run_id(2), 1),
        (run_id(3), 1),
        (run_id(1), 1),
        (run_id(4), 1),
    ]


async def test_a_claim_by_name_keeps_its_limits(store: Persistence, flow: FlowRow) -> None:
    """Named tasks are claimed in order up to the limit, and those with losses up to theirs."""
    run = await run_with_tasks(store, flow, steps={"pack": 6})
    await store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0, 1])))
    for key in keys(run, "pack", [0, 1]):
        await lose_lease(store, key)
    named = keys(run, "pack", [5, 4, 3, 2, 1, 0])

    assert await elements(store, task_claim(flow, limit=0, only=named)) == []
    assert await elements(store, task_claim(flow, limit=3, lost_limit=1, only=named)) == [
        ("pack", 0),
        ("pack", 2),
        ("pack", 3),
    ]
    assert await elements(store, task_claim(flow, limit=9, lost_limit=9, only=named)) == [
        ("pack", 1),
        ("pack", 4),
        ("pack", 5),
    ]


@pytest.mark.fault(38)
async def test_ten_concurrent_claims_share_three_tasks(store: Persistence, flow: FlowRow) -> None:
    """Each task goes to one host, none stays behind."""
    run = await run_with_tasks(store, flow, steps={"pack": 3})

    answers = await asyncio.gather(
        *(store.claim_tasks(task_claim(flow, limit=1, worker=f"worker-{n}")) for n in range(10))
    )

    taken = [task.key for answer in answers for task in answer]
    assert sorted(taken) == keys(run, "pack", range(3))
    assert all(task.token == 1 for answer in answers for task in answer)


async def test_concurrent_claims_of_many_never_share(store: Persistence, flow: FlowRow) -> None:
    """Whatever is taken is taken by one, and the next claims find what is left."""
    run = await run_with_tasks(store, flow, steps={"pack": 60})

    answers = await asyncio.gather(
        *(store.claim_tasks(task_claim(flow, limit=12, worker=f"worker-{n}")) for n in range(6))
    )

    taken = [task.key for answer in answers for task in answer]
    left = [task.key for task in await store.claim_tasks(task_claim(flow, limit=100))]
    assert len(taken) == len(set(taken))
    assert sorted(taken + left) == keys(run, "pack", range(60))


@pytest.mark.fault(38)
async def test_concurrent_claims_by_name_never_share(store: Persistence, flow: FlowRow) -> None:
    """One message delivered to many hosts leases its task once."""
    run = await run_with_tasks(store, flow)

    answers = await asyncio.gather(
        *(store.claim_tasks(task_claim(flow, only=keys(run, "pack", [0]), worker=f"worker-{n}")) for n in range(8))
    )

    assert [len(answer) for answer in answers if answer] == [1]


async def test_a_claim_does_not_wait_for_a_locked_run(store: Persistence, flow: FlowRow) -> None:
    """Tasks are leased while somebody settles others of their run."""
    run = await run_with_tasks(store, flow, steps={"pack": 2})

    async with store.transaction() as holder:
        await holder.load(load_request(run))
        assert await elements(store, task_claim(flow)) == [("pack", 0), ("pack", 1)]


async def test_a_task_that_another_transaction_holds_is_skipped(store_subject: StoreSubject) -> None:
    """A claim takes what it can get at once."""
    if store_subject.hold_task is None:
        pytest.skip("nobody can hold a task's row in this store")
    store = store_subject.store
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 4})

    async with store_subject.hold_task(TaskKey(run, "pack", 1, 0)):
        assert await elements(store, task_claim(flow, only=keys(run, "pack", [0]))) == []
        assert await elements(store, task_claim(flow, limit=1)) == [("pack", 1)]
        assert await elements(store, task_claim(flow)) == [("pack", 2), ("pack", 3)]

    assert await elements(store, task_claim(flow)) == [("pack", 0)]


async def test_a_task_that_was_updated_but_not_committed_is_not_claimed(store: Persistence, flow: FlowRow) -> None:
    """A retry is claimable once its transaction has committed, and not before."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)

    async with store.transaction() as transaction:
        await transaction.load(load_request(run))
        await transaction.apply(Changes(tasks=(retried(task, ready_at=at(0)),)))
        assert await elements(store, task_claim(flow)) == []

    assert await elements(store, task_claim(flow)) == [("pack", 0)]


async def test_a_settled_task_is_not_claimed(store: Persistence, flow: FlowRow) -> None:
    """Terminal is terminal."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    await apply(store, run, Changes(runs=(run_update(run, next_sequence=4),), tasks=(completed(task),)))

    assert await elements(store, task_claim(flow, now=at(99))) == []
    assert await elements(store, task_claim(flow, now=at(99), only=[task.key])) == []
