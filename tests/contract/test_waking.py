"""Persistence: finding what waits when its time has come, runs past their deadline, and what an idle host is told."""

from __future__ import annotations

from datetime import datetime

import pytest

from fairlead.ports import Ports
from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import Due, RunFilter
from fairlead.ports.records import FlowRow, TaskKey, WaitsFor
from fairlead.ports.scheduler import ScheduledCommand
from fairlead.ports.statuses import RunStatus
from tests.support.records import (
    START,
    at,
    cancellation,
    events,
    load_request,
    new_flow,
    new_run,
    run_claim,
    run_id,
    run_update,
    step_write,
    task_claim,
)
from tests.support.scenes import apply, look_at_task, register, run_with_tasks
from tests.support.waits import (
    DEADLINE_S,
    ended_well,
    new_wait,
    queued_again,
    run_that_waits,
    suspension,
    waiting_run_update,
)

RUN = run_id(1)
FAR = datetime.max.replace(tzinfo=START.tzinfo)


async def sleeping(
    store: Persistence, flow: FlowRow, number: int, *wake_ats: datetime | None, deadline_at: datetime | None = None
) -> str:
    """A run with a waiting step for each time, `nap0` and so on; None waits for a signal without end."""
    run = run_id(number)
    await store.insert_runs([new_run(flow, number)])
    slugs = [f"nap{place}" for place in range(len(wake_ats))]
    async with store.transaction() as transaction:
        await transaction.claim_runs(run_claim(flow, only=[run]))
        await transaction.apply(
            Changes(
                runs=(waiting_run_update(run, next_sequence=3, started_at=START, deadline_at=deadline_at),),
                new_steps=tuple(step_write(run, slug) for slug in slugs),
                new_tasks=tuple(
                    new_wait(flow, run, slug, WaitsFor.SIGNAL if wake_at is None else WaitsFor.TIME, wake_at=wake_at)
                    for slug, wake_at in zip(slugs, wake_ats, strict=True)
                ),
                events=(events(run, 2, ["run.started"], flow=flow.slug),),
            )
        )
    return run


async def found(store: Persistence, before: datetime, *flows: FlowRow, limit: int = 100) -> list[str]:
    """The steps whose waits are looked at, in the order in which they are found."""
    tasks = await store.find_waits(before, flow_ids=[flow.flow_id for flow in flows], limit=limit)
    return [task.key.step if task.key.run_id == RUN else str(task.key) for task in tasks]


async def due(store: Persistence, now: datetime, *flows: FlowRow) -> Due:
    """What a host that serves these flows and the default queue is told."""
    ids = [flow.flow_id for flow in flows]
    return await store.due(flow_ids=ids, queues=["default"], now=now, expired_before=at(-1_000))


async def test_waits_are_found_when_their_time_has_come(store: Persistence, flow: FlowRow) -> None:
    """At that very moment, earliest first, as many as asked for; one without end never is."""
    await sleeping(store, flow, 1, at(30), None, at(10), at(20))

    assert await found(store, at(9.999), flow) == []
    assert await found(store, at(10), flow) == ["nap2"]
    assert await found(store, at(1_000), flow) == ["nap2", "nap3", "nap0"]
    assert await found(store, at(1_000), flow, limit=2) == ["nap2", "nap3"]
    assert await found(store, at(1_000), flow, limit=0) == []
    assert await found(store, at(1_000), flow) == ["nap2", "nap3", "nap0"]


async def test_waits_that_come_at_once_are_found_by_key(store: Persistence, flow: FlowRow) -> None:
    """So that those who look in bounded batches go through them in one order."""
    await sleeping(store, flow, 2, at(10))
    await sleeping(store, flow, 1, at(10), at(10))

    assert await found(store, at(10), flow) == ["nap0", "nap1", str(TaskKey(run_id(2), "nap0", 1, 0))]


async def test_waits_of_runs_that_are_left_out_take_no_place(store: Persistence, flow: FlowRow) -> None:
    """As many of the others as are asked for; asked without, all are found again."""
    await sleeping(store, flow, 1, at(1), at(2), at(3))
    await sleeping(store, flow, 2, at(4), at(5))
    ids = [flow.flow_id]

    others = await store.find_waits(at(9), flow_ids=ids, limit=2, leave_out=[RUN])
    none = await store.find_waits(at(9), flow_ids=ids, limit=2, leave_out=[RUN, run_id(2)])

    assert [task.key for task in others] == [TaskKey(run_id(2), f"nap{n}", 1, 0) for n in (0, 1)]
    assert (list(none), len(await found(store, at(9), flow))) == ([], 5)


