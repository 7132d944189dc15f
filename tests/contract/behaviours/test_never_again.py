"""Defects that earlier systems really had, each as the test that would have caught it.

The name of each test says what must not happen again; all run on every adapter. Those about decisions move the clock
by hand, those about hosts run a real one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import CollectingSink, ManualClock
from fairlead.adapters.system import SystemClock
from fairlead.hosts.node import NodeHost
from fairlead.kernel import (
    Context,
    Flow,
    FlowDefinitionError,
    IdempotencyConflict,
    Kernel,
    RunStatus,
    Start,
    StepStatus,
    TaskStatus,
)
from fairlead.kernel.commands import Verdict
from fairlead.ports import Ports
from fairlead.ports.errors import CommitUnknown, Unavailable
from fairlead.ports.outbox import EventRecord
from fairlead.ports.records import Lease
from tests.support.flushing import flush, flush_all
from tests.support.hands import LEASE, Hands
from tests.support.troubled import PatientClock, Troubled, kernel_over

PATIENCE_S = 30.0
BEYOND_THE_LEASE = LEASE + timedelta(seconds=6)


class OneAtATime(CollectingSink):
    """Lets others go on in the middle of a call, and notices when two calls have one run."""

    def __init__(self) -> None:
        super().__init__()
        self.interleaved = False
        self._busy: set[str] = set()

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        run_id = batch[0].run_id
        self.interleaved |= run_id in self._busy
        self._busy.add(run_id)
        for _ in range(3):
            await asyncio.sleep(0)
        self._busy.discard(run_id)
        return await super().publish(batch)

    def sequences(self) -> dict[str, list[int]]:
        """The sequence numbers of each run, in the order in which they came."""
        found: dict[str, list[int]] = {}
        for event in self.events:
            found.setdefault(event.run_id, []).append(event.sequence)
        return found


@pytest.fixture
async def real(ports: Ports, nothing_left_open: None) -> AsyncGenerator[Ports]:
    """The adapter's ports in real time, for hosts that really run. At the end of a test every invariant holds."""
    yield evolve(ports, clock=SystemClock())

    assert await ports.persistence.check_invariants() == {}


def single(**options: Any) -> Flow[int]:
    """One step that gives back its input."""
    flow = Flow("single", version=1, input=int, input_name="n", **options)

    @flow.step
    def work(n: int) -> int:
        return n

    return flow


def pair() -> Flow[int]:
    """Two steps, one after the other."""
    flow = Flow("pair", version=1, input=int, input_name="n")

    @flow.step
    def first(n: int) -> int:
        return n

    @flow.step
    def second(first: int) -> int:
        return first

    return flow


@pytest.mark.fault(7)
@pytest.mark.parametrize("applied", [False, True], ids=["nothing was committed", "all of it was committed"])
async def test_a_crash_between_job_complete_and_run_transition_does_not_fail_a_healthy_run(
    world: Ports, clock: ManualClock, applied: bool
) -> None:
    """The task's end and the run's advance are one commit: after a crash both happened or neither did."""
    flow = pair()
    troubled = Troubled(world.persistence)
    kernel = kernel_over(evolve(world, clock=clock), troubled, flow)
    run = await kernel.start(flow, 7)
    crashing, survivor = Hands(kernel, "crashing"), Hands(kernel, "survivor")
    await crashing.claim_runs()
    task = await crashing.claim_task()
    if applied:
        troubled.commit_error = [CommitUnknown("the host died here")]
    else:
        troubled.load_error = [Unavailable("the host died here")]
    with pytest.raises((CommitUnknown, Unavailable)):
        await crashing.complete(task, 7)

    details = await run.details()
    statuses = {step.slug: step.status for step in details.steps}
    assert statuses == {
        "first": StepStatus.COMPLETED if applied else StepStatus.RUNNING,
        "second": StepStatus.RUNNING if applied else StepStatus.CREATED,
    }
    clock.advance(BEYOND_THE_LEASE)
    await survivor.reap()
    await survivor.drain(7)
    assert await run.result() == {"second": 7}


@pytest.mark.fault(49)
async def test_a_poison_pill_is_not_delivered_for_ever(world: Ports, clock: ManualClock) -> None:
    """A task that kills whoever claims it ends after `max_attempts` claims."""
    flow = single(max_attempts=3)
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, 1)
    await Hands(kernel).claim_runs()
    claims = 0
    while await Hands(kernel, f"victim-{claims}").claim_tasks():
        claims += 1
        clock.advance(BEYOND_THE_LEASE)
        await Hands(kernel).reap()

    record = await run.read()
    assert (claims, record.status, record.reason) == (3, RunStatus.FAILED, "worker_lost")


