"""The serverless host: single calls that know their deadline and leave nothing running."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve

from fairlead.adapters.memory import ManualClock, MemoryTransport, memory_ports
from fairlead.hosts.errors import HostOptionError, MalformedJob, ResourceProblem
from fairlead.hosts.jobs import job_of, message_of
from fairlead.hosts.serverless import CallReport, ServerlessHost
from fairlead.kernel import Context, Flow, Kernel, Resource, RunHandle, Start
from fairlead.ports import Ports
from fairlead.ports.reading import TaskRecord
from fairlead.ports.records import TaskKey
from fairlead.ports.statuses import RunStatus, TaskStatus
from fairlead.ports.transport import Job

from .conftest import MakeKernel


def _report(**counts: Any) -> CallReport:
    nothing: dict[str, Any] = {
        "claimed": 0,
        "completed": 0,
        "failed": 0,
        "suspended": 0,
        "released": 0,
        "unfinished": 0,
        "acknowledged": True,
    }
    return CallReport(**{**nothing, **counts})


def _sums() -> Flow[list[int]]:
    flow = Flow("sums", version=1, input=list[int], input_name="numbers", base_delay=0)

    @flow.map(over="numbers")
    async def square(item: int) -> int:
        return item * item

    @flow.step
    def total(square: list[int]) -> int:
        return sum(square)

    return flow


async def _tasks(run: RunHandle) -> list[TaskRecord]:
    return list((await run.details()).tasks)


async def test_a_run_s_message_runs_what_becomes_ready(make_kernel: MakeKernel) -> None:
    """One message for a small run: claimed, its tasks handed over from step to step, completed in one call."""
    flow = _sums()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, [1, 2, 3])
    async with ServerlessHost(kernel) as host:
        report = await host.handle_job({"run_id": run.id})

        assert report == _report(claimed=1, completed=4)
        assert await run.result() == {"total": 14}
        assert await host.handle_job(f'{{"run_id":"{run.id}"}}') == _report()


@pytest.mark.fault(39)
async def test_a_task_s_message_runs_that_task(make_kernel: MakeKernel, ports: Ports) -> None:
    """Messages for single tasks: each runs once, however often and in which order they come."""
    flow = _sums()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, list(range(4)))
    async with ServerlessHost(kernel, concurrency=1) as host:
        assert (await host.process_available_jobs(1)).completed == 1
        queued = [task.key for task in await _tasks(run) if task.status is TaskStatus.QUEUED]
        jobs = [Job(run_id=run.id, queue="default", task=key) for key in queued]
        reports = [await host.handle_job(message_of(job)) for job in [*reversed(jobs), *jobs]]

        assert [report.claimed for report in reports] == [1, 1, 1, 0, 0, 0]
        assert await run.result() == {"total": 14}


async def test_available_jobs_are_processed_up_to_a_number(make_kernel: MakeKernel) -> None:
    """Attempts, handed-over ones included, are counted; the rest waits for the next call."""
    flow = _sums()
    kernel = make_kernel(flow)
    runs = await kernel.start_many(flow, [Start(input=[1, 2]) for _ in range(4)])
    async with ServerlessHost(kernel, concurrency=3) as host:
        reports = [await host.process_available_jobs(5) for _ in range(4)]

        assert [report.completed for report in reports] == [5, 5, 2, 0]
        assert [await run.result() for run in runs] == [{"total": 5}] * 4
        assert reports[3] == _report()


@pytest.mark.fault(47)
async def test_a_call_leaves_nothing_running_at_its_deadline(make_kernel: MakeKernel) -> None:
    """What does not end in time is cancelled before the deadline and given back with no attempt spent."""
    ended: list[float] = []
    flow = Flow("slow", version=1, input=int, max_attempts=1)

    @flow.step
    async def work(ctx: Context) -> int:
        if not ended:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(time.monotonic())
        return ctx.attempt

    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    async with ServerlessHost(kernel, claim_margin=0.4, stop_margin=0.3) as host:
        deadline = kernel.ports.clock.monotonic() + 0.6
        report = await host.handle_job(Job(run_id=run.id, queue=""), deadline=deadline)

        assert kernel.ports.clock.monotonic() < deadline
        assert report == _report(claimed=1, released=1)
        (task,) = await _tasks(run)
        assert (task.status, task.attempts, len(ended)) == (TaskStatus.QUEUED, 0, 1)

        await host.process_available_jobs(10)
        assert await run.result() == {"work": 1}


@pytest.mark.fault(47)
async def test_a_call_with_little_time_takes_on_nothing(make_kernel: MakeKernel) -> None:
    """The message is not acknowledged, so it comes again; nothing is claimed."""
    flow = _sums()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, [1])
    async with ServerlessHost(kernel, claim_margin=10, stop_margin=3) as host:
        assert await host.handle_job({"run_id": run.id}, deadline=lambda: 9.9) == _report(acknowledged=False)
        assert await host.process_available_jobs(5, deadline=lambda: 9.9) == _report()
        assert await run.status() is RunStatus.PENDING


@pytest.mark.fault(47)
async def test_near_the_deadline_nothing_is_handed_over(make_kernel: MakeKernel) -> None:
    """A task that becomes ready too late for this call is queued for another."""
    left_s = [60.0]
    flow = Flow("chain", version=1, input=int)

    @flow.step
    async def first() -> int:
        left_s[0] = 5.0
        return 1

    @flow.step
    async def second(first: int) -> int:
        return first + 1

    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    async with ServerlessHost(kernel, claim_margin=10, stop_margin=3) as host:
        report = await host.handle_job({"run_id": run.id}, deadline=lambda: left_s[0])

        assert report == _report(claimed=1, completed=1)
        statuses = {task.key.step: task.status for task in await _tasks(run)}
        assert statuses == {"first": TaskStatus.COMPLETED, "second": TaskStatus.QUEUED}


async def test_a_thread_that_does_not_end_is_left_to_its_lease(make_kernel: MakeKernel) -> None:
    """The call returns in time and says so; the task is not given back while its handler may still run."""
    release = threading.Event()
    flow = Flow("stuck", version=1, input=int)

    @flow.step
    def work() -> None:
        release.wait(10)

    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    async with ServerlessHost(kernel, claim_margin=0.2, stop_margin=0.2) as host:
        deadline = kernel.ports.clock.monotonic() + 0.4
        report = await host.handle_job({"run_id": run.id}, deadline=deadline)

        assert kernel.ports.clock.monotonic() < deadline
        assert report == _report(claimed=1, unfinished=1)
        assert [task.status for task in await _tasks(run)] == [TaskStatus.RUNNING]
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("fairlead-"):
            thread.join(10)


async def test_failures_are_recorded_and_retried_later(make_kernel: MakeKernel) -> None:
    """A failed attempt is the call's result, not its error."""
    flow = Flow("failing", version=1, input=int, base_delay=0)

    @flow.step
    async def work(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return ctx.attempt

    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    async with ServerlessHost(kernel) as host:
        reports = [await host.process_available_jobs(1) for _ in range(3)]

        assert [(report.failed, report.completed) for report in reports] == [(1, 0), (1, 0), (0, 1)]
        assert await run.result() == {"work": 3}


async def test_maintenance_publishes_and_announces(ports: Ports, nothing_left_open: None) -> None:
    """The tick answers what each step found: events published, lost jobs announced."""
    flow, clock = _sums(), ManualClock()
    kernel = Kernel(flows=[flow], ports=evolve(ports, clock=clock))
    await kernel.start(flow, [1])
    async with ServerlessHost(kernel, lease_duration=30) as host:
        clock.advance(31)  # older than what the sweep takes for lost
        report = await host.run_maintenance_tick()

    swept = 1 if isinstance(ports.transport, MemoryTransport) else 0
    nothing = dict.fromkeys(("synchronise", "reap", "fire", "wake", "expire", "prune", "collect"), 0)
    assert dict(report.counts) == {**nothing, "sweep": swept, "flush": 1}
    assert not report.errors


class UnfollowingClock(ManualClock):
    """A clock that is good only after it was synchronised, where that helps at all."""

    def __init__(self, *, helps: bool) -> None:
        super().__init__()
        self._helps = helps
        self._uncertainty_s = float("inf")

    async def synchronise(self) -> None:
        if self._helps:
            self._uncertainty_s = 0.001

    @property
    def uncertainty_s(self) -> float:
        return self._uncertainty_s


async def test_a_call_synchronises_its_clock(nothing_left_open: None) -> None:
    """Leases are taken by the clock that hosts agree on, from the first call of a process on."""
    flow = _sums()
    kernel = Kernel(flows=[flow], ports=memory_ports(clock=UnfollowingClock(helps=True)))
    run, other = await kernel.start_many(flow, [Start(input=[1]), Start(input=[2])])
    async with ServerlessHost(kernel) as host:
        assert await host.handle_job({"run_id": run.id}) == _report(claimed=1, completed=2)

    kernel = Kernel(flows=[flow], ports=evolve(kernel.ports, clock=UnfollowingClock(helps=True)))
    async with ServerlessHost(kernel) as host:
        assert (await host.process_available_jobs(100)).completed == 2
    assert await kernel.run(other.id).result() == {"total": 4}
    await kernel.aclose()


async def test_a_call_with_an_uncertain_clock_takes_on_nothing(nothing_left_open: None) -> None:
    """A message is not acknowledged, so it comes again."""
    flow = _sums()
    async with Kernel(flows=[flow], ports=memory_ports(clock=UnfollowingClock(helps=False))) as kernel:
        run = await kernel.start(flow, [1])
        async with ServerlessHost(kernel) as host:
            assert await host.handle_job({"run_id": run.id}) == _report(acknowledged=False)
            assert await host.process_available_jobs(10) == _report()
            assert await run.status() is RunStatus.PENDING


@pytest.mark.fault(46)
async def test_early_and_foreign_messages_come_again(make_kernel: MakeKernel) -> None:
    """A message before its time, or of a queue that this host does not serve, is not acknowledged."""
    flow = _sums()
    kernel = make_kernel(flow)
    key = {"step": "square", "generation": 1, "element": 0}
    async with ServerlessHost(kernel, queues=["default"]) as host:
        for message in (
            {"run_id": "r", "not_before": "2999-01-01T00:00:00Z"},
            {"run_id": "r", "queue": "rare", "task": key},
            {"run_id": "r", "flow_id": 999},
            {"run_id": "r", "flow_id": 999, "queue": "default", "task": key},
        ):
            assert await host.handle_job(message) == _report(acknowledged=False)


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        "not json",
        "[]",
        "7",
        {},
        {"run_id": ""},
        {"run_id": 7},
        {"run_id": "r", "task": "t"},
        {"run_id": "r", "task": {"step": "s"}},
        {"run_id": "r", "task": {"step": "s", "generation": 1, "element": "0"}},
        {"run_id": "r", "not_before": "soon"},
        {"run_id": "r", "not_before": "2026-01-01T00:00:00"},
        '{"run_id":"r","more":' + "[" * 100_000 + "]" * 100_000 + "}",
        {"run_id": "r", "task": {"step": "s", "generation": 2**31, "element": 0}},
        {"run_id": "r", "task": {"step": "s", "generation": 0, "element": 0}},
        {"run_id": "r", "task": {"step": "s", "generation": 1, "element": 10**30}},
        {"run_id": "r", "task": {"step": "s", "generation": 1, "element": -1}},
        {"run_id": "r", "task": {"step": "s\0", "generation": 1, "element": 0}},
        {"run_id": "r", "task": {"step": "\ud800", "generation": 1, "element": 0}},
    ],
    ids=lambda message: f"{message!r:.40}",
)
def test_what_is_no_job_is_told_so(message: Any) -> None:
    """A message that will never be a job is a typed error, so that it can be put aside."""
    with pytest.raises(MalformedJob):
        job_of(message)


