"""Acceptance behaviour 70: what is old is removed with all of its own and nothing else; orphans are collected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Flow, InvalidArgument, Kernel, RunNotFound, Suspend
from fairlead.kernel.commands import CollectBlobs, Pruned
from fairlead.kernel.references import output_prefix, owner_of
from fairlead.ports.records import TaskKey
from tests.support.hands import Hands
from tests.support.large_payloads import World

PATIENCE_S = 30.0
DAY = timedelta(days=1)
LARGE = "x" * 100_000


def echo(slug: str = "echo") -> Flow[str]:
    """One step that gives back its input."""
    flow = Flow(slug, version=1, input=str, input_name="text")

    @flow.step
    def repeat(text: str) -> str:
        return text

    return flow


@pytest.fixture
def later() -> ManualClock:
    """A clock that is ahead of everything."""
    return ManualClock(datetime(2199, 1, 1, tzinfo=UTC))


async def finished(kernel: Kernel, flow: Flow[str], *texts: str) -> list[str]:
    """Runs that a host has completed."""
    async with NodeHost(kernel):
        runs = [await kernel.start(flow, text, key=f"key-{place}") for place, text in enumerate(texts)]
        for run in runs:
            await run.result(timeout=PATIENCE_S)
    return [run.id for run in runs]


async def test_old_runs_go_with_their_rows_keys_and_blobs(watched: World, later: ManualClock) -> None:
    """The large input and output are blobs; the key makes a new run afterwards."""
    flow = echo()
    kernel = Kernel(flows=[flow], ports=watched.ports)
    small, large = await finished(kernel, flow, "small", LARGE)
    assert await watched.blobs.keys() != set()
    old = Kernel(flows=[flow], ports=evolve(watched.ports, clock=later))

    told = await old.prune(older_than=DAY, dry_run=True)
    assert told == Pruned(runs=2, tasks=2, blobs=0)
    assert (await kernel.run(large).output("repeat")) == LARGE
    pruned = await old.prune(older_than=DAY)

    assert (pruned.runs, pruned.tasks) == (2, 2)
    assert pruned.blobs > 0
    assert await watched.blobs.keys() == set()
    for run_id in (small, large):
        with pytest.raises(RunNotFound):
            await kernel.run(run_id).read()
    assert (await kernel.start(flow, "another", key="key-0")).created


async def test_young_and_unfinished_runs_and_other_flows_stay(watched: World, later: ManualClock) -> None:
    """Nothing but what was asked for."""
    flow, other = echo(), echo("other")
    kernel = Kernel(flows=[flow, other], ports=watched.ports)
    (ended,) = await finished(kernel, flow, "one")
    (foreign,) = await finished(kernel, other, LARGE)
    pending = await kernel.start(flow, LARGE)
    blobs = await watched.blobs.keys()
    old = Kernel(flows=[flow, other], ports=evolve(watched.ports, clock=later))

    assert (await kernel.prune(older_than=DAY)).runs == 0
    assert (await old.prune(older_than=DAY, flow="echo")).runs == 1

    assert {run.id for run in (await kernel.runs()).runs} == {foreign, pending.id}
    assert ended not in {foreign, pending.id}
    assert await watched.blobs.keys() == blobs


@pytest.mark.fault(11, 13)
async def test_a_prune_that_died_half_way_is_finished_by_the_next_collection(
    watched: World, later: ManualClock
) -> None:
    """FAULTS 11, 13: rows are gone, blobs are not; they are orphans of a run that does not exist."""
    flow = echo()
    kernel = Kernel(flows=[flow], ports=watched.ports)
    (run_id,) = await finished(kernel, flow, LARGE)
    far = later.now()
    await watched.ports.persistence.delete_runs([run_id], ended_before=far)
    left = await watched.blobs.keys()
    assert left

    old = Kernel(flows=[flow], ports=evolve(watched.ports, clock=later))
    assert (await old.collect_blobs(dry_run=True)).blobs == len(left)
    assert await watched.blobs.keys() == left
    collected = await old.collect_blobs()

    assert (collected.blobs, collected.kept, collected.foreign) == (len(left), 0, 0)
    assert await watched.blobs.keys() == set()


@pytest.mark.fault(10)
async def test_what_is_referred_to_young_or_foreign_is_never_collected(watched: World, later: ManualClock) -> None:
    """Invariant I29, however often the collector comes."""
    flow = echo()
    kernel = Kernel(flows=[flow], ports=watched.ports)
    (run_id,) = await finished(kernel, flow, LARGE)
    referred = await watched.blobs.keys()
    (output,) = {key.rsplit("/", 2)[0] for key in referred if "/repeat/" in key}
    young = f"runs/{run_id}/repeat/1/0/99/whole"
    await watched.blobs.put(young, b"an attempt that came too late")
    await watched.blobs.put("elsewhere/notes", b"somebody else's")
    await watched.blobs.put("runs/odd", b"no key of ours")

    assert (await kernel.collect_blobs()).blobs == 0
    old = Kernel(flows=[flow], ports=evolve(watched.ports, clock=later))
    collected = await old.collect_blobs()

    assert (collected.blobs, collected.kept, collected.foreign) == (1, len(referred), 1)
    assert await watched.blobs.keys() == referred | {"elsewhere/notes", "runs/odd"}
    assert await kernel.run(run_id).output("repeat") == LARGE
    assert output.startswith("runs/")


@pytest.mark.fault(10)
async def test_the_blob_of_an_attempt_that_goes_on_is_not_collected(watched: World, later: ManualClock) -> None:
    """It is referred to as soon as the attempt is settled, however old it is by then."""
    flow = echo()
    kernel = Kernel(flows=[flow], ports=watched.ports)
    await kernel.start(flow, "small")
    hands = Hands(kernel)
    await hands.claim_runs()
    task = await hands.claim_task()
    key = f"{output_prefix(task.key, task.token)}/whole"
    stale = f"{output_prefix(task.key, task.token - 1)}/whole"
    await watched.blobs.put(key, b"written, not settled")
    await watched.blobs.put(stale, b"by the attempt before")

    old = Kernel(flows=[flow], ports=evolve(watched.ports, clock=later))
    await old.dispatch(CollectBlobs(older_than=DAY))

    assert await watched.blobs.keys() == {key}


async def test_the_state_of_a_step_that_waits_is_not_collected(watched: World, later: ManualClock) -> None:
    """However old it is, and whichever attempt of its check is under way; it goes when the step has ended."""
    flow = Flow("waiting", version=1, base_delay=0)

    @flow.step
    async def work(input: str) -> str | Suspend[str]:
        return Suspend(state=input, check_after=0)

    @flow.check(work)
    async def look(state: str) -> str:
        return state

    kernel = Kernel(flows=[flow], ports=watched.ports)
    old = Kernel(flows=[flow], ports=evolve(watched.ports, clock=later))
    await kernel.start(flow, "x")
    hands = Hands(kernel)
    await hands.claim_runs()
    task = await hands.claim_task()
    state = f"{output_prefix(task.key, task.token)}/whole"
    await watched.blobs.put(state, b"the state that it suspends with")

    async def is_kept() -> bool:
        await old.dispatch(CollectBlobs(older_than=DAY))
        return await watched.blobs.keys() == {state}

    await hands.suspend(task, check_after=timedelta(0))
    assert await is_kept()
    await hands.wake()
    assert await is_kept()
    failing = await hands.claim_task()
    assert await is_kept()
    await hands.fail(failing)
    assert await is_kept()
    await hands.complete(await hands.claim_task(), "done")
    assert not await is_kept()


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("runs/r/input/whole", ("r", None, 0)),
        ("runs/r/input/0/17", ("r", None, 0)),
        ("runs/r/fetch/1/0/3/whole", ("r", TaskKey("r", "fetch", 1, 0), 3)),
        ("runs/r/fetch/2/71/3/0/5", ("r", TaskKey("r", "fetch", 2, 71), 3)),
        ("runs/r", None),
        ("runs/r/x", None),
        ("other/r/fetch/1/0/3/whole", None),
    ],
)
def test_a_key_tells_whose_a_blob_is(key: str, owner: Any) -> None:
    """An attempt's, a run's, or nobody's that we know of."""
    assert owner_of(key) == owner


