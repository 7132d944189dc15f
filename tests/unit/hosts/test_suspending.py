"""Handlers that suspend in real hosts: what checks are called with, what makes no sense, slots, attempts, time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest

from fairlead.adapters.memory import ManualClock, memory_ports
from fairlead.hosts.errors import ResourceProblem
from fairlead.hosts.node import NodeHost
from fairlead.hosts.serverless import ServerlessHost
from fairlead.kernel import Context, Flow, Kernel, Resource, RunHandle, RunStatus, Suspend
from fairlead.kernel.failures import decode_failure
from fairlead.kernel.references import INLINE_BYTES_MAX
from fairlead.kernel.suspend import CHECK_AFTER_LEAST_S
from fairlead.ports import Ports
from tests.support.waiting import until

from .conftest import MakeKernel

TIMEOUT_S = 30.0
SOON = timedelta(milliseconds=20)


@attrs.frozen
class Batch:
    """What is kept of work that is done elsewhere."""

    job: str
    looks: int = 0


@attrs.frozen
class Settings:
    """How often it must be looked."""

    looks: int = 3


class Service:
    """Does work elsewhere."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def submit(self, day: str) -> str:
        """Begin a job."""
        self.jobs.append(day)
        return f"job-{day}"


async def failure_of(run: RunHandle) -> str:
    """Wait for a run that fails; reason and error in one line."""
    record = await run.wait(timeout=TIMEOUT_S)

    assert record.status is RunStatus.FAILED, record
    assert record.error is not None
    return f"{record.reason}: {decode_failure(record.error)}"


async def statuses(run: RunHandle) -> dict[str, str]:
    """The status of each step."""
    return {step.slug: str(step.status) for step in (await run.details()).steps}


async def until_suspended(run: RunHandle, step: str = "work") -> None:
    """Wait until a step is suspended."""
    async with asyncio.timeout(TIMEOUT_S):
        while (await statuses(run)).get(step) != "suspended":  # noqa: ASYNC110
            await asyncio.sleep(0)


def compute_flow(handler_in_thread: bool, check_in_thread: bool) -> Flow[Any]:
    """A step behind another one that is ready at the third look; its handler and check are async or not."""
    flow = Flow("compute", version=1, input=str, input_name="day")

    @flow.step
    async def prepare(day: str) -> list[int]:
        return [len(day)]

    def begin(day: str, prepare: list[int], config: Settings, service: Resource[Service]) -> str | Suspend[Batch]:
        return Suspend(state=Batch(service.submit(day)), check_after=SOON, give_up_after=60)

    async def begin_async(
        day: str, prepare: list[int], config: Settings, service: Resource[Service]
    ) -> str | Suspend[Batch]:
        return begin(day, prepare, config, service)

    def look(
        state: Batch, day: str, prepare: list[int], config: Settings, service: Resource[Service], ctx: Context
    ) -> str | Suspend[Batch]:
        assert (ctx.step, ctx.attempt, ctx.status("prepare")) == ("compute", 1, "completed")
        if state.looks + 1 < config.looks:
            return Suspend(state=attrs.evolve(state, looks=state.looks + 1), check_after=SOON)
        return f"{state.job}, {prepare}, {len(service.jobs)} submitted, {state.looks + 1} looks"

    async def look_async(
        state: Batch, day: str, prepare: list[int], config: Settings, service: Resource[Service], ctx: Context
    ) -> str | Suspend[Batch]:
        return look(state, day, prepare, config, service, ctx)

    flow.step(begin if handler_in_thread else begin_async, slug="compute")
    flow.check("compute")(look if check_in_thread else look_async)

    @flow.step
    async def deliver(compute: str) -> str:
        return f"delivered {compute}"

    return flow


