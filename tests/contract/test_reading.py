"""Persistence: reading runs, steps and tasks, and listing runs page by page."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fairlead.ports.changes import Changes
from fairlead.ports.persistence import Persistence
from fairlead.ports.reading import OutputRequest, Payloads, RunCursor, RunFilter, RunRecord
from fairlead.ports.records import FlowRow, Lease, Snapshot, TaskKey
from fairlead.ports.statuses import RunStatus, StepStatus
from tests.support.records import (
    at,
    keys,
    load_request,
    new_run,
    new_tasks,
    run_claim,
    run_id,
    step_write,
    task_claim,
)
from tests.support.scenes import apply, complete_run, register, run_with_tasks, start


async def listed(store: Persistence, chosen: RunFilter, *, limit: int = 100) -> list[str]:
    """The ids of one page."""
    return [run.id for run in (await store.list_runs(chosen, limit=limit, after=None)).runs]


def numbers(runs: list[RunRecord]) -> list[int]:
    """Which runs these are."""
    return [int(run.id[-12:], 16) for run in runs]


async def test_what_does_not_exist_is_read_as_nothing(store: Persistence, flow: FlowRow) -> None:
    """An unknown run is None, and has no rows."""
    unknown = run_id(404)

    assert await store.read_run(unknown) is None
    assert list(await store.read_steps(unknown)) == []
    assert list(await store.read_tasks(unknown)) == []
    assert list(await store.read_attempts(unknown)) == []
    assert list(await store.read_events(unknown)) == []


@pytest.mark.fault(40)
async def test_an_id_that_is_no_uuid_is_an_unknown_one(store: Persistence, flow: FlowRow) -> None:
    """Whatever text a message or a user brings, it names no run; nothing is refused with an error."""
    await run_with_tasks(store, flow)
    for odd in ("", "nonsense", run_id(1) + "0", "{" + run_id(1) + "}", run_id(1).replace("-", ""), "\u00e9'; --"):
        key = TaskKey(odd, "pack", 1, 0)

        assert await store.read_run(odd) is None
        assert list(await store.read_steps(odd)) == []
        assert list(await store.read_tasks(odd)) == []
        assert list(await store.read_attempts(odd)) == []
        assert list(await store.read_events(odd)) == []
        assert (await store.read_payloads([odd], [OutputRequest(odd, "pack")])) == Payloads(runs={}, outputs={})
        assert list(await store.claim_tasks(task_claim(flow, only=[key]))) == []
        assert (await store.extend_leases([Lease(key, 1)], at(9))).lost == {Lease(key, 1)}
        async with store.transaction() as transaction:
            assert list(await transaction.claim_runs(run_claim(flow, only=[odd]))) == []
            request = load_request(odd, steps=[(odd, "pack")], tasks=[key], wait=True, leased_to="worker-1")
            assert await transaction.load(request) == Snapshot(runs={}, steps={}, tasks={}, leased=[])
            assert list(await transaction.load_steps([(odd, "pack")])) == []


async def test_steps_are_read_by_generation(store: Persistence, flow: FlowRow) -> None:
    """All generations of all steps, the first generation first, and no other run's."""
    run = await run_with_tasks(store, flow, 1, steps={"a": 1, "b": 1})
    await run_with_tasks(store, flow, 2, steps={"c": 1})
    await apply(
        store, run, Changes(new_steps=(step_write(run, "b", generation=10), step_write(run, "a", generation=2)))
    )

    steps = await store.read_steps(run)

    assert [step.generation for step in steps] == [1, 1, 2, 10]
    assert {(step.slug, step.generation) for step in steps} == {("a", 1), ("b", 1), ("a", 2), ("b", 10)}


async def test_tasks_are_read_by_step_generation_and_index(store: Persistence, flow: FlowRow) -> None:
    """Steps by their characters, then generation, then index as numbers."""
    run = await run_with_tasks(store, flow, 1, steps={"b": 12, "B": 1, "a_1": 1, "a": 1})
    await run_with_tasks(store, flow, 2)
    await apply(store, run, Changes(new_tasks=(new_tasks(flow, run, "b", generation=2, count=2),)))

    every = [task.key for task in await store.read_tasks(run)]
    of_b = [task.key for task in await store.read_tasks(run, step="b")]

    assert of_b == keys(run, "b", range(12)) + keys(run, "b", range(2), generation=2)
    assert every == [*keys(run, "B", [0]), *keys(run, "a", [0]), *keys(run, "a_1", [0]), *of_b]
    assert list(await store.read_tasks(run, step="none")) == []


async def test_times_keep_their_microseconds_and_their_zone(store: Persistence, flow: FlowRow) -> None:
    """Every time is aware, in UTC, to the microsecond."""
    await store.insert_runs([new_run(flow, created_at=at(0.123456))])

    record = await store.read_run(run_id(1))

    assert record is not None
    assert record.created_at == at(0.123456)
    assert record.created_at.utcoffset() == at(0).utcoffset()


