"""Persistence: what a sweep announces again, and what an idle host is told."""

from __future__ import annotations

from datetime import datetime

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.outbox import HeldRun, Holdings
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import Due
from fairlead.ports.records import FlowRow, TaskKey
from tests.support.records import at, completed, keys, new_run, new_tasks, retried, run_id, task_claim
from tests.support.scenes import apply, claim_one, complete_run, lose_lease, register, run_with_tasks, start

QUIET = Due(runs=False, tasks=False, expired=False, outbox=frozenset(), next_at=None)


async def unclaimed(
    store: Persistence, before: datetime, *flows: FlowRow, limit: int = 100
) -> list[tuple[str, str, TaskKey | None]]:
    """The jobs a sweep finds, without the time that a transport may wait for."""
    jobs = await store.find_unclaimed(before, flow_ids=[flow.flow_id for flow in flows], limit=limit)
    for job in jobs:
        record = await store.read_run(job.run_id)
        assert record is not None
        assert job.flow_id in {flow.flow_id for flow in flows if flow.slug == record.flow}
    return [(job.run_id, job.queue, job.task) for job in jobs]


async def due(
    store: Persistence,
    *flows: FlowRow,
    queues: tuple[str, ...] = ("default",),
    sinks: tuple[str, ...] = (),
    now: datetime,
    expired: datetime,
) -> Due:
    """What a host that serves these flows is told."""
    return await store.due(
        flow_ids=[flow.flow_id for flow in flows], queues=list(queues), sinks=sinks, now=now, expired_before=expired
    )


@pytest.mark.fault(8, 48)
async def test_pending_runs_and_queued_tasks_are_found_oldest_first(store: Persistence, flow: FlowRow) -> None:
    """Runs by when they were created, tasks by when they were ready, in one order; strictly before the moment."""
    run = await run_with_tasks(store, flow, 1, steps={})
    await store.insert_runs([new_run(flow, 2, created_at=at(2)), new_run(flow, 3, created_at=at(4))])
    await apply(
        store,
        run,
        Changes(
            new_tasks=(
                new_tasks(flow, run, "a", ready_at=at(3), queue="cpu"),
                new_tasks(flow, run, "b", ready_at=at(1)),
                new_tasks(flow, run, "c", ready_at=at(5)),
            )
        ),
    )

    assert await unclaimed(store, at(5), flow) == [
        (run, "default", TaskKey(run, "b", 1, 0)),
        (run_id(2), "", None),
        (run, "cpu", TaskKey(run, "a", 1, 0)),
        (run_id(3), "", None),
    ]
    assert await unclaimed(store, at(2), flow) == [(run, "default", TaskKey(run, "b", 1, 0))]
    assert await unclaimed(store, at(5), flow, limit=2) == [
        (run, "default", TaskKey(run, "b", 1, 0)),
        (run_id(2), "", None),
    ]
    assert await unclaimed(store, at(0), flow) == []


async def test_a_sweep_looks_past_priorities_and_losses(store: Persistence, flow: FlowRow) -> None:
    """The oldest come first whatever their priority, so that none is forgotten behind newer, more urgent work."""
    run = await run_with_tasks(store, flow, 1, steps={})
    low, high = new_run(flow, 2, priority=-5, created_at=at(1)), new_run(flow, 3, priority=5, created_at=at(3))
    await store.insert_runs([high, low])
    await apply(
        store,
        run,
        Changes(
            new_tasks=(
                new_tasks(flow, run, "lost", ready_at=at(0)),
                new_tasks(flow, run, "low", priority=-5, ready_at=at(2)),
                new_tasks(flow, run, "high", priority=5, ready_at=at(4)),
            )
        ),
    )
    lost = await claim_one(store, flow, now=at(0))
    await lose_lease(store, lost.key, ready_at=at(3.5))

    found = await unclaimed(store, at(9), flow)

    assert [job.step if job else run for run, _, job in found] == [run_id(2), "low", run_id(3), "lost", "high"]
    assert await unclaimed(store, at(9), flow, limit=1) == [(run_id(2), "", None)]