@pytest.mark.parametrize("wrong", [-1, float("nan"), True, "a week", None], ids=repr)
async def test_an_age_that_is_none_is_refused(watched: World, wrong: Any) -> None:
    """Nothing is removed by mistake."""
    kernel = Kernel(flows=[], ports=watched.ports)

    with pytest.raises(InvalidArgument, match="older_than must be"):
        await kernel.prune(older_than=wrong)
    with pytest.raises(InvalidArgument, match="an hour at least"):
        await kernel.collect_blobs(older_than=60)


async def test_inputs_that_wait_for_their_time_are_collected_once_nobody_waits_for_them(
    watched: World, later: ManualClock
) -> None:
    """What a process that died left behind is; what a schedule or a start that was put off needs stays."""
    flow = echo()
    kernel = Kernel(flows=[flow], ports=watched.ports, inline_bytes_max=10)
    await kernel.schedule(flow, cron="@yearly", input=LARGE)
    await kernel.start_later(flow, LARGE, after=3600 * 24 * 365)
    needed = await watched.blobs.keys()
    await watched.blobs.put("scheduled/0199a3c1-7c1f-7b3a-9e55-0b6b7f6f2a10/whole", b"of nobody")
    old = Kernel(flows=[flow], ports=evolve(watched.ports, clock=later))

    collected = await old.collect_blobs()

    assert len(needed) == 2
    assert (collected.blobs, collected.kept, collected.foreign) == (1, 2, 0)
    assert await watched.blobs.keys() == needed