async def test_runs_are_listed_newest_first(store: Persistence, flow: FlowRow) -> None:
    """By time of creation, then id, both descending."""
    await store.insert_runs(
        [
            new_run(flow, 4, created_at=at(1)),
            new_run(flow, 1, created_at=at(3)),
            new_run(flow, 3, created_at=at(2)),
            new_run(flow, 2, created_at=at(2)),
        ]
    )

    page = await store.list_runs(RunFilter(), limit=10, after=None)

    assert [run.id for run in page.runs] == [run_id(n) for n in (1, 3, 2, 4)]
    assert page.next is None
    assert page.runs[0] == await store.read_run(run_id(1))


async def test_no_runs_are_an_empty_page(store: Persistence, flow: FlowRow) -> None:
    """Nothing to list, nothing that follows."""
    page = await store.list_runs(RunFilter(), limit=10, after=None)

    assert (list(page.runs), page.next) == ([], None)


async def test_runs_are_filtered_by_flow_and_key(store: Persistence, flow: FlowRow) -> None:
    """By the flow's name in all versions; a key alone is looked for in all flows."""
    other = await register(store, slug="returns")
    newer = await register(store, version="2")
    await store.insert_runs([new_run(flow, 1, key="k")])
    await store.insert_runs([new_run(other, 2, key="k")])
    await store.insert_runs([new_run(newer, 3, key="l"), new_run(newer, 4)])

    assert await listed(store, RunFilter(flow="orders")) == [run_id(n) for n in (4, 3, 1)]
    assert await listed(store, RunFilter(flow="unknown")) == []
    assert await listed(store, RunFilter(key="k")) == [run_id(2), run_id(1)]
    assert await listed(store, RunFilter(key="k", flow="returns")) == [run_id(2)]
    assert await listed(store, RunFilter(key="K")) == []


async def test_runs_are_filtered_by_status(store: Persistence, flow: FlowRow) -> None:
    """One status or several; an empty set admits none."""
    await start(store, flow, 1)
    await run_with_tasks(store, flow, 2)
    await complete_run(store, flow, 3)

    assert await listed(store, RunFilter(statuses=frozenset({RunStatus.PENDING}))) == [run_id(1)]
    assert await listed(store, RunFilter(statuses=frozenset({RunStatus.RUNNING, RunStatus.COMPLETED}))) == [
        run_id(3),
        run_id(2),
    ]
    assert await listed(store, RunFilter(statuses=frozenset({RunStatus.FAILED}))) == []
    assert await listed(store, RunFilter(statuses=frozenset())) == []


async def with_neighbours(store: Persistence, flow: FlowRow, times: Sequence[float]) -> None:
    """Runs of a flow that are created at these times, numbered from 1, between flows whose names stand next to its."""
    await store.insert_runs([new_run(flow, number, created_at=at(time)) for number, time in enumerate(times, 1)])
    for place, slug in enumerate((flow.slug[:-1], flow.slug + "_")):
        neighbour = await register(store, slug=slug)
        runs = [new_run(neighbour, 100 * place + n, created_at=at(time)) for n, time in enumerate(times, 100)]
        await store.insert_runs(runs)


async def test_runs_are_filtered_by_time(store: Persistence, flow: FlowRow) -> None:
    """From inclusive, before exclusive."""
    await store.insert_runs([new_run(flow, n, created_at=at(n)) for n in range(1, 6)])

    assert await listed(store, RunFilter(created_from=at(4))) == [run_id(5), run_id(4)]
    assert await listed(store, RunFilter(created_before=at(2))) == [run_id(1)]
    assert await listed(store, RunFilter(created_from=at(2), created_before=at(4))) == [run_id(3), run_id(2)]
    assert await listed(store, RunFilter(created_from=at(4), created_before=at(4))) == []


async def test_runs_of_a_flow_are_filtered_by_time(store: Persistence, flow: FlowRow) -> None:
    """In the same way; page by page a bound stays what it is."""
    await with_neighbours(store, flow, range(1, 6))
    between = RunFilter(flow=flow.slug, created_from=at(2), created_before=at(5))
    first = await store.list_runs(between, limit=2, after=None)
    rest = await store.list_runs(between, limit=2, after=first.next)
    elsewhere = await store.list_runs(between, limit=10, after=RunCursor(at(99), run_id(1)))

    assert await listed(store, RunFilter(flow=flow.slug, created_from=at(4))) == [run_id(5), run_id(4)]
    assert await listed(store, RunFilter(flow=flow.slug, created_before=at(2))) == [run_id(1)]
    assert await listed(store, RunFilter(flow=flow.slug, created_from=at(4), created_before=at(4))) == []
    assert numbers([*first.runs, *rest.runs]) == [4, 3, 2] == numbers(list(elsewhere.runs))
    assert rest.next is None