@pytest.mark.parametrize("handler_in_thread", [False, True], ids=["async handler", "thread"])
@pytest.mark.parametrize("check_in_thread", [False, True], ids=["async check", "check in thread"])
async def test_a_check_gets_its_state_and_whatever_its_step_sees(
    make_kernel: MakeKernel, handler_in_thread: bool, check_in_thread: bool
) -> None:
    """State, input, earlier outputs, settings, resources and context; the state of the look before; once submitted."""
    flow = compute_flow(handler_in_thread, check_in_thread)
    async with NodeHost(make_kernel(flow), resources={"service": Service()}) as host:
        run = await host.kernel.start(flow, "monday", config={"compute": {"looks": 4}})

        assert await run.result(timeout=TIMEOUT_S) == {"deliver": "delivered job-monday, [6], 1 submitted, 4 looks"}
        (task,) = [task for task in (await run.details()).tasks if task.key.step == "compute"]
        assert (task.checks, task.attempts, task.waits_for) == (3, 1, None)


async def test_events_tell_of_the_wait(make_kernel: MakeKernel) -> None:
    """One suspension and one resumption, however many checks there were."""
    flow = compute_flow(False, False)
    async with NodeHost(make_kernel(flow), resources={"service": Service()}) as host:
        run = await host.kernel.start(flow, "monday")
        await run.result(timeout=TIMEOUT_S)
        events = [event.type for event in (await run.details()).events if event.step == "compute"]

    assert events == ["step.started", "step.suspended", "step.resumed", "step.completed"]


async def test_another_host_may_check(make_kernel: MakeKernel) -> None:
    """The host that suspended it is gone; the next one finds state and settings in the store."""
    flow = compute_flow(True, True)
    service = Service()
    async with NodeHost(make_kernel(flow), resources={"service": service}) as host:
        run = await host.kernel.start(flow, "monday", config={"compute": {"looks": 1}})
        await until_suspended(run, "compute")
    async with NodeHost(make_kernel(flow), resources={"service": service}) as other:
        result = await other.kernel.run(run.id).result(timeout=TIMEOUT_S)

    assert result == {"deliver": "delivered job-monday, [6], 1 submitted, 1 looks"}


async def test_a_check_s_resources_are_checked_at_the_start(make_kernel: MakeKernel) -> None:
    """A host that lacks what only the check asks for does not begin."""
    flow = Flow("lacking", version=1)

    @flow.step
    async def work() -> str | Suspend[int]:
        return Suspend(state=1, check_after=0)

    @flow.check(work)
    async def look(state: int, service: Resource[Service]) -> str:
        return "done"

    with pytest.raises(ResourceProblem, match="'service': expected an instance of Service"):
        await NodeHost(make_kernel(flow)).start()


# What makes no sense


def wrong(returned: Callable[[], object], *, annotated: bool = True) -> Flow[Any]:
    """A flow whose only step returns something that it should not."""
    flow = Flow("wrong", version=1, max_attempts=3, base_delay=0)

    if annotated:

        @flow.step
        async def work() -> str | Suspend[Batch]:
            return returned()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

        @flow.check(work)
        async def look(state: Batch) -> str | Suspend[Batch]:
            return returned()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    else:
        flow.step(lambda: returned(), slug="work")
    return flow


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (lambda: Suspend(state="no batch", check_after=1), "state of step 'work'"),
        (lambda: Suspend(state=Batch(job=float("nan")), check_after=1), "state of step 'work'"),  # type: ignore[arg-type]
        (lambda: Suspend(state=object(), check_after=1), "state of step 'work'"),
        (
            lambda: Suspend(state=Batch("j"), check_after=5, give_up_after=5),
            "gives up after 5 s, before its first check",
        ),
    ],
)
async def test_a_suspend_that_makes_no_sense_is_no_output(
    make_kernel: MakeKernel, returned: Callable[[], object], problem: str
) -> None:
    """The state does not fit, or it would never be checked: the step fails at once, and says what is wrong."""
    flow = wrong(returned)
    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)

        assert problem in (told := await failure_of(run))
        assert told.startswith("invalid_output: ")
        assert [task.attempts for task in (await run.details()).tasks] == [1]


@pytest.mark.parametrize("delay", [-1, float("nan"), None, "5 s"])
async def test_a_delay_that_is_none_fails_where_it_is_written(make_kernel: MakeKernel, delay: Any) -> None:
    """It is the handler's own error, so that its traceback leads there."""
    flow = wrong(lambda: Suspend(state=Batch("j"), check_after=delay))
    async with NodeHost(make_kernel(flow)) as host:
        told = await failure_of(await host.kernel.start(flow, None))

    assert told.startswith("handler_failed: ")
    assert "check_after must be" in told


