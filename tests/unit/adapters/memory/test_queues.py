"""The indexes behind claims: nothing that has moved on is found, scanned again or kept for ever."""

from __future__ import annotations

from fairlead.adapters.memory import MemoryPersistence
from fairlead.adapters.memory.queues import LeasedTasks, QueuedTasks
from fairlead.adapters.memory.rows import Run, StoredRun, Task
from fairlead.adapters.memory.store import Store
from fairlead.ports.records import TaskKey, TaskPhase
from fairlead.ports.statuses import RunStatus, TaskStatus
from tests.support.records import START, at, run_claim, run_id, task_claim
from tests.support.scenes import complete_run, register, run_with_tasks

FLOW = 1


def stored_run() -> StoredRun:
    """A run to which tasks can belong."""
    return StoredRun(
        Run(
            id=run_id(1),
            flow_id=FLOW,
            flow="orders",
            version="1",
            fingerprint="shape-1",
            key=None,
            request_digest="digest",
            status=RunStatus.RUNNING,
            generation=1,
            priority=0,
            remaining_steps=1,
            next_sequence=2,
            input=b"{}",
            config=None,
            facts=None,
            created_at=START,
        )
    )


def task(run: StoredRun, element: int, *, priority: int = 0, ready_s: float = 0, losses: int = 0) -> Task:
    """A queued task of that run."""
    made = Task(
        key=TaskKey(run.row.id, "pack", 1, element),
        flow_id=FLOW,
        queue="default",
        priority=priority,
        status=TaskStatus.QUEUED,
        phase=TaskPhase.RUN,
        token=0,
        settled_token=0,
        attempts=0,
        losses=losses,
        worker=None,
        lease_until=None,
        ready_at=at(ready_s),
        created_at=START,
        started_at=None,
    )
    run.tasks[made.key] = made
    return made


def taken(queued: QueuedTasks, *, limit: int = 100, lost_limit: int = 100, at_s: float = 0) -> list[int]:
    """The elements that a claim takes, in order."""
    found = queued.take(
        "default", [FLOW], limit=limit, lost_limit=lost_limit, until=at(at_s), is_locked=lambda key: False
    )
    return [one.key.element for one in found]


def test_a_task_that_moved_on_is_not_found_where_it_was() -> None:
    """A row whose place is not the entry's, be it claimed by name or queued again, is taken once at most."""
    run = stored_run()
    queued = QueuedTasks({run.row.id: run})
    moved, gone = task(run, 0), task(run, 1)
    queued.add(moved)
    queued.add(gone)
    gone.entry = None
    queued.add(moved)

    assert queued.findable() == {moved.key}
    assert taken(queued) == [0]
    assert taken(queued) == []


def test_a_task_that_lost_a_lease_is_not_taken_by_its_older_entry() -> None:
    """The limit on lost tasks holds whatever the task was when it was queued before."""
    run = stored_run()
    queued = QueuedTasks({run.row.id: run})
    unlucky = task(run, 0)
    queued.add(unlucky)
    unlucky.losses = 1
    queued.add(unlucky)

    assert taken(queued, lost_limit=0) == []
    assert taken(queued, lost_limit=1) == [0]


def test_a_later_task_of_high_priority_does_not_hide_a_ready_one() -> None:
    """What is not ready yet is passed over, not waited for."""
    run = stored_run()
    queued = QueuedTasks({run.row.id: run})
    for one in (task(run, 0, priority=9, ready_s=60), task(run, 1, priority=1), task(run, 2, priority=5)):
        queued.add(one)

    assert taken(queued, limit=1) == [2]
    assert taken(queued) == [1]
    assert taken(queued, at_s=60) == [0]


def test_refused_tasks_keep_their_place() -> None:
    """A locked row is skipped now and first again later."""
    run = stored_run()
    queued = QueuedTasks({run.row.id: run})
    rows = [task(run, element) for element in range(3)]
    for one in rows:
        queued.add(one)

    first = queued.take("default", [FLOW], limit=1, lost_limit=0, until=START, is_locked=lambda key: key == rows[0].key)

    assert [one.key.element for one in first] == [1]
    assert taken(queued) == [0, 2]


def test_priorities_that_are_used_up_are_forgotten() -> None:
    """As many priorities as there are runs leave no trail behind."""
    run = stored_run()
    queued = QueuedTasks({run.row.id: run})
    for priority in range(100):
        queued.add(task(run, priority, priority=priority))

    assert taken(queued) == list(reversed(range(100)))
    assert queued.first_ready_at(["default"], [FLOW]) is None
    assert len(queued) == 0


def test_leases_are_scanned_only_when_one_can_have_ended() -> None:
    """The lower bound follows the leases: after a scan it is the earliest of those that are left."""
    run = stored_run()
    leased = LeasedTasks()
    early, late = task(run, 0), task(run, 1)
    early.lease_until, late.lease_until = at(10), at(20)
    leased.put(early)
    leased.put(late)

    assert leased.expired(at(10), [FLOW], 5) == []
    assert leased.expired(at(15), [FLOW], 5) == [early]
    early.lease_until = at(40)
    leased.put(early)
    assert leased.expired(at(15), [FLOW], 5) == []
    assert leased.expired(at(50), [FLOW], 5) == [late, early]
    leased.discard(late.key)
    assert leased.expired(at(50), [FLOW], 5) == [early]
    assert leased.expired(at(50), [FLOW + 1], 5) == []


async def test_finished_runs_leave_the_indexes() -> None:
    """What claims read holds nothing of a run that has ended."""
    tables = Store()
    store = MemoryPersistence(tables)
    flow = await register(store)
    for number in range(1, 20):
        await complete_run(store, flow, number)

    due = await store.due(flow_ids=[flow.flow_id], queues=["default"], now=START, expired_before=START)
    async with store.transaction() as transaction:
        assert await transaction.claim_runs(run_claim(flow)) == []
    assert await store.claim_tasks(task_claim(flow)) == []

    assert (due.runs, due.tasks, due.expired, due.next_at) == (False, False, False, None)
    assert (len(tables.pending), len(tables.queued), len(tables.leased), tables.locks.held) == (0, 0, 0, 0)
    assert not any(run.live for run in tables.runs.values())


async def test_tasks_claimed_by_name_are_dropped_by_the_sweep() -> None:
    """Hosts that are told what to claim never poll; the sweep clears what they leave in the index."""
    tables = Store()
    store = MemoryPersistence(tables)
    flow = await register(store)
    run = await run_with_tasks(store, flow, steps={"pack": 50})
    keys = [TaskKey(run, "pack", 1, element) for element in range(50)]

    assert len(await store.claim_tasks(task_claim(flow, only=keys))) == 50
    assert await store.find_unclaimed(at(1), flow_ids=[flow.flow_id], limit=10) == []

    assert len(tables.queued) == 0