async def test_all_filters_must_hold(store: Persistence, flow: FlowRow) -> None:
    """Filters narrow each other."""
    await store.insert_runs([new_run(flow, 1, key="a", created_at=at(1)), new_run(flow, 2, key="b", created_at=at(2))])
    pending = frozenset({RunStatus.PENDING})

    assert await listed(store, RunFilter(flow="orders", key="a", statuses=pending, created_before=at(2))) == [run_id(1)]
    assert await listed(store, RunFilter(flow="orders", key="a", statuses=pending, created_from=at(2))) == []
    assert await listed(store, RunFilter(flow="orders", key="a", statuses=frozenset({RunStatus.RUNNING}))) == []


@pytest.mark.parametrize("slug", [None, "orders"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 100])
async def test_pages_meet_every_run_once(store: Persistence, flow: FlowRow, limit: int, slug: str | None) -> None:
    """Whatever the size of a page, also where several runs were created at one moment; None is the end."""
    times = [n // 3 for n in range(1, 9)]
    if slug is None:
        await store.insert_runs([new_run(flow, n, created_at=at(time)) for n, time in enumerate(times, 1)])
    else:
        await with_neighbours(store, flow, times)

    met: list[RunRecord] = []
    sizes: list[int] = []
    after: RunCursor | None = None
    while not sizes or after is not None:
        page = await store.list_runs(RunFilter(flow=slug), limit=limit, after=after)
        met += page.runs
        sizes.append(len(page.runs))
        after = page.next
        assert len(sizes) < 20

    assert numbers(met) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert all(size == limit for size in sizes[:-1])
    assert 0 < sizes[-1] <= limit


async def test_pages_are_stable_while_runs_are_started(store: Persistence, flow: FlowRow) -> None:
    """Runs started between two pages move nothing: they are newer than the walk's beginning."""
    await store.insert_runs([new_run(flow, n, created_at=at(n)) for n in range(1, 7)])
    met: list[RunRecord] = []
    after: RunCursor | None = None

    for turn in range(3):
        page = await store.list_runs(RunFilter(), limit=2, after=after)
        met += page.runs
        after = page.next
        await store.insert_runs([new_run(flow, 10 + turn, created_at=at(10 + turn))])

    assert numbers(met) == [6, 5, 4, 3, 2, 1]
    assert after is None


async def test_pages_are_stable_while_runs_of_the_same_moment_are_started(store: Persistence, flow: FlowRow) -> None:
    """Even a run with the cursor's own time cannot make the walk miss or repeat an old one."""
    await store.insert_runs([new_run(flow, n, created_at=at(5)) for n in (10, 20, 30, 40)])
    first = await store.list_runs(RunFilter(), limit=2, after=None)
    await store.insert_runs([new_run(flow, n, created_at=at(5)) for n in (5, 25, 35, 50)])

    rest = await store.list_runs(RunFilter(), limit=100, after=first.next)

    assert numbers(list(first.runs)) == [40, 30]
    assert [n for n in numbers(list(rest.runs)) if n in (10, 20, 30, 40)] == [20, 10]


async def test_a_cursor_is_a_place_and_needs_no_run(store: Persistence, flow: FlowRow) -> None:
    """A page begins after its cursor also where that run is gone or never was."""
    await store.insert_runs([new_run(flow, n, created_at=at(n)) for n in (1, 2, 3)])

    page = await store.list_runs(RunFilter(), limit=10, after=RunCursor(at(2.5), run_id(99)))

    assert numbers(list(page.runs)) == [2, 1]


async def test_filtered_pages_are_full(store: Persistence, flow: FlowRow) -> None:
    """The limit counts runs that are admitted; a page is not cut by those that are not."""
    other = await register(store, slug="returns")
    await store.insert_runs([new_run(flow if n % 3 else other, n, created_at=at(n)) for n in range(1, 13)])

    first = await store.list_runs(RunFilter(flow="returns"), limit=3, after=None)
    second = await store.list_runs(RunFilter(flow="returns"), limit=3, after=first.next)

    assert numbers(list(first.runs)) == [12, 9, 6]
    assert numbers(list(second.runs)) == [3]
    assert second.next is None


async def test_a_reader_sees_one_state(store: Persistence, flow: FlowRow) -> None:
    """Steps and run agree after every commit: the counters of one read fit each other."""
    run = await complete_run(store, flow)

    record = await store.read_run(run)
    (step,) = await store.read_steps(run)
    assert record is not None
    assert (record.status, record.remaining_steps) == (RunStatus.COMPLETED, 0)
    assert (step.status, step.remaining_tasks) == (StepStatus.COMPLETED, 0)