async def test_only_waits_of_the_flows_that_are_served_are_found(store: Persistence, flow: FlowRow) -> None:
    """A check or what follows a sleep needs the flow's code. Of several flows the earliest ones are found."""
    other = await store.register_flow(new_flow("letters"), replace=False)
    await sleeping(store, flow, 1, at(10), at(30))
    await sleeping(store, other, 2, at(20))
    of_other = str(TaskKey(run_id(2), "nap0", 1, 0))

    assert await found(store, at(100), flow) == ["nap0", "nap1"]
    assert await found(store, at(100), other) == [of_other]
    assert await found(store, at(100), other, flow) == ["nap0", of_other, "nap1"]
    assert await found(store, at(100), other, flow, limit=2) == ["nap0", of_other]
    assert await found(store, at(100)) == []


async def test_what_is_found_is_the_task_as_it_stands(store: Persistence, flow: FlowRow) -> None:
    """As a transaction would load it."""
    await run_that_waits(store, flow)
    (batch,) = await store.find_waits(at(60), flow_ids=[flow.flow_id], limit=10)

    assert batch == await look_at_task(store, TaskKey(RUN, "batch", 1, 0))


async def test_a_wait_is_found_anew_each_time_it_begins(store: Persistence, flow: FlowRow) -> None:
    """Not while it is checked, and at its new time afterwards, once."""
    await run_that_waits(store, flow)
    key = TaskKey(RUN, "batch", 1, 0)
    await apply(store, RUN, Changes(resumptions=(queued_again(key, 1, ready_at=at(60)),)))
    queued = await found(store, at(80), flow)
    claim = await store.claim_tasks(task_claim(flow, now=at(60)))
    await apply(store, RUN, Changes(suspensions=(suspension(key, 2, wake_at=at(60), checks=1),)))
    again = await found(store, at(80), flow)

    assert [task.key for task in claim] == [key]
    assert (queued, again) == ([], ["batch"])


@pytest.mark.fault(44)
@pytest.mark.parametrize(
    "wake_at", [FAR, datetime(9999, 12, 31, 23, 59, tzinfo=START.tzinfo), datetime(1, 1, 1, tzinfo=START.tzinfo)]
)
async def test_any_time_can_be_waited_for(store: Persistence, flow: FlowRow, wake_at: datetime) -> None:
    """To the last moment that there is, and back before everything."""
    await sleeping(store, flow, 1, wake_at, deadline_at=wake_at)
    (task,) = await store.find_waits(FAR, flow_ids=[flow.flow_id], limit=1)

    assert task.wake_at == wake_at
    assert await store.find_overdue(FAR, limit=1) == [RUN]


async def test_runs_are_overdue_from_their_deadline_on(store: Persistence, flow: FlowRow) -> None:
    """Earliest first, of whatever flow, as many as asked for."""
    other = await store.register_flow(new_flow("letters"), replace=False)
    second = await sleeping(store, other, 2, at(1), deadline_at=at(20))
    first = await sleeping(store, flow, 1, at(1), deadline_at=at(30))
    await sleeping(store, flow, 3, at(1))

    assert await store.find_overdue(at(19.999), limit=10) == []
    assert await store.find_overdue(at(20), limit=10) == [second]
    assert await store.find_overdue(at(100), limit=10) == [second, first]
    assert await store.find_overdue(at(100), limit=1) == [second]
    assert await store.find_overdue(at(100), limit=1, leave_out=[second]) == [first]
    assert await store.find_overdue(at(100), limit=9, leave_out=[run_id(9), first, second]) == []


async def test_a_deadline_stays_until_the_run_ends(store: Persistence, flow: FlowRow) -> None:
    """An update that says nothing of it leaves it alone; another one moves it."""
    await sleeping(store, flow, 1, at(1), deadline_at=at(20))
    await apply(store, RUN, Changes(runs=(run_update(RUN, next_sequence=3),)))
    kept = await store.find_overdue(at(20), limit=10)
    await apply(store, RUN, Changes(runs=(waiting_run_update(RUN, next_sequence=3, deadline_at=at(40)),)))

    assert kept == [RUN]
    assert await store.find_overdue(at(39), limit=10) == []
    assert await store.find_overdue(at(40), limit=10) == [RUN]


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_a_run_that_ends_has_no_deadline(store: Persistence, flow: FlowRow, status: RunStatus) -> None:
    """However it ends, and whatever the update says."""
    await sleeping(store, flow, 1, at(1), deadline_at=at(20))
    before = await store.read_run(RUN)
    update = waiting_run_update(RUN, next_sequence=3, status=status, ended_at=at(2), deadline_at=at(30))
    await apply(store, RUN, Changes(runs=(update,), cancellations=(cancellation(RUN),)))
    after = await store.read_run(RUN)

    assert before is not None
    assert after is not None
    assert (before.deadline_at, after.deadline_at) == (at(20), None)
    assert await store.find_overdue(at(100), limit=10) == []