async def test_the_next_task_is_found_past_priorities_and_losses(store: Persistence, flow: FlowRow) -> None:
    """A host wakes for the earliest task, not for the most urgent one; a task with losses counts as well."""
    run = await run_with_tasks(store, flow, 1, steps={})
    await apply(
        store,
        run,
        Changes(
            new_tasks=(
                new_tasks(flow, run, "urgent", priority=9, ready_at=at(60)),
                new_tasks(flow, run, "idle", priority=-9, ready_at=at(50)),
                new_tasks(flow, run, "lost", ready_at=at(0)),
            )
        ),
    )
    lost = await claim_one(store, flow)

    assert (await due(store, flow, now=at(10), expired=at(0))).next_at == at(50)
    assert (await due(store, flow, now=at(50), expired=at(0))).tasks
    await lose_lease(store, lost.key, ready_at=at(40))
    assert (await due(store, flow, now=at(10), expired=at(0))).next_at == at(40)
    assert (await due(store, flow, now=at(40), expired=at(0))).tasks


async def test_only_the_flows_named_are_swept(store: Persistence, flow: FlowRow) -> None:
    """A host announces what hosts like it can take."""
    other = await register(store, slug="returns")
    await start(store, flow, 1)
    await start(store, other, 2)
    await run_with_tasks(store, other, 3)

    assert await unclaimed(store, at(9), flow) == [(run_id(1), "", None)]
    assert len(await unclaimed(store, at(9), flow, other)) == 3
    assert await unclaimed(store, at(9)) == []


async def test_what_somebody_has_is_not_swept(store: Persistence, flow: FlowRow) -> None:
    """Running runs, running tasks and whatever has ended are nobody's to announce."""
    await run_with_tasks(store, flow, 1)
    await claim_one(store, flow)
    await complete_run(store, flow, 2)

    assert await unclaimed(store, at(999), flow) == []


async def test_a_task_that_waits_for_its_retry_is_found_when_it_is_ready(store: Persistence, flow: FlowRow) -> None:
    """The new `ready_at` counts, not the first."""
    run = await run_with_tasks(store, flow)
    task = await claim_one(store, flow)
    await apply(store, run, Changes(tasks=(retried(task, ready_at=at(60)),)))

    assert await unclaimed(store, at(60), flow) == []
    assert await unclaimed(store, at(61), flow) == [(run, "default", task.key)]


async def test_an_empty_store_has_nothing_due(store: Persistence, flow: FlowRow) -> None:
    """No runs, nothing to do."""
    assert await due(store, flow, now=at(0), expired=at(0)) == QUIET
    assert await due(store, queues=(), now=at(0), expired=at(0)) == QUIET


async def test_a_completed_run_leaves_only_its_events(store: Persistence, flow: FlowRow) -> None:
    """What has ended is never due again, except for its unpublished events."""
    await store.register_sinks(["default"], now=at(0))
    await complete_run(store, flow)

    assert await due(store, flow, sinks=("default",), now=at(999), expired=at(999)) == Due(
        runs=False, tasks=False, expired=False, outbox=frozenset({"default"}), next_at=None
    )


async def test_a_pending_run_is_due_to_who_serves_it(store: Persistence, flow: FlowRow) -> None:
    """Runs have no queue; a host of another flow is not concerned."""
    other = await register(store, slug="returns")
    await store.insert_runs([new_run(flow)])

    assert (await due(store, flow, queues=(), now=at(0), expired=at(0))).runs
    assert await due(store, other, now=at(0), expired=at(0)) == QUIET


async def test_a_ready_task_is_due_to_who_serves_its_flow_and_queue(store: Persistence, flow: FlowRow) -> None:
    """Ready means `ready_at` ≤ now."""
    other = await register(store, slug="returns")
    await run_with_tasks(store, flow, ready_at=at(5), queue="cpu")

    assert await due(store, flow, queues=("gpu", "cpu"), now=at(5), expired=at(0)) == Due(
        runs=False, tasks=True, expired=False, outbox=frozenset(), next_at=None
    )
    assert await due(store, flow, queues=("gpu",), now=at(5), expired=at(0)) == QUIET
    assert await due(store, other, queues=("cpu",), now=at(5), expired=at(0)) == QUIET
    assert await due(store, flow, queues=(), now=at(5), expired=at(0)) == QUIET


