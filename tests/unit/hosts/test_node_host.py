"""The node host runs flows: data flow, slots, several hosts, resources, options."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from fairlead.adapters.memory import CollectingSink
from fairlead.hosts.errors import HostOptionError, ResourceProblem
from fairlead.hosts.node import NodeHost
from fairlead.kernel import Context, Flow, FlowShapeConflict, Kernel, Resource, Start
from fairlead.kernel.commands import SettleTasks
from fairlead.ports import Ports
from fairlead.ports.statuses import RunStatus

from .conftest import MakeKernel

TIMEOUT_S = 10.0


async def test_outputs_feed_dependents_through_steps_and_maps(make_kernel: MakeKernel) -> None:
    """Input, outputs, elements, indices and whole maps reach the handlers that name them, async or not."""
    flow = Flow("words", version=1, input=str, input_name="text")

    @flow.step
    async def split(text: str) -> list[str]:
        return text.split()

    @flow.map(over=split)
    def shout(item: str, index: int, text: str) -> str:
        return f"{index}{item.upper()}{len(text)}"

    @flow.map(over=shout)
    async def echo(item: str) -> str:
        return item * 2

    @flow.step
    def join(echo: list[str], shout: list[str], split: list[str]) -> dict[str, list[str]]:
        return {"echo": echo, "shout": shout, "split": split}

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, "to be")
        result = await run.result(timeout=TIMEOUT_S)

    assert result == {
        "join": {"echo": ["0TO50TO5", "1BE51BE5"], "shout": ["0TO5", "1BE5"], "split": ["to", "be"]},
    }


async def test_falsy_outputs_survive(make_kernel: MakeKernel) -> None:
    """`0`, `False`, `""`, `[]`, `{}` and `None` reach a dependent and the run's output unchanged."""
    flow = Flow("falsy", version=1, input=int)

    @flow.step
    async def values() -> list[object]:
        return [0, False, "", [], {}, None]

    @flow.map(over=values)
    async def same(item: object) -> object:
        return item

    @flow.step
    async def nothing(same: list[object]) -> None:
        assert same == [0, False, "", [], {}, None]

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, 1)
        result = await run.result(timeout=TIMEOUT_S)

        assert result == {"nothing": None}
        assert await run.outputs(same) == [0, False, "", [], {}, None]


async def test_config_is_the_settings_the_run_was_started_with(make_kernel: MakeKernel) -> None:
    """A parameter `config` gets the merged settings of its step, on every host."""
    import attrs

    @attrs.frozen
    class Settings:
        dpi: int = 100
        mode: str = "fast"

    flow = Flow("configured", version=1, input=int)

    @flow.step
    async def read(config: Settings) -> str:
        return f"{config.dpi}/{config.mode}"

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, 1, config={"read": {"dpi": 300}})
        result = await run.result(timeout=TIMEOUT_S)

    assert result == {"read": "300/fast"}


async def test_one_slow_task_leaves_the_other_slots_busy(make_kernel: MakeKernel) -> None:
    """With one of ten slots taken by a task that waits, a hundred others run to their ends."""
    release = asyncio.Event()
    flow = Flow("mixed", version=1, input=bool, input_name="slow")

    @flow.step
    async def work(slow: bool) -> None:
        if slow:
            await release.wait()

    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=10):
        slow = await kernel.start(flow, True, priority=1)
        others = await kernel.start_many(flow, [Start(input=False) for _ in range(100)])
        for other in others:
            await other.result(timeout=TIMEOUT_S)

        assert await slow.status() is RunStatus.RUNNING

        release.set()
        await slow.result(timeout=TIMEOUT_S)


