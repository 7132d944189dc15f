"""How a host ends: what runs is finished, what does not end is given back unspent, nothing is left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from fairlead.adapters.memory import CollectingSink, memory_ports
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, Kernel, RunHandle, Start
from fairlead.kernel.commands import ClaimRuns
from fairlead.ports.outbox import EventRecord
from fairlead.ports.reading import TaskRecord
from fairlead.ports.statuses import RunStatus, TaskStatus

from .conftest import MakeKernel

TIMEOUT_S = 10.0


async def _task(run: RunHandle) -> TaskRecord:
    (task,) = (await run.details()).tasks
    return task


class SlowSink(CollectingSink):
    """Takes events when it is told to, and notes whether two batches of one run ever came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.released = asyncio.Event(), asyncio.Event()
        self.overlapped = False
        self._publishing: set[str] = set()

    async def publish(self, batch: Sequence[EventRecord]) -> int:
        run_id = batch[0].run_id
        self.overlapped = self.overlapped or run_id in self._publishing
        self._publishing.add(run_id)
        self.entered.set()
        await self.released.wait()
        self._publishing.discard(run_id)
        return await super().publish(batch)


async def test_the_last_flush_begins_when_the_one_under_way_has_ended(nothing_left_open: None) -> None:
    """A sink never gets the events of one run twice at once, and has all of them when the host has ended."""
    sink = SlowSink()
    flow = Flow("published", version=1, input=int, input_name="n")

    @flow.step
    async def work(n: int) -> int:
        return n

    async with Kernel(flows=[flow], ports=memory_ports(sink=sink)) as kernel:
        host = NodeHost(kernel)
        await host.start()
        run = await kernel.start(flow, 1)
        await sink.entered.wait()
        await run.result(timeout=TIMEOUT_S)
        stopping = asyncio.create_task(host.stop())
        for _ in range(1000):  # more turns of the loop than a drain needs that does not wait
            await asyncio.sleep(0)
        assert not stopping.done()
        sink.released.set()
        await stopping

        assert not sink.overlapped
        sequences = [event.sequence for event in sink.events]
        assert sequences == list(range(1, (await run.read()).next_sequence))


async def test_running_handlers_finish_and_are_recorded(make_kernel: MakeKernel) -> None:
    """A stop waits for what runs; what becomes ready by it is left for other hosts, and nothing new is claimed."""
    begun, release = asyncio.Event(), asyncio.Event()
    flow = Flow("ending", version=1, input=int, input_name="n")

    @flow.step
    async def first(n: int) -> int:
        begun.set()
        await release.wait()
        return n

    @flow.step
    async def second(first: int) -> int:
        return first + 1

    kernel = make_kernel(flow)
    host = NodeHost(kernel, concurrency=1)
    await host.start()
    running, waiting = [await kernel.start(flow, n) for n in (1, 2)]
    await begun.wait()
    stopping = asyncio.create_task(host.stop())
    await asyncio.sleep(0)
    release.set()
    await stopping

    statuses = {step.slug: str(step.status) for step in (await running.details()).steps}
    assert statuses == {"first": "completed", "second": "running"}
    assert await waiting.status() is RunStatus.PENDING
    assert [task.status for task in (await running.details()).tasks if task.key.step == "second"] == [TaskStatus.QUEUED]

    async with NodeHost(kernel):
        assert await running.result(timeout=TIMEOUT_S) == {"second": 2}
        assert await waiting.result(timeout=TIMEOUT_S) == {"second": 3}


@pytest.mark.fault(17)
async def test_what_does_not_end_in_time_is_given_back_unspent(make_kernel: MakeKernel) -> None:
    """Past the drain timeout an async handler is cancelled, its task queued unspent, and run elsewhere."""
    begun = asyncio.Event()
    attempts: list[int] = []
    flow = Flow("endless", version=1, input=int, max_attempts=1)

    @flow.step
    async def work(ctx: Context) -> int:
        attempts.append(ctx.attempt)
        if len(attempts) == 1:
            begun.set()
            await asyncio.Event().wait()
        return ctx.attempt

    kernel = make_kernel(flow)
    async with NodeHost(kernel, drain_timeout=0.05):
        run = await kernel.start(flow, 1)
        await begun.wait()

    task = await _task(run)
    assert (task.status, task.attempts, task.losses) == (TaskStatus.QUEUED, 0, 0)
    assert not (await run.details()).attempts

    async with NodeHost(kernel):
        assert await run.result(timeout=TIMEOUT_S) == {"work": 1}
    assert attempts == [1, 1]


async def test_a_handler_that_finishes_when_asked_to_end_is_recorded(make_kernel: MakeKernel) -> None:
    """A handler that catches the drain's cancellation and returns has done its work."""
    begun = asyncio.Event()
    flow = Flow("tidy", version=1, input=int)

    @flow.step
    async def work() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "saved what there was"
        return "never"

    kernel = make_kernel(flow)
    async with NodeHost(kernel, drain_timeout=0):
        run = await kernel.start(flow, 1)
        await begun.wait()

    assert await run.result() == {"work": "saved what there was"}