def test_a_job_survives_its_message() -> None:
    """What a message carries is read back, and fields that later versions add are ignored."""
    for job in (
        Job(run_id="r", queue=""),
        Job(run_id="r", queue="q", task=TaskKey("r", "s", 2, 7), flow_id=3),
    ):
        assert job_of(message_of(job)) == job
    assert job_of({"run_id": "r", "new": 1}) == Job(run_id="r", queue="")


async def test_resources_stay_between_calls(make_kernel: MakeKernel) -> None:
    """They are opened by the first call that needs them, shared by all, and left when the host is closed."""
    trace: list[str] = []

    @asynccontextmanager
    async def resources() -> AsyncGenerator[Mapping[str, object]]:
        trace.append("opened")
        yield {"factor": 3}
        trace.append("closed")

    flow = Flow("resourceful", version=1, input=int, input_name="n")

    @flow.step
    async def work(n: int, factor: Resource[int]) -> int:
        return n * factor

    kernel = make_kernel(flow)
    runs = await kernel.start_many(flow, [Start(input=n) for n in range(3)])
    async with ServerlessHost(kernel, resources=resources) as host:
        for run in runs:
            await host.handle_job({"run_id": run.id})
        assert trace == ["opened"]
    assert [await run.result() for run in runs] == [{"work": 0}, {"work": 3}, {"work": 6}]
    assert trace == ["opened", "closed"]

    await kernel.start(flow, 1)
    with pytest.raises(ResourceProblem):
        await ServerlessHost(kernel).process_available_jobs(1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("concurrency", 0),
        ("claim_margin", 1),
        ("stop_margin", 0),
        ("lease_duration", 0),
        ("queues", ()),
        ("heartbeats", "process"),
    ],
)
async def test_options_out_of_bounds_are_refused(make_kernel: MakeKernel, option: str, value: object) -> None:
    """Every option is checked when the host is made, and the error names it."""
    with pytest.raises(HostOptionError) as raised:
        ServerlessHost(make_kernel(_sums()), **{option: value})  # type: ignore[arg-type]

    assert raised.value.option == option


async def test_a_call_that_gets_no_thread_leaves_nothing_behind(
    make_kernel: MakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before it claims anything, and the next call does its work."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    flow = _sums()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, [1, 2])
    async with ServerlessHost(kernel) as host:
        tasks = asyncio.all_tasks()
        with monkeypatch.context() as crowded:
            crowded.setattr(threading.Thread, "start", refused)
            with pytest.raises(RuntimeError, match="new thread"):
                await host.process_available_jobs(10)
        left = asyncio.all_tasks() - tasks
        await host.process_available_jobs(10)

    assert not left
    assert await run.result() == {"total": 5}