@pytest.mark.parametrize("concurrency", [1, 7])
async def test_never_more_handlers_than_slots(make_kernel: MakeKernel, concurrency: int) -> None:
    """Async handlers and threads together never exceed the slots, and fill them."""
    running, most = 0, 0
    flow = Flow("counted", version=1, input=list[int], input_name="numbers")

    @flow.map(over="numbers")
    async def count(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running -= 1
        return item

    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=concurrency):
        runs = [await kernel.start(flow, list(range(50))) for _ in range(3)]
        for run in runs:
            assert await run.result(timeout=TIMEOUT_S) == {"count": list(range(50))}

    assert most == concurrency


async def test_plain_functions_run_beside_the_event_loop(make_kernel: MakeKernel) -> None:
    """Two plain functions that wait for each other both end: each has a thread of its own."""
    barrier = threading.Barrier(2)
    flow = Flow("threads", version=1, input=list[int], input_name="numbers")

    @flow.map(over="numbers")
    def meet(item: int) -> bool:
        barrier.wait(TIMEOUT_S)
        return threading.current_thread() is not threading.main_thread()

    kernel = make_kernel(flow)
    async with NodeHost(kernel, concurrency=2):
        run = await kernel.start(flow, [1, 2])
        result = await run.result(timeout=TIMEOUT_S)

    assert result == {"meet": [True, True]}


@pytest.mark.fault(38, 77)
async def test_hosts_share_the_work_and_run_nothing_twice(make_kernel: MakeKernel) -> None:
    """Three hosts in one process run 200 runs, each step once, and all of them take part."""
    seen: list[tuple[str, str]] = []
    flow = Flow("shared", version=1, input=int, input_name="n")

    @flow.step
    async def first(n: int, ctx: Context) -> int:
        seen.append((ctx.run_id, "first"))
        await asyncio.sleep(0.001)
        return n

    @flow.step
    async def second(first: int, ctx: Context) -> int:
        seen.append((ctx.run_id, "second"))
        return first

    kernels = [make_kernel(flow) for _ in range(3)]
    runs = await kernels[0].start_many(flow, [Start(input=n) for n in range(200)])
    hosts = [NodeHost(kernel, concurrency=5, worker=f"host-{n}") for n, kernel in enumerate(kernels)]
    async with hosts[0], hosts[1], hosts[2]:
        for run in runs:
            await run.result(timeout=TIMEOUT_S)
        workers = {task.worker for run in runs for task in (await run.details()).tasks}

    assert len(seen) == len(set(seen)) == 400
    assert workers == {"host-0", "host-1", "host-2"}