async def test_a_host_learns_when_the_next_task_is_ready(store: Persistence, flow: FlowRow) -> None:
    """The earliest of its own tasks that are not ready yet, over flows and queues."""
    other = await register(store, slug="returns")
    run = await run_with_tasks(store, flow, 1, ready_at=at(50))
    await run_with_tasks(store, other, 2, ready_at=at(20))
    await apply(store, run, Changes(new_tasks=(new_tasks(flow, run, "cpu", queue="cpu", ready_at=at(30)),)))

    async def next_ready(*flows: FlowRow, queues: tuple[str, ...] = ("default",)) -> datetime | None:
        told = await due(store, *flows, queues=queues, now=at(0), expired=at(0))
        assert not told.tasks
        return told.next_at

    assert await next_ready(flow) == at(50)
    assert await next_ready(flow, queues=("default", "cpu")) == at(30)
    assert await next_ready(flow, other) == at(20)
    assert await next_ready(flow, queues=("gpu",)) is None


async def test_an_expired_lease_is_due(store: Persistence, flow: FlowRow) -> None:
    """A lease that ended before the moment given, in a flow that this host serves."""
    other = await register(store, slug="returns")
    await run_with_tasks(store, flow)
    await store.claim_tasks(task_claim(flow, lease_s=30))

    assert (await due(store, flow, now=at(40), expired=at(31))).expired
    assert await due(store, flow, now=at(40), expired=at(30)) == QUIET
    assert await due(store, other, now=at(40), expired=at(31)) == QUIET


async def test_a_settled_task_has_no_lease_that_could_expire(store: Persistence, flow: FlowRow) -> None:
    """An outcome ends the lease."""
    run = await run_with_tasks(store, flow)
    (task,) = await store.claim_tasks(task_claim(flow, only=keys(run_id(1), "pack", [0])))
    await apply(store, run, Changes(tasks=(completed(task),)))

    assert await due(store, flow, now=at(999), expired=at(999)) == QUIET


async def test_events_are_due_to_a_sink_until_it_has_them(store: Persistence, flow: FlowRow) -> None:
    """Whatever flows a host serves; and to each sink by itself."""
    await store.register_sinks(["mail", "audit"], now=at(0))
    sinks = ("audit", "mail", "unknown")
    await start(store, flow)
    assert (await due(store, sinks=sinks, now=at(0), expired=at(0))).outbox == {"audit", "mail"}

    (lease,) = (await store.lease_shards("mail", "flusher", now=at(0), until=at(30), limit=64)).leases
    await store.mark_delivered(lease, [(run_id(1), 1)])

    assert (await due(store, sinks=sinks, now=at(0), expired=at(0))).outbox == {"audit"}
    assert (await due(store, sinks=("mail",), now=at(0), expired=at(0))) == QUIET
    assert (await due(store, now=at(0), expired=at(0))) == QUIET


async def test_held_runs_are_due_when_their_time_comes(store: Persistence, flow: FlowRow) -> None:
    """Until then nothing is due, and the host learns when; what is fresh beside them is due at once."""
    await store.register_sinks(["mail"], now=at(0))
    await start(store, flow)
    (lease,) = (await store.lease_shards("mail", "flusher", now=at(0), until=at(30), limit=64)).leases
    held = HeldRun(run_id=run_id(1), next_sequence=1, attempts=1, not_before=at(9), problem="no")
    await store.record_holdings(lease, Holdings(rows=[(run_id(1), 1)], runs=[held]))

    waiting = await due(store, sinks=("mail",), now=at(8), expired=at(0))
    assert (waiting.outbox, waiting.next_at) == (frozenset(), at(9))
    assert (await due(store, sinks=("mail",), now=at(9), expired=at(0))).outbox == {"mail"}
    await start(store, flow, 2)
    assert (await due(store, sinks=("mail",), now=at(8), expired=at(0))).outbox == {"mail"}


async def test_a_paused_sink_is_due_when_its_pause_is_over(store: Persistence, flow: FlowRow) -> None:
    """Nothing is due to it before, whatever waits; a pause with nothing that waits wakes nobody."""
    await store.register_sinks(["mail"], now=at(0))
    await store.pause_sink("mail", pauses=1, not_before=at(9), problem="down")
    assert await due(store, sinks=("mail",), now=at(1), expired=at(0)) == QUIET
    await start(store, flow)

    paused = await due(store, sinks=("mail",), now=at(8), expired=at(0))
    assert (paused.outbox, paused.next_at) == (frozenset(), at(9))
    assert (await due(store, sinks=("mail",), now=at(9), expired=at(0))).outbox == {"mail"}