@pytest.mark.fault(20)
@pytest.mark.parametrize("last_word", ["heartbeat", "failure"])
async def test_a_zombie_neither_extends_nor_kills_its_replacements_claim(
    world: Ports, clock: ManualClock, last_word: str
) -> None:
    """Every write-back carries its token: the zombie's changes nothing, and the other's lease ends when it did."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, 1)
    zombie, replacement = Hands(kernel, "zombie"), Hands(kernel, "replacement")
    await zombie.claim_runs()
    lost = await zombie.claim_task()
    clock.advance(BEYOND_THE_LEASE)
    await replacement.reap()
    held = await replacement.claim_task()
    clock.advance(timedelta(seconds=10))

    if last_word == "heartbeat":
        assert (await zombie.heartbeat(lost)).lost == {Lease(lost.key, lost.token)}
    else:
        assert await zombie.fail(lost, retryable=False) is Verdict.STALE

    (task,) = (await run.details()).tasks
    assert (task.status, task.worker, task.token, task.lease_until) == (
        TaskStatus.RUNNING,
        "replacement",
        held.token,
        held.lease_until,
    )
    assert await replacement.complete(held, 1) is Verdict.SETTLED


@pytest.mark.fault(1, 2, 12)
@pytest.mark.parametrize("error", [None, CommitUnknown("the answer was lost")], ids=["before", "after"])
async def test_a_crash_leaves_no_idempotency_key_without_its_effect(world: Ports, error: Exception | None) -> None:
    """The key is a column of its run: a start that failed before or after its commit is repeated, and is one run."""
    flow = single()
    troubled = Troubled(world.persistence)
    kernel = kernel_over(evolve(world, clock=PatientClock()), troubled, flow)
    await kernel.register()
    if error is None:
        with pytest.raises(IdempotencyConflict):  # refused within its transaction: nothing of it may remain
            await kernel.start_many(flow, [Start(input=1, key="order-1"), Start(input=2, key="order-1")])
    else:
        troubled.insert_error = [error]

    first = await kernel.start(flow, 1, key="order-1")
    again = await kernel.start(flow, 1, key="order-1")

    assert again.id == first.id
    assert [record.id for record in (await kernel.runs()).runs] == [first.id]


async def test_the_same_key_with_another_payload_is_not_answered_with_the_first_run(world: Ports) -> None:
    """It is a conflict that names the run which has the key."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, 1, key="order-1")

    with pytest.raises(IdempotencyConflict) as caught:
        await kernel.start(flow, 2, key="order-1")

    assert caught.value.run_id == run.id