async def test_who_suspends_without_a_check_fails(make_kernel: MakeKernel) -> None:
    """A handler without annotations cannot be seen through before; it is not tried again, and told what is missing."""
    flow = wrong(lambda: Suspend(state=1, check_after=1), annotated=False)
    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)

        assert await failure_of(run) == (
            "invalid_output: PayloadError: output of step 'work': $: returned Suspend, but step "
            "'work' has no check; register one with @flow.check(work)"
        )
        assert [task.attempts for task in (await run.details()).tasks] == [1]


async def test_a_map_cannot_suspend(make_kernel: MakeKernel) -> None:
    """Its element fails, and is told why."""
    flow = Flow("mapped", version=1, input=list[int])

    def each(item: int) -> object:
        return Suspend(state=item, check_after=1)

    flow.map(each, over="input", slug="each")
    async with NodeHost(make_kernel(flow)) as host:
        told = await failure_of(await host.kernel.start(flow, [1]))

    assert "returned Suspend, which no map can do" in told


# Large states


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_large_state_is_a_blob(make_kernel: MakeKernel, ports: Ports, threaded: bool) -> None:
    """Handlers never see the difference: it is written before the task is suspended, and read for each check."""
    flow = Flow("large", version=1)
    large = "x" * (2 * INLINE_BYTES_MAX)

    def begin() -> int | Suspend[str]:
        return Suspend(state=large, check_after=0)

    def look(state: str) -> int | Suspend[str]:
        assert state.startswith(large)
        return len(state) if state.endswith("yy") else Suspend(state=f"{state}y", check_after=0)

    async def begin_async() -> int | Suspend[str]:
        return begin()

    async def look_async(state: str) -> int | Suspend[str]:
        return look(state)

    flow.step(begin if threaded else begin_async, slug="work")
    flow.check("work")(look if threaded else look_async)
    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)

        assert await run.output("work", timeout=TIMEOUT_S) == len(large) + 2
    prefix = f"runs/{run.id}/work/1/0"
    written = [blob.key async for blob in ports.blobs.list(prefix)]
    assert sorted(written) == [f"{prefix}/{token}/whole" for token in (1, 2, 3)]


# Slots, attempts, time


async def test_waiting_holds_no_slot(make_kernel: MakeKernel) -> None:
    """With one slot, thirty runs wait at the same time, and another one runs to its end."""
    waiting: set[str] = set()
    flow = Flow("patient", version=1, input=str)

    @flow.step
    def work(input: str, ctx: Context) -> str | Suspend[None]:
        if input == "now":
            return "done"
        waiting.add(ctx.run_id)
        return Suspend(state=None, check_after=3600)

    @flow.check(work)
    def look(state: None) -> str:
        raise AssertionError("its time has not come")

    async with NodeHost(make_kernel(flow), concurrency=1) as host:
        runs = [await host.kernel.start(flow, "later") for _ in range(30)]
        await until(lambda: len(waiting) == len(runs))
        now = await host.kernel.start(flow, "now")

        assert await now.output("work", timeout=TIMEOUT_S) == "done"
        for run in runs:
            await until_suspended(run)
    assert {await run.status() for run in runs} == {RunStatus.RUNNING}


@pytest.mark.usefixtures("long_idle")
@pytest.mark.parametrize("after_s", [0.3, 0.05])
async def test_a_check_is_called_in_time(make_kernel: MakeKernel, after_s: float) -> None:
    """On a host that would look only every ten seconds: not before its time, and soon after it."""
    asked = called = 0.0
    flow = Flow("punctual", version=1)

    @flow.step
    async def work() -> str | Suspend[None]:
        nonlocal asked
        asked = time.monotonic()
        return Suspend(state=None, check_after=after_s)

    @flow.check(work)
    async def look(state: None) -> str:
        nonlocal called
        called = time.monotonic()
        return "done"

    async with NodeHost(make_kernel(flow), poll_interval=10) as host:
        run = await host.kernel.start(flow, None)
        await run.result(timeout=TIMEOUT_S)

    assert after_s <= called - asked < after_s + 2