async def test_events_reach_the_sink_in_order(make_kernel: MakeKernel, ports: Ports) -> None:
    """A host publishes what its runs did, numbered from 1 without a gap, before it ends."""
    flow = Flow("told", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    kernel = make_kernel(flow)
    async with NodeHost(kernel):
        run = await kernel.start(flow, 1)
        await run.result(timeout=TIMEOUT_S)

    assert isinstance(ports.sink, CollectingSink)
    told = [(event.sequence, event.type) for event in ports.sink.events if event.run_id == run.id]
    assert told == [
        (1, "run.created"),
        (2, "run.started"),
        (3, "step.started"),
        (4, "step.completed"),
        (5, "run.completed"),
    ]


async def test_a_host_serves_only_its_queues(make_kernel: MakeKernel) -> None:
    """A task of a queue that no host serves waits, and runs once a host serves it."""
    flow = Flow("queued", version=1, input=int)

    @flow.step
    async def common() -> int:
        return 1

    @flow.step(queue="rare")
    async def special(common: int) -> int:
        return common + 1

    kernel = make_kernel(flow)
    async with NodeHost(kernel, queues=["default"]):
        run = await kernel.start(flow, 1)
        assert await run.output(common, timeout=TIMEOUT_S) == 1
        statuses = {step.slug: str(step.status) for step in (await run.details()).steps}
        assert statuses == {"common": "completed", "special": "running"}
    async with NodeHost(kernel, queues=["rare"]):
        assert await run.result(timeout=TIMEOUT_S) == {"special": 2}


@pytest.mark.fault(59)
async def test_a_flow_the_host_lacks_is_left_alone(make_kernel: MakeKernel) -> None:
    """A run of another kernel's flow stays pending, untouched, while the host works on its own."""
    mine, theirs = Flow("mine", version=1, input=int), Flow("theirs", version=1, input=int)

    @mine.step(slug="one")
    @theirs.step(slug="one")
    async def one() -> int:
        return 1

    foreign = await make_kernel(theirs).start(theirs, 1)
    kernel = make_kernel(mine)
    async with NodeHost(kernel):
        run = await kernel.start(mine, 1)
        await run.result(timeout=TIMEOUT_S)

    assert await foreign.status() is RunStatus.PENDING


@pytest.mark.fault(77)
async def test_starting_and_stopping_leaves_nothing_open(make_kernel: MakeKernel) -> None:
    """A hundred hosts come and go; the fixture finds no thread and no task afterwards."""
    flow = Flow("brief", version=1, input=int)

    @flow.step
    def work() -> int:
        return threading.get_ident()

    kernel = make_kernel(flow)
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    for _ in range(100):
        async with NodeHost(kernel, concurrency=2):
            run = await kernel.start(flow, 1)
            await run.result(timeout=TIMEOUT_S)

    assert {thread for thread in threading.enumerate() if thread.is_alive()} <= threads
    assert asyncio.all_tasks() <= tasks


async def test_a_host_may_be_started_again(make_kernel: MakeKernel) -> None:
    """Stopping twice does nothing, starting twice is refused, starting after a stop works."""
    flow = Flow("again", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    kernel = make_kernel(flow)
    host = NodeHost(kernel)
    for _ in range(2):
        await host.start()
        with pytest.raises(RuntimeError, match="running already"):
            await host.start()
        run = await kernel.start(flow, 1)
        await run.result(timeout=TIMEOUT_S)
        await host.stop()
        await host.stop()


class Shop:
    """A resource."""


def _flow_with_resource() -> Flow[int]:
    flow = Flow("selling", version=1, input=int)

    @flow.step
    async def sell(shop: Resource[Shop]) -> int:
        return id(shop)

    @flow.step(after=[sell])
    def count(shop: Resource[Shop]) -> int:
        return id(shop)

    return flow


async def test_resources_are_opened_once_and_shared(make_kernel: MakeKernel) -> None:
    """A callable's context is entered before the first claim, left after the drain, and what it yields is shared."""
    shop, trace = Shop(), list[str]()

    @asynccontextmanager
    async def resources() -> AsyncGenerator[Mapping[str, object]]:
        trace.append("opened")
        yield {"shop": shop, "unused": 1}
        trace.append("closed")

    flow = _flow_with_resource()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    async with NodeHost(kernel, resources=resources):
        assert await run.output("sell", timeout=TIMEOUT_S) == id(shop)
        assert await run.output("count", timeout=TIMEOUT_S) == id(shop)
        assert trace == ["opened"]

    assert trace == ["opened", "closed"]


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({}, "expected an instance of Shop, found no resource of that name"),
        ({"shop": 7}, "expected an instance of Shop, found one of int"),
    ],
)
async def test_a_resource_that_does_not_fit_stops_the_host_before_it_claims(
    make_kernel: MakeKernel, resources: Mapping[str, object], problem: str
) -> None:
    """The error names flow, step, parameter, what was expected and what was found, for every place."""
    flow = _flow_with_resource()
    kernel = make_kernel(flow)
    run = await kernel.start(flow, 1)
    with pytest.raises(ResourceProblem) as raised:
        await NodeHost(kernel, resources=resources).start()

    assert raised.value.problems == (
        f"flow 'selling', step 'sell', parameter 'shop': {problem}",
        f"flow 'selling', step 'count', parameter 'shop': {problem}",
    )
    assert await run.status() is RunStatus.PENDING