async def test_a_list_of_runs_shows_deadlines(store: Persistence, flow: FlowRow) -> None:
    """As one run does."""
    await run_that_waits(store, flow)
    (listed,) = (await store.list_runs(RunFilter(), limit=10, after=None)).runs

    assert listed == await store.read_run(RUN)
    assert listed.deadline_at == at(DEADLINE_S)


async def test_an_idle_host_is_told_of_waits(store: Persistence, flow: FlowRow) -> None:
    """Before their time when that is, from then on that it has come, and of flows it serves alone."""
    other = await store.register_flow(new_flow("letters"), replace=False)
    await sleeping(store, flow, 1, None, at(30), at(20))
    await sleeping(store, other, 2, at(10))

    assert _waits(await due(store, at(19), flow)) == (False, at(20))
    assert _waits(await due(store, at(20), flow)) == (True, None)
    assert _waits(await due(store, at(9), flow, other)) == (False, at(10))
    assert _waits(await due(store, at(10), flow, other)) == (True, None)
    assert _waits(await due(store, at(10))) == (False, None)


async def test_a_host_is_not_told_of_waits_that_are_over(store: Persistence, flow: FlowRow) -> None:
    """Neither of one that ended, nor of those that were cancelled, nor of one that is being checked."""
    await sleeping(store, flow, 1, at(10), at(20))
    await apply(store, RUN, Changes(resumptions=(ended_well(TaskKey(RUN, "nap0", 1, 0)),)))
    one_over = await due(store, at(10), flow)
    await apply(store, RUN, Changes(cancellations=(cancellation(RUN),)))
    all_over = await due(store, at(100), flow)

    assert _waits(one_over) == (False, at(20))
    assert _waits(all_over) == (False, None)


async def test_an_idle_host_is_told_of_deadlines(store: Persistence, flow: FlowRow) -> None:
    """Whatever it serves: no code is needed to end a run."""
    await sleeping(store, flow, 1, None, deadline_at=at(20))

    assert [(told.overdue, told.next_at) for told in [await due(store, at(19)), await due(store, at(20))]] == [
        (False, at(20)),
        (True, None),
    ]


async def test_the_next_thing_is_the_earliest_that_is_not_yet_due(ports: Ports) -> None:
    """Of queued tasks, waits, deadlines and scheduled commands; what is due already does not hide what is not."""
    store = ports.persistence
    flow = await register(store)
    await run_with_tasks(store, flow, 2, ready_at=at(40))
    await sleeping(store, flow, 1, at(10), deadline_at=at(20))
    await ports.scheduler.schedule(ScheduledCommand(name="later", due_at=at(30), command=b"{}"))
    told = [await due(store, at(seconds), flow) for seconds in (0, 10, 20, 30, 40)]

    assert [each.next_at for each in told] == [at(10), at(20), at(30), at(40), None]
    assert [(each.waits, each.overdue, each.scheduled, each.tasks) for each in told] == [
        (False, False, False, False),
        (True, False, False, False),
        (True, True, False, False),
        (True, True, True, False),
        (True, True, True, True),
    ]


async def test_nothing_is_found_while_a_transaction_is_open(store: Persistence, flow: FlowRow) -> None:
    """A wait begins when its transaction commits, and not at all where it rolls back."""
    await run_with_tasks(store, flow)
    async with store.transaction() as transaction:
        await transaction.load(load_request(RUN))
        await transaction.apply(
            Changes(
                runs=(waiting_run_update(RUN, next_sequence=4, deadline_at=at(10)),),
                new_steps=(step_write(RUN, "nap"),),
                new_tasks=(new_wait(flow, RUN, "nap", WaitsFor.TIME, wake_at=at(10)),),
            )
        )
        open_found = (await found(store, at(10), flow), await store.find_overdue(at(10), limit=10))

    assert open_found == ([], [])
    assert (await found(store, at(10), flow), await store.find_overdue(at(10), limit=10)) == (["nap"], [RUN])


def _waits(told: Due) -> tuple[bool, datetime | None]:
    return told.waits, told.next_at