async def test_a_check_that_takes_too_long_is_an_attempt_like_any_other(make_kernel: MakeKernel) -> None:
    """It times out as its step says, and is tried again with the same state; attempts of the handler do not count."""
    attempts: list[tuple[int, int]] = []
    flow = Flow("slow", version=1, max_attempts=3, base_delay=0)

    @flow.step(timeout=0.05)
    async def work(ctx: Context) -> str | Suspend[int]:
        if ctx.attempt < 3:
            raise ConnectionError
        return Suspend(state=7, check_after=0)

    @flow.check(work)
    async def look(state: int, ctx: Context) -> str:
        attempts.append((state, ctx.attempt))
        if ctx.attempt < 3:
            await asyncio.sleep(60)
        return "done"

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)

        assert await run.output(work, timeout=TIMEOUT_S) == "done"
        assert [each.reason for each in (await run.details()).attempts] == ["handler_failed"] * 2 + ["timed_out"] * 2
    assert attempts == [(7, 1), (7, 2), (7, 3)]


async def test_a_check_that_keeps_failing_fails_its_step(make_kernel: MakeKernel) -> None:
    """After as many attempts as the step has."""
    flow = Flow("broken", version=1, max_attempts=2, base_delay=0)

    @flow.step
    def work() -> str | Suspend[None]:
        return Suspend(state=None, check_after=0)

    @flow.check(work)
    def look(state: None) -> str:
        raise LookupError("the service has forgotten it")

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)

        assert "handler_failed: LookupError: the service has forgotten it" in await failure_of(run)
        assert len((await run.details()).attempts) == 2


async def test_what_a_check_returns_must_fit(make_kernel: MakeKernel) -> None:
    """Its output is validated like the handler's."""
    flow = wrong(lambda: None)
    given: list[object] = [Suspend(state=Batch("j"), check_after=0), 5]
    flow = wrong(lambda: given.pop(0))
    async with NodeHost(make_kernel(flow)) as host:
        told = await failure_of(await host.kernel.start(flow, None))

    assert told.startswith("invalid_output: ")


async def test_giving_up(make_kernel: MakeKernel) -> None:
    """However often it is checked: when its time is over, the step has timed out."""
    looks = 0
    flow = Flow("endless", version=1)

    @flow.step
    async def work() -> str | Suspend[None]:
        return Suspend(state=None, check_after=0.02, give_up_after=0.6)

    @flow.check(work)
    async def look(state: None) -> str | Suspend[None]:
        nonlocal looks
        looks += 1
        return Suspend(state=None, check_after=0.02, give_up_after=3600)  # only the first one's counts

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)
        began = time.monotonic()

        assert (await failure_of(run)).startswith("timed_out: ")
        assert 0.5 < time.monotonic() - began < 5
    assert looks > 1


async def test_checks_do_not_follow_each_other_at_once(make_kernel: MakeKernel) -> None:
    """A check that wants to be made again without a pause is made again after the least one."""
    looked_at: list[float] = []
    flow = Flow("eager", version=1)

    @flow.step
    async def work() -> str | Suspend[None]:
        return Suspend(state=None, check_after=0)

    @flow.check(work)
    async def look(state: None) -> str | Suspend[None]:
        looked_at.append(time.monotonic())
        return "done" if len(looked_at) == 4 else Suspend(state=None, check_after=0.001)

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)
        assert await run.output(work, timeout=TIMEOUT_S) == "done"

    pauses = [later - earlier for earlier, later in pairwise(looked_at)]
    assert min(pauses) >= CHECK_AFTER_LEAST_S * 0.9  # hosts look by the clock of the store


async def test_a_check_outlives_its_lease_with_heartbeats(make_kernel: MakeKernel, ports: Ports) -> None:
    """It is kept alive like a handler: it goes on until its lease was extended twice, and would do so for ever."""
    calls = 0
    flow = Flow("long", version=1)

    @flow.step
    def work() -> str | Suspend[None]:
        return Suspend(state=None, check_after=0)

    @flow.check(work)
    async def look(state: None, ctx: Context) -> str:
        nonlocal calls
        calls += 1
        leases: set[datetime | None] = set()
        while len(leases) < 3:
            (task,) = await ports.persistence.read_tasks(ctx.run_id)
            leases.add(task.lease_until)
            await asyncio.sleep(0.005)
        return "done"

    async with NodeHost(make_kernel(flow), heartbeat_interval=0.02) as host:
        run = await host.kernel.start(flow, None)

        assert await run.output(work, timeout=TIMEOUT_S) == "done"
    assert calls == 1