async def test_an_error_caused_by_the_drain_spends_no_attempt(make_kernel: MakeKernel) -> None:
    """A handler that turns its cancellation into an error of its own is given back, not failed."""
    begun = asyncio.Event()
    flow = Flow("turning", version=1, input=int, max_attempts=1)

    @flow.step
    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("interrupted") from None

    kernel = make_kernel(flow)
    async with NodeHost(kernel, drain_timeout=0):
        run = await kernel.start(flow, 1)
        await begun.wait()

    assert (await _task(run)).status is TaskStatus.QUEUED


async def test_a_thread_keeps_its_task_while_its_process_lives(make_kernel: MakeKernel) -> None:
    """A handler in a thread cannot be stopped: its task keeps its lease, so that it does not run twice at a time."""
    begun, release = threading.Event(), threading.Event()
    flow = Flow("thread", version=1, input=int)

    @flow.step
    def work() -> None:
        begun.set()
        release.wait(TIMEOUT_S)

    kernel = make_kernel(flow)
    async with NodeHost(kernel, drain_timeout=0.01, cancel_grace=0.01):
        run = await kernel.start(flow, 1)
        await asyncio.to_thread(begun.wait)

    task = await _task(run)
    assert (task.status, task.attempts) == (TaskStatus.RUNNING, 1)
    await _end_threads(release)


async def test_a_process_that_ends_gives_the_tasks_of_threads_back(make_kernel: MakeKernel) -> None:
    """Where the process ends right after, the task of a thread is released as the host's last act."""
    begun, release = threading.Event(), threading.Event()
    flow = Flow("thread", version=1, input=int)

    @flow.step
    def work() -> None:
        begun.set()
        release.wait(TIMEOUT_S)

    kernel = make_kernel(flow)
    host = NodeHost(kernel, drain_timeout=0.01, cancel_grace=0.01)
    await host.start()
    run = await kernel.start(flow, 1)
    await asyncio.to_thread(begun.wait)
    await host.stop(exiting=True)

    task = await _task(run)
    assert (task.status, task.attempts) == (TaskStatus.QUEUED, 0)
    await _end_threads(release)


async def _end_threads(release: threading.Event) -> None:
    """Let the handlers' threads end, and the default executor with them."""
    release.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    for thread in threading.enumerate():
        if thread.name.startswith("fairlead-"):
            thread.join(TIMEOUT_S)


@pytest.mark.fault(17)
async def test_a_stop_in_the_midst_of_work_loses_nothing(make_kernel: MakeKernel) -> None:
    """Hosts that are stopped again and again while they claim leave nothing behind that has to expire."""
    flow = Flow("restless", version=1, input=int, input_name="n")

    @flow.step
    async def first(n: int) -> int:
        return n

    @flow.step
    async def second(first: int) -> int:
        return first

    kernel = make_kernel(flow)
    runs = await kernel.start_many(flow, [Start(input=n) for n in range(100)])
    rounds = 0
    while not await _all_over(runs):
        async with NodeHost(kernel, concurrency=10):
            for _ in range(rounds % 40):
                await asyncio.sleep(0)
        assert TaskStatus.RUNNING not in {task.status for task in await _tasks(runs)}
        rounds += 1

    assert rounds > 3
    assert [await run.result() for run in runs] == [{"second": n} for n in range(100)]
    assert {task.attempts for task in await _tasks(runs)} == {1}


async def _tasks(runs: list[RunHandle]) -> list[TaskRecord]:
    return [task for run in runs for task in (await run.details()).tasks]


async def _all_over(runs: list[RunHandle]) -> bool:
    return all([await run.status() is RunStatus.COMPLETED for run in runs])


async def test_a_claim_under_way_is_given_back(make_kernel: MakeKernel) -> None:
    """What a claim brings whose answer comes only after the stop began is released, not left to its lease."""
    claimed, go_on = asyncio.Event(), asyncio.Event()
    flow = Flow("claimed", version=1, input=int)

    @flow.step
    async def work() -> int:
        raise AssertionError("never begun")

    kernel = make_kernel(flow)
    dispatch = kernel.dispatch

    async def slow_dispatch(command: Any) -> Any:
        answer = await dispatch(command)
        if isinstance(command, ClaimRuns) and answer.runs:
            claimed.set()
            await go_on.wait()
        return answer

    kernel.dispatch = slow_dispatch  # type: ignore[method-assign]
    host = NodeHost(kernel)
    await host.start()
    run = await kernel.start(flow, 1)
    await claimed.wait()
    stopping = asyncio.create_task(host.stop())
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()
    await stopping

    task = await _task(run)
    assert (task.status, task.attempts) == (TaskStatus.QUEUED, 0)


async def test_an_error_in_the_block_stops_the_host(make_kernel: MakeKernel) -> None:
    """The error comes through, and the host has ended as ever."""
    flow = Flow("failing", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    host = NodeHost(make_kernel(flow))
    with pytest.raises(LookupError, match="of the application"):
        async with host:
            raise LookupError("of the application")
    await host.start()
    await host.stop()