@pytest.mark.fault(52)
async def test_a_backlog_of_hours_is_not_reaped_as_stuck(world: Ports, clock: ManualClock) -> None:
    """What nobody has claimed has lost nothing: neither a pending run nor a queued task is touched by maintenance."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    queued, pending = await kernel.start(flow, 1), await kernel.start(flow, 2)
    hands = Hands(kernel)
    await hands.claim_runs(limit=1)
    clock.advance(timedelta(hours=9))

    assert await hands.reap() == 0
    assert (await queued.status(), await pending.status()) == (RunStatus.RUNNING, RunStatus.PENDING)
    await hands.drain(0)
    tasks = [*(await queued.details()).tasks, *(await pending.details()).tasks]
    assert [(task.attempts, task.losses) for task in tasks] == [(1, 0), (1, 0)]


@pytest.mark.fault(69)
async def test_two_flushers_do_not_interleave_the_events_of_a_run(world: Ports) -> None:
    """Two flushers at once, a row at a time, while runs go on: no run is ever in two hands."""
    flow = single()
    sink = OneAtATime()
    kernel = Kernel(flows=[flow], ports=evolve(world, sink=sink))
    await kernel.start_many(flow, [Start(input=n) for n in range(40)])
    await Hands(kernel).drain(1)

    async def publish(worker: str) -> None:
        while not (await flush(kernel, worker=worker, limit=2)).idle:
            pass

    await asyncio.gather(publish("one"), publish("two"))
    await flush_all(kernel)

    assert not sink.interleaved
    assert all(sequences == [1, 2, 3, 4, 5] for sequences in sink.sequences().values())
    assert len(sink.sequences()) == 40


async def test_an_outage_of_thirty_seconds_sends_no_event_to_the_dead_letters(
    world: Ports, sink: CollectingSink, clock: ManualClock
) -> None:
    """However often it is tried meanwhile: everything is told afterwards."""
    flow = single()
    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, 1)
    sink.error = ConnectionError("down")
    for _ in range(300):
        await flush(kernel)
        clock.advance(timedelta(seconds=0.1))
    sink.error = None
    clock.advance(timedelta(minutes=5))
    await flush_all(kernel)

    assert (await kernel.dead_letters()).letters == []
    assert [event.sequence for event in sink.of_run(run.id)] == [1]


async def test_a_condition_is_not_skipped_because_the_parent_was_an_empty_map(world: Ports) -> None:
    """A step behind an empty map has its condition evaluated like any other."""
    flow = Flow("behind", version=1, input=dict[str, Any], input_name="order")

    @flow.map(over="order.lines")
    def reserve(item: int) -> int:
        return item

    @flow.step(when={"order": {"paid": True}}, after=[reserve])
    def ship() -> str:
        return "shipped"

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, {"lines": [], "paid": False})
    await Hands(kernel).drain()

    steps = {step.slug: (step.status, step.reason) for step in (await run.details()).steps}
    assert steps == {"reserve": (StepStatus.COMPLETED, None), "ship": (StepStatus.SKIPPED, "condition_unmet")}


async def test_a_retry_does_not_ignore_the_steps_own_timeout(real: Ports) -> None:
    """Each attempt is stopped after the step's timeout, the second as the first, and not after the flow's."""
    flow = Flow("slow", version=1, timeout=3600, max_attempts=2, base_delay=0.01)
    took: list[float] = []

    @flow.step(timeout=0.1)
    async def crawl() -> None:
        began = time.monotonic()
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            took.append(time.monotonic() - began)

    kernel = Kernel(flows=[flow], ports=real)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        await run.wait(timeout=PATIENCE_S)

    assert [attempt.reason for attempt in (await run.details()).attempts] == ["timed_out", "timed_out"]
    assert len(took) == 2
    assert max(took) < PATIENCE_S


@pytest.mark.parametrize("value", [0, False, "", [], {}, None, 0.0], ids=repr)
async def test_values_that_are_false_are_not_turned_into_none(world: Ports, value: object) -> None:
    """What a step returned is what its dependents, the run's output and the readers get, byte for byte."""
    flow = Flow("falsy", version=1)

    @flow.step
    def make() -> object:
        return value

    kernel = Kernel(flows=[flow], ports=world)
    run = await kernel.start(flow, None)
    hands = Hands(kernel)
    await hands.claim_runs()
    await hands.complete(await hands.claim_task(), value)

    assert json.dumps(await run.result()) == json.dumps({"make": value})


@pytest.mark.fault(74)
async def test_a_handlers_own_cancelled_error_is_not_taken_for_a_shutdown(real: Ports) -> None:
    """It is a failed attempt, and the host goes on."""
    flow = Flow("cancelling", version=1, max_attempts=1)

    @flow.step
    async def give_in() -> None:
        raise asyncio.CancelledError

    sound = single()
    kernel = Kernel(flows=[flow, sound], ports=real)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)
        await run.wait(timeout=PATIENCE_S)
        after = await kernel.start(sound, 3)

        assert await after.result(timeout=PATIENCE_S) == {"work": 3}
    record = await run.read()
    assert (record.status, record.reason) == (RunStatus.FAILED, "handler_failed")


async def test_the_store_is_not_closed_before_results_in_flight_are_recorded(real: Ports) -> None:
    """A host that is stopped with tasks in hand records what they return before anything is closed."""
    flow = Flow("leaving", version=1, input=int, input_name="n")
    begun, may_end = asyncio.Event(), asyncio.Event()

    @flow.step
    async def linger(n: int) -> int:
        begun.set()
        await may_end.wait()
        return n

    kernel = Kernel(flows=[flow], ports=real)
    host = NodeHost(kernel)
    await host.start()
    run = await kernel.start(flow, 5)
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
    stopping = asyncio.create_task(host.stop())
    await asyncio.sleep(0)
    may_end.set()
    await stopping

    assert await run.result() == {"linger": 5}