@pytest.mark.fault(59)
async def test_another_shape_under_the_same_version_stops_the_host(make_kernel: MakeKernel) -> None:
    """A host whose flow differs from the registered one refuses to start."""

    def variant(slug: str) -> Kernel:
        flow = Flow("reshaped", version=1, input=int)

        @flow.step(slug=slug)
        async def work() -> int:
            return 1

        return make_kernel(flow)

    await variant("one").register()
    with pytest.raises(FlowShapeConflict, match='or, while you develop it, version="dev"'):
        await NodeHost(variant("other")).start()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("concurrency", 0),
        ("concurrency", True),
        ("concurrency", 1.5),
        ("queues", []),
        ("queues", "default"),
        ("worker", ""),
        ("worker", "a\nb"),
        ("lease_duration", 0),
        ("lease_duration", float("nan")),
        ("heartbeat_interval", timedelta(seconds=20)),
        ("heartbeats", "process"),
        ("poll_interval", -1),
        ("drain_timeout", -1),
        ("cancel_grace", "soon"),
        ("sweep_interval", 0),
    ],
)
def test_options_out_of_bounds_are_refused(option: str, value: object) -> None:
    """Every option is checked when the host is made, and the error names it."""
    flow = Flow("optional", version=1, input=int)

    @flow.step
    async def work() -> int:
        return 1

    from fairlead.adapters.memory import memory_ports

    with pytest.raises(HostOptionError) as raised:
        NodeHost(Kernel(flows=[flow], ports=memory_ports()), **{option: value})  # type: ignore[arg-type]

    assert raised.value.option == option


async def test_what_runs_ahead_of_the_store_is_bounded(make_kernel: MakeKernel) -> None:
    """While no outcome can be recorded, claims stop after two outcomes per slot and one more round."""
    done: list[str] = []
    blocked, go_on = asyncio.Event(), asyncio.Event()
    flow = Flow("ahead", version=1, input=int)

    @flow.step
    async def work(ctx: Context) -> None:
        done.append(ctx.run_id)

    kernel = make_kernel(flow)
    dispatch = kernel.dispatch

    async def slow_dispatch(command: Any) -> Any:
        if isinstance(command, SettleTasks):
            blocked.set()
            await go_on.wait()
        return await dispatch(command)

    kernel.dispatch = slow_dispatch  # type: ignore[method-assign]
    runs = await kernel.start_many(flow, [Start(input=n) for n in range(200)])
    async with NodeHost(kernel, concurrency=5):
        await blocked.wait()
        for _ in range(1000):
            await asyncio.sleep(0)
        assert 10 <= len(done) <= 15

        go_on.set()
        for run in runs:
            await run.result(timeout=TIMEOUT_S)


async def test_what_is_handed_over_needs_no_read(make_kernel: MakeKernel, ports: Ports) -> None:
    """A run whose steps follow each other on one host reads no payload back, and each task is born leased."""
    reads: list[object] = []
    read_payloads = ports.persistence.read_payloads

    async def counted(*args: Any) -> Any:
        reads.append(args)
        return await read_payloads(*args)

    ports.persistence.read_payloads = counted  # type: ignore[method-assign, assignment]
    flow = Flow("handed", version=1, input=list[int], input_name="numbers")

    @flow.step
    async def first(numbers: list[int]) -> list[int]:
        return numbers

    @flow.map(over=first)
    async def double(item: int) -> int:
        return 2 * item

    @flow.map(over=double)
    async def again(item: int, index: int) -> int:
        return item + index

    @flow.step
    async def last(first: list[int]) -> int:
        return len(first)

    kernel = make_kernel(flow)
    async with NodeHost(kernel, worker="only"):
        run = await kernel.start(flow, [1, 2, 3])
        await run.wait(timeout=TIMEOUT_S)
        tasks = (await run.details()).tasks

    assert not reads
    assert {(task.worker, task.attempts, task.token) for task in tasks} == {("only", 1, 1)}
    assert [task.started_at == task.created_at for task in tasks] == [True] * 8
    assert await run.outputs(again) == [2, 5, 8]