@pytest.mark.fault(69)
async def test_two_hosts_never_check_one_step_at_a_time(make_kernel: MakeKernel) -> None:
    """Five hosts, all of which know when it is due: each look is one host's."""
    lock = threading.Lock()
    looks = 0
    flow = Flow("exclusive", version=1)

    @flow.step
    async def work() -> int | Suspend[int]:
        return Suspend(state=0, check_after=0.01)

    @flow.check(work)
    async def look(state: int) -> int | Suspend[int]:
        nonlocal looks
        assert lock.acquire(blocking=False), "somebody else checks it"
        try:
            looks += 1
            await asyncio.sleep(0.005)
            return state if state == 10 else Suspend(state=state + 1, check_after=0.01)
        finally:
            lock.release()

    hosts = [NodeHost(make_kernel(flow), poll_interval=0.01) for _ in range(5)]
    async with hosts[0], hosts[1], hosts[2], hosts[3], hosts[4]:
        run = await hosts[0].kernel.start(flow, None)

        assert await run.output(work, timeout=TIMEOUT_S) == 10
    assert looks == 11


async def test_a_host_that_stops_does_not_wait_for_waits(make_kernel: MakeKernel) -> None:
    """It drains what runs; a suspended step is nobody's."""
    begun = asyncio.Event()
    flow = Flow("left", version=1)

    @flow.step
    async def work() -> str | Suspend[None]:
        begun.set()
        return Suspend(state=None, check_after=3600)

    @flow.check(work)
    async def look(state: None) -> str:
        return "done"

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)
        await begun.wait()
        began = time.monotonic()

    assert time.monotonic() - began < 5
    assert (await statuses(run))["work"] == "suspended"


async def test_cancelling_ends_a_wait(make_kernel: MakeKernel, ports: Ports) -> None:
    """Its step is cancelled with the run, and no host will ever find it to check it."""
    flow = Flow("given_up", version=1)

    @flow.step
    async def work() -> str | Suspend[None]:
        return Suspend(state=None, check_after=3600)

    @flow.check(work)
    async def look(state: None) -> str:
        raise AssertionError("nothing of a cancelled run is called")

    async with NodeHost(make_kernel(flow)) as host:
        run = await host.kernel.start(flow, None)
        await until_suspended(run)

        later, ids = ports.clock.now() + timedelta(days=1), host.kernel.flow_ids

        assert len(await ports.persistence.find_waits(later, flow_ids=ids, limit=9)) == 1
        assert (await run.cancel()).took_effect
        assert await ports.persistence.find_waits(later, flow_ids=ids, limit=9) == []
        assert (await statuses(run))["work"] == "cancelled"


@pytest.mark.usefixtures("nothing_left_open")
async def test_calls_of_functions_count_what_they_suspend() -> None:
    """One call suspends, a maintenance tick finds the check due, the next call completes."""
    clock = ManualClock()
    flow = Flow("called", version=1)

    @flow.step
    async def work() -> str | Suspend[int]:
        return Suspend(state=1, check_after=60)

    @flow.check(work)
    async def look(state: int) -> str:
        return "done"

    kernel = Kernel(flows=[flow], ports=memory_ports(clock=clock))
    run = await kernel.start(flow, None)
    async with ServerlessHost(kernel) as host:
        first = await host.process_available_jobs(10)
        early = (await host.run_maintenance_tick()).counts["wake"]
        clock.advance(timedelta(seconds=61))
        woken = (await host.run_maintenance_tick()).counts["wake"]
        second = await host.process_available_jobs(10)

    assert (first.suspended, first.completed, early, woken) == (1, 0, 0, 1)
    assert (second.suspended, second.completed) == (0, 1)
    assert await run.result() == {"work": "done"}