@pytest.mark.fault(51)
async def test_one_slow_task_does_not_idle_the_other_slots(real: Ports) -> None:
    """Slots are refilled one by one as they free up, not when a batch has ended."""
    flow = Flow("mixed", version=1, input=int, input_name="n")
    may_end = asyncio.Event()

    @flow.step
    async def work(n: int) -> int:
        if not n:
            await may_end.wait()
        return n

    kernel = Kernel(flows=[flow], ports=real)
    async with NodeHost(kernel, concurrency=10):
        slow = await kernel.start(flow, 0)
        quick = await kernel.start_many(flow, [Start(input=n) for n in range(1, 51)])
        async with asyncio.timeout(PATIENCE_S):
            results = [await run.result() for run in quick]
        assert await slow.status() is RunStatus.RUNNING
        may_end.set()
        await slow.result(timeout=PATIENCE_S)

    assert results == [{"work": n} for n in range(1, 51)]


@pytest.mark.fault(59)
async def test_a_worker_that_lacks_a_flow_does_not_fail_other_workers_runs(world: Ports, clock: ManualClock) -> None:
    """It leaves them alone, whatever they are at: pending, queued, or lost by the worker that has the code."""
    able_flow, foreign_flow = single(), pair()
    able, unable = (
        Hands(Kernel(flows=[able_flow], ports=world), "able"),
        Hands(Kernel(flows=[foreign_flow], ports=world), "unable"),
    )
    run = await able.kernel.start(able_flow, 1)

    assert await unable.claimed_run_ids() == []
    await able.claim_runs()
    assert await unable.claim_tasks() == []
    await able.claim_task()
    clock.advance(BEYOND_THE_LEASE)
    assert await unable.reap() == 0
    assert await run.status() is RunStatus.RUNNING
    assert await able.reap() == 1
    await able.complete(await able.claim_task(), 1)
    assert await run.result() == {"work": 1}


async def test_options_that_were_changed_in_code_are_not_ignored(world: Ports) -> None:
    """The next attempt is decided by the options that the code has now, although the run began under others."""
    before, after = single(max_attempts=1), single(max_attempts=2)
    run = await Kernel(flows=[before], ports=world).start(before, 1)
    hands = Hands(Kernel(flows=[after], ports=world))
    await hands.claim_runs()
    await hands.fail(await hands.claim_task())

    assert await run.status() is RunStatus.RUNNING
    assert (await run.details()).tasks[0].status is TaskStatus.QUEUED


def test_an_option_that_is_not_known_is_not_ignored() -> None:
    """It is refused where the step is defined."""
    flow = Flow("optional", version=1)

    with pytest.raises(FlowDefinitionError, match="max_attempts"):
        flow.step(slug="work", max_attemps=5)(lambda: None)  # type: ignore[call-overload]


async def test_progress_is_not_visible_only_after_the_step_has_ended(real: Ports) -> None:
    """The handler itself waits until its progress can be read: written at its end, it would wait in vain."""
    flow = Flow("watched", version=1)

    @flow.step(timeout=PATIENCE_S)
    async def work(ctx: Context) -> float:
        ctx.progress(7, 10)
        while not (told := await real.persistence.read_progress(ctx.run_id, limit=1)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return told[0].done

    kernel = Kernel(flows=[flow], ports=real)
    async with NodeHost(kernel):
        run = await kernel.start(flow, None)

        assert await run.result(timeout=PATIENCE_S) == {"work": 7.0}


async def test_outputs_are_not_stored_five_times(ports: Ports) -> None:
    """The output of a step stands in its task's row and nowhere else: not in its dependents, its run, or an event."""
    flow = pair()
    mark = 8_675_309_123
    kernel = Kernel(flows=[flow], ports=evolve(ports, clock=ManualClock(), sink=CollectingSink()))
    run = await kernel.start(flow, 1)
    hands = Hands(kernel)
    await hands.claim_runs()
    await hands.complete(await hands.claim_task(), mark)
    await hands.complete(await hands.claim_task(), 2)

    everything = [
        repr(await ports.persistence.read_run(run.id)),
        repr(await ports.persistence.read_steps(run.id)),
        repr(await ports.persistence.read_tasks(run.id)),
        repr(await ports.persistence.read_attempts(run.id)),
        repr(await ports.persistence.read_events(run.id)),
    ]
    assert [text for text in everything if str(mark) in text] == []
    assert await run.output("first") == mark
